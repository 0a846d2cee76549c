//! The line to the reader: every bad input of its protocol, by name.
#![allow(clippy::unwrap_used)] // a test that cannot go on should stop here

mod common;

use std::time::Duration;

use common::hex;
use proptest::prelude::*;
use till_driver_nfc::chip::{self, Exchanged, Kind};
use till_driver_nfc::link::frame::{ACK, Decoder, Frame, MOST, NACK, WAKE, encode};
use till_driver_nfc::link::hsu::{Hsu, Timing};
use till_driver_nfc::link::{Event, Link, LinkFault};

const SECOND: Duration = Duration::from_secs(1);

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn out(link: &mut Hsu) -> Vec<u8> {
    let mut all = Vec::new();
    while let Some(bytes) = link.output() {
        all.extend_from_slice(&bytes);
    }
    all
}

fn reply(data: &[u8]) -> Vec<u8> {
    let mut whole = vec![0xD5];
    whole.extend_from_slice(data);
    encode(&whole).unwrap()
}

/// A link that has sent GetFirmwareVersion at 0.
fn asked() -> Hsu {
    let mut link = Hsu::new(Timing::default());
    link.send(chip::FIRMWARE, SECOND, true, Duration::ZERO).unwrap();
    let first = out(&mut link);
    assert!(first.starts_with(&WAKE) && first.ends_with(&hex("0000FF02FED4022A00")));
    link
}

/// A link that is awake, has sent an exchange, and has been acknowledged.
fn acknowledged() -> Hsu {
    let mut link = asked();
    link.push(&ACK, ms(1));
    link.push(&reply(&hex("0332010607")), ms(2));
    assert!(matches!(link.event(), Some(Event::Reply(_))));
    link.send(&chip::exchange(1, &hex("00A4040000")).unwrap(), SECOND, false, ms(3)).unwrap();
    assert!(!out(&mut link).starts_with(&WAKE), "once awake, no more waking");
    link.push(&ACK, ms(4));
    link
}

fn replied(link: &mut Hsu) -> Vec<u8> {
    match link.event() {
        Some(Event::Reply(data)) => data.to_vec(),
        other => panic!("{other:?}"),
    }
}

fn pass(link: &mut Hsu, until: Duration) {
    while let Some(at) = link.deadline().filter(|at| *at <= until) {
        link.tick(at);
    }
}

#[test]
fn no_ack() {
    let mut link = asked();
    link.tick(ms(1499));
    assert!(out(&mut link).is_empty(), "a slow adapter has 1.5 s");
    pass(&mut link, 10 * SECOND);
    let sent = out(&mut link);
    assert_eq!(sent.windows(WAKE.len()).filter(|w| *w == WAKE).count(), 2, "woken and sent twice more");
    assert_eq!(link.event(), Some(Event::Fault(LinkFault::NoAck)));
    assert_eq!(link.deadline(), None, "nothing is waited for any more");
}

#[test]
fn a_card_command_is_never_sent_twice_on_a_missing_ack() {
    let mut link = asked();
    link.push(&[ACK.as_slice(), &reply(&hex("0332010607"))].concat(), ms(2));
    assert!(link.event().is_some());
    link.send(&chip::exchange(1, &hex("80AE8000")).unwrap(), SECOND, false, ms(3)).unwrap();
    assert!(!out(&mut link).is_empty());
    pass(&mut link, 10 * SECOND);
    assert_eq!(out(&mut link), ACK, "given up on the chip too, not repeated");
    assert_eq!(link.event(), Some(Event::Fault(LinkFault::NoAck)));
}

#[test]
fn nack_sends_the_same_again() {
    let mut link = asked();
    link.push(&NACK, ms(1));
    assert!(out(&mut link).ends_with(&hex("0000FF02FED4022A00")));
    for n in 2..4 {
        link.push(&NACK, ms(n));
    }
    assert_eq!(link.event(), Some(Event::Fault(LinkFault::Refused)), "not for ever");
}

#[test]
fn ack_and_reply_in_one_read() {
    let mut link = asked();
    link.push(&[ACK.as_slice(), &reply(&hex("0332010607"))].concat(), ms(1));
    assert_eq!(replied(&mut link), hex("0332010607"));
}

#[test]
fn ack_repeated() {
    let mut link = asked();
    link.push(&[ACK, ACK, ACK].concat(), ms(1));
    link.push(&reply(&hex("0332010607")), ms(2));
    assert_eq!(replied(&mut link), hex("0332010607"));
}

#[test]
fn reply_to_an_older_command() {
    let mut link = acknowledged();
    link.push(&reply(&hex("4B00")), ms(5));
    assert_eq!(link.event(), None, "the answer to a search is no answer to an exchange");
    link.push(&reply(&hex("41009000")), ms(6));
    assert_eq!(replied(&mut link), hex("41009000"));

    // With the right code, but before the acknowledgement: it belongs to the exchange that was given up.
    link.send(&chip::exchange(1, &hex("00B2010C00")).unwrap(), SECOND, false, ms(7)).unwrap();
    link.push(&reply(&hex("41006F009000")), ms(8));
    assert_eq!(link.event(), None);
    link.push(&ACK, ms(9));
    link.push(&reply(&hex("41007000 9000")), ms(10));
    assert_eq!(replied(&mut link), hex("41007000 9000"));
    assert_eq!(link.noise().1, 2);
}

#[test]
fn wrong_checksums_are_asked_for_again() {
    for at in [3usize, 4, 6, 7] {
        let mut link = acknowledged();
        let mut bad = reply(&hex("41009000"));
        bad[at] ^= 0x10;
        link.push(&bad, ms(5));
        pass(&mut link, ms(40));
        assert_eq!(out(&mut link), NACK, "byte {at}");
        link.push(&reply(&hex("41009000")), ms(45));
        assert_eq!(replied(&mut link), hex("41009000"), "byte {at}");
    }
}

#[test]
fn replies_that_stay_damaged_end_the_command() {
    let mut link = acknowledged();
    let mut bad = reply(&hex("41009000"));
    let last = bad.len() - 2;
    bad[last] ^= 1;
    for n in 0..3 {
        link.push(&bad, ms(5 + 30 * n));
        pass(&mut link, ms(30 + 30 * n));
    }
    assert_eq!(link.event(), Some(Event::Fault(LinkFault::Damaged)));
    assert!(out(&mut link).ends_with(&ACK), "the chip is told to stop");
}

#[test]
fn length_zero_and_a_lying_extended_length() {
    for lie in ["0000FF0000", "0000FFFFFFFFFF02", "0000FFFFFF0200FE"] {
        let mut link = acknowledged();
        link.push(&hex(lie), ms(5));
        link.push(&reply(&hex("41009000")), ms(6));
        assert_eq!(replied(&mut link), hex("41009000"), "{lie}");
    }
}

#[test]
fn a_header_that_swallows_the_reply_is_seen_through_at_the_deadline() {
    let mut link = acknowledged();
    // Announces 200 bytes; the true reply stands inside.
    link.push(&hex("0000FFC838"), ms(5));
    link.push(&reply(&hex("41009000")), ms(6));
    assert_eq!(link.event(), None);
    pass(&mut link, 2 * SECOND);
    assert_eq!(replied(&mut link), hex("41009000"));
}

#[test]
fn three_hundred_bytes_of_noise() {
    let mut link = acknowledged();
    let noise: Vec<u8> = (0..300u32).map(|n| (n * 37 % 251) as u8).collect();
    link.push(&noise, ms(5));
    link.push(&reply(&hex("41009000")), ms(6));
    pass(&mut link, 2 * SECOND);
    assert_eq!(replied(&mut link), hex("41009000"));
}

#[test]
fn a_reply_that_never_comes_ends_at_its_deadline() {
    let mut link = acknowledged();
    assert_eq!(link.deadline(), Some(ms(4) + SECOND));
    pass(&mut link, 2 * SECOND);
    assert_eq!(link.event(), Some(Event::Fault(LinkFault::NoReply)));
    assert_eq!(out(&mut link), ACK, "a host's acknowledgement aborts");
}

#[test]
fn an_error_frame_is_a_refusal() {
    let mut link = acknowledged();
    link.push(&hex("0000FF01FF7F8100"), ms(5));
    assert_eq!(link.event(), Some(Event::Fault(LinkFault::Refused)));
}

#[test]
fn one_command_at_a_time_and_none_too_long() {
    let mut link = asked();
    assert_eq!(link.send(chip::SAM, SECOND, true, ms(1)), Err(LinkFault::Busy));
    link.abort();
    assert_eq!(link.send(&[0x40; 300], SECOND, true, ms(2)), Err(LinkFault::TooLong));
    assert!(chip::exchange(1, &[0; 263]).is_none());
}

#[test]
fn replies_of_the_chip_that_are_malformed_are_refused_not_guessed() {
    for bad in
        ["", "4B", "4B01", "4B03", "4B0101000408", "4B01010004080511223344", "4B01010004280411223344FF"]
    {
        assert!(chip::targets(&hex(bad), Kind::A).is_err(), "{bad}");
    }
    assert!(chip::targets(&hex("4B0101500102030400000000000000"), Kind::B).is_err());
    let b = chip::targets(&hex("4B010150AABBCCDD00000000008181000100"), Kind::B).unwrap();
    assert!(b[0].iso_dep && b[0].random() && *b[0].uid == hex("AABBCCDD"));
    assert!(chip::exchanged(&[]).is_err() && chip::exchanged(&[0x41]).is_err());
    assert!(chip::firmware(&hex("033201")).is_err());
    assert!(matches!(chip::exchanged(&hex("4100")).unwrap(), Exchanged::Last([])));
}

proptest! {
    #[test]
    fn any_bytes_are_survived_and_a_frame_behind_silence_is_found(
        noise in proptest::collection::vec(any::<u8>(), 0..900), cut in 1usize..40,
    ) {
        let mut decoder = Decoder::new();
        for part in noise.chunks(cut) {
            decoder.push(part, |_| {});
        }
        decoder.give_up(|_| {});
        prop_assert!(!decoder.pending());
        let mut found = Vec::new();
        decoder.push(&reply(&[0x4B, 0]), |f| found.push(f));
        prop_assert!(found.contains(&Frame::Data(vec![0xD5, 0x4B, 0])));
    }

    #[test]
    fn what_is_encoded_is_decoded_whatever_way_it_is_cut(
        data in proptest::collection::vec(any::<u8>(), 1..=MOST), cut in 1usize..300,
    ) {
        prop_assume!(data != [0x7F]);
        let frame = encode(&data).unwrap();
        let mut decoder = Decoder::new();
        let mut found = Vec::new();
        for part in frame.chunks(cut) {
            decoder.push(part, |f| found.push(f));
        }
        prop_assert_eq!(found, vec![Frame::Data(data)]);
    }

    #[test]
    fn replies_of_any_form_never_panic(data in proptest::collection::vec(any::<u8>(), 0..64)) {
        for code in [0x4B, 0x41, 0x03] {
            let mut reply = vec![code];
            reply.extend_from_slice(&data);
            let _ = chip::targets(&reply, Kind::A);
            let _ = chip::targets(&reply, Kind::B);
            let _ = chip::exchanged(&reply);
            let _ = chip::firmware(&reply);
        }
        let _ = till_driver_nfc::link::ccid::block(&data);
    }
}
