//! Any body: no panic, nothing believed without the signature; and any node at all, even a signed one, never approves
//! another order or amount.
#![cfg_attr(feature = "libfuzzer", no_main)]

use std::sync::LazyLock;

use till_channel_alipay::amount::Fen;
use till_channel_alipay::codes::Codes;
use till_channel_alipay::outcome::{self, Expected};
use till_channel_alipay::reply::{Envelope, Node, Verified};
use till_fuzz::{NOBODYS_KEY, ORDER, OWED, REFUND, of_a_sale};
use till_plugin::channel::{Outcome, QueryOutcome};

static CODES: LazyLock<Codes> = LazyLock::new(|| Codes::built_in().expect("the built-in table"));

pub(crate) fn run(body: &[u8]) {
    let Ok(envelope) = Envelope::cut(body, "alipay_trade_pay_response") else { return };
    assert!(envelope.verify(&NOBODYS_KEY).is_err(), "a signature was forged");
    let Ok(node) = serde_json::from_str::<Node>(envelope.node) else { return };
    let expected = Expected { order: ORDER, amount: Fen::new(OWED).expect("an amount") };
    let answered = Ok(if envelope.refusal {
        Verified::GatewayRefusal(node.clone())
    } else {
        Verified::Answer(node.clone())
    });
    let named = node.out_trade_no.as_deref() == Some(ORDER);
    let exact = named && node.total_amount.as_deref() == Some("128.50") && !envelope.refusal;
    of_a_sale(&outcome::pay(&CODES, &answered, expected), exact);
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
