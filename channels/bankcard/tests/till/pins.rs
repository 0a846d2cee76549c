//! PIN blocks: when one is asked for, where it goes, and where it is not.

use super::sales::{answer, approve};
use super::{PAN, TRACK, Till, sale, swipe};
use till_plugin::Channel;
use till_plugin::channel::{Outcome, pin};
use till_plugin::instrument::{ChipCard, Cvm, Instrument};
use till_plugin::{Currency, Money, Sensitive};

pub(super) const BLOCK: [u8; 8] = [0x25, 0x9F, 0x62, 0x0F, 0xF6, 0x17, 0xFE, 0xEA];

pub(super) fn tapped(cvm: Cvm) -> Instrument {
    Instrument::Chip(ChipCard {
        contactless: true,
        aid: vec![0xA0, 0, 0, 3, 0x33, 1, 1, 1],
        label: "UnionPay Debit".into(),
        tlv: hex::decode("9F260811223344556677889F2701809F36020012").unwrap().into(),
        track2: Some(String::from(TRACK).into()),
        pan: String::from(PAN).into(),
        pan_sequence: Some(1),
        masked: "620000******0005".into(),
        cvm,
    })
}

#[test]
fn a_pin_block_from_a_pad_goes_into_field_52_and_nowhere_else() {
    let mut till = Till::signed_in(vec![approve()]);
    let mut request = sale(2);
    request.instrument = swipe("120");
    request.pin_block = Some(Sensitive::new(BLOCK.to_vec()));
    let prepared = till.plugin.prepare(&request).unwrap();
    assert!(!prepared.recovery.expose().windows(8).any(|window| window == BLOCK));
    assert!(matches!(till.plugin.authorise(&request, &prepared), Outcome::Approved(_)));
    let sent = &till.acquirer.done()[1].0;
    assert_eq!(
        (sent.text(22), sent.text(26), sent.text(53)),
        (Some("021"), Some("06"), Some("2600000000000000"))
    );
    assert_eq!(sent.get(52).unwrap()[0], 0x25);
}

#[test]
fn a_pad_with_a_key_of_its_own_is_asked_for_and_its_serial_number_goes_where_the_dialect_says() {
    let mut till = Till::with(vec![approve()], |settings| {
        settings["no_pin"] = "accept".into();
        settings["dialect"]["request"] = serde_json::json!({ "pin_ksn_field": 62 });
    });
    let described = till.plugin.describe().extra;
    let said = |fact: &str| described.get(fact).map(String::as_str);
    assert_eq!((said(pin::KEY), said(pin::FORMAT), said(pin::WRONG)), (Some("pin"), Some("0"), Some("55")));
    let mut request = sale(2);
    request.instrument = swipe("120");
    assert!(till.plugin.prepare(&request).is_ok(), "no pad: the acquirer decides");
    request.extra.insert(pin::PAD.into(), "ready".into());
    assert_eq!(till.plugin.prepare(&request).unwrap_err().code, pin::NEEDED);
    let ksn = "FFFF9876543210E00001";
    request.pin_block = Some(Sensitive::new(BLOCK.to_vec()));
    assert_eq!(till.plugin.prepare(&request).unwrap_err().code, "pin-block", "under which key?");
    request.extra.insert(pin::KSN.into(), ksn.into());
    let prepared = till.plugin.prepare(&request).unwrap();
    let kept = prepared.recovery.expose();
    let serial = hex::decode(ksn).unwrap();
    assert!(!kept.windows(8).any(|w| w == BLOCK) && !kept.windows(10).any(|w| w == serial));
    let outcome = till.plugin.authorise(&request, &prepared);
    assert!(matches!(outcome, Outcome::Approved(a) if a.cvm == Cvm::OnlinePin));
    let heard = till.acquirer.done();
    assert_eq!(heard.len(), 2, "the sign-in and this: preparing sends nothing");
    let sent = &heard[1].0;
    assert_eq!(
        (sent.text(22), sent.text(26), sent.text(53)),
        (Some("021"), Some("06"), Some("2600000000000000"))
    );
    assert_eq!((sent.get(52), sent.get(62)), (Some(&BLOCK[..]), Some(&serial[..])));
}

#[test]
fn without_a_field_for_its_serial_number_no_pad_is_asked_for_and_its_block_never_goes_out() {
    let mut till = Till::signed_in(vec![]);
    assert!(!till.plugin.describe().extra.keys().any(|fact| fact.starts_with("pin.")));
    let mut request = sale(2);
    request.instrument = swipe("120");
    request.pin_block = Some(Sensitive::new(BLOCK.to_vec()));
    request.extra.insert(pin::KSN.into(), "FFFF9876543210E00001".into());
    assert_eq!(till.plugin.prepare(&request).unwrap_err().code, "pin-block");
    assert_eq!(till.acquirer.done().len(), 1);
}

#[test]
fn s38_up_to_the_acquirers_limit_a_tap_owes_no_pin_and_a_cent_more_does() {
    let mut till = Till::with(vec![], |settings| settings["no_pin_limit"] = 1_234.into());
    let mut request = sale(2);
    request.instrument = tapped(Cvm::OnlinePin);
    assert!(till.plugin.prepare(&request).is_ok());
    request.amount = Money::new(1_235, Currency::CNY);
    assert_eq!(till.plugin.prepare(&request).unwrap_err().code, pin::NEEDED);
}

#[test]
fn with_no_pin_accept_the_acquirer_decides() {
    let mut till = Till::with(vec![answer("55")], |settings| settings["no_pin"] = "accept".into());
    let mut request = sale(2);
    request.instrument = swipe("120");
    let prepared = till.plugin.prepare(&request).unwrap();
    let Outcome::Declined(decline) = till.plugin.authorise(&request, &prepared) else {
        panic!("not declined")
    };
    assert_eq!(decline.code, "55");
    assert_eq!(till.acquirer.done()[1].0.text(22), Some("022"));
}
