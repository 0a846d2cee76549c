//! The contract of every channel, run by UnionPay QR against the gateway simulator.
#![allow(clippy::unwrap_used)] // in helpers too: what fails there fails the test

use std::net::SocketAddr;
use std::ops::Range;
use std::time::Duration;

use till_channel_unionpayqr::plugin::UnionPayQr;
use till_conformance::{Adapter, Case, Step, Way, conformance, script, wire};
use till_plugin::testing::TestHost;
use till_plugin::{Instrument, Money};
use till_simulators::faults::Fault;
use till_simulators::unionpay::{Platform, Settings};

struct Kit(Platform);

impl Adapter for Kit {
    type Channel = UnionPayQr;
    type Fault = Fault;

    const NAME: &'static str = "unionpayqr";
    const WITHOUT: &'static [(Case, &'static str)] =
        &[(Case::MutualTls, "the gateway asks for no certificate: requests are signed")];

    fn start() -> Self {
        let mut settings = Settings::default();
        settings.clock_offset = jiff::SignedDuration::from_millis(script::clock_offset_ms());
        settings.https = None;
        Self(Platform::start(settings).unwrap())
    }

    fn network(&self) -> Option<SocketAddr> {
        self.0.url().strip_prefix("http://").unwrap().parse().ok()
    }

    fn bench(&self, _identity: Option<&str>) -> TestHost {
        TestHost::new().with_secret("merchant_private_key", self.0.merchant_private_pem().as_bytes())
    }

    fn settings(&self, way: &Way) -> String {
        let mut json = serde_json::json!({
            "mer_id": self.0.mer_id(), "term_id": "T1234567", "environment": "test",
            "merchant_certificate_pem": self.0.merchant_certificate_pem(), "root_pem": self.0.root_pem(),
            "middle_pem": self.0.middle_pem(), "exchange_timeout_ms": 10_000,
        });
        match way {
            Way::Plain(address) => {
                json["gateway"] = format!("http://{address}").into();
                json["insecure_http_for_tests"] = true.into();
            }
            Way::Tls { port, ca_pem, .. } => {
                json["gateway"] = format!("https://localhost:{port}").into();
                json["ca_pem"] = ca_pem.as_str().into();
            }
            Way::None => {}
        }
        json.to_string()
    }

    fn instrument(&self, number: u32, _amount: Money) -> Instrument {
        script::scan(&format!("6246135790248{number:06}"))
    }

    fn poor(&self, _amount: Money) -> Instrument {
        script::scan("6246135790248770301")
    }

    fn foreign(&self) -> Instrument {
        script::scan("280000000000000001")
    }

    fn faults(&self, step: Step) -> Vec<Fault> {
        let mut faults = script::broken();
        faults.extend(certificates());
        faults.push(Fault::WrongMerchant {});
        for (code, booked) in [
            ("03", true),
            ("03", false),
            ("05", false),
            ("06", false),
            ("12", true),
            // "No such payment" is a definite answer to a refund, and only to that.
            ("34", step != Step::Refund),
            ("ZZ", true),
        ] {
            faults.push(script::answer(code, None, booked));
        }
        faults
    }

    fn lies(&self) -> Vec<Fault> {
        [script::lies(), certificates(), vec![Fault::WrongMerchant {}]].concat()
    }

    fn held(&self) -> Option<Fault> {
        Some(Fault::HoldBooking {})
    }

    fn lost(&self) -> Option<(Fault, Fault)> {
        Some((Fault::DropBeforeBooking {}, Fault::DropAfterBooking {}))
    }

    fn undo_refused(&self) -> Option<Fault> {
        Some(script::answer("39", None, false))
    }

    fn strike(&self, _bench: &TestHost, step: Step, fault: &Fault) {
        let operation = match step {
            Step::Sale => "pay",
            Step::Query | Step::RefundQuery => "query",
            Step::Undo => "reverse",
            Step::Refund => "refund",
            Step::Void => "void",
        };
        script::once(self.0.faults(), operation, fault);
    }

    fn calm(&self, _bench: &TestHost) {
        self.0.faults().clear();
    }

    fn kept(&self, _bench: &TestHost) -> Option<i64> {
        Some(self.0.ledger().kept)
    }

    fn requests(&self) -> usize {
        self.0.ledger().requests.len()
    }

    fn pass(&self, time: Duration) {
        self.0.advance(time);
    }

    fn secrets(&self) -> Vec<Vec<u8>> {
        let mut secrets = self.never_kept();
        secrets.push(script::pem_line(self.0.merchant_private_pem()));
        secrets
    }

    fn never_kept(&self) -> Vec<Vec<u8>> {
        vec![b"6246135790248".to_vec()]
    }

    fn whole(bytes: &[u8]) -> bool {
        wire::http_whole(bytes)
    }

    fn sealed(answer: &[u8]) -> Range<usize> {
        wire::http_body(answer)
    }

    /// The digits of a percent sign may be written in either case.
    fn same(answer: &[u8], changed: &[u8]) -> bool {
        let plain = |bytes: &[u8]| {
            let mut plain = Vec::new();
            let mut rest = &bytes[wire::http_body(bytes)];
            while let Some((&first, after)) = rest.split_first() {
                let pair =
                    after.get(..2).filter(|_| first == b'%').and_then(|pair| std::str::from_utf8(pair).ok());
                let (byte, after) = match pair.and_then(|pair| u8::from_str_radix(pair, 16).ok()) {
                    Some(byte) => (byte, &after[2..]),
                    None => (first, after),
                };
                plain.push(byte);
                rest = after;
            }
            plain
        };
        plain(answer) == plain(changed)
    }

    fn endless() -> Vec<(Vec<u8>, Vec<u8>)> {
        wire::http_endless()
    }
}

/// Right signatures of somebody else.
fn certificates() -> Vec<Fault> {
    vec![Fault::ForeignCertificate {}, Fault::ExpiredCertificate {}, Fault::WrongOwner {}]
}

conformance!(Kit);
