use std::{collections::BTreeMap, time::Duration};

use super::*;

const ABILITIES: Abilities = Abilities {
    simulator: "the test network",
    operations: &["sale", "query"],
    kinds: &["drop-after-booking", "answer", "delay-reply", "wrong-amount", "http-status", "hold-reply"],
};

fn dropped() -> Fault {
    Fault::DropAfterBooking {}
}

#[test]
fn a_script_means_what_it_says() {
    let plan = Plan::new(ABILITIES);
    let count = plan
        .load(
            r#"{"rules": [
                {"on": "sale", "after": 1, "fault": {"kind": "drop-after-booking"}},
                {"on": "query", "times": 2, "fault": {"kind": "answer", "code": "40004", "sub_code": "X"}},
                {"on": "*", "reference": "R9", "always": true, "fault": {"kind": "delay-reply", "ms": 5}}
            ]}"#,
        )
        .unwrap();
    assert_eq!(count, 3);
    assert_eq!(plan.take("sale", Some("R1")), None, "the first one is let through");
    assert_eq!(plan.take("sale", Some("R2")), Some(dropped()));
    assert_eq!(plan.take("sale", Some("R3")), None, "it struck its one time");
    for _ in 0..2 {
        assert!(matches!(plan.take("query", None), Some(Fault::Answer { code, .. }) if code == "40004"));
    }
    assert_eq!(plan.take("query", None), None);
    for _ in 0..5 {
        assert_eq!(plan.take("query", Some("R9")), Some(Fault::DelayReply { ms: 5 }));
    }
    assert_eq!(plan.fired().len(), 8);
    assert_eq!(plan.fired()[0].reference.as_deref(), Some("R2"));
}

#[test]
fn whatever_could_never_fire_is_refused_and_nothing_of_it_taken() {
    let plan = Plan::new(ABILITIES);
    let refused = [
        r#"{"rules": [{"on": "sale", "fault": {"kind": "drop-after-booking", "ms": 5}}]}"#,
        r#"{"rules": [{"on": "sale", "fault": {"kind": "dropp"}}]}"#,
        r#"{"rules": [{"on": "sale", "tims": 2, "fault": {"kind": "drop-after-booking"}}]}"#,
        r#"{"rules": [], "extra": 1}"#,
        r#"{"rules": [{"on": "sale", "fault": {"kind": "drop-after-booking"}}, {"on": "sail", "fault": {"kind": "drop-after-booking"}}]}"#,
        r#"{"rules": [{"on": "sale", "fault": {"kind": "garbage"}}]}"#,
        r#"{"rules": [{"on": "sale", "times": 0, "fault": {"kind": "drop-after-booking"}}]}"#,
        r#"{"rules": [{"on": "sale", "fault": {"kind": "http-status", "status": 200}}]}"#,
        r#"{"rules": [{"on": "sale", "fault": {"kind": "wrong-amount", "by": 0}}]}"#,
    ];
    for script in refused {
        assert!(plan.load(script).is_err(), "{script}");
        assert_eq!(plan.pending(), [], "{script}");
    }
    assert_eq!(
        plan.add(Rule::once("sail", dropped())).unwrap_err().to_string(),
        "the test network has no operation `sail`; it has sale, query"
    );
}

#[test]
fn every_kind_is_read_back_as_written() {
    let faults = [
        Fault::DropBeforeBooking {},
        dropped(),
        Fault::DelayReply { ms: 1 },
        Fault::DelayBooking { ms: 1 },
        Fault::HoldReply {},
        Fault::HoldBooking {},
        Fault::WrongSignature {},
        Fault::Unsigned {},
        Fault::WrongAmount { by: -1 },
        Fault::WrongReference {},
        Fault::HalfReply {},
        Fault::Garbage {},
        Fault::HttpStatus { status: 502 },
        Fault::Slow { ms_per_byte: 1 },
        Fault::Reset { booked: true },
        Fault::DuplicateReply {},
        Fault::MergedReplies {},
        Fault::Answer { code: "00".into(), sub_code: None, fields: BTreeMap::new(), booked: false },
    ];
    for fault in faults {
        let text = serde_json::to_value(&fault).unwrap();
        assert_eq!(text["kind"], fault.kind());
        assert_eq!(serde_json::from_value::<Fault>(text).unwrap(), fault);
    }
}

#[tokio::test]
async fn a_hold_lasts_until_its_release_even_one_that_comes_first() {
    let plan = Plan::new(ABILITIES);
    plan.add(Rule::once("sale", Fault::HoldReply {}).times(2)).unwrap();
    let (_, early) = plan.take_held("sale", None).unwrap();
    plan.release();
    early.released().await;
    let (_, held) = plan.take_held("sale", None).unwrap();
    let waiting = tokio::spawn(held.released());
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());
    plan.release();
    waiting.await.unwrap();
}

#[test]
fn a_test_can_wait_for_the_strike() {
    let plan = Plan::new(ABILITIES);
    plan.add(Rule::once("sale", dropped())).unwrap();
    assert!(!plan.wait_fired(1, Duration::ZERO));
    let other = plan.clone();
    let thread = std::thread::spawn(move || other.take("sale", None));
    assert!(plan.wait_fired(1, Duration::from_secs(20)));
    thread.join().unwrap();
}
