//! Balance inquiries: what goes out, what is believed, and that nothing of them is kept or reversed.

use super::acquirer::{Connection, Step};
use super::pins::{BLOCK, tapped};
use super::sales::{answer, approve};
use super::{PAN, TRACK, Till, sale, swipe};
use till_channel_bankcard::message::Message;
use till_plugin::channel::{Authorise, ChannelEvent, Decline, DeclineClass, NextStep, Outcome, balance, pin};
use till_plugin::instrument::{Cvm, Instrument};
use till_plugin::{Channel, Currency, Money, Sensitive};

const KSN: &str = "FFFF9876543210E00001";

/// As the daemon asks: no amount.
fn inquiry(trace: u32) -> Authorise {
    Authorise { amount: Money::zero(Currency::CNY), ..sale(trace) }
}

fn tells(field54: &'static str) -> Step {
    changed(move |reply| _ = reply.set(54, field54))
}

fn changed(change: impl FnOnce(&mut Message) + Send + 'static) -> Step {
    Box::new(move |host: &mut Connection| {
        let mut reply = host.answer("00");
        change(&mut reply);
        host.reply(reply);
    })
}

/// At an acquirer whose contract lets a till without a pad ask.
fn till(steps: Vec<Step>) -> Till {
    Till::with(steps, |settings| settings["balance_without_pin"] = true.into())
}

fn asked(step: Step) -> Result<Money, Decline> {
    till(vec![step]).plugin.balance(&inquiry(2))
}

#[test]
fn an_inquiry_goes_out_as_the_protocol_says_without_an_amount_and_its_balance_comes_back() {
    let mut till = till(vec![tells("1002156C000000567890"), tells("3002156D000000000050")]);
    assert_eq!(till.plugin.balance(&inquiry(2)).unwrap(), Money::new(567_890, Currency::CNY));
    let mut chip = inquiry(3);
    chip.instrument = tapped(Cvm::None);
    assert_eq!(till.plugin.balance(&chip).unwrap().minor(), -50);

    let requests = till.acquirer.done();
    let (request, sealed) = &requests[1];
    assert!(*sealed && request.mti() == "0200");
    let fields: Vec<(u8, &str)> = request
        .iter()
        .filter(|(number, _)| *number != 64)
        .map(|(n, v)| (n, std::str::from_utf8(v).unwrap()))
        .collect();
    let expected = [
        (2, PAN),
        (3, "310000"),
        (11, "000002"),
        (14, "2912"),
        (22, "022"),
        (25, "00"),
        (35, TRACK),
        (41, "12345678"),
        (42, "123456789012345"),
        (49, "156"),
        (53, "0000000000000000"),
        (60, "0100001200060"),
    ];
    assert_eq!(fields, expected);
    let tap = &requests[2].0;
    assert_eq!((tap.text(22), tap.text(23), tap.get(4)), (Some("072"), Some("001"), None));
    assert!(
        tap.get(55).is_some_and(|emv| emv.starts_with(&[0x9F, 0x26])),
        "the chip's data goes as in a sale"
    );
}

#[test]
fn a_refusal_gives_its_reason_and_takes_nothing() {
    for (code, class, next) in [
        ("51", DeclineClass::Customer, NextStep::OtherMethod),
        ("55", DeclineClass::Customer, NextStep::PresentAgain),
        ("91", DeclineClass::Channel, NextStep::Later),
        ("41", DeclineClass::Customer, NextStep::KeepCard),
    ] {
        let no = asked(answer(code)).unwrap_err();
        assert_eq!((no.code.as_str(), no.class, no.next), (code, class, next));
        assert!(no.text.contains(code) && no.text_zh.contains(code));
    }
    // A balance beside a no is not told.
    let no = asked(Box::new(|host: &mut Connection| {
        let mut reply = host.answer("05");
        reply.set(54, "1002156C000000567890");
        host.reply(reply);
    }));
    assert_eq!(no.unwrap_err().code, "05");
}

#[test]
fn what_cannot_be_believed_tells_no_balance_and_says_so() {
    let good = "1002156C000000567890";
    let bad: Vec<(&str, Step)> = vec![
        ("no field 54", answer("00")),
        ("half an amount", tells("1002156C0000005678")),
        ("another currency", tells("1002840C000000567890")),
        ("letters", tells("1002156C00000056789X")),
        ("wrong MAC", changed(move |m| _ = m.set(54, good).set(64, b"00000000"))),
        ("no card", changed(move |m| _ = m.set(54, good).set(2, "6200000000000013"))),
        ("a sale", changed(move |m| _ = m.set(54, good).set(3, "000000"))),
        ("dollars", changed(move |m| _ = m.set(54, good).set(49, "840"))),
        ("no code", changed(move |m| m.set(54, good).remove(39))),
        ("a part", changed(move |m| _ = m.set(54, good).set(39, "10"))),
        ("garbage", Box::new(|host: &mut Connection| host.send(&[0, 4, 1, 2, 3, 4]))),
    ];
    for (what, step) in bad {
        let no = asked(step).unwrap_err();
        assert_eq!(
            (no.code.as_str(), no.next),
            (balance::BAD_ANSWER, NextStep::Later),
            "{what}: {}",
            no.text
        );
        assert!(!no.text.contains("5678") && !no.text_zh.contains("5678"), "{what}: {}", no.text);
    }
}

#[test]
fn of_several_accounts_the_cards_own_is_told() {
    let several = "1001156C0000000000011002156C0000000000020002156C000000000003";
    assert_eq!(asked(tells(several)).unwrap().minor(), 3);
}

#[test]
fn no_answer_is_told_plainly_and_owes_no_reversal() {
    let silent: Step = Box::new(Connection::silence);
    let stray = changed(|m| _ = m.set(54, "1002156C000000567890").set(11, "000009"));
    let mut till = Till::with(vec![silent, stray, tells("1002156C000000000007"), approve()], |settings| {
        settings["balance_without_pin"] = true.into();
        settings["dialect"]["timing"]["answer"] = 200.into();
    });
    for trace in [2, 3] {
        let no = till.plugin.balance(&inquiry(trace)).unwrap_err();
        assert_eq!((no.code.as_str(), no.next), (balance::UNANSWERED, NextStep::Later), "{}", no.text);
    }
    // Nothing waits for a reversal: both go out at once.
    assert_eq!(till.plugin.balance(&inquiry(4)).unwrap().minor(), 7);
    assert!(matches!(till.sell(5).2, Outcome::Approved(_)));
    assert!(till.acquirer.done().iter().all(|(request, _)| request.mti() != "0400"));
}

#[test]
fn nobody_is_asked_while_signed_out_before_a_reversal_or_twice_with_one_trace() {
    let mut till = till(vec![
        tells("1002156C000000000007"),
        Box::new(|host: &mut Connection| {
            host.reply(host.answer("A0"));
        }),
    ]);
    assert!(till.plugin.balance(&inquiry(2)).is_ok());
    assert_eq!(till.plugin.balance(&inquiry(2)).unwrap_err().code, "not-sent", "the same trace");
    let no = till.plugin.balance(&inquiry(3)).unwrap_err();
    assert_eq!((no.code.as_str(), no.next), ("A0", NextStep::SignIn));
    assert!(till.host.channel_events().contains(&ChannelEvent::SignedIn(false)), "the daemon signs in again");
    assert_eq!(till.plugin.balance(&inquiry(4)).unwrap_err().code, "not-signed-in");
    assert_eq!(till.acquirer.done().len(), 3);

    let mut till = Till::with(vec![Box::new(|_: &mut Connection| ())], |settings| {
        settings["balance_without_pin"] = true.into();
    });
    assert!(matches!(till.sell(2).2, Outcome::Unknown(_)));
    assert_eq!(till.plugin.balance(&inquiry(3)).unwrap_err().code, "reversal-pending");
    till.acquirer.done();
}

#[test]
fn with_a_pad_the_pin_is_always_owed_and_without_one_unless_the_contract_says_otherwise() {
    // Neither the smallest amount nor the settings for sales let it through.
    let mut till = Till::with(vec![tells("1002156C000000000007")], |settings| {
        settings["no_pin"] = "accept".into();
        settings["no_pin_limit"] = 100_000.into();
        settings["balance_without_pin"] = true.into();
        settings["dialect"]["request"] = serde_json::json!({ "pin_ksn_field": 62 });
    });
    let mut request = inquiry(2);
    request.extra.insert(pin::PAD.into(), "ready".into());
    let cards: [Instrument; 3] = [swipe("101"), tapped(Cvm::None), tapped(Cvm::OnlinePin)];
    for card in cards {
        request.instrument = card;
        let no = till.plugin.balance(&request).unwrap_err();
        assert_eq!((no.code.as_str(), no.class), (pin::NEEDED, DeclineClass::Customer));
    }
    request.instrument = swipe("101");
    request.pin_block = Some(Sensitive::new(BLOCK.to_vec()));
    request.extra.insert(pin::KSN.into(), KSN.into());
    assert_eq!(till.plugin.balance(&request).unwrap().minor(), 7);
    let sent = &till.acquirer.done()[1].0;
    assert_eq!((sent.text(22), sent.text(53)), (Some("021"), Some("2600000000000000")));
    assert_eq!((sent.get(52), sent.get(62)), (Some(&BLOCK[..]), Some(&hex::decode(KSN).unwrap()[..])));

    // Without a pad, and without the setting.
    let mut till = Till::with(vec![], |settings| settings["no_pin"] = "accept".into());
    let no = till.plugin.balance(&inquiry(2)).unwrap_err();
    assert!(no.code == pin::NEEDED && no.text.contains("balance_without_pin"), "{}", no.text);
    // A pad whose blocks this acquirer does not take is none.
    let mut request = inquiry(3);
    request.extra.insert(pin::PAD.into(), "ready".into());
    assert_eq!(till.plugin.balance(&request).unwrap_err().text, no.text);
    // What is wrong with the card is said before anybody types.
    request.instrument = swipe("201");
    assert_eq!(till.plugin.balance(&request).unwrap_err().code, "use-chip");
    assert_eq!(till.acquirer.done().len(), 1, "nothing left but the sign-in");
}

#[test]
fn a_dialect_whose_mac_leaves_the_balance_out_tells_none() {
    let mut till = Till::with(vec![], |settings| {
        settings["balance_without_pin"] = true.into();
        settings["dialect"]["mac"] =
            serde_json::json!({ "scope": { "fields": [0, 2, 3, 4, 11, 39, 41, 42] } });
    });
    assert!(!till.plugin.describe().operations.contains(&till_plugin::channel::Operation::Balance));
    assert_eq!(till.plugin.balance(&inquiry(2)).unwrap_err().code, "unsupported");
    till.acquirer.done();
}
