//! Answers that are not what was agreed (S15): the money stands, the channel is suspended by the very same record.

#![allow(clippy::expect_used)]

mod samples;

use samples::{Bench, ID, approval, context, fen, presented, wallet};
use till_core::batch::SettleRule;
use till_core::pinning::Agreed;
use till_core::suspension::By;
use till_core::{Effect, Input, PaymentState, Record, Refusal, Till, decide, recover};
use till_plugin::channel::{Approval, Outcome, QueryOutcome, answered};

fn shop() -> Bench {
    let mut ctx = context(wallet());
    let agreed = Agreed {
        merchant_name: Some("老王茶馆".into()),
        mcc: Some("5812".into()),
        payee: Some("2088001".into()),
        rate_ppm: Some(6_000),
    };
    ctx.rules.channels.insert("channel".into(), SettleRule { agreed, ..SettleRule::default() });
    Bench::new(ctx)
}

fn saying(facts: &[(&str, &str)]) -> Approval {
    let mut a = approval(fen(100));
    for (fact, value) in facts {
        a.extra.insert((*fact).into(), (*value).into());
    }
    a
}

fn alarms(effects: &[Effect]) -> Vec<&str> {
    let text = |e| match e {
        &Effect::Alarm { code: "pinning", ref text, .. } => Some(text.as_str()),
        _ => None,
    };
    effects.iter().filter_map(text).collect()
}

#[test]
fn s15_the_money_stands_and_the_channel_is_suspended_by_the_same_record() {
    for (fact, value, line) in [
        (answered::MERCHANT_NAME, "好运来", "merchant-name 老王茶馆 ≠ 好运来"),
        (answered::MCC, "6012", "mcc 5812 ≠ 6012"),
        (answered::PAYEE, "2088002", "payee 2088001 ≠ 2088002"),
        (answered::RATE_PPM, "3800", "rate-ppm 6000 ≠ 3800"),
        (answered::FEE, "9", "fee 1 ≠ 9"),
    ] {
        let mut b = shop();
        b.send();
        let step = b.answer(Outcome::Approved(saying(&[(fact, value)])));
        assert_eq!(b.state(), PaymentState::Paid, "{fact}");
        let s = b.till.suspended("channel").expect("suspended").clone();
        assert_eq!((s.by, s.reason.as_str(), s.payment), (By::Pinning, line, Some(ID)), "{fact}");
        let told = alarms(&step.effects);
        assert_eq!(told.len(), 1, "{fact}: {:?}", step.effects);
        assert!(told[0].contains("已暂停") && told[0].contains("is suspended") && told[0].contains(line));
        // The process dies between the record and whatever follows: the record alone does it.
        assert!(matches!(step.record, Some(Record::Approved { .. })));
        let again = recover(&b.till);
        assert_eq!(again.iter().flat_map(|s| alarms(&s.effects)).count(), 1, "told again after a restart");
    }
}

#[test]
fn s15_what_is_as_agreed_or_not_said_changes_nothing() {
    let good = [
        (answered::MERCHANT_NAME, "老王茶馆"),
        (answered::MCC, "5812"),
        (answered::PAYEE, "2088001"),
        (answered::RATE_PPM, "6000"),
        (answered::FEE, "1"),
    ];
    for facts in [&good[..], &good[..2], &[]] {
        let mut b = shop();
        b.send();
        let step = b.answer(Outcome::Approved(saying(facts)));
        assert_eq!((b.state(), b.till.suspended("channel")), (PaymentState::Paid, None));
        assert!(alarms(&step.effects).is_empty());
    }
    // A plugin cannot suspend by itself, nor say that something else was agreed.
    let mut b = shop();
    b.send();
    b.answer(Outcome::Approved(saying(&[("agreed.mcc", "1"), (answered::MCC, "5812")])));
    assert_eq!(b.till.suspended("channel"), None);
}

#[test]
fn s15_found_by_a_query_it_is_the_same_and_the_next_sale_is_refused_until_a_supervisor_resumes() {
    let mut b = shop();
    b.send();
    b.lost();
    b.resolve();
    b.queried(QueryOutcome::Paid(saying(&[(answered::MCC, "6012")])));
    assert_eq!(b.state(), PaymentState::Paid);
    let id = till_core::PaymentId([8; 16]);
    b.take(&samples::open(id, "next", fen(50), "tea"));
    b.take(&Input::Confirm { payment: id, amount: fen(50) });
    let present = Input::Present { payment: id, presented: presented() };
    let no = decide(&b.till, &present, &b.ctx).expect_err("it is suspended");
    let Refusal::NoRoute { en, zh } = &no else { panic!("{no:?}") };
    assert!(en.contains("mcc 5812 ≠ 6012") && zh.contains("应答与约定不符"), "{en} {zh}");
    let (channel, reason) = ("channel".to_owned(), "corrected".to_owned());
    b.take(&Input::ResumeChannel { channel, reason, operator: "li".into() });
    b.take(&present);
}

#[test]
fn s15_another_merchant_id_is_still_no_answer_at_all() {
    let mut b = shop();
    b.send();
    let mut other = saying(&[(answered::MCC, "6012")]);
    other.echo.merchant = Some("SOMEBODY".into());
    b.answer(Outcome::Approved(other));
    assert_eq!(b.state(), PaymentState::Tendering, "W4: nobody knows");
    assert_eq!(b.till.suspended("channel"), None, "what does not count says nothing");
}

#[test]
fn s15_a_second_reason_is_kept_in_the_history_and_a_replay_gives_the_same() {
    let mut b = shop();
    b.send();
    let channel = "channel".to_owned();
    b.take(&Input::Suspend { channel, reason: "by hand".into(), operator: "li".into() });
    b.answer(Outcome::Approved(saying(&[(answered::MCC, "6012")])));
    assert_eq!(b.till.suspended("channel").map(|s| s.by), Some(By::Person), "the first one stands");
    let by: Vec<_> = b.till.suspensions().acts().map(|a| a.by).collect();
    assert_eq!(by, [Some(By::Person), Some(By::Pinning)]);
    let bytes = b.till.to_snapshot().expect("it encodes");
    assert_eq!(Till::from_snapshot(&bytes).expect("it reads back"), b.till);
}

#[test]
fn s15_facts_have_their_place_in_a_record_that_is_full() {
    let mut b = shop();
    b.send();
    let long = "商".repeat(400);
    let mut a = saying(&answered::FACTS.map(|f| (f, long.as_str())));
    for n in 0..200 {
        a.extra.insert(format!("a{n}"), "x".repeat(50));
    }
    a.receipt = (0..100).map(|n| (format!("line {n}"), "y".repeat(200))).collect();
    // `take` compares the record's size with what a frame holds.
    b.answer(Outcome::Approved(a));
    let s = b.till.suspended("channel").expect("suspended").clone();
    for fact in ["merchant-name", "mcc", "payee", "rate-ppm", "fee"] {
        assert!(s.reason.contains(fact), "{fact} in {}", s.reason);
    }
}
