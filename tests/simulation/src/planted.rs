//! How soon a planted fault is noticed.

use till_core::planted::{Fault, plant};

use crate::{Failure, Options, live};

/// Each fault and the number of payments within which it is noticed, whatever seed the worlds begin with.
pub const WITHIN: &[(Fault, u64)] = &[
    (Fault::OwnClock, 10),
    (Fault::SendBeforeFlush, 50),
    (Fault::PrintBeforeFlush, 50),
    (Fault::PrintedTwice, 100),
    (Fault::DisarmedEarly, 100),
    (Fault::KeysForgotten, 200),
    (Fault::TracesForgotten, 200),
    (Fault::TimeoutIsDeclined, 500),
    (Fault::SplitNotReduced, 500),
    (Fault::OnePersonReview, 500),
    (Fault::DrawerBeforeFlush, 500),
    (Fault::ReversalForgotten, 500),
    (Fault::UndoneBeforeAnswer, 500),
    (Fault::LegKeyForgotten, 500),
    (Fault::TwoAttemptsOpen, 1_000),
    (Fault::EchoNotChecked, 1_000),
    (Fault::CancelledPaidSwallowed, 1_000),
    (Fault::HoldTakenTwice, 1_000),
    (Fault::ReturnForgotten, 1_000),
    (Fault::NotFoundOnce, 1_000),
    (Fault::LateApprovalIgnored, 2_000),
    (Fault::RefundPastCaptured, 3_000),
    (Fault::LoadedRefunded, 5_000),
    (Fault::UndoWithoutEnd, 10_000),
    (Fault::SlotNotChecked, 160_000),
    (Fault::AbandonedKept, 30_000),
    (Fault::EnteredTwice, 50),
    (Fault::BatchesForgotten, 200),
    (Fault::TotalsTwice, 200),
    (Fault::ShredBeforeClose, 200),
    (Fault::CountersNotReset, 500),
    (Fault::TrainingCounts, 2_000),
    (Fault::TrainingSent, 2_000),
    (Fault::DisputesForgotten, 2_000),
    (Fault::SignInIgnored, 2_000),
    (Fault::CopyUnnumbered, 5_000),
    (Fault::DisputedTwice, 20_000),
    (Fault::UnsettledReused, 20_000),
    (Fault::SettledReused, 50_000),
    (Fault::ItemDropped, 500),
    (Fault::SettlementForgotten, 500),
    (Fault::NetworkNumberReused, 1_000),
    (Fault::ClosedOverOpen, 2_000),
    (Fault::UnbalancedBelieved, 2_000),
    (Fault::VoidOfClosedBatch, 2_000),
    (Fault::AutoCloseForgotten, 20_000),
    (Fault::EnteredIntoStruck, 10_000),
    (Fault::DetailSkipped, 20_000),
    (Fault::SuspensionForgotten, 10_000),
    (Fault::SuspendedSent, 10_000),
    (Fault::WindowIgnored, 10_000),
    (Fault::DrainIgnored, 10_000),
    (Fault::BreakerIgnored, 10_000),
    (Fault::BreakerProbesWithMoney, 10_000),
    (Fault::FailoverEarly, 2_000),
    (Fault::BreakerCountsRows, 20_000),
    (Fault::AnnouncementsForgotten, 10_000),
    (Fault::NoticesForgotten, 2_000),
    (Fault::CancelledPrinted, 20_000),
    (Fault::DrawerUnrecorded, 2_000),
    (Fault::ResealForgotten, 10_000),
    (Fault::FullIgnored, 10_000),
    (Fault::FullOfBooked, 100_000),
    (Fault::FullKept, 20_000),
];

/// Lives worlds with a fault planted until one of them notices; `None` when none does within so many payments.
pub fn caught(fault: Fault, first_seed: u64, within: u64) -> Option<(u64, Failure)> {
    let mut payments = 0;
    for seed in first_seed.. {
        plant(Some(fault));
        let outcome = live(seed, Options::default());
        plant(None);
        payments += outcome.opened;
        match outcome.failure {
            Some(failure) => return Some((payments, failure)),
            None if payments > within => return None,
            None => {}
        }
    }
    None
}
