//! The contract of every channel, run by WeChat Pay against the platform simulator, over both of its interfaces.
#![allow(clippy::unwrap_used)] // in helpers too: what fails there fails the test

use std::net::SocketAddr;
use std::ops::Range;
use std::time::Duration;

use till_channel_wechatpay::plugin::WechatPay;
use till_conformance::{Adapter, Case, Step, Way, script, wire};
use till_plugin::testing::TestHost;
use till_plugin::{Instrument, Money};
use till_simulators::faults::Fault;
use till_simulators::wechatpay::{Platform, Settings};

/// `V2`: interface v2, XML.
struct Kit<const V2: bool>(Platform);

impl<const V2: bool> Adapter for Kit<V2> {
    type Channel = WechatPay;
    type Fault = Fault;

    const NAME: &'static str = if V2 { "wechatpay v2" } else { "wechatpay" };
    const WITHOUT: &'static [(Case, &'static str)] = if V2 {
        &[(Case::Voids, "the platform has no void: a payment goes back by a refund")]
    } else {
        &[
            (Case::Voids, "the platform has no void: a payment goes back by a refund"),
            (Case::MutualTls, "interface v3 asks for no certificate: requests are signed"),
        ]
    };
    const MUTUAL: bool = V2;

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
        TestHost::new()
            .with_secret("merchant_private_key", self.0.merchant_private_pem().as_bytes())
            .with_secret("api_v2_key", self.0.api_v2_key().as_bytes())
    }

    fn identity_key(&self) -> Option<String> {
        Some(self.0.merchant_private_pem().to_owned())
    }

    fn settings(&self, way: &Way) -> String {
        let mut json = serde_json::json!({
            "appid": self.0.appid(), "mchid": self.0.mchid(), "merchant_serial": self.0.merchant_serial(),
            "platform_public_key": self.0.public_pem(), "platform_public_key_id": self.0.key_id(),
            "exchange_timeout_ms": 10_000, "api": if V2 { "v2" } else { "v3" },
        });
        match way {
            Way::Plain(address) => {
                json["gateway"] = format!("http://{address}").into();
                json["insecure_http_for_tests"] = true.into();
            }
            Way::Tls { port, ca_pem, identity } => {
                json["gateway"] = format!("https://localhost:{port}").into();
                json["ca_pem"] = ca_pem.as_str().into();
                if let Some((certificate, _)) = identity {
                    json["merchant_certificate_pem"] = certificate.as_str().into();
                }
            }
            Way::None => {}
        }
        json.to_string()
    }

    fn foreign(&self) -> Instrument {
        script::scan("280000000000000001")
    }

    fn instrument(&self, number: u32, _amount: Money) -> Instrument {
        script::scan(&format!("134613579024{number:06}"))
    }

    fn poor(&self, _amount: Money) -> Instrument {
        script::scan("134613579024770301")
    }

    fn faults(&self, step: Step) -> Vec<Fault> {
        let mut faults = script::broken();
        faults.push(script::answer("500", Some("SYSTEM_ERROR"), true));
        faults.push(script::answer("202", None, true));
        faults.push(script::answer("429", Some("FREQUENCY_LIMITED"), false));
        faults.extend(Self::sealed_wrongly());
        if V2 && step == Step::Undo {
            let recall = [("recall".to_owned(), "Y".to_owned())].into();
            faults.push(Fault::Answer { code: "200".into(), sub_code: None, fields: recall, booked: false });
        }
        faults
    }

    fn lies(&self) -> Vec<Fault> {
        [script::lies(), Self::sealed_wrongly()].concat()
    }

    fn held(&self) -> Option<Fault> {
        Some(Fault::HoldBooking {})
    }

    fn lost(&self) -> Option<(Fault, Fault)> {
        Some((Fault::DropBeforeBooking {}, Fault::DropAfterBooking {}))
    }

    fn undo_refused(&self) -> Option<Fault> {
        Some(script::answer("403", Some("REVERSE_EXPIRE"), false))
    }

    fn strike(&self, _bench: &TestHost, step: Step, fault: &Fault) {
        let operation = match step {
            Step::Sale => "codepay",
            Step::Query => "query",
            Step::Undo => "reverse",
            Step::Refund | Step::Void => "refund",
            Step::RefundQuery => "refund-query",
        };
        script::once(self.0.faults(), operation, fault);
    }

    fn calm(&self, _bench: &TestHost) {
        self.0.faults().clear();
    }

    fn kept(&self, _bench: &TestHost) -> Option<i64> {
        let ledger = self.0.ledger();
        assert_eq!(ledger.early_reverses, 0, "reversed sooner than 15 s after its payment");
        Some(ledger.kept)
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
        secrets.push(self.0.api_v2_key().into());
        secrets
    }

    fn never_kept(&self) -> Vec<Vec<u8>> {
        vec![b"134613579024".to_vec()]
    }

    fn whole(bytes: &[u8]) -> bool {
        wire::http_whole(bytes)
    }

    fn sealed(answer: &[u8]) -> Range<usize> {
        wire::http_body(answer)
    }

    fn endless() -> Vec<(Vec<u8>, Vec<u8>)> {
        wire::http_endless()
    }
}

impl<const V2: bool> Kit<V2> {
    /// What only the seal of interface v3 can have wrong.
    fn sealed_wrongly() -> Vec<Fault> {
        if V2 { Vec::new() } else { vec![Fault::SignatureProbe {}, Fault::StaleSignature {}] }
    }
}

mod three {
    till_conformance::conformance!(super::Kit<false>);
}

mod two {
    till_conformance::conformance!(super::Kit<true>);
}
