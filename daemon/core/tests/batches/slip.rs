//! What the merchant files: the settlement slip, in both languages.

use till_core::batch::{PayoutCycle, SettleRule, slip};
use till_core::payment::LegKind;
use till_core::receipt::{Language, Shop as Printed, text};

use crate::samples::fen;
use crate::shop::{Fault, Shop};

fn printed(shop: &Shop, language: Language) -> String {
    let place = Printed { name: "Tea".into(), terminal: "T0000001".into(), language, ..Printed::default() };
    let facts = slip::Facts {
        local_time: "2026-05-01 23:30:05".into(),
        channels: [("bank".to_owned(), "银联".to_owned())].into(),
        copy: 1,
    };
    let batch = shop.till.batches().get(1).expect("in memory");
    text(&slip::document(batch, &place, &facts), 40)
}

/// S67 and S64 on paper: sums, who sold, what the network said, when the money comes, and what is left to do.
#[test]
fn s67_a_slip_says_what_came_in_what_was_compared_and_what_is_left_to_people() {
    let mut shop = Shop::new();
    let rule = SettleRule { payout: Some(PayoutCycle::Working(1)), ..SettleRule::default() };
    shop.ctx.rules.channels.insert("bank".into(), rule);
    shop.take(&till_core::Input::Tick);
    shop.sell_by("bank", fen(12_850), Some("li"), "");
    let sale = shop.sell_by("bank", fen(150), Some("wang"), "");
    shop.leg(sale, LegKind::Refund, None).expect("refunded");
    shop.sell_by("cash", fen(500), Some("li"), "");
    shop.net.unbalanced = Some(false);
    shop.net.faults = [Fault::None].into();
    shop.close();
    shop.run();
    let en = printed(&shop, Language::English);
    for line in [
        "SETTLEMENT",
        "*** COPY 1 ***",
        "000001",
        "2026-05-01",
        "银联",
        "TOTALS DIFFER",
        "2 × ¥130.00",
        "1 × ¥1.50",
        "¥128.50",
        // The first working day after Friday the first.
        "2026-05-04",
        "Own totals",
        "¥133.50",
        "-¥1.50",
        "LEFT TO DO (1)",
        "the network counts other totals",
    ] {
        assert!(en.contains(line), "{line:?} is not on\n{en}");
    }
    let zh = printed(&shop, Language::Chinese);
    for line in ["结算单", "重印件", "营业日期", "对账不平", "预计到账", "本机合计", "待处理"]
    {
        assert!(zh.contains(line), "{line:?} is not on\n{zh}");
    }
}

/// The drawer has no network: no batch number of one is printed for it, so that nobody looks for it in a statement.
#[test]
fn s67_only_what_a_network_numbers_has_its_batch_number() {
    let mut shop = Shop::new();
    shop.take(&till_core::Input::Tick);
    shop.sell_by("cash", fen(500), Some("li"), "");
    shop.close();
    shop.run();
    let alone = printed(&shop, Language::English);
    assert!(alone.contains("Own totals") && !alone.contains("Network batch"), "{alone}");

    let mut shop = Shop::new();
    shop.take(&till_core::Input::Tick);
    shop.sell_by("bank", fen(500), Some("li"), "");
    shop.sell_by("cash", fen(500), Some("li"), "");
    shop.close();
    shop.run();
    let both = printed(&shop, Language::English);
    assert_eq!(both.matches("Network batch").count(), 1, "{both}");
}
