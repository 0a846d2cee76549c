//! Alipay against the gateway simulator, as the contract of every channel wants it: in key mode, or in certificate mode.
#![allow(unreachable_pub, clippy::unwrap_used)] // shared by tests; what fails here fails the test

use std::net::SocketAddr;
use std::ops::Range;
use std::time::Duration;

use till_channel_alipay::plugin::Alipay;
use till_conformance::{Adapter, Case, Step, Way, script, wire};
use till_plugin::testing::TestHost;
use till_plugin::{Instrument, Money};
use till_simulators::alipay::{Gateway, Settings};
use till_simulators::faults::Fault;

pub struct Kit<const CERTIFICATES: bool>(Gateway);

impl<const CERTIFICATES: bool> Adapter for Kit<CERTIFICATES> {
    type Channel = Alipay;
    type Fault = Fault;

    const NAME: &'static str = if CERTIFICATES { "alipay-certificates" } else { "alipay" };
    const WITHOUT: &'static [(Case, &'static str)] = &[
        (Case::Voids, "the gateway has no void: a payment goes back by a refund"),
        (Case::MutualTls, "the gateway asks for no certificate: requests are signed"),
    ];

    fn start() -> Self {
        let mut settings = Settings::default();
        settings.clock_offset = jiff::SignedDuration::from_millis(script::clock_offset_ms());
        settings.https = None;
        settings.certificates = CERTIFICATES;
        Self(Gateway::start(settings).unwrap())
    }

    fn network(&self) -> Option<SocketAddr> {
        Some(self.0.http_address())
    }

    fn bench(&self, _identity: Option<&str>) -> TestHost {
        TestHost::new().with_secret("app_private_key", self.0.app_private_pem().as_bytes())
    }

    fn settings(&self, way: &Way) -> String {
        let mut json = serde_json::json!({ "app_id": self.0.app_id(), "exchange_timeout_ms": 10_000 });
        if let Some(given) = self.0.certificates() {
            json["app_certificate_pem"] = given.app_pem.as_str().into();
            json["alipay_certificate_pem"] = given.gateway_pem.as_str().into();
            json["alipay_root_pem"] = given.root_pem.as_str().into();
        } else {
            json["alipay_public_key"] = self.0.public_pem().into();
        }
        match way {
            Way::Plain(address) => {
                json["gateway"] = format!("http://{address}/gateway.do").into();
                json["insecure_http_for_tests"] = true.into();
            }
            Way::Tls { port, ca_pem, .. } => {
                json["gateway"] = format!("https://localhost:{port}/gateway.do").into();
                json["ca_pem"] = ca_pem.as_str().into();
            }
            Way::None => {}
        }
        json.to_string()
    }

    fn foreign(&self) -> Instrument {
        script::scan("6200000000000000001")
    }

    fn instrument(&self, number: u32, _amount: Money) -> Instrument {
        script::scan(&format!("284613579024{number:06}"))
    }

    fn poor(&self, _amount: Money) -> Instrument {
        script::scan("284613579024770301")
    }

    fn faults(&self, step: Step) -> Vec<Fault> {
        let mut faults = script::broken();
        faults.push(script::answer("20000", Some("isp.x"), true));
        faults.push(script::answer("40004", Some("ACQ.SYSTEM_ERROR"), true));
        faults.push(script::answer("40004", Some("ACQ.SYSTEM_ERROR"), false));
        if step == Step::Undo {
            let again = [("retry_flag".to_owned(), "Y".to_owned())].into();
            faults.push(Fault::Answer { code: "10000".into(), sub_code: None, fields: again, booked: false });
        }
        faults
    }

    fn lies(&self) -> Vec<Fault> {
        let mut lies = script::lies();
        if CERTIFICATES {
            lies.extend([
                Fault::ForeignCertificate {},
                Fault::ExpiredCertificate {},
                Fault::WrongOwner {},
                Fault::UnknownCertificate {},
                Fault::WithoutCertificate {},
            ]);
        }
        lies
    }

    fn held(&self) -> Option<Fault> {
        Some(Fault::HoldBooking {})
    }

    fn lost(&self) -> Option<(Fault, Fault)> {
        Some((Fault::DropBeforeBooking {}, Fault::DropAfterBooking {}))
    }

    fn undo_refused(&self) -> Option<Fault> {
        Some(script::answer("40004", Some("ACQ.SELLER_BALANCE_NOT_ENOUGH"), false))
    }

    fn strike(&self, _bench: &TestHost, step: Step, fault: &Fault) {
        let operation = match step {
            Step::Sale => "alipay.trade.pay",
            Step::Query => "alipay.trade.query",
            Step::Undo => "alipay.trade.cancel",
            Step::Refund | Step::Void => "alipay.trade.refund",
            Step::RefundQuery => "alipay.trade.fastpay.refund.query",
        };
        script::once(self.0.faults(), operation, fault);
    }

    fn calm(&self, _bench: &TestHost) {
        self.0.faults().clear();
    }

    fn kept(&self, _bench: &TestHost) -> Option<i64> {
        Some(self.0.ledger().totals.kept.get())
    }

    fn requests(&self) -> usize {
        self.0.ledger().requests.len()
    }

    fn pass(&self, time: Duration) {
        self.0.advance(time);
    }

    fn secrets(&self) -> Vec<Vec<u8>> {
        let mut secrets = self.never_kept();
        secrets.push(script::pem_line(self.0.app_private_pem()));
        secrets
    }

    fn never_kept(&self) -> Vec<Vec<u8>> {
        vec![b"284613579024".to_vec()]
    }

    fn whole(bytes: &[u8]) -> bool {
        wire::http_whole(bytes)
    }

    fn sealed(answer: &[u8]) -> Range<usize> {
        wire::http_body(answer)
    }

    /// Blanks between node and signature are in neither.
    fn same(answer: &[u8], changed: &[u8]) -> bool {
        type Members = std::collections::BTreeMap<String, Box<serde_json::value::RawValue>>;
        let read = |bytes: &[u8]| {
            let members: Members = serde_json::from_slice(&bytes[wire::http_body(bytes)]).ok()?;
            Some(members.into_iter().map(|(name, raw)| (name, raw.get().to_owned())).collect::<Vec<_>>())
        };
        read(answer).is_some_and(|members| read(changed) == Some(members))
    }

    fn endless() -> Vec<(Vec<u8>, Vec<u8>)> {
        wire::http_endless()
    }
}
