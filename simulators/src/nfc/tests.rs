//! The twin against the public dialogues.

use super::{Card, Chip, Fault, Hand, Out};
use crate::vectors::cases;

fn hex(text: &str) -> Vec<u8> {
    ::hex::decode(text.replace(' ', "")).unwrap()
}

fn bytes(outs: Vec<Out>) -> Vec<u8> {
    outs.into_iter().flat_map(|o| if let Out::Bytes(_, b) = o { b } else { Vec::new() }).collect()
}

fn awake() -> Chip {
    let mut chip = Chip::new();
    let mut hello = hex("5555000000000000000000000000000000");
    hello.extend(hex("0000FF02FED4022A00"));
    assert_eq!(bytes(chip.receive(&hello)), hex("0000FF00FF00 0000FF06FAD50332010607E800"));
    chip.receive(&hex("0000FF05FBD4140100001700"));
    chip
}

#[test]
fn it_sleeps_until_it_is_woken_and_answers_as_published() {
    let mut chip = Chip::new();
    assert!(chip.receive(&hex("0000FF02FED4022A00")).is_empty(), "asleep");
    drop(awake());
    for case in cases("devices-pn532_frames.json") {
        if case["id"] == "rsp-getfw" {
            let mut chip = awake();
            let said = bytes(chip.receive(&hex("0000FF02FED4022A00")));
            assert!(said.ends_with(&hex(case["frame"].as_str().unwrap())));
        }
    }
}

#[test]
fn a_look_without_a_limit_waits_for_a_card_and_a_limited_one_does_not() {
    let mut chip = awake();
    chip.receive(&hex("0000FF06FAD43205FF01FFF600"));
    assert_eq!(bytes(chip.receive(&hex("0000FF04FCD44A0100E100"))), hex("0000FF00FF00"));
    assert!(bytes(chip.present(Hand::with(Card::mifare()))).starts_with(&hex("0000FF")));
    chip.remove();
    chip.receive(&hex("0000FF06FAD43205FF0102F300"));
    assert!(bytes(chip.receive(&hex("0000FF04FCD44A0100E100"))).ends_with(&hex("D54B00E000")));
}

#[test]
fn a_damaged_command_is_asked_for_again_and_nack_repeats_the_reply() {
    let mut chip = awake();
    assert_eq!(bytes(chip.receive(&hex("0000FF02FED4022B00"))), hex("0000FFFF0000"));
    bytes(chip.receive(&hex("0000FF02FED4022A00")));
    assert_eq!(bytes(chip.receive(&hex("0000FFFF0000"))), hex("0000FF06FAD50332010607E800"));
}

#[test]
fn a_card_answers_and_is_gone_when_the_script_says_so() {
    let mut chip = awake();
    chip.present(Hand::with(Card::unionpay()).fault(Fault::RemovedAt { apdu: 1 }));
    chip.receive(&hex("0000FF06FAD43205FF0102F300"));
    assert!(bytes(chip.receive(&hex("0000FF04FCD44A0200E000"))).len() > 20);
    let select = hex("0000FF17E9D4400100A404000E325041592E5359532E4444463031008F00");
    let answer = bytes(chip.receive(&select));
    assert!(
        answer.windows(8).any(|w| w == hex("A000000333010101")) && answer.ends_with(&hex("9000F600"))
            || answer.len() > 40
    );
    let answer = bytes(chip.receive(&select));
    assert!(answer.ends_with(&hex("0000FF03FDD54101E900")), "{}", ::hex::encode(answer));
    assert_eq!(chip.seen().faults, 1);
}

#[test]
fn orders_are_read_or_refused_with_the_names() {
    assert_eq!(Hand::parse("unionpay visa").unwrap().cards.len(), 2);
    let hand = Hand::parse(r#"{"cards":["phone"],"faults":[{"kind":"slow","ms":20}]}"#).unwrap();
    assert_eq!(hand.faults, [Fault::Slow { ms: 20 }]);
    assert!(Hand::parse("goldfish").unwrap_err().to_string().contains("unionpay"));
    assert!(Hand::parse(r#"{"cards":[],"fault":[]}"#).is_err(), "a misspelt key is no order");
}
