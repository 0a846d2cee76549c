//! The book alone.

use till_core::PaymentId;
use till_plugin::Sensitive;
use tokio::sync::oneshot::error::TryRecvError;

use super::super::desk::{Desk, End, NoPin, Read, Turn};

const HERS: PaymentId = PaymentId([1; 16]);
const HIS: PaymentId = PaymentId([2; 16]);

fn desk() -> Desk<&'static str> {
    let mut desk = Desk::default();
    desk.up("pad", "device");
    desk
}

/// A turn whose pad has been told.
fn asked(desk: &mut Desk<&'static str>, payment: PaymentId) -> Turn<&'static str> {
    let turn = desk.take(payment).unwrap();
    assert!(desk.tell(turn.number));
    turn
}

fn block(of: u8) -> Sensitive<Vec<u8>> {
    Sensitive::new(vec![of; 8])
}

fn ended(turn: &mut Turn<&'static str>) -> Option<End> {
    match turn.end.try_recv() {
        Ok(end) => Some(end),
        Err(TryRecvError::Empty) => None,
        Err(TryRecvError::Closed) => panic!("nobody said how it ended"),
    }
}

fn why(turn: &mut Turn<&'static str>) -> NoPin {
    ended(turn).unwrap().unwrap_err()
}

#[test]
fn exactly_one_answer_is_taken_and_it_is_that_of_who_asked() {
    let mut desk = desk();
    desk.said("pad", Some(block(9)), vec![]);
    let mut turn = desk.take(HERS).unwrap();
    desk.said("pad", Some(block(8)), vec![]);
    assert!(ended(&mut turn).is_none(), "said before it was asked");
    assert!(desk.tell(turn.number));
    desk.said("other", Some(block(7)), vec![]);
    assert!(ended(&mut turn).is_none(), "another device");
    desk.said("pad", Some(block(1)), vec![0xFF; 10]);
    desk.said("pad", Some(block(2)), vec![]);
    let entered = ended(&mut turn).unwrap().unwrap();
    assert_eq!((entered.block.expose().as_slice(), entered.ksn.len()), (&[1; 8][..], 10));
    assert!(!format!("{entered:?}").contains("1, 1"), "shown");
}

#[test]
fn a_late_answer_belongs_to_nobody_and_until_it_came_nobody_is_let_to_the_pad() {
    let mut desk = desk();
    let mut hers = asked(&mut desk, HERS);
    desk.stop(HERS);
    assert_eq!(why(&mut hers), NoPin::Cancelled);
    assert_eq!(desk.take(HIS).err(), Some(NoPin::Busy), "her answer would be taken for his");
    desk.said("pad", Some(block(1)), vec![]);
    let mut his = asked(&mut desk, HIS);
    assert!(ended(&mut his).is_none());
    desk.said("pad", Some(block(2)), vec![]);
    assert_eq!(ended(&mut his).unwrap().unwrap().block.expose()[0], 2);
}

#[test]
fn two_payments_at_once_are_two_turns() {
    let mut desk = desk();
    let mut hers = asked(&mut desk, HERS);
    assert_eq!(desk.take(HIS).err(), Some(NoPin::Busy));
    desk.stop(HIS);
    assert!(ended(&mut hers).is_none(), "his cancelling is nothing to hers");
    desk.up("second", "device");
    let mut his = asked(&mut desk, HIS);
    desk.said("second", Some(block(2)), vec![]);
    assert!(ended(&mut hers).is_none());
    assert_eq!(ended(&mut his).unwrap().unwrap().block.expose()[0], 2);
}

#[test]
fn a_customer_who_gives_up_and_a_pad_that_says_what_is_wrong_are_told_apart() {
    let mut desk = desk();
    let mut turn = asked(&mut desk, HERS);
    desk.said("pad", None, vec![]);
    assert_eq!(why(&mut turn), NoPin::NotEntered);
    let mut turn = asked(&mut desk, HERS);
    desk.trouble("pad", "no such key".into());
    desk.said("pad", None, vec![]);
    assert_eq!(why(&mut turn), NoPin::Fault("no such key".into()));
    let mut turn = asked(&mut desk, HERS);
    desk.said("pad", Some(Sensitive::new(b"1234".to_vec())), vec![]);
    assert!(matches!(why(&mut turn), NoPin::Fault(_)), "no block has four bytes");
}

#[test]
fn a_pad_that_goes_away_ends_its_turn_and_the_next_process_owes_nothing() {
    let mut desk = desk();
    let mut turn = asked(&mut desk, HERS);
    desk.down("pad");
    assert_eq!(why(&mut turn), NoPin::Gone);
    assert_eq!(desk.take(HERS).err(), Some(NoPin::NoPad));
    desk.up("pad", "device");
    desk.refused(turn.number, false);
    assert!(desk.take(HERS).is_ok(), "the word about the old process is nothing to the new one");
}

#[test]
fn a_pad_that_was_never_told_or_surely_did_not_begin_owes_nothing() {
    let mut desk = desk();
    let mut turn = desk.take(HERS).unwrap();
    desk.stop(HERS);
    assert_eq!(why(&mut turn), NoPin::Cancelled);
    assert!(!desk.tell(turn.number), "cancelled: it must not be asked any more");
    let turn = asked(&mut desk, HERS);
    desk.refused(turn.number, true);
    let turn = asked(&mut desk, HERS);
    desk.stop(HERS);
    desk.refused(turn.number, true);
    let turn = asked(&mut desk, HERS);
    desk.refused(turn.number, false);
    assert_eq!(desk.take(HERS).err(), Some(NoPin::Busy), "it may have begun");
}

#[test]
fn c10_what_is_read_during_pin_entry_is_nobodys_and_a_pad_that_reads_is_none() {
    let mut desk = desk();
    assert_eq!((desk.read("scanner"), desk.read("pad")), (Read::Passes, Read::Passes));
    let mut turn = asked(&mut desk, HERS);
    assert_eq!(desk.read("scanner"), Read::Dropped);
    assert!(ended(&mut turn).is_none(), "another device does not end it");
    assert_eq!(desk.read("pad"), Read::FromThePad);
    assert_eq!(why(&mut turn), NoPin::Digits);
    assert_eq!(desk.read("scanner"), Read::Passes, "over");
    assert_eq!(desk.read("pad"), Read::FromThePad, "what is typed into it later is no card either");
    desk.said("pad", Some(block(1)), vec![]);
    desk.works("pad", true);
    assert_eq!(desk.take(HERS).err(), Some(NoPin::NoPad), "cut off, whatever it says");
    desk.up("pad", "device");
    assert!(desk.take(HERS).is_ok());
}

#[test]
fn a_pad_that_says_it_does_not_work_is_not_asked() {
    let mut desk = desk();
    desk.works("pad", false);
    assert!(!desk.has_pad() && desk.ever_had(), "a pad that is away is no way around a PIN");
    assert_eq!(desk.take(HERS).err(), Some(NoPin::NoPad));
    desk.works("pad", true);
    assert!(desk.has_pad() && desk.take(HERS).is_ok());
}
