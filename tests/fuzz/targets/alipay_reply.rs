//! Any body: no panic, nothing believed without the signature; and any node at all, even a signed one, never approves
//! another order or amount.
#![cfg_attr(feature = "libfuzzer", no_main)]

use std::sync::LazyLock;

use till_channel_alipay::amount::Fen;
use till_channel_alipay::codes::Codes;
use till_channel_alipay::outcome::{self, Expected};
use till_channel_alipay::reply::{Envelope, Node, Verified};
use till_channel_alipay::sign::PlatformKey;
use till_plugin::channel::{Outcome, QueryOutcome};

/// A public key whose private half was thrown away.
const PUBLIC: &str = "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAuLPrA7QhGKq6ossTP6nya20+rVgpXQaDYaEOIHxFzeKHnHOAUO6MmXzKBIjQQZ+mS+5MmjJfMCTjZ3mcBconHu+7SphZG3Z/3hV132UYYKQhFRB0/ZdFAzlALCRF+Nvzz23JfxGjKehpyy+Q/PhTAezeMdKdhnxwYbGwfLijw0ACO+d7GP4B6RD9/apjsPipdUWTl3gJSUOxw7Ypw0NR4erxhyxGSH4ikyos+SwZdB/LIEzVZrVjkmEtUbc24QN4/PTKG5RmuMd/leJ9QfK7FNtg9XQ9s6HkS73OHsKxT3zPpA1JAyfvT0b/YgIBHfaaVNU/ClaHJnPzFQnu9dz9BwIDAQAB";

static KEY: LazyLock<PlatformKey> = LazyLock::new(|| PlatformKey::from_text(PUBLIC).expect("the key above"));
static CODES: LazyLock<Codes> = LazyLock::new(|| Codes::built_in().expect("the built-in table"));

const ORDER: &str = "T0120260901000001";
const REFUND: &str = "T0120260901000002";

pub(crate) fn run(body: &[u8]) {
    let Ok(envelope) = Envelope::cut(body, "alipay_trade_pay_response") else { return };
    assert!(envelope.verify(&KEY).is_err(), "a signature was forged");
    let Ok(node) = serde_json::from_str::<Node>(envelope.node) else { return };
    let expected = Expected { order: ORDER, amount: Fen::new(12_850).expect("an amount") };
    let answered = Ok(if envelope.refusal {
        Verified::GatewayRefusal(node.clone())
    } else {
        Verified::Answer(node.clone())
    });
    let named = node.out_trade_no.as_deref() == Some(ORDER);
    let exact = named && node.total_amount.as_deref() == Some("128.50") && !envelope.refusal;
    match outcome::pay(&CODES, &answered, expected) {
        Outcome::Approved(a) => assert!(exact && a.amount.minor() == 12_850),
        Outcome::Declined(d) => assert!(!d.text.chars().chain(d.text_zh.chars()).any(char::is_control)),
        Outcome::NotSent(_) => panic!("an answer is proof that the request left"),
        Outcome::Unknown(_) => {}
    }
    if let QueryOutcome::Paid(_) = outcome::query(&CODES, &answered, expected) {
        assert!(exact);
    }
    if let Outcome::Approved(_) = outcome::refund(&CODES, &answered, expected) {
        assert!(named && node.fund_change.as_deref() == Some("Y"));
    }
    if let QueryOutcome::Paid(_) = outcome::refund_query(&CODES, &answered, expected, REFUND) {
        assert!(named && node.out_request_no.as_deref() == Some(REFUND));
    }
    let _ = outcome::cancel(&CODES, &answered, ORDER);
    let _ = outcome::close(&CODES, &answered, ORDER);
    assert!(!matches!(outcome::precreate(&CODES, &answered, expected), Outcome::Approved(_)));
}

#[cfg(feature = "libfuzzer")]
libfuzzer_sys::fuzz_target!(|data: &[u8]| run(data));
