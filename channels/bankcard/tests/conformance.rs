//! The contract of every channel, run by the bank card channel against the acquirer simulator, with keys of either cipher.
#![allow(clippy::unwrap_used)] // in helpers too: what fails there fails the test

use std::cell::Cell;
use std::io::Write as _;
use std::net::SocketAddr;
use std::ops::Range;
use std::process::{Command, Stdio};

use till_channel_bankcard::plugin::Bankcard;
use till_conformance::till::{Settled, Till};
use till_conformance::{Adapter, Case, Step, Way, conformance, script, wire};
use till_plugin::channel::{FollowKind, Outcome, SignIn};
use till_plugin::instrument::StripeCard;
use till_plugin::testing::TestHost;
use till_plugin::{Channel, Instrument, Money};
use till_simulators::acquirer::mac::MacAlgorithm;
use till_simulators::acquirer::{Acquirer, AcquirerConfig, HostConfig};
use till_simulators::faults::Fault;

const TID: &str = "12345678";
const PAN: &str = "6200000000000005";
const TRACK2: &str = "6200000000000005=29121010000000000";
const TMK: &str = "0123456789ABCDEFFEDCBA9876543210";
/// What the everyday card begins with.
const START: i64 = 100_000_000;

/// The kit of a terminal whose keys are SM4 keys, or DES keys.
struct Kit<const SM4: bool> {
    acquirer: Acquirer,
    files: tempfile::TempDir,
    batch: Cell<u32>,
}

impl<const SM4: bool> Kit<SM4> {
    fn file(&self, name: &str, pem: &str) -> String {
        let path = self.files.path().join(name);
        std::fs::write(&path, pem).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

fn swipe(pan: &str) -> Instrument {
    Instrument::Stripe(StripeCard {
        track1: None,
        track2: Some(format!("{pan}=29121010000000000").into()),
        track3: None,
        pan: pan.to_owned().into(),
        expiry: None,
        service_code: Some("101".into()),
        masked: format!("{}******{}", &pan[..6], &pan[12..]),
        luhn: true,
    })
}

impl<const SM4: bool> Adapter for Kit<SM4> {
    type Channel = Bankcard;
    type Fault = Fault;

    const NAME: &'static str = if SM4 { "bankcard-sm4" } else { "bankcard" };
    const WITHOUT: &'static [(Case, &'static str)] = &[
        (Case::Clock, "requests carry a MAC, not a signed time: the host goes by its own clock"),
        (Case::FoundLater, "the protocol has no query: what is unknown is reversed"),
    ];
    const MUTUAL: bool = true;
    const REPLAYS: bool = false;

    fn start() -> Self {
        let mac = if SM4 { MacAlgorithm::Sm4Cbc } else { MacAlgorithm::CupEcb };
        let host = HostConfig { mac, ..HostConfig::default() };
        Self {
            acquirer: Acquirer::start(AcquirerConfig { host, ..AcquirerConfig::default() }).unwrap(),
            files: tempfile::tempdir().unwrap(),
            batch: Cell::new(1),
        }
    }

    fn network(&self) -> Option<SocketAddr> {
        Some(self.acquirer.addr())
    }

    fn bench(&self, identity: Option<&str>) -> TestHost {
        let bench = TestHost::new().with_secret("tmk", TMK.as_bytes());
        match identity {
            Some(key) => bench.with_secret("tls-client-key", key.as_bytes()),
            None => bench,
        }
    }

    fn settings(&self, way: &Way) -> String {
        let overlay = if SM4 { include_str!("dialects/sm4.toml") } else { "" };
        let mut dialect = overlay.parse::<toml::Table>().unwrap();
        dialect.insert("timing".into(), toml::toml! { connect = 10000 answer = 10000 }.into());
        let mut json = serde_json::json!({
            "terminal": TID, "merchant": "123456789012345", "dialect": dialect,
        });
        match way {
            Way::Plain(address) => {
                json["address"] = address.to_string().into();
                json["tls"] = false.into();
            }
            Way::Tls { port, ca_pem, identity } => {
                json["address"] = format!("localhost:{port}").into();
                json["tls_ca"] = self.file("ca.pem", ca_pem).into();
                if let Some((certificate, _)) = identity {
                    json["tls_client_certificate"] = self.file("till.pem", certificate).into();
                }
            }
            Way::None => {}
        }
        json.to_string()
    }

    fn ready(&mut self, channel: &mut Bankcard, trace: u32) {
        let request = SignIn { trace, batch: self.batch.get(), operator: None, wall_ms: 0 };
        if let Some(batch) = channel.sign_in(&request).unwrap().batch {
            self.batch.set(batch);
        }
    }

    fn batch(&self) -> u32 {
        self.batch.get()
    }

    /// The acquirer's host goes by this machine's clock.
    fn wall_ms(&self, bench: &TestHost) -> i64 {
        bench.host().now().wall_ms - script::clock_offset_ms()
    }

    fn instrument(&self, _number: u32, _amount: Money) -> Instrument {
        swipe(PAN)
    }

    fn poor(&self, _amount: Money) -> Instrument {
        swipe("4000000000009995")
    }

    fn faults(&self, step: Step) -> Vec<Fault> {
        let mut faults = script::broken();
        faults.retain(|fault| !matches!(fault, Fault::HttpStatus { .. }));
        faults.extend([Fault::DuplicateReply {}, Fault::MergedReplies {}]);
        for code in ["91", "96", "98", "A0", "77", "99"] {
            faults.push(script::answer(code, None, false));
        }
        // A reversal that the host says it did, and did not, would be believed: its answer has a MAC.
        if step == Step::Undo {
            faults.push(script::answer("06", None, false));
        }
        faults
    }

    fn lies(&self) -> Vec<Fault> {
        script::lies()
    }

    fn waits(fault: &Fault) -> bool {
        matches!(fault, Fault::WrongReference {})
    }

    fn lost(&self) -> Option<(Fault, Fault)> {
        Some((Fault::DropBeforeBooking {}, Fault::DropAfterBooking {}))
    }

    fn undo_refused(&self) -> Option<Fault> {
        Some(script::answer("05", None, false))
    }

    fn strike(&self, _bench: &TestHost, step: Step, fault: &Fault) {
        let operation = match step {
            Step::Sale => "sale",
            Step::Undo => "reversal",
            Step::Refund | Step::RefundQuery => "refund",
            Step::Void => "void",
            Step::Query => "other",
        };
        script::once(self.acquirer.faults(), operation, fault);
    }

    fn calm(&self, _bench: &TestHost) {
        self.acquirer.faults().clear();
    }

    fn kept(&self, _bench: &TestHost) -> Option<i64> {
        Some(START - self.acquirer.card_balance(PAN).unwrap().minor())
    }

    fn requests(&self) -> usize {
        usize::try_from(self.acquirer.stats().received).unwrap()
    }

    fn secrets(&self) -> Vec<Vec<u8>> {
        let mut secrets = self.acquirer.working_keys(TID);
        secrets.extend([PAN.into(), "4000000000009995".into(), TRACK2.into(), TMK.into()]);
        secrets
    }

    /// A reversal names the card, so its number is kept, sealed; its track never.
    fn never_kept(&self) -> Vec<Vec<u8>> {
        vec![TRACK2.into(), TRACK2.replace('=', "D").into(), b"29121010000000000".to_vec()]
    }

    fn whole(bytes: &[u8]) -> bool {
        wire::frame_whole(bytes)
    }

    /// Behind length, TPDU and header: MTI to field 64.
    fn sealed(answer: &[u8]) -> Range<usize> {
        13..answer.len()
    }

    fn endless() -> Vec<(Vec<u8>, Vec<u8>)> {
        vec![
            (Vec::new(), vec![0; 4096]),
            (Vec::new(), vec![0xFF; 4096]),
            (vec![8, 0], vec![0x60; 4096]),
            (vec![0, 30], [vec![0x60; 30], vec![0, 30]].concat()),
        ]
    }
}

conformance!(Kit<false>);

mod sm4 {
    use super::{Kit, conformance};

    conformance!(Kit<true>);
}

/// What another's codec makes of frames: `compare/read.py`, run by the interpreter that `TILL_ISO8583_PYTHON` names.
fn read_by_pyiso8583(frames: &[Vec<u8>]) -> Option<Vec<serde_json::Value>> {
    let python = std::env::var_os("TILL_ISO8583_PYTHON")?;
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/compare/read.py");
    let mut child =
        Command::new(python).arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let lines: Vec<String> = frames.iter().map(hex::encode).collect();
    child.stdin.take().unwrap().write_all((lines.join("\n") + "\n").as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "pyiso8583 does not read what we send");
    let text = String::from_utf8(output.stdout).unwrap();
    Some(text.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

#[test]
fn what_leaves_is_read_by_pyiso8583_as_it_was_meant() {
    let mut till = Till::<Kit<false>>::new();
    let (sale, approval) = till.paid(12_850);
    let void = till.follow_on(FollowKind::Void, &sale, &approval, 12_850);
    assert!(matches!(till.follow(&void), Outcome::Approved(_)));
    let (sold, approval) = till.paid(700);
    let refund = till.follow_on(FollowKind::Refund, &sold, &approval, 300);
    assert!(matches!(till.follow(&refund), Outcome::Approved(_)));
    let lost = till.sale(500);
    till.net.strike(&till.bench, Step::Sale, &Fault::DropAfterBooking {});
    assert!(matches!(till.through(&lost), Settled::Nothing));
    till.call(Channel::probe).unwrap();
    let frames = till.road.as_ref().unwrap().requests();
    let Some(read) = read_by_pyiso8583(&frames) else {
        println!(
            "skipped: TILL_ISO8583_PYTHON names no interpreter with pyiso8583 (channels/bankcard/compare/run)"
        );
        return;
    };
    let trace = |number: u32| format!("{number:06}");
    // Type, processing code, amount, trace; the kind of 60.1.
    let meant = [
        ("0800", None, None, None, "00"),
        ("0200", Some("000000"), Some("000000012850"), Some(trace(sale.request.ids.trace)), "22"),
        ("0200", Some("200000"), Some("000000012850"), Some(trace(void.ids.trace)), "23"),
        ("0200", Some("000000"), Some("000000000700"), Some(trace(sold.request.ids.trace)), "22"),
        ("0220", Some("200000"), Some("000000000300"), Some(trace(refund.ids.trace)), "25"),
        ("0200", Some("000000"), Some("000000000500"), Some(trace(lost.request.ids.trace)), "22"),
        ("0400", Some("000000"), Some("000000000500"), Some(trace(lost.request.ids.trace)), "22"),
        ("0820", None, None, None, "00"),
    ];
    assert_eq!(read.len(), meant.len(), "{read:?}");
    for (message, (kind, code, amount, trace, sixty)) in read.iter().zip(meant) {
        let field = |number: &str| message[number].as_str();
        assert_eq!(field("t"), Some(kind), "{message}");
        assert_eq!(message["again"], true, "not the same bytes again: {message}");
        assert_eq!((field("41"), field("42")), (Some(TID), Some("123456789012345")));
        assert!(field("60").unwrap().starts_with(&format!("{sixty}{:06}", till.net.batch())), "{message}");
        if code.is_some() {
            assert_eq!((field("3"), field("4"), field("49")), (code, amount, Some("156")), "{message}");
            assert_eq!((field("11"), field("2")), (trace.as_deref(), Some(PAN)), "{message}");
            assert_eq!(field("64").map(str::len), Some(16));
        }
        if kind == "0200" {
            assert_eq!(
                field("35").map(|track| track.replace('D', "=")).as_deref(),
                Some(TRACK2),
                "{message}"
            );
        }
        if kind == "0400" {
            assert_eq!((field("39"), field("35")), (Some("98"), None), "{message}");
        }
    }
}
