//! Planted faults: what the simulation must catch. Code only with the feature `planted`, and off even then until a
//! test switches one on for its own thread. A tilld cannot be built with it (its `main.rs` asserts [`PLANTED`]).

/// Whether planted faults are compiled in.
pub const PLANTED: bool = cfg!(feature = "planted");

/// Whether a fault is switched on; `false`, and gone from the program, without the feature.
macro_rules! planted {
    ($fault:ident) => {{
        #[cfg(feature = "planted")]
        {
            $crate::planted::is_on($crate::planted::Fault::$fault)
        }
        #[cfg(not(feature = "planted"))]
        {
            false
        }
    }};
}
pub(crate) use planted;

#[cfg(feature = "planted")]
mod switch {
    use std::cell::Cell;

    macro_rules! faults {
        ($($fault:ident = $name:literal, $what:literal;)*) => {
            /// A mistake that the till could have.
            #[derive(Copy, Clone, Debug, PartialEq, Eq)]
            pub enum Fault {
                $(#[doc = $what] $fault,)*
            }

            impl Fault {
                /// All of them.
                pub const ALL: &'static [Self] = &[$(Self::$fault,)*];

                /// Lower-kebab name.
                pub const fn name(self) -> &'static str {
                    match self { $(Self::$fault => $name,)* }
                }

                /// What it does, one line.
                pub const fn what(self) -> &'static str {
                    match self { $(Self::$fault => $what,)* }
                }
            }
        };
    }

    faults! {
        SendBeforeFlush = "send-before-flush", "A request leaves before its record with the reversal is on disk.";
        PrintBeforeFlush = "print-before-flush", "A receipt is printed before its record is on disk.";
        OwnClock = "own-clock", "The live state is stamped with another clock than the journal's.";
        KeysForgotten = "keys-forgotten", "A rebuild forgets idempotency keys: one is used for a second payment.";
        TracesForgotten = "traces-forgotten", "A rebuild forgets trace numbers: they are given again.";
        TimeoutIsDeclined = "timeout-is-declined", "No answer in time is taken as a no.";
        EchoNotChecked = "echo-not-checked", "An answer is believed without looking at its amount and echoes.";
        LateApprovalIgnored = "late-approval-ignored", "A late approval is dropped without a trace.";
        CancelledPaidSwallowed = "cancelled-paid-swallowed", "A yes to a cancelled payment is taken as a no.";
        SlotNotChecked = "slot-not-checked", "A request goes out while its channel's reversal slot is taken.";
        TwoAttemptsOpen = "two-attempts-open", "A second instrument is taken while an attempt is under way.";
        SplitNotReduced = "split-not-reduced", "The second tender of a split asks for the whole amount.";
        RefundPastCaptured = "refund-past-captured", "More goes back than was taken.";
        LoadedRefunded = "loaded-refunded", "A top-up goes back whose value is on the card.";
        LegKeyForgotten = "leg-key-forgotten", "A repeated request for a leg begins a second one.";
        NotFoundOnce = "not-found-once", "The first \"not found\" is taken as never having existed.";
        UndoWithoutEnd = "undo-without-end", "Reversals are repeated beyond their budget.";
        ReturnForgotten = "return-forgotten", "A restart forgets that a payment is being given back.";
        ReversalForgotten = "reversal-forgotten", "A restart forgets a reversal that was under way.";
        OnePersonReview = "one-person-review", "One person alone decides a review.";
        PrintedTwice = "printed-twice", "A receipt is printed a second time as if it were the first.";
        DisarmedEarly = "disarmed-early", "The reversal is disarmed when the outcome becomes unknown.";
        UndoneBeforeAnswer = "undone-before-answer", "An undo counts as done when it is sent.";
        AbandonedKept = "abandoned-kept", "An attempt that was given up is kept when it is approved after all.";
        HoldTakenTwice = "hold-taken-twice", "A hold that was completed or released is completed again.";
        DrawerBeforeFlush = "drawer-before-flush", "The drawer opens before the answer is on disk.";
        TotalsTwice = "totals-twice", "A record counts twice in the totals of its batch.";
        EnteredTwice = "entered-twice", "A record is entered into its batch twice.";
        EnteredIntoStruck = "entered-into-struck", "A record joins a batch whose totals have left for the network.";
        VoidOfClosedBatch = "void-of-closed-batch", "A sale of a closed batch is voided.";
        ItemDropped = "item-dropped", "What is under way at the close of a batch is dropped, not named.";
        ClosedOverOpen = "closed-over-open", "A part is compared and closed while its items are under way.";
        AutoCloseForgotten = "auto-close-forgotten", "The clock closes a date again after it jumped back.";
        BatchesForgotten = "batches-forgotten", "A rebuild forgets the batches: their numbers are given again.";
        NetworkNumberReused = "network-number-reused", "A closed batch's number of its network goes on.";
        CountersNotReset = "counters-not-reset", "A new business day begins with what was used of limits before.";
        ShredBeforeClose = "shred-before-close", "Recovery data is destroyed before the close is on disk.";
        DetailSkipped = "detail-skipped", "A detail record is skipped when the pointer moves on.";
        UnbalancedBelieved = "unbalanced-believed", "Totals that differ are taken as agreed.";
        TrainingCounts = "training-counts", "A training payment counts in batches and against limits.";
        TrainingSent = "training-sent", "A training payment goes to a channel's network.";
        SignInIgnored = "sign-in-ignored", "The batch number that a network wants at a sign-in is not taken.";
        UnsettledReused = "unsettled-reused", "A network's number of a batch that is being settled is taken again.";
        SettledReused = "settled-reused", "A network's number of a batch that was settled is taken again, by a late answer.";
        CopyUnnumbered = "copy-unnumbered", "Two copies of one paper have the same number.";
        DisputedTwice = "disputed-twice", "A second case is opened about money that is disputed already.";
        DisputesForgotten = "disputes-forgotten", "A rebuild forgets the cases of disputed payments.";
        SuspensionForgotten = "suspension-forgotten", "A restart forgets that a channel is suspended.";
        SuspendedSent = "suspended-sent", "A request goes to a channel that was suspended while it was prepared.";
        WindowIgnored = "window-ignored", "A sale goes to a channel in its announced maintenance.";
        DrainIgnored = "drain-ignored", "A sale goes to a channel so shortly before its maintenance that it can run into it.";
        BreakerIgnored = "breaker-ignored", "A sale goes to a channel whose breaker is open.";
        BreakerProbesWithMoney = "breaker-probes-with-money", "A breaker lets a sale through to see whether the network answers.";
        FailoverEarly = "failover-early", "An instrument goes to the next channel before the last one has said a final no.";
        BreakerCountsRows = "breaker-counts-rows", "A channel that fails every second time is never kept away.";
        AnnouncementsForgotten = "announcements-forgotten", "A rebuild forgets what maintenance is announced.";
        NoticesForgotten = "notices-forgotten", "A rebuild forgets which notices a receiver has taken.";
        CancelledPrinted = "cancelled-printed", "A print job that was cancelled is printed.";
        DrawerUnrecorded = "drawer-unrecorded", "The drawer opens without a sale, and nothing says who and why.";
        ResealForgotten = "reseal-forgotten", "Recovery data that was sealed anew is kept under its old key.";
        FullIgnored = "full-ignored", "More goes into a batch than its network counts.";
        FullOfBooked = "full-of-booked", "What is under way is not counted when a batch fills.";
        FullKept = "full-kept", "A batch that is full stays open.";
        SettlementForgotten = "settlement-forgotten", "A restart forgets settlements that were under way.";
    }

    thread_local! {
        static ON: Cell<Option<Fault>> = const { Cell::new(None) };
    }

    /// Switches a fault on for this thread; None: all off.
    pub fn plant(fault: Option<Fault>) {
        ON.set(fault);
    }

    pub(crate) fn is_on(fault: Fault) -> bool {
        ON.get() == Some(fault)
    }
}

#[cfg(feature = "planted")]
pub(crate) use switch::is_on;
#[cfg(feature = "planted")]
pub use switch::{Fault, plant};
