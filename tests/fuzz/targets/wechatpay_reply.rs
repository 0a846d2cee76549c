//! Any answer of interface v3: no panic, no seal forged; and any body at all, even a sealed one, never approves another
//! merchant, order or amount.
#![cfg_attr(feature = "libfuzzer", no_main)]

use std::sync::LazyLock;

use till_channel_wechatpay::codes::Codes;
use till_channel_wechatpay::outcome::{self, Expected};
use till_channel_wechatpay::reply::read_v3;
use till_channel_wechatpay::resource::{ApiV3Key, certificates};
use till_channel_wechatpay::seal::Seals;
use till_fuzz::{NOBODYS_KEY, ORDER, OWED, REFUND, of_a_sale};
use till_plugin::channel::{Outcome, QueryOutcome};
use till_wallet::amount::Fen;
use till_wallet::http::Reply;

static CODES: LazyLock<Codes> = LazyLock::new(|| Codes::built_in().expect("the built-in table"));

/// An answer's parts, from lines: status, time stamp, nonce, signature; what follows is the body.
fn parts(data: &[u8]) -> Option<(u16, [&str; 3], &[u8])> {
    let mut lines = data.splitn(5, |byte| *byte == b'\n');
    let mut text = || std::str::from_utf8(lines.next()?).ok();
    let (status, sealed) = (text()?.parse().ok()?, [text()?, text()?, text()?]);
    Some((status, sealed, lines.next()?))
}

pub(crate) fn run(data: &[u8]) {
    let Some((status, [timestamp, nonce, signature], body)) = parts(data) else { return };
    let headers = [
        ("Wechatpay-Timestamp", timestamp),
        ("Wechatpay-Nonce", nonce),
        ("Wechatpay-Serial", "K"),
        ("Wechatpay-Signature", signature),
    ];
    let mut seals = Seals::default();
    seals.trust_key("K", NOBODYS_KEY.clone());
    let reply = Reply::new(status, &headers, body.to_vec());
    assert!(seals.check(&reply, 1_788_225_601_000).is_err(), "a seal was forged");

    let key = ApiV3Key::new(&[7; 32]).expect("32 bytes");
    assert!(certificates(body, &key).map_or(true, |all| all.is_empty()), "a certificate was forged");

    let answered = read_v3(status, body);
    let node = answered.clone().unwrap_or_default();
    let expected = Expected {
        appid: "wx1",
        mchid: "1900000001",
        order: ORDER,
        amount: Fen::new(OWED).expect("an amount"),
    };
    let named = node.mchid.as_deref() == Some("1900000001") && node.out_trade_no.as_deref() == Some(ORDER);
    let exact = named && node.total == Some(OWED) && (200..300).contains(&status);
    of_a_sale(&outcome::pay(&CODES, &answered, expected), exact);
    if let QueryOutcome::Paid(_) = outcome::query(&CODES, &answered, expected) {
        assert!(exact);
    }
    let back = node.out_refund_no.as_deref() == Some(REFUND) && node.refund == Some(OWED);
    if let Outcome::Approved(_) = outcome::refund(&CODES, &answered, expected, REFUND) {
        assert!(back);
    }
    if let QueryOutcome::Paid(_) = outcome::refund_query(&CODES, &answered, expected, REFUND) {
        assert!(back);
    }
    let _ = outcome::reverse(&CODES, &answered, expected, true);
    let _ = outcome::close(&CODES, &answered);
    assert!(!matches!(outcome::native(&CODES, &answered), Outcome::Approved(_)));
}

#[cfg(feature = "libfuzzer")]
libfuzzer_sys::fuzz_target!(|data: &[u8]| run(data));
