//! A till and its gateway: the channel as the daemon asks it, against the simulator, whose books say what really happened.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::expect_used)] // shared by tests; what fails here fails the test

use std::collections::BTreeMap;
use std::time::Duration;

use till_channel_unionpayqr::plugin::UnionPayQr;
use till_plugin::channel::*;
use till_plugin::instrument::ScannedCode;
use till_plugin::testing::TestHost;
use till_plugin::{Channel, Currency, Extra, Instrument, Money, PluginError, Sensitive};
use till_simulators::faults::{Fault, Rule};
use till_simulators::unionpay::{Platform, Settings};

pub const ORDER: &str = "T0120260901000001";
pub const REFUND: &str = "T0120260901000002";
pub const CODE: &str = "6200000000000000001";
pub const OWED: i64 = 12_850;

pub struct Shop {
    pub platform: Platform,
    pub bench: TestHost,
    pub till: UnionPayQr,
    /// When the sale got its numbers: part of its name at UnionPay.
    pub born_ms: i64,
}

/// The test host's clock stands still, so the gateway's is set to it.
pub fn settings() -> Settings {
    let ours = jiff::Timestamp::from_millisecond(TestHost::new().host().now().wall_ms).unwrap();
    let mut settings = Settings::default();
    settings.clock_offset = ours.duration_since(jiff::Timestamp::now());
    settings.https = None; // a certificate for each of some hundred gateways costs more than the tests
    settings
}

/// Settings of the till for this gateway.
pub fn config(platform: &Platform, url: &str) -> serde_json::Value {
    serde_json::json!({
        "mer_id": platform.mer_id(), "term_id": "T1234567", "environment": "test", "gateway": url,
        "merchant_certificate_pem": platform.merchant_certificate_pem(), "root_pem": platform.root_pem(),
        "middle_pem": platform.middle_pem(), "exchange_timeout_ms": 10_000,
        "insecure_http_for_tests": url.starts_with("http://"),
    })
}

pub fn bench(platform: &Platform) -> TestHost {
    TestHost::new().with_secret("merchant_private_key", platform.merchant_private_pem().as_bytes())
}

pub fn open(bench: &TestHost, json: &serde_json::Value) -> Result<UnionPayQr, PluginError> {
    UnionPayQr::open(bench.host(), till_plugin::Settings::from_json(json.to_string()))
}

pub fn shop_with(settings: Settings) -> Shop {
    let platform = Platform::start(settings).unwrap();
    let bench = bench(&platform);
    let till = open(&bench, &config(&platform, &platform.url())).unwrap();
    let born_ms = bench.host().now().wall_ms;
    Shop { platform, bench, till, born_ms }
}

pub fn shop() -> Shop {
    shop_with(settings())
}

pub fn cny(minor: i64) -> Money {
    Money::new(minor, Currency::CNY)
}

pub fn scan(code: &str) -> Instrument {
    Instrument::Code(ScannedCode { text: Sensitive::new(code.into()), symbology: None })
}

pub fn unknown(outcome: Outcome) -> UnknownReason {
    match outcome {
        Outcome::Unknown(u) => u.reason,
        other => panic!("not unknown: {other:?}"),
    }
}

pub fn answer(code: &str, orig: Option<&str>, booked: bool) -> Fault {
    Fault::Answer { code: code.into(), sub_code: orig.map(str::to_owned), fields: BTreeMap::new(), booked }
}

/// Everything a gateway and the way to it can do to one answer.
pub fn faults() -> Vec<Fault> {
    vec![
        Fault::DropBeforeBooking {},
        Fault::DropAfterBooking {},
        Fault::WrongSignature {},
        Fault::Unsigned {},
        Fault::ForeignCertificate {},
        Fault::ExpiredCertificate {},
        Fault::WrongOwner {},
        Fault::WrongMerchant {},
        Fault::WrongReference {},
        Fault::WrongAmount { by: 1 },
        Fault::HalfReply {},
        Fault::Garbage {},
        Fault::HttpStatus { status: 502 },
        Fault::Reset { booked: false },
        Fault::Reset { booked: true },
        answer("03", None, true),
        answer("05", None, false),
        answer("06", None, false),
        answer("12", None, true),
        answer("34", None, true),
        answer("ZZ", None, true),
    ]
}

impl Shop {
    pub fn faults(self, rules: impl IntoIterator<Item = Rule>) -> Self {
        for rule in rules {
            self.platform.faults().add(rule).unwrap();
        }
        self
    }

    pub fn ids(&self, order: &str) -> AttemptIds {
        AttemptIds {
            payment: [7; 16],
            attempt: 1,
            trace: 1,
            batch: 1,
            order: order.into(),
            wall_ms: if order == ORDER { self.born_ms } else { self.now_ms() },
        }
    }

    pub fn now_ms(&self) -> i64 {
        self.bench.host().now().wall_ms
    }

    pub fn sale(&self, instrument: Instrument) -> Authorise {
        Authorise {
            ids: self.ids(ORDER),
            hold: false,
            amount: cny(OWED),
            instrument,
            subject: "茶 & 点心".into(),
            operator: None,
            pin_block: None,
            extra: Extra::new(),
        }
    }

    pub fn run(&mut self, request: &Authorise) -> Outcome {
        let prepared = self.till.prepare(request).unwrap();
        self.till.authorise(request, &prepared)
    }

    pub fn pay(&mut self) -> Outcome {
        let request = self.sale(scan(CODE));
        self.run(&request)
    }

    pub fn paid(&mut self) -> Approval {
        match self.pay() {
            Outcome::Approved(approval) => approval,
            other => panic!("not approved: {other:?}"),
        }
    }

    pub fn original(&self, recovery: &[u8]) -> FollowUp {
        FollowUp {
            ids: self.ids(ORDER),
            amount: cny(OWED),
            recovery: Sensitive::new(recovery.to_vec()),
            attempt: 1,
            extra: Extra::new(),
        }
    }

    pub fn query(&mut self) -> QueryOutcome {
        let original = self.original(b"unionpayqr 1 scanned");
        self.till.query(&original)
    }

    pub fn undo(&mut self) -> UndoOutcome {
        let original = self.original(b"unionpayqr 1 scanned");
        self.till.undo(&original, UndoReason::NoAnswer)
    }

    /// So much time passes on both sides.
    pub fn pass(&self, time: Duration) {
        self.bench.advance(time);
        self.platform.advance(time);
    }

    pub fn kept(&self) -> i64 {
        self.platform.ledger().kept
    }

    /// What follows the payment (or whatever has this approval and recovery data).
    pub fn follow_of(
        &self,
        kind: FollowKind,
        of: (AttemptIds, i64, Approval, &[u8]),
        number: &str,
        amount: i64,
    ) -> Follow {
        let (ids, whole, approval, recovery) = of;
        Follow {
            ids: self.ids(number),
            kind,
            original: Reference { ids, amount: cny(whole), approval },
            original_recovery: Sensitive::new(recovery.to_vec()),
            amount: cny(amount),
            instrument: None,
            operator: Some("01".into()),
            reason: String::new(),
            extra: Extra::new(),
        }
    }

    pub fn refund_of(&self, approval: &Approval, number: &str, amount: i64) -> Follow {
        let of = (self.ids(ORDER), OWED, approval.clone(), &b"unionpayqr 1 scanned"[..]);
        self.follow_of(FollowKind::Refund, of, number, amount)
    }

    pub fn void_of(&self, approval: &Approval, number: &str) -> Follow {
        let of = (self.ids(ORDER), OWED, approval.clone(), &b"unionpayqr 1 scanned"[..]);
        self.follow_of(FollowKind::Void, of, number, OWED)
    }

    pub fn follow(&mut self, request: &Follow) -> Outcome {
        match self.till.prepare_follow(request) {
            Ok(prepared) => self.till.follow(request, &prepared),
            Err(refused) => Outcome::NotSent(refused),
        }
    }

    pub fn query_follow(&mut self, request: &Follow) -> QueryOutcome {
        let original = FollowUp {
            ids: request.ids.clone(),
            amount: request.amount,
            recovery: Sensitive::new(Vec::new()),
            attempt: 1,
            extra: Extra::new(),
        };
        self.till.query_follow(request, &original)
    }
}
