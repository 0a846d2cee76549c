//! Settlements: what a network is asked, what happens when it does not answer, and that nothing is dropped.

use std::collections::BTreeSet;

use till_core::batch::{BatchState, Item, PartId, PartState, Why};
use till_core::dispute::DisputeEvent;
use till_core::payment::{LegKind, PaymentState, Purpose, Verdict};
use till_core::{Effect, Input, PaymentId, Record, Refusal};
use till_plugin::channel::{Operation, Outcome, UndoOutcome, Unknown, UnknownReason};

use crate::samples::{approval, fen};
use crate::shop::{DAY, Fault, HOUR, Shop};

fn item(payment: PaymentId, attempt: u32) -> Item {
    Item { payment, attempt }
}

fn names(shop: &Shop) -> Vec<&'static str> {
    shop.records.iter().filter(|(_, _, r)| matches!(r, Record::Batch(_))).map(|(_, _, r)| r.name()).collect()
}

/// channels.md §1.7: nothing but its own messages goes out while a batch is settled, until people decide.
#[test]
fn no_balance_is_asked_for_while_a_batch_of_the_channel_is_settled() {
    let mut shop = Shop::new();
    shop.ctx.routes[0].operations.push(Operation::Balance);
    let ask = Input::Inquire { channel: "bank".into(), number: 1, operator: String::new() };
    shop.sell("wallet", 100);
    shop.take(&ask);
    shop.sell("bank", 100);
    shop.close();
    let mut asked = 0;
    loop {
        let open = shop
            .till
            .batches()
            .frozen()
            .any(|b| b.parts().any(|(id, part)| id.channel == "bank" && !part.state.is_closed()));
        match shop.try_take(&ask) {
            Err(Refusal::NoInquiry { en, .. }) => assert!(open && en.contains("being settled"), "{en}"),
            other => assert!(!open, "asked in a settlement: {other:?}"),
        }
        asked += u32::from(open);
        if !shop.step() {
            break;
        }
    }
    assert!(asked > 2, "the settlement took several steps");
    assert!(shop.till.batches().frozen().next().is_none() && shop.try_take(&ask).is_ok());
}

/// S64, I12, I13: ten thousand records settle while sales go on, none is lost, none is counted twice.
#[test]
fn ten_thousand_records_settle_while_sales_go_on() {
    let mut shop = Shop::new();
    for n in 0..10_000 {
        let channel = ["bank", "bank", "wallet", "cash"][n % 4];
        shop.sell(channel, 100 + i64::try_from(n).expect("small"));
    }
    // The network counts otherwise: every detail of the bank goes up, eight at a time.
    shop.net.unbalanced = Some(true);
    shop.close();
    assert_eq!(shop.till.open_batch(), 2, "the next batch is open at once");
    let mut meanwhile = 0;
    while shop.step() {
        shop.sell("bank", 1);
        meanwhile += 1;
    }
    assert!(meanwhile > 5_000 / 8, "sales went on between the steps: {meanwhile}");
    let first = shop.till.batches().get(1).expect("in memory");
    assert_eq!((first.state, first.count()), (BatchState::Closed, 10_000));
    assert_eq!(first.exceptions().count(), 0);
    assert_eq!(shop.net.uploaded.len(), 5_000);
    assert!(shop.net.uploaded.values().all(|n| *n == 1), "no detail goes up twice");
    assert!(shop.net.ended.contains(&("bank".into(), 1)));
    assert_eq!(shop.till.batch("bank"), 2, "sales of the next batch have the next network number");
    shop.net.unbalanced = None;
    shop.close();
    shop.run();
    assert_eq!(shop.seen.len(), 10_000 + meanwhile);
    assert!(shop.seen.values().all(|places| places.len() == 1), "each record is in exactly one batch");
    let numbers: Vec<u32> = shop.till.batches().closed().map(|b| b.number).collect();
    assert_eq!(numbers, [2, 1]);
    assert_eq!(
        shop.part(2, "bank", 2).agreed,
        Some(true),
        "the network counts the sales in between as its next batch"
    );
}

#[test]
fn a_settlement_that_agrees_is_compared_ended_and_closed() {
    let mut shop = Shop::new();
    shop.sell("bank", 1_000);
    shop.sell("bank", 2_000);
    shop.sell("cash", 500);
    shop.close();
    shop.run();
    let names = names(&shop);
    let bank = [
        "settlement-started",
        "settlement-answered",
        "settlement-started",
        "settlement-answered",
        "part-closed",
    ];
    let of_bank: Vec<_> = names.iter().filter(|n| bank.contains(n)).collect();
    assert_eq!(of_bank.len(), 6, "two exchanges, two parts: {names:?}");
    assert_eq!(names.last(), Some(&"batch-closed"));
    assert_eq!(shop.part(1, "bank", 1).state, PartState::Closed);
    assert_eq!(shop.part(1, "bank", 1).agreed, Some(true));
    assert_eq!(shop.part(1, "cash", 1).agreed, None, "cash agrees with nobody");
    assert_eq!(
        (shop.till.batch("bank"), shop.till.batch("cash")),
        (2, 1),
        "only a settling channel moves on"
    );
    assert_eq!(shop.alarms, Vec::<&str>::new());
    assert_eq!(shop.shredded, 2);
}

/// A power cut after every single record of a settlement: the same end, and no detail is asked for again that is known
/// to be there (pos.md §3.6).
#[test]
fn s64_a_settlement_resumes_at_the_record_after_any_power_cut() {
    let mut shop = Shop::new();
    for n in 0..20 {
        shop.sell("bank", 100 + n);
    }
    shop.net.unbalanced = Some(true);
    shop.close();
    let whole = {
        let mut whole = shop.clone();
        whole.run();
        whole
    };
    let steps = whole.records.len() - shop.records.len();
    assert!(steps > 12, "{steps}");
    for cut in 0..60 {
        let mut shop = shop.clone();
        (0..cut).for_each(|_| {
            shop.step();
        });
        shop.crash();
        shop.run();
        assert_eq!(shop.part(1, "bank", 1).state, PartState::Closed, "cut after {cut} steps");
        assert_eq!(
            shop.till.batches().get(1).map(till_core::batch::Batch::totals),
            whole.till.batches().get(1).map(till_core::batch::Batch::totals)
        );
        assert_eq!(shop.net.uploaded.len(), 20, "cut after {cut} steps");
        // Only the packet that was on its way may be there twice: under the same numbers, so the network knows it.
        assert!(shop.net.uploaded.values().filter(|n| **n > 1).count() <= 8);
        let orders: BTreeSet<_> = shop.net.asked.iter().map(|(_, _, order)| order).collect();
        let orders_whole: BTreeSet<_> = whole.net.asked.iter().map(|(_, _, order)| order).collect();
        assert_eq!(orders.len(), orders_whole.len(), "a repeat has the same numbers; cut after {cut} steps");
    }
}

#[test]
fn an_answer_that_is_lost_is_asked_for_again_with_the_same_numbers_and_a_budget() {
    let mut shop = Shop::new();
    shop.sell("bank", 1_000);
    shop.net.faults = [Fault::Lost, Fault::Lost].into();
    shop.close();
    shop.run();
    assert_eq!(shop.part(1, "bank", 1).state, PartState::Closed);
    let orders: Vec<_> = shop.net.asked.iter().map(|(_, _, order)| order.clone()).collect();
    assert_eq!((&orders[0], &orders[1]), (&orders[1], &orders[2]));
    assert_ne!(orders[2], orders[3], "the end of the batch is another request");

    let mut shop = Shop::new();
    shop.sell("bank", 1_000);
    shop.net.faults = vec![Fault::Lost; 5].into();
    shop.close();
    shop.run();
    let bank = PartId { channel: "bank".into(), network: 1 };
    assert_eq!(shop.part(1, "bank", 1).state, PartState::TotalsSent);
    assert_eq!(shop.net.asked.len(), 5, "the budget is five tries");
    assert_eq!(shop.alarms, ["settlement-stalled"]);
    assert_eq!(shop.till.batches().get(1).map(|b| b.state), Some(BatchState::Frozen), "never dropped");
    // A restart says it again and does not spend another budget.
    shop.crash();
    shop.run();
    assert_eq!((shop.net.asked.len(), shop.alarms.len()), (5, 2));
    // Somebody lets it go on, and the line is back.
    shop.take(&Input::SettleAgain { batch: 1, part: bank.clone(), operator: Some("boss".into()) });
    shop.run();
    assert_eq!(shop.till.batches().get(1).map(|b| b.state), Some(BatchState::Closed));
    let again = Input::SettleAgain { batch: 1, part: bank, operator: None };
    assert!(matches!(shop.try_take(&again), Err(Refusal::Batch { .. })));
}

#[test]
fn what_was_given_up_is_tried_again_at_the_next_close() {
    let mut shop = Shop::new();
    shop.sell("bank", 1_000);
    shop.net.faults = vec![Fault::NotSent; 5].into();
    shop.close();
    shop.run();
    shop.sell("bank", 2_000);
    shop.close();
    shop.run();
    let states: Vec<_> = shop.till.batches().closed().map(|b| b.number).collect();
    assert_eq!(states.len(), 2, "both are closed now");
    assert_eq!(shop.part(1, "bank", 1).agreed, Some(true));
}

#[test]
fn a_refusal_is_another_request_and_spends_the_same_budget() {
    let mut shop = Shop::new();
    shop.sell("bank", 1_000);
    shop.net.faults = [Fault::Refused("96"), Fault::Refused("96")].into();
    shop.close();
    shop.run();
    let orders: BTreeSet<_> = shop.net.asked.iter().map(|(_, _, order)| order.clone()).collect();
    assert_eq!((shop.net.asked.len(), orders.len()), (4, 4), "new numbers each time");
    assert_eq!(shop.part(1, "bank", 1).state, PartState::Closed);
    let mut shop = Shop::new();
    shop.sell("bank", 1_000);
    shop.net.faults = vec![Fault::Refused("97"); 9].into();
    shop.close();
    shop.run();
    assert_eq!(shop.net.asked.len(), 5);
    assert_eq!(shop.alarms, ["settlement-stalled"]);
}

#[test]
fn totals_that_differ_send_details_and_only_agree_afterwards_without_exceptions() {
    for (heals, state) in [(true, PartState::Closed), (false, PartState::ClosedWithExceptions)] {
        let mut shop = Shop::new();
        for _ in 0..9 {
            shop.sell("bank", 1_000);
        }
        shop.net.unbalanced = Some(heals);
        shop.close();
        shop.run();
        let part = shop.part(1, "bank", 1);
        assert_eq!((part.state, part.agreed), (state, Some(heals)));
        assert_eq!(part.exceptions().iter().any(|e| e.why == Why::TotalsDiffer), !heals);
        assert_eq!(shop.net.uploaded.len(), 9);
        assert!(shop.alarms.contains(&"totals-differ"));
        assert_eq!(shop.alarms.contains(&"batch-exceptions"), !heals);
        assert!(shop.net.ended.contains(&("bank".into(), 1)), "the network's batch is ended all the same");
    }
}

#[test]
fn a_record_that_the_network_refuses_is_named_and_the_others_go_up() {
    let mut shop = Shop::new();
    let ids: Vec<_> = (0..20).map(|n| shop.sell("bank", 100 + n)).collect();
    let bad = item(ids[11], 1);
    shop.net.refuses.insert(bad);
    shop.net.unbalanced = Some(true);
    shop.close();
    shop.run();
    let part = shop.part(1, "bank", 1);
    assert_eq!(part.state, PartState::ClosedWithExceptions);
    let named: Vec<_> = part.exceptions().iter().map(|e| (e.item, e.why.code())).collect();
    assert_eq!(named, [(Some(bad), "record-refused")]);
    assert_eq!(shop.net.uploaded.len(), 19);
    assert_eq!(
        part.totals().line(till_plugin::Currency::CNY).debits.count,
        20,
        "it is our money all the same"
    );
}

#[test]
fn a_channel_without_uploads_or_without_comparison_is_closed_all_the_same() {
    let mut shop = Shop::new();
    shop.sell("bank", 1_000);
    shop.net.faults = [Fault::Unsupported].into();
    shop.close();
    shop.run();
    assert_eq!((shop.part(1, "bank", 1).state, shop.part(1, "bank", 1).agreed), (PartState::Closed, None));

    let mut shop = Shop::new();
    shop.sell("bank", 1_000);
    shop.net.unbalanced = Some(false);
    // Compared, upload unsupported, compared again unsupported, end unsupported.
    shop.net.faults = [Fault::None, Fault::Unsupported, Fault::Unsupported, Fault::Unsupported].into();
    shop.close();
    shop.run();
    let part = shop.part(1, "bank", 1);
    assert_eq!((part.state, part.agreed), (PartState::ClosedWithExceptions, Some(false)));
}

/// S64: a payment whose outcome nobody knows is carried over by name; once it is money it is counted, once.
#[test]
fn s64_a_payment_in_review_is_carried_over_by_name_and_counted_once_when_it_is_decided() {
    let mut shop = Shop::new();
    shop.sell("bank", 1_000);
    let id = shop.begin("wallet", fen(700), None, "", Purpose::Sale).expect("taken");
    shop.prepared(id, 1);
    let lost = Unknown::new(UnknownReason::NoAnswer, "lost");
    shop.take(&Input::Answered { payment: id, attempt: 1, outcome: Outcome::Unknown(lost) });
    shop.close();
    // Under way: its part waits, the others go on.
    while shop.part(1, "wallet", 1).waits < 8 {
        assert!(shop.step());
    }
    assert_eq!(shop.part(1, "bank", 1).state, PartState::Closed);
    assert_eq!(shop.part(1, "wallet", 1).state, PartState::Frozen);
    // The resolver gives up: people must decide.
    for _ in 0..200 {
        if shop.till.payment(id).is_some_and(|p| p.state == PaymentState::Review) {
            break;
        }
        let a = shop.till.payment(id).and_then(|p| p.attempt(1)).expect("it").clone();
        let input = match (a.waiting, a.state) {
            (false, _) => Input::Resolve { payment: id, attempt: 1 },
            (true, till_core::AttemptState::Querying) => Input::Queried {
                payment: id,
                attempt: 1,
                outcome: till_plugin::channel::QueryOutcome::InProgress,
            },
            (true, _) => Input::Undone {
                payment: id,
                attempt: 1,
                outcome: UndoOutcome::Refused(crate::samples::decline("late")),
            },
        };
        let _ = shop.try_take(&input);
    }
    assert_eq!(shop.till.payment(id).map(|p| p.state), Some(PaymentState::Review));
    shop.run();
    let first = shop.till.batches().get(1).expect("in memory");
    assert_eq!(first.state, BatchState::Closed);
    let named: Vec<_> = first.exceptions().map(|(p, e)| (p.channel, e.item, e.why.code())).collect();
    assert_eq!(named, [("wallet".to_owned(), Some(item(id, 1)), "review")]);
    assert_eq!(shop.shredded, 1, "what its decision needs is not shredded");
    // Two people find out that it happened: it is counted in the batch that is open now.
    let reason = "statement of 1 May".to_owned();
    let (verdict, attempt) = (Verdict::Happened, 1);
    shop.take(&Input::ProposeReview { payment: id, attempt, verdict, reason, operator: "li".into() });
    shop.take(&Input::ConfirmReview { payment: id, attempt, verdict, operator: "wang".into() });
    shop.close();
    shop.run();
    let part = shop.part(2, "wallet", 0);
    assert_eq!((part.state, part.count()), (PartState::Closed, 1));
    assert_eq!(shop.seen.get(&item(id, 1)).map(BTreeSet::len), Some(1));
    assert_eq!(shop.shredded, 3);
}

#[test]
fn s64_what_ends_in_time_is_no_exception_and_what_does_not_is_named() {
    let begin = |shop: &mut Shop| {
        let id = shop.begin("wallet", fen(700), None, "", Purpose::Sale).expect("taken");
        shop.prepared(id, 1);
        shop.close();
        while shop.part(1, "wallet", 1).waits < 3 {
            assert!(shop.step());
        }
        id
    };
    let mut shop = Shop::new();
    let id = begin(&mut shop);
    shop.approve(id, 1);
    shop.run();
    assert_eq!((shop.part(1, "wallet", 1).state, shop.part(1, "wallet", 1).count()), (PartState::Closed, 1));

    let mut shop = Shop::new();
    let id = begin(&mut shop);
    shop.run();
    let part = shop.part(1, "wallet", 1);
    assert_eq!((part.state, part.count()), (PartState::ClosedWithExceptions, 0));
    assert_eq!(part.exceptions()[0].why, Why::Unfinished);
    assert!(shop.alarms.contains(&"settlement-waits"));
    assert_eq!(shop.shredded, 1);
    // It turns out well after all: in the open batch, and what it needed can go once that one is closed.
    shop.approve(id, 1);
    shop.close();
    shop.run();
    assert_eq!(shop.part(2, "wallet", 0).count(), 1);
    assert_eq!(shop.shredded, 3);
}

#[test]
fn s64_a_part_that_never_ends_is_closed_by_two_people_with_a_reason() {
    let mut shop = Shop::new();
    shop.sell("bank", 1_000);
    shop.net.faults = vec![Fault::Lost; 5].into();
    shop.close();
    shop.run();
    let bank = PartId { channel: "bank".into(), network: 1 };
    let close = |reason: &str, operator: &str| Input::CloseAnyway {
        batch: 1,
        part: bank.clone(),
        reason: reason.into(),
        operator: operator.into(),
    };
    assert!(matches!(shop.try_take(&close("", "boss")), Err(Refusal::Batch { .. })));
    assert!(matches!(shop.try_take(&close("line gone", " ")), Err(Refusal::Batch { .. })));
    // One person is not enough, however often.
    shop.take(&close("line gone", "boss"));
    shop.take(&close("line gone", " boss "));
    shop.run();
    assert_eq!(shop.part(1, "bank", 1).state, PartState::TotalsSent);
    shop.take(&close("line gone", "owner"));
    shop.run();
    let part = shop.part(1, "bank", 1);
    assert_eq!(part.state, PartState::ClosedWithExceptions);
    assert_eq!(part.exceptions()[0].why, Why::NoAnswer);
    assert_eq!(shop.till.batches().get(1).map(|b| b.state), Some(BatchState::Closed));
}

#[test]
fn a_settlement_waits_for_a_channel_that_is_down_and_for_its_pending_reversal() {
    use till_core::routing::RouteHealth;
    let mut shop = Shop::new();
    shop.sell("bank", 1_000);
    shop.ctx.routes[0].health = RouteHealth::Failed { reason: "no line".into() };
    shop.close();
    (0..40).for_each(|_| assert!(shop.step(), "it goes on waiting"));
    assert_eq!((shop.net.asked.len(), shop.alarms.clone()), (0, vec!["settlement-waits"]), "told once");
    shop.ctx.routes[0].health = RouteHealth::Ready;
    shop.run();
    assert_eq!(shop.part(1, "bank", 1).state, PartState::Closed);

    let mut shop = Shop::new();
    shop.sell("bank", 1_000);
    shop.close();
    // A sale of the next batch is lost and is being reversed: with one slot, the reversal goes first.
    let id = shop.begin("bank", fen(5), None, "", Purpose::Sale).expect("taken");
    shop.prepared(id, 1);
    let lost = Unknown::new(UnknownReason::NoAnswer, "lost");
    shop.take(&Input::Answered { payment: id, attempt: 1, outcome: Outcome::Unknown(lost) });
    (0..5).for_each(|_| assert!(shop.step()));
    assert_eq!(shop.net.asked.len(), 0);
    shop.take(&Input::Resolve { payment: id, attempt: 1 });
    let outcome = UndoOutcome::NeverExisted;
    shop.take(&Input::Undone { payment: id, attempt: 1, outcome });
    shop.run();
    assert_eq!(shop.part(1, "bank", 1).state, PartState::Closed);
}

#[test]
fn a_channel_that_is_gone_leaves_its_part_to_people() {
    let mut shop = Shop::new();
    shop.sell("bank", 1_000);
    shop.close();
    shop.ctx.routes.remove(0);
    shop.run();
    let part = shop.part(1, "bank", 1);
    assert_eq!(part.state, PartState::ClosedWithExceptions);
    assert_eq!(part.exceptions()[0].why, Why::ChannelGone);
}

#[test]
fn an_answer_to_another_request_or_a_second_time_changes_nothing() {
    let mut shop = Shop::new();
    shop.sell("bank", 1_000);
    shop.close();
    shop.step();
    while !matches!(shop.queue.front(), Some(Effect::Settle { .. })) {
        shop.step();
    }
    let Some(Effect::Settle { part, ids, .. }) = shop.queue.front().cloned() else { panic!("a request") };
    let answer = |trace| Input::Settled {
        batch: 1,
        part: part.clone(),
        trace,
        outcome: till_plugin::channel::SettleOutcome::Balanced,
    };
    assert_eq!(shop.try_take(&answer(ids.trace + 1)).unwrap_err(), Refusal::Stale);
    shop.take(&answer(ids.trace));
    assert_eq!(shop.try_take(&answer(ids.trace)).unwrap_err(), Refusal::Stale);
}

#[test]
fn voids_refunds_and_completions_are_counted_on_their_side_and_holds_on_none() {
    let mut shop = Shop::new();
    let sale = shop.sell("bank", 1_000);
    let other = shop.sell("bank", 2_000);
    shop.leg(sale, LegKind::Void, None).expect("voided");
    shop.leg(other, LegKind::Refund, Some(fen(500))).expect("refunded");
    let hold = shop.begin("bank", fen(9_000), None, "", Purpose::Hold).expect("held");
    shop.prepared(hold, 1);
    shop.approve(hold, 1);
    let line = |shop: &Shop| shop.part(1, "bank", 1).totals().line(till_plugin::Currency::CNY);
    assert_eq!((line(&shop).debits.amount, line(&shop).credits.amount), (fen(3_000), fen(1_500)));
    shop.leg(hold, LegKind::Capture, Some(fen(4_000))).expect("completed");
    assert_eq!((line(&shop).debits.amount, line(&shop).debits.count), (fen(7_000), 3));
    assert_eq!(
        shop.part(1, "bank", 1).kinds().of(LegKind::Hold, till_plugin::Currency::CNY).amount,
        fen(9_000)
    );
    shop.close();
    shop.run();
    assert_eq!(shop.part(1, "bank", 1).agreed, Some(true));
    // A refund of an older batch's sale belongs to the batch it is made in.
    shop.leg(other, LegKind::Refund, Some(fen(100))).expect("refunded");
    assert_eq!(shop.part(2, "bank", 2).totals().line(till_plugin::Currency::CNY).credits.amount, fen(100));
    assert_eq!(shop.till.batches().open().map(|b| b.operators().contains_key("lead")), Some(true));
}

/// An open hold keeps what its completion needs over any number of closes (S66 says after retention, not before).
/// What the journal keeps whatever its age: a sale until its batch is closed, and again while it is disputed.
#[test]
fn a_sale_is_unfinished_until_its_batch_is_closed_and_while_it_is_disputed() {
    let mut shop = Shop::new();
    assert!(shop.till.unfinished().is_empty());
    let id = shop.sell("bank", 1_000);
    let only = BTreeSet::from([id]);
    assert_eq!(shop.till.unfinished(), only, "in the open batch");
    shop.close();
    assert_eq!(shop.till.unfinished(), only, "while it is settled");
    shop.run();
    assert!(shop.till.unfinished().is_empty(), "its batch is closed");

    let case = |event| Input::Dispute { payment: id, number: 1, event, operator: "li".into() };
    shop.take(&case(DisputeEvent::Opened {
        attempt: 1,
        amount: fen(1_000),
        reason: "not received".into(),
        reference: String::new(),
        answer_by_ms: 0,
    }));
    assert_eq!(shop.till.unfinished(), only, "its records are the answer");
    shop.take(&case(DisputeEvent::Closed { won: true, text: String::new() }));
    assert!(shop.till.unfinished().is_empty(), "the case is closed");
}

#[test]
fn nothing_is_shredded_that_an_open_hold_needs() {
    let mut shop = Shop::new();
    let hold = shop.begin("bank", fen(9_000), None, "", Purpose::Hold).expect("held");
    shop.prepared(hold, 1);
    shop.approve(hold, 1);
    for _ in 0..3 {
        shop.sell("bank", 5);
        shop.close();
        shop.run();
    }
    assert_eq!((shop.till.open_batch(), shop.shredded), (4, 1));
    shop.leg(hold, LegKind::Capture, None).expect("completed");
    shop.close();
    shop.run();
    assert_eq!(shop.shredded, 5);
}

#[test]
fn the_networks_own_number_is_taken_for_what_comes_and_never_for_what_is_frozen() {
    let signed_in = |batch| Input::SignedIn { channel: "bank".into(), batch: Some(batch) };
    let mut shop = Shop::new();
    shop.take(&signed_in(120));
    assert_eq!((shop.till.batch("bank"), shop.alarms.len()), (120, 0), "nothing was sold yet");
    shop.sell("bank", 1_000);
    shop.take(&signed_in(500));
    assert_eq!((shop.till.batch("bank"), shop.alarms.clone()), (500, vec!["network-batch-moved"]));
    shop.sell("bank", 2_000);
    shop.close();
    assert_eq!(shop.till.batch("bank"), 501);
    // The network has not seen the settlement yet and still wants the old number: ours is right.
    shop.take(&signed_in(500));
    assert_eq!(shop.till.batch("bank"), 501);
    shop.run();
    assert_eq!(
        (shop.part(1, "bank", 120).agreed, shop.part(1, "bank", 500).agreed),
        (Some(true), Some(true))
    );
    // Asked before they were settled, answered after it: both are over at the network, what comes now would be lost there.
    for late in [120, 500] {
        shop.take(&signed_in(late));
        assert_eq!(shop.till.batch("bank"), 501, "{late} takes no more");
        assert_eq!(shop.alarms.last(), Some(&"network-batch-settled"));
    }
    shop.take(&signed_in(999_999));
    shop.sell("bank", 1);
    shop.close();
    assert_eq!(shop.till.batch("bank"), 1, "999999 is followed by 1");
}

/// I13: the network went back by one while the batch was open. The number after it is this batch's own already, and what
/// is sold under it tomorrow would be lost in a batch that is settled today.
#[test]
fn i13_a_number_that_the_batch_has_used_is_not_the_next_one() {
    let signed_in = |batch| Input::SignedIn { channel: "bank".into(), batch: Some(batch) };
    let mut shop = Shop::new();
    shop.take(&signed_in(7));
    shop.sell("bank", 1_000);
    shop.take(&signed_in(6));
    shop.sell("bank", 2_000);
    shop.close();
    assert_eq!(shop.till.batch("bank"), 8);
    // Nor one of a batch before it, settled or not.
    shop.take(&signed_in(5));
    shop.sell("bank", 3_000);
    shop.close();
    assert_eq!(shop.till.batch("bank"), 8);
    shop.run();
    shop.take(&signed_in(4));
    shop.sell("bank", 4_000);
    shop.close();
    assert_eq!(shop.till.batch("bank"), 8);
    shop.run();
    for (batch, network) in [(1, 7), (1, 6), (2, 5), (3, 4)] {
        assert_eq!(shop.part(batch, "bank", network).agreed, Some(true), "{batch} {network}");
    }
}

/// I13 and idle days: an empty batch is closed by the clock without asking any network.
#[test]
fn an_empty_day_asks_no_network_and_keeps_its_number() {
    let mut shop = Shop::new();
    shop.ctx.rules.close_at = till_core::batch::CloseAt::new(23 * 60 + 30);
    shop.take(&Input::Tick);
    for _ in 0..3 {
        shop.ctx.wall_ms += DAY + HOUR / 2;
        shop.take(&Input::Tick);
        shop.run();
    }
    assert_eq!(shop.till.batches().closed().map(|b| b.number).collect::<Vec<_>>(), [3, 2, 1]);
    assert_eq!((shop.net.asked.len(), shop.till.batch("bank")), (0, 1));
}

/// S64: what was undone, and is approved late while its batch is being ended, is named in that batch (found by the
/// simulation, seed 116961).
#[test]
fn s64_what_is_approved_after_the_totals_left_is_named_in_its_batch() {
    let mut shop = Shop::new();
    shop.sell("bank", 1_000);
    let late = shop.begin("bank", fen(500), None, "", Purpose::Sale).expect("it is taken");
    shop.prepared(late, 1);
    let lost = Outcome::Unknown(Unknown::new(UnknownReason::NoAnswer, "lost"));
    shop.take(&Input::Answered { payment: late, attempt: 1, outcome: lost });
    shop.take(&Input::Resolve { payment: late, attempt: 1 });
    let outcome = UndoOutcome::Undone { money_moved: true, reference: None };
    shop.take(&Input::Undone { payment: late, attempt: 1, outcome });
    shop.take(&Input::Cancel { payment: late, operator: None });
    shop.close();
    while !matches!(shop.queue.front(), Some(Effect::UploadRecords { end: true, .. })) {
        assert!(shop.step(), "the batch is never ended");
    }
    shop.take(&Input::Answered { payment: late, attempt: 1, outcome: Outcome::Approved(approval(fen(500))) });
    shop.run();
    let part = shop.part(1, "bank", 1);
    assert_eq!(part.state, PartState::ClosedWithExceptions);
    let named: Vec<_> = part.exceptions().iter().map(|e| (e.item, e.why.clone())).collect();
    assert_eq!(named, [(Some(item(late, 1)), Why::Unfinished)]);
}
