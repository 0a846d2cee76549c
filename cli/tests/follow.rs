//! Signals become plain lines; what must not be shown is masked.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use till_dbus::events::{Change, Event, Properties};
use tillctl::follow::{End, Follower, Step};
use tillctl::look::Look;
use tillctl::{redact, signal};
use zbus::{OwnedObjectPath, OwnedVariant, Variant};

const MINE: &str = "/org/tilld/Till1/payment/p00000000000000000000000000000001";
const OTHER: &str = "/org/tilld/Till1/payment/p00000000000000000000000000000002";

fn at(path: &str, change: Change) -> Event {
    Event { path: OwnedObjectPath::try_from(path).unwrap(), change }
}

fn state(path: &str, old: &str, new: &str) -> Event {
    at(path, Change::PaymentState { old: old.into(), new: new.into(), reason: String::new(), seq: 1 })
}

fn owned<'a>(v: impl Into<Variant<'a>>) -> OwnedVariant {
    OwnedVariant::try_from(v.into()).unwrap()
}

fn properties(state: &str, channel: &str, attempt: &str, why: &str) -> Event {
    let mut arguments: std::collections::HashMap<String, OwnedVariant> = std::collections::HashMap::new();
    if !why.is_empty() {
        arguments.insert("text".into(), owned(why));
    }
    let changed: Properties = [
        ("State".to_owned(), owned(state)),
        ("Channel".to_owned(), owned(channel)),
        ("AttemptState".to_owned(), owned(attempt)),
        ("Prompt".to_owned(), owned(Variant::from(("present-instrument", arguments)))),
    ]
    .into();
    at(MINE, Change::Properties { interface: "org.tilld.Payment1".into(), changed, invalidated: Vec::new() })
}

fn follower() -> Follower {
    Follower::new(&Look::plain(), OwnedObjectPath::try_from(MINE).unwrap(), "CNY")
}

fn tell(events: &[Event]) -> Vec<Step> {
    let mut follower = follower();
    events.iter().flat_map(|e| follower.hear(e)).collect()
}

fn line(text: &str) -> Step {
    Step::Line(text.into())
}

#[test]
fn a_sale_whose_answer_is_lost_is_told_step_by_step() {
    let told = tell(&[
        state(MINE, "draft", "ready"),
        at(
            MINE,
            Change::Presented {
                device: "scanner".into(),
                family: "qr-alipay".into(),
                masked: "28************03".into(),
            },
        ),
        state(MINE, "ready", "tendering"),
        properties("tendering", "alipay", "created", ""),
        properties("tendering", "alipay", "sent", ""),
        properties("tendering", "alipay", "sent", ""),
        properties("tendering", "alipay", "querying", ""),
        at(
            MINE,
            Change::Alarm {
                level: "warning".into(),
                code: "unknown".into(),
                payment: OwnedObjectPath::try_from(MINE).unwrap(),
                text: "asking".into(),
            },
        ),
        state(MINE, "tendering", "paid"),
    ]);
    assert_eq!(
        told,
        [
            line("ready: ask the customer for card, code or cash"),
            line("scanner: read qr-alipay 28************03"),
            line("alipay: preparing"),
            line("alipay: sent, waiting for the answer"),
            line("alipay: no sure answer: asking the network; take no other money for this payment"),
            line("warning: asking"),
            line("paid"),
            Step::End(End::Paid),
        ]
    );
}

#[test]
fn a_decline_is_told_with_its_reason_before_the_next_try() {
    let told = tell(&[
        state(MINE, "draft", "ready"),
        properties("ready", "", "", ""),
        state(MINE, "ready", "tendering"),
        properties("tendering", "bankcard", "sent", ""),
        state(MINE, "tendering", "ready"),
        properties("ready", "bankcard", "declined", "not enough money in the account"),
    ]);
    assert_eq!(
        told[2..],
        [
            line("bankcard: declined"),
            line("bankcard: not enough money in the account"),
            line("not paid; the customer may try again"),
            Step::BackToReady,
        ]
    );
}

/// The till asks the network from the first moment on: that is no doubt, the customer is only slower than a network.
#[test]
fn a_code_that_is_shown_is_waited_for_and_was_read_by_nobody() {
    let presented = |family: &str| {
        let (device, masked) = (String::new(), String::new());
        at(MINE, Change::Presented { device, family: family.into(), masked })
    };
    let told = tell(&[presented("qr-shown"), properties("tendering", "alipay", "querying", "")]);
    let waits = "alipay: waiting until the customer has scanned the code and paid; take no other money for this payment";
    assert_eq!(told, [line(waits)]);
    let told = tell(&[
        presented("qr-shown"),
        presented("qr-alipay"),
        properties("tendering", "alipay", "querying", ""),
    ]);
    assert_eq!(
        told[1..],
        [line("alipay: no sure answer: asking the network; take no other money for this payment")]
    );
}

/// `tillctl pay --cash`, `--code` and `--show-code` bring what pays: a cashier who then asks the customer for a card has two ways
/// to be paid in hand.
#[test]
fn who_brings_what_pays_is_not_told_to_ask_for_it() {
    let mut brings = follower().with_brought(true);
    assert_eq!(brings.hear(&state(MINE, "draft", "ready")), []);
    assert_eq!(
        follower().hear(&state(MINE, "draft", "ready")),
        [line("ready: ask the customer for card, code or cash")]
    );
}

#[test]
fn other_payments_say_nothing_here() {
    assert_eq!(tell(&[state(OTHER, "tendering", "paid"), state(OTHER, "draft", "cancelled")]), []);
}

#[test]
fn an_end_that_only_properties_tell_is_an_end() {
    assert!(tell(&[properties("review", "alipay", "review", "")]).contains(&Step::End(End::Review)));
}

#[test]
fn monitor_masks_codes_and_long_digit_runs() {
    let pan = "6200000000000005";
    let code = "https://qr.example/bax0123456";
    let arguments = std::collections::HashMap::from([("code".to_owned(), owned(code))]);
    let prompt: Properties = [("Prompt".to_owned(), owned(Variant::from(("show-code", arguments))))].into();
    let events = [
        at(MINE, Change::ShowCode { code: code.into() }),
        at(
            MINE,
            Change::Properties {
                interface: "org.tilld.Payment1".into(),
                changed: prompt.clone(),
                invalidated: Vec::new(),
            },
        ),
        at(
            MINE,
            Change::Added {
                path: OwnedObjectPath::try_from(MINE).unwrap(),
                interfaces: [("org.tilld.Payment1".to_owned(), prompt)].into(),
            },
        ),
        at(
            "/org/tilld/Till1",
            Change::Alarm {
                level: "info".into(),
                code: "x".into(),
                payment: OwnedObjectPath::try_from("/").unwrap(),
                text: format!("card {pan} seen"),
            },
        ),
        at(
            MINE,
            Change::Other {
                interface: "org.tilld.Payment2".into(),
                member: "New".into(),
                arguments: vec![owned(pan)],
            },
        ),
    ];
    for event in &events {
        let text = signal::json_line(event, 0).to_string() + &signal::line(&Look::plain(), event, 0);
        assert!(!text.contains(pan) && !text.contains(code), "{text}");
    }
    assert!(signal::line(&Look::plain(), &events[3], 0).contains("62**********0005"));
    // Payment ids stay readable: they are what people search for.
    assert_eq!(redact::digits("p00000000000000000000000000000001"), "p00000000000000000000000000000001");
    assert_eq!(redact::digits("RRN 123456789012"), "RRN 123456789012");
}

#[test]
fn a_signal_is_one_line_with_its_time_object_and_arguments() {
    let event = state(MINE, "draft", "ready");
    assert_eq!(
        signal::line(&Look::plain(), &event, 1_700_000_000_000),
        "22:13:20  payment/p00000000000000000000000000000001  Payment1.StateChanged  new=ready old=draft reason=\"\" seq=1"
    );
    let json = signal::json_line(&event, 7);
    let mut keys: Vec<&String> = json.as_object().unwrap().keys().collect();
    keys.sort();
    assert_eq!(keys, ["args", "interface", "path", "signal", "time-ms"]);
}
