//! The same acquirer with SM4 keys: sign-in 005, MACs by SM4, and the whole schedule of faults once more.

use super::sales::whatever_happens;
use super::settlement::{an_upload_goes_on, everything_is_closed};
use super::{PAN, TID, Till, open, swipe};
use till_plugin::channel::{FollowKind, NextStep, Outcome, SignIn};
use till_plugin::{Channel, ErrorCode};
use till_simulators::acquirer::mac::MacAlgorithm;
use till_simulators::acquirer::{Acquirer, AcquirerConfig, HostConfig};

/// What an integrator writes: the example dialect as the setting `dialect`.
pub(crate) fn speak(settings: &mut serde_json::Value) {
    let overlay = include_str!("../dialects/sm4.toml").parse::<toml::Table>().unwrap();
    let serde_json::Value::Object(overlay) = serde_json::to_value(overlay).unwrap() else {
        panic!("no table")
    };
    settings["dialect"].as_object_mut().unwrap().extend(overlay);
}

#[test]
fn whatever_happens_to_the_answer_the_books_agree_in_the_end() {
    whatever_happens(Till::sm4());
}

#[test]
fn a_batch_of_everything_is_balanced_and_closed() {
    everything_is_closed(Till::sm4());
}

#[test]
fn an_upload_goes_on_at_its_record_after_lost_answers_and_a_restart() {
    an_upload_goes_on(Till::sm4(), speak);
}

#[test]
fn the_folded_mac_is_spoken_too() {
    let host = HostConfig { mac: MacAlgorithm::Sm4Ecb, ..HostConfig::default() };
    let mut till = Till::with(
        |settings| {
            speak(settings);
            settings["dialect"]["mac"]["algorithm"] = "sm4-ecb".into();
        },
        host,
    );
    let sale = till.sold(700, false);
    let void = till.following(FollowKind::Void, &sale, 700);
    assert_eq!(till.done(&void), "approved");
    till.books_agree();
}

/// One of the two is set up for the other MAC: nothing is booked, nothing is believed.
#[test]
fn c12_the_other_mac_under_the_right_key_pays_nothing() {
    let host = HostConfig { mac: MacAlgorithm::Sm4Ecb, ..HostConfig::default() };
    let mut till = Till::with(speak, host);
    let Outcome::Declined(decline) = till.sell(PAN, 100).2 else { panic!("not declined") };
    assert_eq!((decline.code.as_str(), decline.next), ("A0", NextStep::SignIn));
    till.books_agree();
}

#[test]
fn c11_a_master_key_of_the_other_host_installs_nothing() {
    let mut host = HostConfig { mac: MacAlgorithm::Sm4Cbc, ..HostConfig::default() };
    host.terminals[0].tmk[15] ^= 1;
    let acquirer = Acquirer::start(AcquirerConfig { host, ..AcquirerConfig::default() }).unwrap();
    let mut plugin = open(&acquirer, speak);
    let request = SignIn { trace: 1, batch: 1, operator: None, wall_ms: 0 };
    let error = plugin.sign_in(&request).unwrap_err();
    assert!(error.code == ErrorCode::Protocol && error.message.contains("check value"), "{error}");
    assert_eq!(acquirer.sign_ins(TID), 1);
    let mut till = Till::sm4();
    till.plugin = plugin;
    let sale = till.request(swipe(PAN), 100);
    assert_eq!(till.plugin.prepare(&sale).unwrap_err().next, NextStep::SignIn);
}

/// The host takes blocks of sixteen bytes; one of eight is the other cipher's.
#[test]
fn a_pin_block_of_eight_bytes_does_not_leave() {
    let mut till = Till::sm4();
    let mut sale = till.request(swipe(PAN), 100);
    sale.pin_block = Some(vec![7; 8].into());
    let before = till.acquirer.stats().received;
    let prepared = till.plugin.prepare(&sale).unwrap();
    let outcome = till.plugin.authorise(&sale, &prepared);
    assert!(matches!(&outcome, Outcome::NotSent(_)), "{outcome:?}");
    assert_eq!(till.acquirer.stats().received, before);
    till.books_agree();
}
