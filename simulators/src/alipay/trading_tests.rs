//! Whatever tills ask in whatever order, the books stay true.

use proptest::prelude::*;

use super::*;
use crate::alipay::{
    methods::House,
    request::{Content, METHODS},
};
use crate::wallet::form::Parameters;

#[derive(Clone, Debug)]
enum Step {
    Pay { order: u8, code: u8, fen: i64, buyer: u8 },
    Cancel { order: u8 },
    Refund { order: u8, number: u8, fen: i64 },
    Close { order: u8 },
    Finish { order: u8 },
    Wait { seconds: i64 },
}

fn step() -> impl Strategy<Value = Step> {
    let order = 0..4u8;
    prop_oneof![
        4 => (order.clone(), 0..6u8, 1..4i64, 0..4u8)
            .prop_map(|(order, code, yuan, buyer)| Step::Pay { order, code, fen: yuan * 100, buyer }),
        2 => order.clone().prop_map(|order| Step::Cancel { order }),
        3 => (order.clone(), 0..3u8, 1..400i64).prop_map(|(order, number, fen)| Step::Refund { order, number, fen }),
        1 => order.clone().prop_map(|order| Step::Close { order }),
        1 => order.prop_map(|order| Step::Finish { order }),
        2 => (0..200i64).prop_map(|seconds| Step::Wait { seconds }),
    ]
}

fn number(order: u8) -> String {
    format!("A{order}")
}

proptest! {
    #[test]
    fn nothing_is_given_back_twice_and_nothing_paid_is_forgotten(steps in prop::collection::vec(step(), 1..60)) {
        let mut books = Ledger::default();
        let mut now = Timestamp::UNIX_EPOCH;
        let mut paid_before = Fen::ZERO;
        for step in steps {
            match step {
                Step::Pay { order, code, fen, buyer } => {
                    let tail = ["000000", "770003", "770100", "770301"][usize::from(buyer)];
                    let code = format!("28000000000{code}{tail}");
                    let out_trade_no = number(order);
                    let order = Order {
                        app_id: "app",
                        out_trade_no: &out_trade_no,
                        total: Fen::new(fen),
                        timeout: Duration::from_mins(3),
                        terms: digest_of(&fen.to_string()),
                    };
                    let first = books.pay(&order, &code, now);
                    let count = books.trades.len();
                    let again = books.pay(&order, &code, now);
                    prop_assert_eq!(&first, &again, "asked again at once, it answers the same");
                    prop_assert_eq!(books.trades.len(), count);
                }
                Step::Cancel { order } => {
                    let done = books.cancel("app", Some(&number(order)), None, true, now);
                    if done.is_ok() {
                        let left = books.trade(&number(order)).map_or(Fen::ZERO, Trade::kept);
                        prop_assert_eq!(left, Fen::ZERO, "a cancel that was taken leaves no money");
                    }
                }
                Step::Refund { order, number: refund, fen } => {
                    if let Ok(at) = books.find("app", Some(&number(order)), None, now) {
                        let before = books.trades[at].refunded();
                        let number = format!("R{refund}");
                        if let Ok(done) = books.refund(at, Some(&number), Fen::new(fen), now) {
                            let moved = if done.moved { Fen::new(fen) } else { Fen::ZERO };
                            prop_assert_eq!(books.trades[at].refunded(), before.plus(moved));
                        }
                    }
                }
                Step::Close { order } => {
                    if let Ok(at) = books.find("app", Some(&number(order)), None, now) {
                        let kept = books.trades[at].kept();
                        let _ = books.close(at, now);
                        prop_assert_eq!(books.trades[at].kept(), kept, "closing moves no money");
                    }
                }
                Step::Finish { order } => {
                    books.finish(&number(order), now);
                }
                Step::Wait { seconds } => now = now.checked_add(Duration::from_secs(seconds.unsigned_abs())).unwrap(),
            }
            books.catch_up(now);
            for trade in &books.trades {
                prop_assert!(trade.kept() >= Fen::ZERO && trade.refunded() <= trade.total);
                prop_assert_eq!(trade.refunded() > Fen::ZERO, trade.paid_at.is_some() && !trade.refunds.is_empty());
            }
            prop_assert!(books.totals.paid >= paid_before, "what was paid stays on record");
            prop_assert_eq!(books.totals.kept, books.totals.paid.minus(books.totals.refunded));
            paid_before = books.totals.paid;
        }
    }

    #[test]
    fn any_content_is_answered_or_refused(
        method in prop::sample::select(METHODS),
        members in prop::collection::btree_map(
            prop::sample::select(&[
                "out_trade_no", "trade_no", "auth_code", "total_amount", "subject", "scene", "timeout_express",
                "refund_amount", "out_request_no", "product_code", "seller_id",
            ][..]),
            prop_oneof![
                Just("\"bar_code\"".to_owned()), Just("\"1.00\"".to_owned()), Just("\"A1\"".to_owned()),
                Just("null".to_owned()), Just("[[]]".to_owned()), Just("1e999".to_owned()), "\"\\PC{0,80}\"",
            ],
            0..8,
        ),
    ) {
        let house = House {
            app_id: "app".into(),
            seller_id: "seller".into(),
            limit: Fen::LARGEST,
            default_timeout: Duration::from_mins(3),
            bar_late_payments: true,
            shown: std::sync::Arc::default(),
        };
        let json = members.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect::<Vec<_>>().join(",");
        let escape = |byte| format!("%{byte:02X}");
        let encoded = format!("{{{json}}}").bytes().map(escape).collect::<Vec<_>>().concat();
        let form = Parameters::read(b"", format!("biz_content={encoded}").as_bytes()).unwrap();
        if let Ok(content) = Content::read(&form) {
            let _ = house.run(method, &content, &mut Ledger::default(), Timestamp::UNIX_EPOCH);
        }
    }
}
