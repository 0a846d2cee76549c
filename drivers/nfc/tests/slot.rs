//! A card reader that finds cards by itself: the driver's messages against the simulated one, and every way in which it fails.
#![allow(clippy::unwrap_used)] // a test that cannot go on should stop here

mod common;
#[path = "common/counter.rs"]
mod counter;

use std::time::Duration;

use common::hex;
use counter::{Counter, READ, SECOND};
use till_driver_nfc::chip::{self, Kind};
use till_driver_nfc::link::ccid::Dialogue;
use till_driver_nfc::link::slot::{Contactless, Slot as SlotLink, contactless};
use till_driver_nfc::link::way::Way;
use till_driver_nfc::link::{Event, Link};
use till_simulators::nfc::{Card, Fault, Hand, Slot};

/// A reader that was told from an ACR122U.
fn shop(reader: Slot, settings: &str) -> Counter<Slot> {
    let counter = Counter::new(reader, settings);
    assert!(matches!(counter.engine.link(), Way::Slot(_)), "it was told from an ACR122U");
    assert!(counter.engine.idle());
    counter
}

#[test]
fn whole_taps_of_each_scheme_through_a_reader_that_finds_cards_itself() {
    let mut counter = shop(Slot::default(), "{}");
    for (card, masked) in [
        (Card::unionpay(), READ),
        (Card::visa(), "411111******1111"),
        (Card::mastercard(), "555555******4444"),
        (Card::phone(), READ),
    ] {
        assert_eq!(counter.tap(Hand::with(card)), [masked]);
        counter.engine.disarm(counter.now);
        counter.run(SECOND);
    }
    assert_eq!(counter.engine.counters().taps, 4);
    // Nothing of the reader's own was set: it is not ours alone.
    assert!(counter.sent.iter().all(|m| m[0] != 0x6F || m[10] != 0xFF || matches!(m[11], 0xCA | 0x00)));
}

#[test]
fn an_armed_reader_without_a_card_asks_for_none_twice_at_once() {
    let mut counter = shop(Slot::default(), "{}");
    counter.arm();
    counter.sent.clear();
    counter.run(SECOND);
    // One message a look, and `pause-ms` between two.
    assert!((8..=17).contains(&counter.sent.len()), "{}", counter.sent.len());
    counter.engine.disarm(counter.now);
    counter.run(SECOND);
    counter.sent.clear();
    counter.run(10 * SECOND);
    assert!(counter.sent.is_empty(), "a reader that nobody waits for is left alone");
}

#[test]
fn a_card_that_was_left_does_not_pay_for_the_next_sale() {
    for card in [Card::unionpay(), Card::phone(), Card::unionpay().uid(&[1, 2, 3, 4])] {
        let mut counter = shop(Slot::default(), "{}");
        counter.arm();
        counter.chip.present(Hand::with(card));
        counter.run(2 * SECOND);
        assert_eq!(counter.heard(), [READ]);
        counter.engine.disarm(counter.now);
        counter.run(SECOND);
        counter.arm();
        counter.run(20 * SECOND);
        assert!(counter.heard().iter().all(|said| said == "card-left"), "{:?}", counter.heard());
        assert!(!counter.heard().is_empty(), "the customer is told to take it away");
        assert_eq!(counter.engine.counters().taps, 1);
        counter.chip.remove();
        counter.run(SECOND);
        assert_eq!(counter.tap(Hand::with(Card::visa())), ["411111******1111"]);
    }
}

#[test]
fn a_card_that_is_taken_away_is_said_to_be_at_every_command() {
    let mut counter = shop(Slot::default(), "{}");
    for apdu in 0..5 {
        let said = counter.tap(Hand::with(Card::unionpay()).fault(Fault::RemovedAt { apdu }));
        assert_eq!(said, ["card-removed"], "at command {apdu}");
        counter.run(2 * SECOND);
        assert_eq!(counter.tap(Hand::with(Card::unionpay())), [READ]);
        counter.run(2 * SECOND);
    }
}

#[test]
fn a_reader_that_is_busy_wants_time_or_sends_damage_loses_no_more_than_one_tap() {
    for fault in [Fault::Busy { times: 5 }, Fault::MoreTime { times: 40 }, Fault::NotActivated { times: 2 }] {
        let mut counter = shop(Slot::default(), "{}");
        assert_eq!(counter.tap(Hand::with(Card::unionpay()).fault(fault.clone())), [READ], "{fault:?}");
    }
    let mut counter = shop(Slot::default(), "{}");
    let said = counter.tap(Hand::with(Card::unionpay()).fault(Fault::CutBlock { times: 1 }));
    assert!(said.iter().all(|s| s == READ || s == "reader-fault"), "{said:?}");
    counter.run(SECOND);
    assert_eq!(counter.tap(Hand::with(Card::unionpay())), [READ]);
    // The card never answers.
    let mut counter = shop(Slot::default(), "{}");
    assert_eq!(counter.tap(Hand::with(Card::unionpay()).fault(Fault::Mute { apdu: 1 })), ["timeout"]);
}

#[test]
fn what_is_no_payment_card_is_refused_and_a_card_of_the_shop_is_read() {
    let mut counter = shop(Slot::default(), "{}");
    assert_eq!(counter.tap(Hand::with(Card::mifare())), ["unsupported-card"]);
    counter.run(2 * SECOND);
    let said = counter.tap(Hand::with(Card::unionpay()).fault(Fault::NotActivated { times: 1000 }));
    assert!(!said.is_empty() && said.iter().all(|s| s == "unsupported-card" || s == "card-left"), "{said:?}");
    let mut shop = shop(Slot::default(), r#"{"uid-cards": "stored-value"}"#);
    assert_eq!(shop.tap(Hand::with(Card::mifare())), ["card …1234"]);
    shop.run(2 * SECOND);
    // A number that may be made up for this tap is nobody's.
    assert_eq!(shop.tap(Hand::with(Card::plain().uid(&[8, 2, 3, 4]))), ["unsupported-card"]);
}

#[test]
fn a_card_with_contacts_is_sent_nothing() {
    let mut counter = shop(Slot::with_contacts(), "{}");
    counter.sent.clear();
    let said = counter.tap(Hand::with(Card::unionpay()));
    assert!(!said.is_empty() && said.iter().all(|s| s == "unsupported-card" || s == "card-left"), "{said:?}");
    assert!(counter.sent.iter().all(|message| message[0] != 0x6F), "no command reached the card");
    assert_eq!(counter.chip.seen().apdus, 0);
}

#[test]
fn answers_to_reset_say_what_lies_there() {
    // MIFARE 1K (PC/SC part 3, 3.1.3.2.3.2), a type B card of eight historical bytes, an ATS of none, cards with contacts.
    assert_eq!(contactless(&hex("3B8F8001804F0CA000000306030001000000006A")), Some(Contactless::Storage));
    assert_eq!(contactless(&hex("3B88800100000000718181001D")), Some(Contactless::MaybeB));
    assert_eq!(contactless(&hex("3B80800101")), Some(Contactless::Speaks));
    assert_eq!(contactless(&hex("3B6500009C02020702")), None);
    assert_eq!(contactless(&hex("3F6525002C09690000")), None);
    assert_eq!(contactless(&[]), None);
}

/// A reader's answer to the message that is under way.
fn answered(link: &mut SlotLink, status: u8, data: &[u8]) -> Option<Event> {
    let asked = link.output().unwrap();
    let length = u8::try_from(data.len()).unwrap();
    let mut block = vec![0x80, length, 0, 0, 0, 0, asked[6], status, if status == 0 { 0 } else { 0xFE }, 0];
    block.extend_from_slice(data);
    link.push(&block, Duration::ZERO);
    link.event()
}

#[test]
fn a_card_of_type_b_that_went_is_not_found_any_more() {
    let mut link = SlotLink::new(Dialogue::default());
    let ask = |link: &mut SlotLink, kind| link.send(chip::list(kind), SECOND, true, Duration::ZERO).unwrap();
    let found = |event: Option<Event>, kind| match event.unwrap() {
        Event::Reply(reply) => chip::targets(&reply, kind).unwrap().len(),
        fault @ Event::Fault(_) => panic!("{fault:?}"),
    };
    ask(&mut link, Kind::A);
    assert!(answered(&mut link, 0, &hex("3B88800100000000718181001D")).is_none());
    let event = answered(&mut link, 0, &hex("010203049000"));
    assert_eq!(found(event, Kind::A), 0, "it is told where type B is looked for");
    // Nobody looked for that: the sale was given up. At the next one the card is gone.
    ask(&mut link, Kind::A);
    let event = answered(&mut link, 0x42, &[]);
    assert_eq!(found(event, Kind::A), 0);
    ask(&mut link, Kind::B);
    assert_eq!(found(link.event(), Kind::B), 0);
}
