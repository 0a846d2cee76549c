//! A till and its platform: the channel as the daemon asks it, against the simulator, whose books say what really happened.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::expect_used)] // shared by tests; what fails here fails the test

use std::time::Duration;

use till_channel_wechatpay::plugin::WechatPay;
use till_plugin::channel::*;
use till_plugin::instrument::ScannedCode;
use till_plugin::testing::TestHost;
use till_plugin::{Channel, Currency, Extra, Instrument, Money, PluginError, Sensitive};
use till_simulators::faults::Rule;
use till_simulators::wechatpay::{Platform, Settings};

pub const ORDER: &str = "T0120260901000001";
pub const REFUND: &str = "T0120260901000002";
pub const CODE: &str = "130000000000000001";
pub const OWED: i64 = 12_850;

pub struct Shop {
    pub platform: Platform,
    pub bench: TestHost,
    pub till: WechatPay,
}

/// The test host's clock stands still, so the platform's is set to it.
pub fn settings() -> Settings {
    let ours = jiff::Timestamp::from_millisecond(TestHost::new().host().now().wall_ms).unwrap();
    let mut settings = Settings::default();
    settings.clock_offset = ours.duration_since(jiff::Timestamp::now());
    settings.https = None; // a certificate for each of some hundred platforms costs more than the tests
    settings
}

/// Settings of the till for this platform.
pub fn config(platform: &Platform, url: &str) -> serde_json::Value {
    serde_json::json!({
        "appid": platform.appid(), "mchid": platform.mchid(), "merchant_serial": platform.merchant_serial(),
        "platform_public_key": platform.public_pem(), "platform_public_key_id": platform.key_id(),
        "gateway": url, "notify_url": "https://pos.example/notify/wechat", "terminal_id": "T12345678",
        "exchange_timeout_ms": 10_000, "insecure_http_for_tests": url.starts_with("http://"),
    })
}

pub fn bench(platform: &Platform) -> TestHost {
    TestHost::new().with_secret("merchant_private_key", platform.merchant_private_pem().as_bytes())
}

pub fn open(bench: &TestHost, json: &serde_json::Value) -> Result<WechatPay, PluginError> {
    WechatPay::open(bench.host(), till_plugin::Settings::from_json(json.to_string()))
}

pub fn shop_with(settings: Settings) -> Shop {
    let platform = Platform::start(settings).unwrap();
    let bench = bench(&platform);
    let till = open(&bench, &config(&platform, &platform.url())).unwrap();
    Shop { platform, bench, till }
}

pub fn shop() -> Shop {
    shop_with(settings())
}

/// A till whose platform signs with certificates, which it fetches.
pub fn fetching_shop() -> Shop {
    let mut settings = settings();
    settings.certificates = true;
    let platform = Platform::start(settings).unwrap();
    let bench = bench(&platform).with_secret("api_v3_key", platform.api_v3_key().as_bytes());
    let mut json = config(&platform, &platform.url());
    for key in ["platform_public_key", "platform_public_key_id"] {
        json.as_object_mut().unwrap().remove(key);
    }
    let till = open(&bench, &json).unwrap();
    Shop { platform, bench, till }
}

/// A till on interface v2.
pub fn shop_two(sign_type: &str) -> Shop {
    let platform = Platform::start(settings()).unwrap();
    let bench = bench(&platform).with_secret("api_v2_key", platform.api_v2_key().as_bytes());
    let mut json = config(&platform, &platform.url());
    json["api"] = "v2".into();
    json["v2_sign_type"] = sign_type.into();
    let till = open(&bench, &json).unwrap();
    Shop { platform, bench, till }
}

pub fn cny(minor: i64) -> Money {
    Money::new(minor, Currency::CNY)
}

pub fn ids(order: &str) -> AttemptIds {
    AttemptIds { payment: [7; 16], attempt: 1, trace: 1, batch: 1, order: order.into(), wall_ms: 0 }
}

pub fn sale(instrument: Instrument) -> Authorise {
    Authorise {
        ids: ids(ORDER),
        hold: false,
        amount: cny(OWED),
        instrument,
        subject: "茶 & 点心".into(),
        operator: None,
        pin_block: None,
        extra: Extra::new(),
    }
}

pub fn scan(code: &str) -> Instrument {
    Instrument::Code(ScannedCode { text: Sensitive::new(code.into()), symbology: None })
}

impl Shop {
    pub fn faults(self, rules: impl IntoIterator<Item = Rule>) -> Self {
        for rule in rules {
            self.platform.faults().add(rule).unwrap();
        }
        self
    }

    pub fn pay_with(&mut self, instrument: Instrument) -> Outcome {
        let request = sale(instrument);
        let prepared = self.till.prepare(&request).unwrap();
        self.till.authorise(&request, &prepared)
    }

    pub fn pay(&mut self) -> Outcome {
        self.pay_with(scan(CODE))
    }

    pub fn original(&mut self, instrument: Instrument) -> FollowUp {
        let request = sale(instrument);
        let recovery = self.till.prepare(&request).unwrap().recovery;
        FollowUp { ids: request.ids, amount: request.amount, recovery, attempt: 1, extra: Extra::new() }
    }

    pub fn query(&mut self) -> QueryOutcome {
        let original = self.original(scan(CODE));
        self.till.query(&original)
    }

    pub fn undo(&mut self) -> UndoOutcome {
        let original = self.original(scan(CODE));
        self.till.undo(&original, UndoReason::NoAnswer)
    }

    /// So much time passes on both sides.
    pub fn pass(&self, seconds: u64) {
        self.bench.advance(Duration::from_secs(seconds));
        self.platform.advance(Duration::from_secs(seconds));
    }

    pub fn kept(&self) -> i64 {
        self.platform.ledger().kept
    }

    /// What the till books for a payment, resolving as the daemon would: two queries, then reverses until one is answered.
    pub fn booked(&mut self) -> i64 {
        match self.pay() {
            Outcome::Approved(a) => return a.amount.minor(),
            Outcome::Declined(_) | Outcome::NotSent(_) => return 0,
            Outcome::Unknown(_) => {}
        }
        for _ in 0..2 {
            match self.query() {
                QueryOutcome::Paid(a) => return a.amount.minor(),
                QueryOutcome::NotPaid(_) => return 0,
                _ => {}
            }
        }
        self.pass(16);
        for _ in 0..12 {
            match self.undo() {
                UndoOutcome::Undone { .. } | UndoOutcome::NeverExisted => return 0,
                UndoOutcome::Refused(d) => panic!("refused: {d:?}"),
                UndoOutcome::NotSent(_) | UndoOutcome::Unknown(_) => {}
            }
        }
        panic!("never resolved");
    }

    /// A refund of `amount` of the payment that was just approved.
    pub fn refund_of(approval: Approval, number: &str, amount: i64) -> Follow {
        Follow {
            ids: ids(number),
            kind: FollowKind::Refund,
            original: Reference { ids: ids(ORDER), amount: cny(OWED), approval },
            original_recovery: Sensitive::new(Vec::new()),
            amount: cny(amount),
            instrument: None,
            operator: Some("01".into()),
            reason: String::new(),
            extra: Extra::new(),
        }
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
