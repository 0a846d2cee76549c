//! Parameter downloads against the acquirer, and what they change of a sale.

use super::{PAN, TID, Till, cny, sm4};
use std::time::Duration;
use till_channel_bankcard::plugin::Bankcard;
use till_plugin::channel::{ChannelEvent, NextStep, Outcome, SignIn};
use till_plugin::driver::{DeviceState, Health};
use till_plugin::host::Level;
use till_plugin::instrument::{ChipCard, Cvm, Instrument};
use till_plugin::testing::TestHost;
use till_plugin::{Channel, Settings};
use till_simulators::acquirer::downloads::{Parameters, PublicKey, Wrong};
use till_simulators::acquirer::{Acquirer, AcquirerConfig, HostConfig};
use till_simulators::faults::{Fault, Rule};

const ALL: [&str; 3] = ["contactless-limits", "keys", "applications"];

/// A till that downloads, the host's services and the acquirer.
struct Downloading {
    plugin: Bankcard,
    host: TestHost,
    acquirer: Acquirer,
    settings: serde_json::Value,
    trace: u32,
}

impl Downloading {
    fn new(parameters: Parameters) -> Self {
        Self::with(&ALL, HostConfig { parameters, ..HostConfig::default() }, |_| ())
    }

    fn with(wanted: &[&str], host: HostConfig, change: impl FnOnce(&mut serde_json::Value)) -> Self {
        let acquirer = Acquirer::start(AcquirerConfig { host, ..AcquirerConfig::default() }).unwrap();
        let mut settings = serde_json::json!({
            "address": acquirer.addr().to_string(), "terminal": TID, "merchant": "123456789012345", "tls": false,
            "no_pin_limit": 40_000, "downloads": wanted,
            "dialect": { "timing": { "connect": 5000, "answer": 1500 } },
        });
        change(&mut settings);
        let host = TestHost::new().with_secret("tmk", b"0123456789ABCDEFFEDCBA9876543210");
        let plugin = opened(&host, &settings);
        Self { plugin, host, acquirer, settings, trace: 0 }
    }

    /// Its process ended and began again, with what the daemon kept of it.
    fn restart(&mut self) {
        self.plugin = opened(&self.host, &self.settings);
    }

    fn sign_in(&mut self) {
        self.trace += 1;
        let request = SignIn { trace: self.trace, batch: 1, operator: None, wall_ms: 0 };
        self.plugin.sign_in(&request).unwrap();
        self.host.channel_events();
    }

    /// Polls until a poll waits; what was told meanwhile.
    fn settle(&mut self) -> Vec<Health> {
        let mut told = Vec::new();
        for _ in 0..400 {
            let before = self.host.host().now().boot_ms;
            for event in self.plugin.poll(Duration::from_millis(500)).unwrap() {
                if let ChannelEvent::Health(health) = event {
                    told.push(health);
                }
            }
            if self.host.host().now().boot_ms >= before + 500 {
                return told;
            }
        }
        panic!("it asks for ever");
    }

    fn signed_in(&mut self) -> Vec<Health> {
        self.sign_in();
        self.settle()
    }

    fn probed(&mut self) -> String {
        self.plugin.probe().unwrap().text
    }

    /// What a tap over an amount is told: the code of its refusal, or how the holder was verified.
    fn tap(&mut self, minor: i64, asks: Cvm, aid: &str) -> Result<Cvm, String> {
        self.trace += 1;
        let ids = till_plugin::channel::AttemptIds {
            payment: [1; 16],
            attempt: self.trace,
            trace: self.trace,
            batch: 1,
            order: format!("T{:010}", self.trace),
            wall_ms: 0,
        };
        let request = till_plugin::channel::Authorise {
            ids,
            hold: false,
            amount: cny(minor),
            instrument: tapped(asks, aid),
            subject: "goods".into(),
            operator: None,
            pin_block: None,
            extra: till_plugin::Extra::new(),
        };
        let prepared = self.plugin.prepare(&request).map_err(|decline| {
            assert_ne!(decline.next, NextStep::SignIn, "{decline:?}");
            decline.code
        })?;
        match self.plugin.authorise(&request, &prepared) {
            Outcome::Approved(approval) => Ok(approval.cvm),
            other => panic!("{other:?}"),
        }
    }

    fn count(&mut self, name: &str) -> u64 {
        self.plugin.statistics().iter().find(|(known, _)| known == name).unwrap().1
    }
}

fn opened(host: &TestHost, settings: &serde_json::Value) -> Bankcard {
    Bankcard::open(host.host(), Settings::from_json(settings.to_string())).unwrap()
}

fn tapped(cvm: Cvm, aid: &str) -> Instrument {
    let tlv = hex::decode("9F2701809F260811223344556677889F360200125F3401019F37040A0B0C0D").unwrap();
    Instrument::Chip(ChipCard {
        contactless: true,
        aid: hex::decode(aid).unwrap(),
        label: "UnionPay".into(),
        tlv: tlv.into(),
        track2: Some(format!("{PAN}=29121010000000000").into()),
        pan: PAN.to_owned().into(),
        pan_sequence: Some(1),
        masked: "620000******0005".into(),
        cvm,
    })
}

const DEBIT: &str = "A000000333010101";
const CREDIT: &str = "A000000333010102";

fn limits(change: &[(&str, &str)]) -> Parameters {
    let mut parameters = Parameters::default();
    for (tag, value) in change {
        parameters.contactless.insert((*tag).to_owned(), (*value).to_owned());
    }
    parameters
}

#[test]
fn after_the_sign_in_everything_is_downloaded_and_told() {
    for sm4 in [false, true] {
        let mac = if sm4 {
            till_simulators::acquirer::mac::MacAlgorithm::Sm4Cbc
        } else {
            HostConfig::default().mac
        };
        let host = HostConfig { mac, ..HostConfig::default() };
        let mut till = Downloading::with(&ALL, host, |settings| {
            if sm4 {
                sm4::speak(settings);
            }
        });
        assert!(till.signed_in().is_empty());
        let asked = till.acquirer.downloaded();
        let codes: Vec<&str> = asked.iter().map(|line| &line[..3]).collect();
        assert_eq!(
            codes,
            ["394", "372", "372", "370", "370", "370", "371", "382", "380", "380", "381"],
            "each once, in this order"
        );
        let text = till.probed();
        for part in [
            "no PIN to CNY 300.00 (all cards), no signature to CNY 500.00",
            "3 scheme keys, the first ends 2040-12-31",
            "2 applications",
        ] {
            assert!(text.contains(part), "{text}");
        }
        assert_eq!((till.count("downloads"), till.count("downloads-failed")), (3, 0));
        let logged = till.host.log_lines();
        assert!(logged.iter().any(|(_, line)| line.starts_with("scheme key A000000333 index 0A: 1984 bits")));
    }
}

#[test]
fn nothing_is_downloaded_that_the_settings_do_not_name_and_nothing_before_the_sign_in() {
    let mut till = Downloading::with(&[], HostConfig::default(), |_| ());
    assert!(till.signed_in().is_empty());
    let mut other = Downloading::with(&["applications"], HostConfig::default(), |_| ());
    other.settle();
    assert!(till.acquirer.downloaded().is_empty() && other.acquirer.downloaded().is_empty());
    other.signed_in();
    assert!(other.acquirer.downloaded().iter().all(|line| line.starts_with("38")));
    assert_eq!(till.probed(), "the acquirer answers");
}

fn always(on: &str, fault: Fault) -> Rule {
    Rule::once(on, fault).always()
}

/// QPS: the acquirer's limit decides whether the card's PIN is owed, and the setting is the most.
#[test]
fn s38_the_downloaded_limit_decides_whether_a_tap_owes_its_pin() {
    let mut till = Downloading::new(limits(&[]));
    till.sign_in();
    assert_eq!(till.tap(40_000, Cvm::OnlinePin, DEBIT), Ok(Cvm::None), "the setting alone");
    assert_eq!(till.tap(40_001, Cvm::OnlinePin, DEBIT), Err("needs-pin".into()));
    till.settle();
    assert_eq!(till.tap(30_000, Cvm::OnlinePin, DEBIT), Ok(Cvm::None));
    assert_eq!(till.tap(30_001, Cvm::OnlinePin, DEBIT), Err("needs-pin".into()), "the acquirer's limit");
    till.acquirer.set_parameters(limits(&[("FF8058", "000000100000")]));
    till.signed_in();
    assert_eq!(till.tap(40_000, Cvm::OnlinePin, DEBIT), Ok(Cvm::None));
    assert_eq!(till.tap(40_001, Cvm::OnlinePin, DEBIT), Err("needs-pin".into()), "the setting is the most");
    till.acquirer.set_parameters(limits(&[("FF8056", "1")]));
    till.signed_in();
    assert_eq!(till.tap(1_000, Cvm::OnlinePin, CREDIT), Ok(Cvm::None));
    assert_eq!(till.tap(1_000, Cvm::OnlinePin, DEBIT), Err("needs-pin".into()));
    till.acquirer.set_parameters(limits(&[("FF8054", "0")]));
    till.signed_in();
    assert_eq!(till.tap(1, Cvm::OnlinePin, CREDIT), Err("needs-pin".into()), "switched off");
}

#[test]
fn the_downloaded_no_signature_limit_decides_what_the_receipt_asks_for() {
    let mut till = Downloading::new(limits(&[("FF8059", "000000020000")]));
    till.signed_in();
    assert_eq!(till.tap(20_000, Cvm::Signature, DEBIT), Ok(Cvm::None));
    assert_eq!(till.tap(20_001, Cvm::Signature, DEBIT), Ok(Cvm::Signature));
    assert_eq!(till.tap(25_000, Cvm::OnlinePin, DEBIT), Ok(Cvm::Signature), "no PIN, but a signature");
    till.acquirer.set_parameters(limits(&[("FF805A", "0")]));
    till.signed_in();
    assert_eq!(till.tap(1, Cvm::Signature, DEBIT), Ok(Cvm::Signature));
}

#[test]
fn what_is_in_force_survives_a_restart_and_damage_does_not() {
    let mut till = Downloading::new(limits(&[]));
    till.signed_in();
    till.restart();
    let text = till.probed();
    assert!(text.contains("CNY 300.00") && text.contains("3 scheme keys"), "{text}");
    till.sign_in();
    assert_eq!(till.tap(30_001, Cvm::OnlinePin, DEBIT), Err("needs-pin".into()));
    // One bit of what lies in the store.
    let mut bytes = till.host.stored()["download.contactless-limits"].clone();
    bytes[60] ^= 1;
    till.host.host().store("download.contactless-limits", &bytes).unwrap();
    till.restart();
    assert!(till.probed().contains("contactless-limits not downloaded yet"), "{}", till.probed());
    let told = till.signed_in();
    assert_eq!(told[0].state, DeviceState::Attention);
    assert!(told[0].text.contains("damaged"), "{told:?}");
    assert_eq!(told.last().unwrap().state, DeviceState::Ready, "downloaded again");
    // Another terminal number makes it somebody else's.
    till.settings["terminal"] = "12345679".into();
    till.restart();
    let refused =
        |line: &str| line.starts_with("the stored keys are not used: it was downloaded for another");
    assert!(till.host.log_lines().iter().any(|(_, line)| refused(line)));
}

/// Whatever goes wrong: told once, what was in force stays in force to the bit, and sales go on.
fn a_failure_changes_nothing(spoil: impl Fn(&Acquirer), word: &str) {
    let mut till = Downloading::new(limits(&[]));
    assert!(till.signed_in().is_empty());
    let (before, text) = (till.host.stored(), till.probed());
    spoil(&till.acquirer);
    let told = till.signed_in();
    assert!(!told.is_empty() && told.iter().all(|health| health.state == DeviceState::Attention), "{told:?}");
    assert!(told.iter().any(|health| health.text.contains(word)), "{word}: {told:?}");
    assert!(till.host.log_lines().iter().any(|(level, line)| *level == Level::Warn && line.contains(word)));
    let after = till.host.stored();
    for health in &told {
        let what = ALL.iter().find(|what| health.text.contains(*what)).unwrap();
        let key = format!("download.{what}");
        assert!(before[&key] == after[&key], "{word}: what was in force has changed");
    }
    assert!(till.probed().contains("the last download failed"));
    assert_eq!(till.tap(100, Cvm::OnlinePin, DEBIT), Ok(Cvm::None), "{word}: sales go on");
    // Once more is told to nobody, and the end of it is.
    assert!(till.signed_in().is_empty(), "{word}");
    till.acquirer.faults().clear();
    till.acquirer.set_parameters(limits(&[]));
    let well = till.signed_in();
    assert!(
        well.len() == told.len() && well.iter().all(|health| health.state == DeviceState::Ready),
        "{well:?}"
    );
    let day = |text: &str| text.split(" (20").next().unwrap().to_owned();
    assert_eq!(day(&till.probed()), day(&text));
}

#[test]
fn a_download_that_goes_wrong_is_told_and_changes_nothing() {
    for (wrong, word) in [
        (Wrong::EndlessList, "does not end"),
        (Wrong::EmptyPages, "empty"),
        (Wrong::PageTwice, "twice"),
        (Wrong::CheckValue, "check value"),
        (Wrong::Truncated, "ends inside"),
        (Wrong::HugeLength, "ends inside"),
        (Wrong::AnotherKey, "A000000999"),
        (Wrong::NoMark, "no mark"),
        (Wrong::AnotherCode, "answered under 399"),
    ] {
        let parameters = Parameters { wrong: Some(wrong), ..limits(&[("FF8058", "000000010000")]) };
        a_failure_changes_nothing(|acquirer| acquirer.set_parameters(parameters.clone()), word);
    }
}

#[test]
fn a_refusal_and_a_lost_answer_anywhere_change_nothing() {
    let refusal = Fault::Answer { code: "40".into(), sub_code: None, fields: [].into(), booked: false };
    for on in [
        "contactless-limits",
        "key-list",
        "key",
        "key-end",
        "application-list",
        "application",
        "application-end",
    ] {
        a_failure_changes_nothing(
            |acquirer| acquirer.faults().add(always(on, refusal.clone())).unwrap(),
            "function not supported",
        );
    }
    for on in ["contactless-limits", "key", "application-end"] {
        a_failure_changes_nothing(
            |acquirer| acquirer.faults().add(always(on, Fault::DropAfterBooking {})).unwrap(),
            "closed",
        );
    }
    a_failure_changes_nothing(
        |acquirer| acquirer.faults().add(always("key", Fault::Garbage {})).unwrap(),
        "download of keys failed",
    );
}

#[test]
fn a_lost_answer_is_tried_again_after_a_while_and_not_for_ever() {
    let mut till = Downloading::with(&["contactless-limits"], HostConfig::default(), |settings| {
        settings["download_hours"] = 0.into();
    });
    let lost = always("contactless-limits", Fault::DropAfterBooking {});
    till.acquirer.faults().add(lost).unwrap();
    till.signed_in();
    assert_eq!(till.acquirer.downloaded().len(), 1);
    till.host.advance(Duration::from_mins(9));
    till.settle();
    assert_eq!(till.acquirer.downloaded().len(), 1, "too soon");
    till.host.advance(Duration::from_mins(1));
    till.settle();
    assert_eq!(till.acquirer.downloaded().len(), 2);
    for _ in 0..10 {
        till.host.advance(Duration::from_hours(2));
        till.settle();
    }
    assert_eq!(till.acquirer.downloaded().len(), 4, "then the next sign-in is waited for");
    till.acquirer.faults().clear();
    assert_eq!(till.signed_in().len(), 1);
}

#[test]
fn it_downloads_again_after_the_interval_and_when_asked_if_the_settings_say_so() {
    let asking =
        HostConfig { parameters: Parameters { asks: 4, ..Parameters::default() }, ..HostConfig::default() };
    let mut till = Downloading::with(&["contactless-limits", "keys"], asking.clone(), |settings| {
        settings["download_hours"] = 6.into();
    });
    till.signed_in();
    let once = till.acquirer.downloaded().len();
    till.tap(100, Cvm::None, DEBIT).unwrap();
    till.settle();
    assert_eq!(till.acquirer.downloaded().len(), once, "the host asks, the settings do not");
    till.host.advance(Duration::from_hours(6));
    till.settle();
    assert_eq!(till.acquirer.downloaded().len(), 2 * once);
    till.host.advance(Duration::from_hours(6));
    till.settle();
    assert_eq!(till.acquirer.downloaded().len(), 3 * once);

    let mut obeys = Downloading::with(&["contactless-limits", "keys"], asking, |settings| {
        settings["download_when_asked"] = true.into();
    });
    obeys.signed_in();
    let before = obeys.acquirer.downloaded().len();
    obeys.tap(100, Cvm::None, DEBIT).unwrap();
    obeys.settle();
    let asked = obeys.acquirer.downloaded().split_off(before);
    assert!(!asked.is_empty() && asked.iter().all(|line| line.starts_with("37")), "keys only: {asked:?}");
    obeys.tap(100, Cvm::None, DEBIT).unwrap();
    obeys.settle();
    assert_eq!(obeys.acquirer.downloaded().len(), before + asked.len(), "not again at once");
    obeys.host.advance(Duration::from_mins(10));
    obeys.tap(100, Cvm::None, DEBIT).unwrap();
    obeys.settle();
    assert_eq!(obeys.acquirer.downloaded().len(), before + 2 * asked.len());
}

/// A waiting call ends the wait for an answer; the question is asked again afterwards, and nobody is told of a failure.
#[test]
fn a_payment_that_waits_comes_before_a_download() {
    let mut till = Downloading::new(limits(&[]));
    till.sign_in();
    till.acquirer.faults().add(Rule::once("key-list", Fault::HoldReply {})).unwrap();
    // The limits, then the question that is held.
    assert!(till.plugin.poll(Duration::ZERO).unwrap().is_empty());
    let waiting = till.host.clone();
    let acquirer = &till.acquirer;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            assert!(acquirer.wait_stats(Duration::from_secs(10), |stats| stats.answered == 3));
            waiting.cancel();
        });
        let began = std::time::Instant::now();
        assert!(till.plugin.poll(Duration::ZERO).unwrap().is_empty());
        assert!(began.elapsed() < Duration::from_millis(1_400), "it did not wait for the answer's deadline");
    });
    assert_eq!(till.count("downloads-failed"), 0);
    assert_eq!(till.acquirer.downloaded().iter().filter(|line| line.starts_with("372")).count(), 1);
}

#[test]
fn keys_that_have_ended_are_left_out() {
    let old = PublicKey::made_up("A000000333", 1, 128, "20251231");
    let mut parameters = Parameters::default();
    parameters.keys.insert(0, old);
    let mut till = Downloading::new(parameters);
    assert!(till.signed_in().is_empty());
    assert!(till.probed().contains("3 scheme keys"));
    assert!(till.host.log_lines().iter().any(|(_, line)| line.contains("1 left out")));
}

#[test]
fn a_host_with_nothing_for_this_terminal_leaves_what_is_in_force() {
    let mut till = Downloading::new(limits(&[]));
    till.signed_in();
    let before = till.host.stored();
    let nothing =
        Parameters { contactless: [].into(), keys: vec![], applications: vec![], ..Parameters::default() };
    till.acquirer.set_parameters(nothing);
    assert!(till.signed_in().is_empty());
    assert!(till.host.stored() == before);
}

/// A list as long as a list may be fits into the store.
#[test]
fn the_longest_lists_are_kept() {
    let keys = (0..99).map(|index| PublicKey::made_up("A000000333", index, 248, "20401231")).collect();
    let mut till = Downloading::new(Parameters { keys, page: 20, ..Parameters::default() });
    let told = till.signed_in();
    assert!(told.is_empty(), "{told:?}");
    assert!(till.probed().contains("99 scheme keys"));
    let bytes: usize = till.host.stored().iter().map(|(key, value)| key.len() + value.len()).sum();
    assert!(bytes < 64 * 1024 - 99 * 257, "{bytes}: with as many applications it would not fit");
}

/// Everything else of a till that does not download is as it was.
#[test]
fn a_till_without_downloads_keeps_to_its_setting() {
    let mut till = Till::start();
    let (.., outcome) = till.sell(PAN, 100);
    assert!(matches!(outcome, Outcome::Approved(_)));
    assert!(till.acquirer.downloaded().is_empty());
    till.books_agree();
}
