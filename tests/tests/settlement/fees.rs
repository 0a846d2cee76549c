//! Forecast against charged of a batch, through the whole daemon: the same while it is open, after a kill, closed, and for
//! people at `tillctl`'s table.

use std::fs;

use till_dbus::types::{FeeDifferenceRow, FeeRow};
use till_dbus::{Error, Options};
use till_tests::scene::wallet_code;

use crate::{Till, by};

const TERMS: &str = r"
[channel.alipay.settlement]
fee = { rate-ppm = 6000 }
[channel.bankcard.settlement]
fee = { rate-ppm = 6000, min = 1, max = 50 }
";

async fn wallet(till: &Till, code: u64, minor: i64) -> String {
    let payment = till.client.ready(minor).await.unwrap();
    payment.pay_code(&wallet_code(code)).await.unwrap();
    payment.wait(&["paid"]).await.unwrap();
    payment.id()
}

async fn report(till: &Till, batch: u32) -> (Vec<FeeRow>, Vec<FeeDifferenceRow>) {
    till.settlement().await.fee_report(batch, Options::new()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn s67_fees_that_were_charged_are_compared_with_the_forecast_open_killed_and_closed() {
    let mut till = Till::open(TERMS).await;
    till.rig.gateway.answer_profile(None, Some(6_000));
    wallet(&till, 1, 10_000).await;
    // A fen more is how a network rounds.
    till.rig.gateway.answer_profile(None, Some(6_100));
    wallet(&till, 2, 10_000).await;
    till.rig.gateway.answer_profile(None, Some(13_800));
    let dear = wallet(&till, 3, 10_000).await;
    till.rig.gateway.answer_profile(None, None);
    wallet(&till, 4, 5_000).await;
    till.card(10_000).await;
    let voided = till.card(1_000).await;
    till.leg(&voided, "void", 0).await;
    till.cash(300).await;

    let (lines, unlike) = report(&till, 1).await;
    let line = |channel: &str| lines.iter().find(|l| l.channel == channel).unwrap();
    let alipay = line("alipay");
    assert_eq!((alipay.sales, alipay.amount), (4, 35_000));
    assert_eq!((alipay.forecast_sales, alipay.forecast_amount, alipay.forecast), (4, 35_000, 210));
    assert_eq!((alipay.charged_sales, alipay.charged_amount, alipay.charged), (3, 30_000, 60 + 61 + 138));
    assert_eq!((alipay.compared, alipay.difference, alipay.unlike), (3, 79, 1));
    let bank = line("bankcard");
    assert_eq!((bank.sales, bank.forecast_sales, bank.forecast, bank.voids), (1, 1, 50, 1), "{bank:?}");
    assert_eq!((bank.charged_sales, bank.charged, bank.compared), (0, 0, 0), "it does not tell");
    let cash = line("cash");
    assert_eq!((cash.sales, cash.amount, cash.forecast_sales, cash.forecast), (1, 300, 0, 0));
    let named = |u: &FeeDifferenceRow| (u.payment.clone(), u.amount, u.forecast, u.charged);
    assert_eq!(unlike.iter().map(named).collect::<Vec<_>>(), [(dear, 10_000, 60, 138)]);
    let told = (lines, unlike);

    // Other terms from now on: what was forecast was forecast.
    let config = till.rig.dir.join("tilld.toml");
    let terms = fs::read_to_string(&config).unwrap();
    let cheaper = terms.replace("fee = { rate-ppm = 6000 }", "fee = { rate-ppm = 2000 }");
    assert_ne!(cheaper, terms);
    fs::write(&config, cheaper).unwrap();
    till.rig.kill_till();
    till.start().await;
    assert_eq!(report(&till, 1).await, told, "after a kill");
    till.close().await;
    till.wait_closed(1).await;
    assert_eq!(report(&till, 1).await, told, "closed: from the journal alone");
    till.cash(200).await;
    till.rig.kill_till();
    till.start().await;
    assert_eq!(report(&till, 1).await, told, "closed, and after a kill");
    let (open, none) = report(&till, 2).await;
    assert_eq!((open.len(), none.len()), (1, 0));

    let settlement = till.settlement().await;
    let none = settlement.fee_report(1, [("limit", 0_u32.into())].into()).await.unwrap();
    assert_eq!((none.0, none.1.len()), (told.0, 0), "sums do not depend on how many are named");
    let later = settlement.fee_report(3, Options::new()).await;
    assert!(matches!(later, Err(Error::NotFound(_))), "{later:?}");
    let wrong = settlement.fee_report(1, by("li")).await;
    assert!(matches!(wrong, Err(Error::InvalidArgs(_))), "{wrong:?}");
    till.rest().await;
}
