//! I11: double entry.

use till_core::batch::SettleRule;
use till_core::fees::FeePlan;
use till_core::payment::{LegKind, Purpose};
use till_core::postings::{Account, Ledger, is_balanced, postings};
use till_core::{PaymentId, Till};
use till_plugin::Currency;

use crate::samples::fen;
use crate::shop::Shop;

/// A payment as it stood right after a record.
fn then(shop: &Shop, id: PaymentId, seq: u64) -> Option<till_core::Payment> {
    let own = shop.records.iter().filter(|(s, _, r)| *s <= seq && r.payment() == Some(id));
    Till::fold_payment(id, own.map(|(s, w, r)| (*s, *w, r)))
}

#[test]
fn i11_debits_are_credits_and_the_accounts_are_the_totals_of_the_batches() {
    let mut shop = Shop::new();
    let fee = Some(FeePlan { rate_ppm: 6_000, min: 1, ..FeePlan::default() });
    shop.ctx.rules.channels.insert("bank".into(), SettleRule { fee, ..SettleRule::default() });
    let (first, second) = (shop.sell("bank", 10_000), shop.sell("bank", 500));
    shop.sell("cash", 700);
    shop.leg(first, LegKind::Refund, Some(fen(4_000))).expect("a refund");
    shop.leg(second, LegKind::Void, None).expect("a void");
    let hold = shop.begin("bank", fen(2_000), None, "", Purpose::Hold).expect("a hold");
    shop.prepared(hold, 1);
    shop.approve(hold, 1);
    shop.leg(hold, LegKind::Capture, Some(fen(1_500))).expect("a completion");
    shop.close();
    shop.run();

    let mut ledger = Ledger::default();
    let mut posting = 0;
    for (seq, _, record) in &shop.records {
        let payment = record.payment().and_then(|id| then(&shop, id, *seq));
        let posted = postings(payment.as_ref(), record);
        assert!(is_balanced(&posted), "{record:?}: {posted:?}");
        posting += usize::from(!posted.is_empty());
        ledger.post(&posted);
    }
    assert_eq!(
        posting, 7,
        "three sales, a refund, a void, a completion and one part with fees post; nothing else"
    );
    assert!(ledger.is_balanced());
    let of = |account| ledger.balance(&account, Currency::CNY);
    let net = |channel: &str| {
        let totals = shop.till.batches().get(1).expect("in memory").channel_totals(channel);
        i128::from(totals.line(Currency::CNY).net().expect("it fits").minor())
    };
    // 60 for the first sale, 3 for the second that its void takes back, 9 for the completion; a refund takes nothing back.
    assert_eq!(of(Account::Fees("bank".into())), 69);
    assert_eq!(of(Account::Receivable("bank".into())), 7_500 - 69);
    assert_eq!(of(Account::Receivable("bank".into())) + of(Account::Fees("bank".into())), net("bank"));
    assert_eq!((of(Account::Drawer("cash".into())), net("cash")), (700, 700));
    assert_eq!(of(Account::Sales), -8_200, "what was sold, less what came back");
    assert_eq!(of(Account::Deposits), 0);
}
