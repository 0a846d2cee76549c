//! Training (pos.md S63, I17): practised on the real till, and no money moves. Named after the acceptance line.

#![allow(clippy::expect_used, clippy::panic)]

mod samples;

use samples::{context, fen, presented, wallet};
use till_core::limits::{Limit, Scope};
use till_core::postings::postings;
use till_core::receipt::{Facts, Language, Shop, TRAINING, slip, text};
use till_core::{
    AttemptState, Context, Effect, Input, LegKind, Payment, PaymentId, PaymentState, Purpose, Record,
    Refusal, Step, Till, decide, recover, training,
};
use till_plugin::channel::UndoOutcome;

const ID: PaymentId = PaymentId([9; 16]);

/// What is done with a payment afterwards, and over how much.
type Leg = (LegKind, Option<i64>);

/// A till whose training host answers at once.
struct Bench {
    till: Till,
    ctx: Context,
    seq: u64,
}

impl Bench {
    fn new() -> Self {
        let mut ctx = context(wallet());
        ctx.rules.limits = vec![Limit { scope: Scope::Day, amount: fen(100), count: Some(1) }];
        Self { till: Till::new(), ctx, seq: 0 }
    }

    /// Takes an input and all that the training host answers to it; a request to a real channel is a failure.
    fn take(&mut self, input: &Input) -> Result<Vec<Effect>, Refusal> {
        let step = decide(&self.till, input, &self.ctx)?;
        let effects = self.apply(&step);
        let mut all = effects.clone();
        for effect in effects {
            match effect {
                Effect::Prepare { .. }
                | Effect::Authorise { .. }
                | Effect::Query { .. }
                | Effect::Undo { .. }
                | Effect::OpenDrawer { .. } => panic!("training reaches the world: {effect:?}"),
                Effect::Train(train) => all.extend(self.take(&training::answer(&train))?),
                Effect::ResolveAfter { payment, attempt, .. } => {
                    all.extend(self.take(&Input::Resolve { payment, attempt })?);
                }
                _ => {}
            }
        }
        Ok(all)
    }

    fn apply(&mut self, step: &Step) -> Vec<Effect> {
        if let Some(record) = &step.record {
            self.seq += 1;
            self.till.apply(self.seq, 1_790_000_000_000, record);
            let p = record.payment().and_then(|id| self.till.payment(id));
            assert_eq!(postings(p, record), [], "I17: training is posted: {record:?}");
        }
        step.effects.clone()
    }

    fn set(&mut self, on: bool) {
        self.take(&Input::SetTraining { on, operator: "li".into() }).expect("a free till");
    }

    fn open(&mut self, training: bool, purpose: Purpose, key: &str, minor: i64) -> Result<(), Refusal> {
        let (subject, operator) = ("goods".into(), Some("new".into()));
        let amount = fen(minor);
        let open = Input::Open { payment: ID, purpose, key: key.into(), amount, subject, operator, training };
        self.take(&open).map(drop)
    }

    fn pay(&mut self, purpose: Purpose, minor: i64) {
        self.open(true, purpose, "key", minor).expect("opened");
        self.take(&Input::Confirm { payment: ID, amount: fen(minor) }).expect("confirmed");
        self.take(&Input::Present { payment: ID, presented: presented() }).expect("presented");
    }

    fn leg(&mut self, kind: LegKind, amount: Option<i64>) -> Result<(), Refusal> {
        let amount = amount.map(fen);
        let (key, reason, operator) = (String::new(), "practice".into(), Some("new".into()));
        self.take(&Input::Leg { payment: ID, kind, of: 0, amount, key, reason, operator }).map(drop)
    }

    fn payment(&self) -> &Payment {
        self.till.payment(ID).expect("the payment")
    }

    /// What counts is as if nothing had happened.
    fn nothing_counts(&self) {
        let none = Till::new();
        assert_eq!(self.till.batches(), none.batches(), "I17: a batch");
        assert_eq!(self.till.limit_counters(), none.limit_counters(), "I17: limits");
        assert_eq!(self.till.uses_under_way().count(), 0, "I17: limits, under way");
        assert_eq!((self.till.next_receipt(), self.till.next_order()), (1, 1), "I17: numbers");
        assert_eq!(self.till.next_trace("wallet"), 1, "I17: trace numbers");
        assert_eq!(self.till.needed_from(None), 1);
    }
}

/// The whole of a day's practice: sale, split, hold, completion, void, refund. No request to any channel, and no trace
/// in anything that is counted; a limit of one yuan a day binds none of it.
#[test]
fn s63_i17_whatever_is_practised_reaches_no_channel_and_counts_nowhere() {
    let whole: [(Purpose, &[Leg], PaymentState); 4] = [
        (Purpose::Sale, &[], PaymentState::Paid),
        (Purpose::Sale, &[(LegKind::Void, None)], PaymentState::Returned),
        (Purpose::Sale, &[(LegKind::Refund, Some(3_000)), (LegKind::Refund, None)], PaymentState::Returned),
        (Purpose::Hold, &[(LegKind::Capture, Some(7_000)), (LegKind::Refund, None)], PaymentState::Paid),
    ];
    for (purpose, legs, end) in whole {
        let mut b = Bench::new();
        b.set(true);
        b.pay(purpose.clone(), 12_850);
        b.nothing_counts();
        for (kind, amount) in legs {
            b.leg(*kind, *amount).expect("a leg");
            b.nothing_counts();
        }
        let ended = b.payment().state;
        assert!(ended == end || purpose == Purpose::Hold && ended == PaymentState::Returned, "{ended:?}");
        assert!(b.payment().training && b.payment().attempts.iter().all(|a| a.channel == training::CHANNEL));
        // The next real sale is the first one: its numbers, its batch, its limit.
        b.set(false);
        assert_eq!((b.till.next_receipt(), b.till.next_order()), (1, 1));
    }
}

/// The paper says what it is on every copy, in either language, at its top and at its bottom, under a number of its own.
#[test]
fn s63_every_paper_says_training() {
    let mut b = Bench::new();
    b.set(true);
    b.pay(Purpose::Sale, 12_850);
    b.leg(LegKind::Refund, None).expect("refunded");
    let p = b.payment();
    for language in [Language::Chinese, Language::English] {
        for attempt in &p.attempts {
            for copy in 0..3 {
                let shop = Shop { name: "Tea".into(), language, ..Shop::default() };
                let number = attempt.receipt.expect("a receipt");
                let paper = slip(p, number, &shop, &Facts { copy, ..Facts::default() }).expect("a paper");
                let paper = text(&paper, 40);
                assert_eq!(paper.matches(TRAINING).count(), 2, "{paper}");
                assert!(TRAINING.contains("TRAINING 培训 NOT A RECEIPT"));
                assert!(paper.contains("T0000000") && !paper.contains(" 0000000"), "{paper}");
            }
        }
    }
}

/// Both must say so, and neither changes under a customer.
#[test]
fn s63_the_till_and_the_caller_must_mean_the_same() {
    let apart = |told: Result<(), Refusal>| assert!(matches!(told, Err(Refusal::Training(_))), "{told:?}");
    let mut b = Bench::new();
    apart(b.open(true, Purpose::Sale, "a", 100));
    apart(b.take(&Input::SetTraining { on: true, operator: " ".into() }).map(drop));
    b.set(true);
    apart(b.open(false, Purpose::Sale, "a", 100));
    let top_up = Purpose::TopUp { channel: "wallet".into(), recovery: vec![1], masked: String::new() };
    apart(b.open(true, top_up, "a", 100));
    b.open(true, Purpose::Sale, "a", 100).expect("training");
    for on in [false, true] {
        let told = b.take(&Input::SetTraining { on, operator: "li".into() });
        assert!(
            if on { told == Ok(Vec::new()) } else { matches!(told, Err(Refusal::Busy { .. })) },
            "{told:?}"
        );
    }
    assert!(b.payment().training);
    b.take(&Input::Cancel { payment: ID, operator: None }).expect("cancelled");
    b.set(false);
    // The key of before is not a real payment's key: a caller that sells is never answered with a training payment.
    assert_eq!((b.till.by_key("a"), b.till.training_by_key("a")), (None, Some(ID)));
    assert_eq!(
        b.open(true, Purpose::Sale, "a", 100),
        Ok(()),
        "the same request is the same payment, also later"
    );
}

/// No money of a real payment moves while everybody takes what happens for practice.
#[test]
fn s63_real_payments_are_left_alone_in_training() {
    let mut b = Bench::new();
    let opened = Record::Opened {
        payment: ID,
        key: String::new(),
        amount: fen(100),
        subject: String::new(),
        operator: None,
    };
    b.till.apply(1, 0, &opened);
    b.till.apply(2, 0, &Record::Cancelled { payment: ID, reason: "cancelled".into(), operator: None });
    b.set(true);
    let told = b.leg(LegKind::Refund, None);
    assert!(matches!(told, Err(Refusal::Training(_))), "{told:?}");
    let told = b.take(&Input::Resume { payment: ID, operator: None });
    assert!(matches!(told, Err(Refusal::Training(_))), "{told:?}");
}

/// A crash at any record of it leaves training what it was: the till's mode, and the payment's mark.
#[test]
fn s63_the_flag_survives_a_crash_at_every_record() {
    let mut whole = Bench::new();
    whole.set(true);
    whole.open(true, Purpose::Sale, "k", 12_850).expect("opened");
    let mut b = Bench::new();
    let script = [
        Input::SetTraining { on: true, operator: "li".into() },
        Input::Open {
            payment: ID,
            purpose: Purpose::Sale,
            key: "k".into(),
            amount: fen(12_850),
            subject: "goods".into(),
            operator: None,
            training: true,
        },
        Input::Confirm { payment: ID, amount: fen(12_850) },
        Input::Present { payment: ID, presented: presented() },
        Input::Prepared { payment: ID, attempt: 1, result: Ok((Vec::new(), String::new())) },
    ];
    for crash_after in 1..=script.len() {
        b.till = Till::new();
        b.seq = 0;
        for input in &script[..crash_after] {
            let step = decide(&b.till, input, &b.ctx).expect("a step");
            b.apply(&step);
        }
        let bytes = b.till.to_snapshot().expect("a snapshot");
        b.till = Till::from_snapshot(&bytes).expect("the same till");
        let steps = recover(&b.till);
        let alarm = steps
            .iter()
            .flat_map(|s| &s.effects)
            .any(|e| matches!(e, Effect::Alarm { code: "training", .. }));
        assert!(alarm, "people are told that the till is in training");
        for step in steps {
            for effect in b.apply(&step) {
                if let Effect::ResolveAfter { payment, attempt, .. } = effect {
                    b.take(&Input::Resolve { payment, attempt }).expect("resolved by the training host");
                }
            }
        }
        assert!(b.till.is_training(), "after {crash_after} records");
        b.nothing_counts();
        if crash_after > 1 {
            let p = b.payment();
            assert!(p.training && p.state == PaymentState::Cancelled, "after {crash_after} records: {p:?}");
        }
        assert!(b.till.foreground().is_none());
    }
}

/// However often the till dies before its training host has answered: no people are asked what became of practice.
#[test]
fn s63_i17_restarts_bring_no_training_payment_to_review() {
    let mut b = Bench::new();
    b.set(true);
    b.open(true, Purpose::Sale, "k", 12_850).expect("opened");
    let script = [
        Input::Confirm { payment: ID, amount: fen(12_850) },
        Input::Present { payment: ID, presented: presented() },
        Input::Prepared { payment: ID, attempt: 1, result: Ok((Vec::new(), String::new())) },
    ];
    let cut_off = |b: &mut Bench, input: &Input| {
        let step = decide(&b.till, input, &b.ctx).expect("a step");
        b.apply(&step);
    };
    for input in &script {
        cut_off(&mut b, input);
    }
    for restart in 0..20 {
        let steps = recover(&b.till);
        for step in &steps {
            b.apply(step);
        }
        cut_off(&mut b, &Input::Resolve { payment: ID, attempt: 1 });
        let state = b.payment().attempts[0].state;
        let goes_on = matches!(state, AttemptState::Querying | AttemptState::Reversing);
        assert!(goes_on, "after {restart} restarts: {state:?}");
    }
    let answer = Input::Undone {
        payment: ID,
        attempt: 1,
        outcome: UndoOutcome::Undone { money_moved: false, reference: None },
    };
    b.take(&answer).expect("answered at last");
    assert_eq!(b.payment().state, PaymentState::Cancelled);
}

/// A decline can be practised too.
#[test]
fn s63_amounts_that_end_in_51_are_declined() {
    let mut b = Bench::new();
    b.set(true);
    b.pay(Purpose::Sale, 1_051);
    let p = b.payment();
    let decline = p.attempts[0].decline.as_ref().expect("declined");
    assert_eq!((p.state, decline.code.as_str()), (PaymentState::Ready, "51"));
    b.nothing_counts();
}
