//! Our requests, built from a card and an amount, against the constructed messages: the same bytes but for the MAC, which is
//! then the same too.

use super::{bytes, cases, key, text};
use serde_json::Value;
use till_channel_bankcard::card::{CardData, PinBlock};
use till_channel_bankcard::dialect::{CUP, Dialect};
use till_channel_bankcard::message::Message;
use till_channel_bankcard::messages::{Detail, Numbers, Original, Requests, Terminal, Totals};
use till_channel_bankcard::reversal::Armed;
use till_channel_bankcard::{codec, framing, mac};
use till_plugin::instrument::Cvm;
use till_plugin::{Currency, Money};
use zeroize::Zeroizing;

fn case(id: &str) -> Option<Value> {
    cases("channels-iso8583.json")?.into_iter().find(|case| case["id"] == id)
}

/// A card as the request of a case shows it.
fn card(case: &Value) -> CardData {
    let field = |number: &str| case["fields"][number].as_str().map(str::to_owned);
    let entry = match &field("22").unwrap()[..2] {
        "01" => "01",
        "02" => "02",
        "07" => "07",
        other => panic!("{other}"),
    };
    CardData {
        pan: field("2").unwrap().into(),
        expiry: field("14").map(Into::into),
        track2: field("35").map(Into::into),
        entry,
        sequence: field("23"),
        emv: field("55").map(|text| Zeroizing::new(hex::decode(text).unwrap())),
        pin_block: field("52").map(|text| PinBlock {
            block: Zeroizing::new(hex::decode(text).unwrap().try_into().unwrap()),
            ksn: None,
        }),
        cvm: Cvm::None,
        masked: String::new(),
        scheme: None,
    }
}

fn money(case: &Value) -> Money {
    Money::new(case["fields"]["4"].as_str().unwrap().parse().unwrap(), Currency::CNY)
}

fn same(id: &str, build: impl FnOnce(&Requests<'_>, &Value) -> Message) {
    let Some(case) = case(id) else { return };
    let dialect = Dialect::parse(CUP).unwrap();
    let terminal = Terminal { id: "12345678".into(), merchant: "123456789012345".into() };
    let mut message = build(&Requests { dialect: &dialect, terminal: &terminal }, &case);
    if dialect.signs_request(message.mti()) {
        message.set(64, [0; 8]);
        let encoded = codec::encode_checked(&dialect, &message).unwrap();
        let covered = mac::covered(&dialect, &encoded.layout, &encoded.payload);
        message.set(64, mac::field64(&dialect, &key(&case, "mak"), &covered).unwrap());
    }
    let wire = framing::frame(&dialect, &codec::encode(&dialect, &message).unwrap()).unwrap();
    assert_eq!(hex::encode_upper(wire.as_slice()), hex::encode_upper(bytes(&case, "hex")), "{id}");
    assert_eq!(text(&case, "family"), "cup");
}

const BATCH: u32 = 12;

#[test]
fn management() {
    same("signin-003-req", |requests, _| requests.sign_in(Numbers { trace: 1, batch: 1 }, None).unwrap());
    same("echo-req", |requests, _| requests.echo(BATCH).unwrap());
}

#[test]
fn sales() {
    for (id, trace) in [("sale-mag-pin-req", 2), ("sale-quickpass-pin-req", 13)] {
        same(id, |requests, case| {
            requests.sale(Numbers { trace, batch: BATCH }, money(case), &card(case)).unwrap()
        });
    }
}

#[test]
fn voids_and_refunds() {
    same("void-req", |requests, case| {
        let original = Original {
            numbers: Numbers { trace: 2, batch: BATCH },
            reference: "090920010002".into(),
            authorisation: Some("A1B2C3".into()),
            date: "0901".into(),
        };
        requests.void(Numbers { trace: 15, batch: BATCH }, money(case), &card(case), &original).unwrap()
    });
    same("refund-req", |requests, case| {
        let original = Original {
            numbers: Numbers { trace: 102, batch: 11 },
            reference: "083009200102".into(),
            authorisation: None,
            date: "0830".into(),
        };
        requests.refund(Numbers { trace: 16, batch: BATCH }, money(case), &card(case), &original).unwrap()
    });
}

/// A hold of the constructed messages: trace 17 of batch 12 on 1 September.
fn hold() -> Original {
    Original {
        numbers: Numbers { trace: 17, batch: BATCH },
        reference: "090935010017".into(),
        authorisation: Some("E5F6A7".into()),
        date: "0901".into(),
    }
}

#[test]
fn holds_and_what_follows_them() {
    same("preauth-void-req", |requests, case| {
        requests.release(Numbers { trace: 18, batch: BATCH }, money(case), &card(case), &hold()).unwrap()
    });
    same("completion-void-req", |requests, case| {
        let original = Original {
            numbers: Numbers { trace: 19, batch: BATCH },
            reference: "090940010019".into(),
            authorisation: Some("F6A7B8".into()),
            date: "0901".into(),
        };
        let numbers = Numbers { trace: 20, batch: BATCH };
        requests.completion_void(numbers, money(case), &card(case), &original).unwrap()
    });
    same("completion-advice-req", |requests, case| {
        let numbers = Numbers { trace: 21, batch: BATCH };
        requests.completion_notice(numbers, money(case), &card(case), &hold()).unwrap()
    });
}

/// No constructed message of the hold itself and of the completion asked for: they differ from those above by the table.
#[test]
fn a_hold_and_a_completion_are_the_table_s_rows() {
    let Some(case) = case("preauth-void-req") else { return };
    let dialect = Dialect::parse(CUP).unwrap();
    let terminal = Terminal { id: "12345678".into(), merchant: "123456789012345".into() };
    let requests = Requests { dialect: &dialect, terminal: &terminal };
    let numbers = Numbers { trace: 19, batch: BATCH };
    let row = |message: &Message| {
        [3, 25, 60, 38, 61].map(|number| message.text(number).unwrap_or("-").to_owned()).join(" ")
    };
    let held = requests.hold(numbers, money(&case), &card(&case)).unwrap();
    assert_eq!((held.mti(), row(&held).as_str()), ("0100", "030000 06 1000001200060 - -"));
    let taken = requests.completion(numbers, money(&case), &card(&case), &hold()).unwrap();
    assert_eq!(
        (taken.mti(), row(&taken).as_str()),
        ("0200", "000000 06 2000001200060 E5F6A7 0000000000000901")
    );
}

#[test]
fn uploads() {
    same("batch-upload-mag-req", |requests, _| {
        let detail = |trace, minor| Detail {
            trace,
            pan: String::from("6200000000000005").into(),
            amount: Money::new(minor, Currency::CNY),
        };
        requests.records(Numbers { trace: 31, batch: BATCH }, &[detail(2, 1234), detail(3, 1)]).unwrap()
    });
    same("batch-end-balanced-req", |requests, _| {
        requests.upload_end(Numbers { trace: 32, batch: BATCH }, true, 0).unwrap()
    });
}

/// Policy case set-unbalanced: the end mark after eleven details.
#[test]
fn an_unbalanced_end_says_how_many_details_there_were() {
    let dialect = Dialect::parse(CUP).unwrap();
    let terminal = Terminal { id: "12345678".into(), merchant: "123456789012345".into() };
    let requests = Requests { dialect: &dialect, terminal: &terminal };
    let end = requests.upload_end(Numbers { trace: 33, batch: BATCH }, false, 11).unwrap();
    assert_eq!((end.text(60), end.text(48)), (Some("00000012207"), Some("0011")));
}

#[test]
fn reversals() {
    for (id, reason) in [("reversal-A0-req", "A0"), ("reversal-06-req", "06")] {
        same(id, |requests, _| {
            // The tap behind it: its field 55 holds more than a reversal may repeat.
            let tap = case("sale-quickpass-pin-req").unwrap();
            let mut tapped = card(&tap);
            tapped.pin_block = None;
            let sale =
                requests.sale(Numbers { trace: 12, batch: BATCH }, Money::new(1111, Currency::CNY), &tapped);
            Armed::for_request(requests.dialect, &sale.unwrap())
                .unwrap()
                .message(requests.dialect, reason)
                .unwrap()
        });
    }
}

#[test]
fn settlement() {
    same("settle-req", |requests, case| {
        let number = |range: std::ops::Range<usize>| {
            case["fields"]["48"].as_str().unwrap()[range].parse::<i64>().unwrap()
        };
        let half = |at: usize| {
            (Money::new(number(at..at + 12), Currency::CNY), u32::try_from(number(at + 12..at + 15)).unwrap())
        };
        let totals = Totals { debit: half(0), credit: half(15) };
        requests.settlement(Numbers { trace: 30, batch: BATCH }, totals, None, None).unwrap()
    });
}
