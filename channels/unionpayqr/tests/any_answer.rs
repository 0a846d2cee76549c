//! What holds of any answer, over random bodies; tests/fuzz asks the same of its seeds and of what a fuzzer finds.
#![allow(clippy::unwrap_used, clippy::expect_used)] // in helpers too: what fails there fails the test

mod property;

use property::{FEN, MERCHANT, ORDER, TIME, check};
use proptest::prelude::*;

/// Mostly our own names, so that the checks behind them are reached.
fn field(own: &'static str) -> impl Strategy<Value = String> {
    prop_oneof![6 => Just(own.to_owned()), 1 => "[0-9A-Z]{0,8}", 1 => Just(format!("{own}0"))]
}

fn code() -> impl Strategy<Value = String> {
    prop_oneof![4 => Just("00".to_owned()), 4 => "0[0-9]|A6|34|46|42|64|39", 1 => "[0-9A-Z]{0,3}"]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn no_answer_approves_anything_but_what_it_names(
        merchant in field(MERCHANT),
        order in field(ORDER),
        time in field(TIME),
        own in code(),
        orig in proptest::option::of(code()),
        amount in prop_oneof![4 => Just(FEN.to_string()), 1 => "[0-9.+-]{0,14}"],
        kind in "0[0-4]|99|31",
        id in "[0-9]{0,41}",
    ) {
        let mut body = format!(
            "merId={merchant}&orderId={order}&txnTime={time}&respCode={own}&txnAmt={amount}&txnType={kind}&queryId={id}"
        );
        if let Some(orig) = orig {
            body.push_str("&origRespCode=");
            body.push_str(&orig);
        }
        check(body.as_bytes());
    }

    #[test]
    fn c15_any_bytes_hold(bytes: Vec<u8>) {
        check(&bytes);
    }
}
