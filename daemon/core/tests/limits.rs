//! Whatever a plugin or a caller says, the record of it fits the journal: an approval that cannot be journalled would
//! stop the till with the customer's money already taken.

#![allow(clippy::expect_used)]

mod samples;

use proptest::prelude::*;
use samples::{Bench, ID, approval, bank, context, decline, fen, open, wallet};
use till_core::input::Presented;
use till_core::routing::{Candidate, Exclusion, RouteHealth, Verdict};
use till_core::{
    AttemptState, Input, MAX_KEY, MAX_RECORD, MAX_RECOVERY, PaymentState, Record, Refusal, decide,
};
use till_plugin::channel::{
    Approval, Decline, DeclineClass, Echo, NextStep, Outcome, QueryOutcome, UndoOutcome, Unknown,
    UnknownReason,
};
use till_plugin::{Extra, Family};

fn size(record: &Record) -> usize {
    record.encode().expect("it encodes").len()
}

#[test]
fn an_approval_with_ten_kilobytes_of_receipt_lines_is_approved_with_its_lines_cut() {
    let mut b = Bench::new(context(wallet()));
    b.send();
    let mut yes = approval(fen(100));
    yes.receipt = (0..100).map(|i| (format!("行{i}"), "很长的一行".repeat(7))).collect();
    yes.extra = (0..100).map(|i| (format!("key-{i:03}"), "v".repeat(90))).collect();
    let step = b.answer(Outcome::Approved(yes.clone()));
    let record = step.record.expect("the approval");
    assert!(size(&record) <= MAX_RECORD, "{} bytes", size(&record));
    assert_eq!(b.state(), PaymentState::Paid);
    let Record::Approved { approval: kept, .. } = record else { panic!("{record:?}") };
    assert_eq!((&kept.reference, kept.amount), (&yes.reference, yes.amount));
    let whole = kept.receipt.len() - 1;
    assert!(whole >= 5 && kept.receipt[..whole] == yes.receipt[..whole], "the first lines stay whole");
    assert_eq!(kept.receipt[whole].0, "…", "and it shows that there were more");
    assert!(
        !kept.extra.is_empty() && kept.extra.iter().all(|(k, v)| yes.extra.get(k) == Some(v)),
        "whole facts"
    );
}

#[test]
fn an_ordinary_approval_is_kept_as_it_is() {
    let mut b = Bench::new(context(wallet()));
    b.send();
    let mut yes = approval(fen(100));
    yes.receipt = (0..12).map(|i| (format!("Line {i}"), "value of the line".into())).collect();
    b.answer(Outcome::Approved(yes.clone()));
    assert_eq!(b.attempt().approval.as_ref(), Some(&yes));
}

#[test]
fn an_attempt_with_sixteen_channels_and_long_reasons_fits() {
    let mut ctx = context(wallet());
    for i in 0..20 {
        let mut r = samples::route(&format!("{}{i:02}", "c".repeat(30)), "qr-alipay", wallet());
        r.priority = 5;
        r.health = RouteHealth::Failed { reason: "线路不通，请检查网络".repeat(40) };
        ctx.routes.push(r);
    }
    let mut b = Bench::new(ctx);
    b.take(&open(ID, "key", fen(100), &"茶".repeat(500)));
    b.take(&Input::Confirm { payment: ID, amount: fen(100) });
    let presented = Presented {
        family: Family::new("qr-alipay"),
        evidence: "e".repeat(500),
        masked: "*".repeat(500),
        token: "t".repeat(500),
        tendered: None,
        amount: None,
        duplicate_reason: "d".repeat(500),
        channel: None,
    };
    let step = b.take(&Input::Present { payment: ID, presented });
    let record = step.record.expect("an attempt");
    let Record::Tendered { decision, .. } = &record else { panic!("{record:?}") };
    let failed = |c: &&Candidate| matches!(c.verdict, Verdict::Excluded(Exclusion::Failed(_)));
    assert_eq!(
        (decision.candidates.len(), decision.candidates.iter().filter(failed).count()),
        (16, 15),
        "one is chosen; what takes cash only says the least"
    );
    println!("attempt-created with 16 candidates: {} bytes", size(&record));
    assert!(size(&record) <= MAX_RECORD);
}

#[test]
fn recovery_data_fits_or_nothing_is_sent() {
    for (bytes, state) in [(MAX_RECOVERY, AttemptState::Sent), (MAX_RECOVERY + 1, AttemptState::NotSent)] {
        let mut b = Bench::new(context(bank()));
        b.open_and_confirm();
        b.present();
        let result = Ok((vec![0xff; bytes], "*".repeat(999)));
        let step = b.take(&Input::Prepared { payment: ID, attempt: 1, result });
        assert_eq!(b.attempt().state, state, "{bytes} bytes");
        assert!(step.record.is_some_and(|r| size(&r) <= MAX_RECORD));
    }
    // 2 KiB of a plugin, sealed.
    const { assert!(MAX_RECOVERY >= 2048 + till_journal::sealed::SEAL_OVERHEAD) };
}

#[test]
fn keys_are_refused_not_cut() {
    let b = Bench::new(context(wallet()));
    assert!(decide(&b.till, &open(ID, &"k".repeat(MAX_KEY), fen(1), ""), &b.ctx).is_ok());
    let long = decide(&b.till, &open(ID, &"k".repeat(MAX_KEY + 1), fen(1), ""), &b.ctx);
    assert!(matches!(long, Err(Refusal::NotPayable(_))), "cut, it could be another payment's key");
}

#[test]
fn a_repeat_with_a_subject_that_was_cut_is_the_same_request() {
    let mut b = Bench::new(context(wallet()));
    let long = "茶".repeat(500);
    b.take(&open(ID, "key", fen(100), &long));
    let again = decide(&b.till, &open(till_core::PaymentId([9; 16]), "key", fen(100), &long), &b.ctx);
    assert_eq!(again.expect("known").record, None);
}

#[test]
fn c06_an_account_is_masked_before_it_reaches_the_disk() {
    let pan = "6200000000000005";
    let mut b = Bench::new(context(bank()));
    b.open_and_confirm();
    let mut shown = samples::presented();
    shown.masked = pan.into();
    let mut records = vec![b.take(&Input::Present { payment: ID, presented: shown }).record];
    let result = Ok((vec![1; 60], pan.to_owned()));
    records.push(b.take(&Input::Prepared { payment: ID, attempt: 1, result }).record);
    let yes = Approval { account: Some(pan.into()), ..approval(fen(100)) };
    records.push(b.answer(Outcome::Approved(yes)).record);
    for record in records.into_iter().flatten() {
        let bytes = record.encode().expect("it encodes");
        assert!(!bytes.windows(pan.len()).any(|w| w == pan.as_bytes()), "{} holds a PAN", record.name());
    }
}

fn texts() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ -~]{0,40}",
        (0_usize..9_000, prop_oneof![Just('a'), Just('中'), Just('\u{1f600}'), Just('\n'), Just('7')])
            .prop_map(|(n, c)| std::iter::repeat_n(c, n).collect()),
    ]
}

fn maybe() -> impl Strategy<Value = Option<String>> {
    proptest::option::of(texts())
}

prop_compose! {
    fn declines()(code in texts(), text in texts(), text_zh in texts()) -> Decline {
        Decline { class: DeclineClass::Channel, code, text, text_zh, next: NextStep::Later }
    }
}

prop_compose! {
    fn approvals()(
        reference in texts(),
        options in proptest::collection::vec(maybe(), 4),
        merchant in Just(Some("MERCHANT".to_owned())),
        receipt in proptest::collection::vec((texts(), texts()), 0..60),
        extra in proptest::collection::btree_map(texts(), texts(), 0..20),
        wrong in proptest::bool::weighted(0.1),
    ) -> Approval {
        let mut options = options.into_iter();
        let mut next = || options.next().flatten();
        Approval {
            reference,
            authorisation_code: next(),
            account: next(),
            scheme: next(),
            host_time: next(),
            receipt,
            extra: Extra::from_iter(extra),
            change: Some(fen(i64::MAX)),
            echo: Echo { order: None, merchant, terminal: None },
            ..approval(fen(if wrong { 101 } else { 100 }))
        }
    }
}

prop_compose! {
    fn unknowns()(text in texts(), show_code in maybe()) -> Unknown {
        Unknown { reason: UnknownReason::Garbage, text, show_code }
    }
}

fn outcomes() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        approvals().prop_map(Outcome::Approved),
        declines().prop_map(Outcome::Declined),
        declines().prop_map(Outcome::NotSent),
        unknowns().prop_map(Outcome::Unknown),
    ]
}

fn query_outcomes() -> impl Strategy<Value = QueryOutcome> {
    prop_oneof![
        approvals().prop_map(QueryOutcome::Paid),
        declines().prop_map(QueryOutcome::NotPaid),
        unknowns().prop_map(QueryOutcome::Unknown),
    ]
}

fn undo_outcomes() -> impl Strategy<Value = UndoOutcome> {
    prop_oneof![
        (any::<bool>(), maybe())
            .prop_map(|(money_moved, reference)| UndoOutcome::Undone { money_moved, reference }),
        declines().prop_map(UndoOutcome::Refused),
        declines().prop_map(UndoOutcome::NotSent),
        unknowns().prop_map(UndoOutcome::Unknown),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// The bench asserts for every record it takes that it fits and reads back.
    #[test]
    fn whatever_is_said_every_record_fits(
        subject in texts(),
        operator in maybe(),
        masked in texts(),
        answer in outcomes(),
        query in query_outcomes(),
        undo in undo_outcomes(),
        late in approvals(),
        refused in declines(),
        cancel in any::<bool>(),
    ) {
        let mut b = Bench::new(context(wallet()));
        b.take(&Input::Select { channel: Some("channel".into()), operator: operator.clone() });
        b.take(&Input::Open { purpose: till_core::Purpose::Sale, payment: ID, key: "k".repeat(MAX_KEY), amount: fen(100), subject, operator: operator.clone(), training: false });
        b.take(&Input::Confirm { payment: ID, amount: fen(100) });
        b.present();
        let mut other = b.clone();
        other.take(&Input::Prepared { payment: ID, attempt: 1, result: Err(refused) });
        other.take(&Input::Cancel { payment: ID, operator: operator.clone() });
        b.take(&Input::Prepared { payment: ID, attempt: 1, result: Ok((vec![0; MAX_RECOVERY], masked)) });
        if cancel {
            b.take(&Input::Cancel { payment: ID, operator: operator.clone() });
        }
        b.answer(answer);
        for _ in 0..2 {
            match b.attempt().state {
                AttemptState::Querying => {
                    b.resolve();
                    if b.attempt().state == AttemptState::Querying {
                        b.queried(query.clone());
                    }
                }
                AttemptState::Reversing => {
                    b.resolve();
                    b.undone(undo.clone());
                }
                _ => {}
            }
        }
        let late = Input::Answered { payment: ID, attempt: 1, outcome: Outcome::Approved(late) };
        if let Ok(step) = decide(&b.till, &late, &b.ctx) {
            b.apply(&step);
        }
        b.restart();
        b.take(&Input::NoSale { reason: format!("x{}", operator.clone().unwrap_or_default()), operator });
    }
}

#[test]
fn declines_are_cut_between_characters() {
    let mut b = Bench::new(context(wallet()));
    b.send();
    let text_zh = "余额不足".repeat(1000);
    b.answer(Outcome::Declined(Decline { text_zh: text_zh.clone(), ..decline("51") }));
    let kept = b.attempt().decline.clone().expect("a decline").text_zh;
    assert!(!kept.is_empty() && text_zh.starts_with(&kept));
}
