//! A code that the till shows (S20), through WeChat Pay and UnionPay QR: the customer pays before the till first asks, after it, or
//! never. No notification reaches a till behind NAT, and none is needed: each ends by query, and the books agree.
#![allow(clippy::unwrap_used, clippy::panic)] // in helpers too: what fails there fails the test

use till_simulators::faults::{Fault, Plan, Rule};
use till_simulators::{unionpay, wechatpay};
use till_tests::scene::until;
use till_tests::wall::Wall;
use till_tests::wallets::Wallets;
use till_tests::{Client, PaymentClient, Rig, RigOptions};

use Wallet::{UnionPay, WeChat};

/// How long a code of UnionPay's can be paid, seconds: the shortest that can be set.
const SHOWN_S: i64 = 10;

/// Whose code is shown; also the name of its channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wallet {
    WeChat,
    UnionPay,
}

impl Wallet {
    const fn channel(self) -> &'static str {
        match self {
            WeChat => "wechat",
            UnionPay => "unionpay",
        }
    }
}

/// A till with both wallets.
struct Shop {
    rig: Rig,
    wallets: Wallets,
}

async fn shop(options: RigOptions) -> (Shop, Client) {
    let wallets = Wallets::start().unwrap();
    // WeChat Pay gives no code to a merchant without an address for notifications; nobody is there.
    let shown = |more: &str, setting: &str| format!("{more}\n{setting}");
    let extra_config = wallets
        .config()
        .replace("follow_until_ms", &shown(&format!("show_s = {SHOWN_S}"), "follow_until_ms"))
        .replace(
            "refund_until_ms",
            &shown("notify_url = \"https://till.invalid/notify\"", "refund_until_ms"),
        );
    let mut rig = Rig::stand(RigOptions { extra_config, ..options }).unwrap();
    wallets.put(&rig).unwrap();
    rig.start_till().unwrap();
    let client = rig.wait_ready().await.unwrap();
    (Shop { rig, wallets }, client)
}

impl Shop {
    fn faults(&self, wallet: Wallet) -> &Plan {
        match wallet {
            WeChat => self.wallets.wechat.faults(),
            UnionPay => self.wallets.unionpay.faults(),
        }
    }

    fn scan(&self, wallet: Wallet, order: &str) -> bool {
        match wallet {
            WeChat => self.wallets.wechat.scan(order),
            UnionPay => self.wallets.unionpay.scan(order),
        }
    }

    /// How often the wallet answered what became of that order.
    fn asked(&self, wallet: Wallet, order: &str) -> usize {
        match wallet {
            WeChat => {
                let ledger = self.wallets.wechat.ledger();
                let asked = |seen: &&wechatpay::Seen| seen.number.as_deref() == Some(order);
                ledger.requests_of("query").filter(asked).filter(|seen| seen.answer.is_some()).count()
            }
            UnionPay => {
                let ledger = self.wallets.unionpay.ledger();
                let asked = |seen: &&unionpay::Seen| seen.order_id.as_deref() == Some(order);
                ledger.requests_of("query").filter(asked).filter(|seen| seen.code.is_some()).count()
            }
        }
    }

    /// What the merchant has, as the wallet's books say.
    fn kept(&self, wallet: Wallet) -> i64 {
        match wallet {
            WeChat => self.wallets.wechat.ledger().kept,
            UnionPay => self.wallets.unionpay.ledger().kept,
        }
    }

    /// At rest; every order is worth to its wallet what the till says of it, and no wallet has more.
    async fn agreed(&self, client: &Client) {
        let books = self.rig.at_rest(client).await.unwrap();
        for wallet in [WeChat, UnionPay] {
            let mut ours = 0;
            for payment in &books.payments {
                let of_it = payment.attempts.iter().filter(|a| a.channel == wallet.channel());
                for attempt in of_it.filter(|a| a.state == "approved") {
                    let order = attempt.order.as_deref().unwrap();
                    let theirs = match wallet {
                        WeChat => self.wallets.wechat.ledger().trade(order).map(|t| t.total),
                        UnionPay => self.wallets.unionpay.ledger().trade(order).map(|t| t.amount),
                    };
                    assert_eq!(theirs, Some(payment.amount), "{wallet:?}, order {order}");
                    ours += payment.amount;
                }
            }
            assert_eq!(ours, self.kept(wallet), "{wallet:?}: the books differ");
        }
    }
}

/// What a front-end sees in the end: the payment's state, its attempts' and what is still due.
async fn end(client: &Client, payment: &PaymentClient) -> (String, Vec<(String, String)>, i64) {
    let told = client.details(&payment.id()).await.unwrap();
    let attempts = told.attempts.iter().map(|a| (a.channel.clone(), a.state.clone())).collect();
    (told.state, attempts, told.amount)
}

fn usual() -> RigOptions {
    RigOptions::default()
}

#[tokio::test(flavor = "multi_thread")]
async fn s20_paid_before_or_after_the_first_question_ends_alike() {
    let (shop, client) = shop(usual()).await;
    for wallet in [WeChat, UnionPay] {
        // Questions lie on their way until the customer has paid.
        shop.faults(wallet).add(Rule::once("query", Fault::HoldBooking {}).always()).unwrap();
        let before = client.ready(1_200).await.unwrap();
        let order = before.show_code(wallet.channel()).await.unwrap();
        assert_eq!(shop.asked(wallet, &order), 0, "{wallet:?} has answered a question already");
        assert!(shop.scan(wallet, &order));
        shop.faults(wallet).clear();
        shop.faults(wallet).release();
        assert_eq!(before.wait(&["paid"]).await.unwrap(), "paid", "{wallet:?}");

        // Here the till has asked, and heard that nobody paid.
        let after = client.ready(1_200).await.unwrap();
        let order = after.show_code(wallet.channel()).await.unwrap();
        until("a question is answered", async || (shop.asked(wallet, &order) > 0).then_some(()))
            .await
            .unwrap();
        assert!(shop.scan(wallet, &order));
        assert_eq!(after.wait(&["paid"]).await.unwrap(), "paid", "{wallet:?}");

        let expected = ("paid".to_owned(), vec![(wallet.channel().to_owned(), "approved".to_owned())], 1_200);
        assert_eq!(end(&client, &before).await, expected);
        assert_eq!(end(&client, &after).await, expected);
        assert_eq!(shop.kept(wallet), 2_400);
        shop.agreed(&client).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn s20_paid_while_the_till_is_dead_is_found_by_the_question_behind_the_start() {
    let (mut shop, mut client) = shop(usual()).await;
    for wallet in [WeChat, UnionPay] {
        let payment = client.ready(2_300).await.unwrap();
        let order = payment.show_code(wallet.channel()).await.unwrap();
        let id = payment.id();
        shop.rig.kill_till();
        assert!(shop.scan(wallet, &order));
        drop(client);
        shop.rig.start_till().unwrap();
        client = shop.rig.wait_ready().await.unwrap();
        let paid = async || (client.details(&id).await.ok()?.state == "paid").then_some(());
        until("the payment of before the kill is paid", paid).await.unwrap();
        assert_eq!(shop.kept(wallet), 2_300, "{wallet:?}");
        shop.agreed(&client).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn s20_a_wechat_code_that_nobody_pays_is_closed_and_one_paid_at_the_last_moment_goes_back() {
    let (shop, client) = shop(usual()).await;
    let payment = client.ready(1_200).await.unwrap();
    let order = payment.show_code("wechat").await.unwrap();
    assert_eq!(payment.wait_attempt(&["approved", "reversed"]).await.unwrap(), "reversed");
    assert_eq!(payment.wait(&["ready"]).await.unwrap(), "ready");
    assert_eq!(shop.wallets.wechat.ledger().trade(&order).unwrap().state, wechatpay::State::Closed);
    assert!(!shop.scan(WeChat, &order), "a code that was closed can be scanned");

    // Paid between the last question and the close, which lies on its way until then.
    shop.faults(WeChat).add(Rule::once("close", Fault::HoldBooking {})).unwrap();
    let order = payment.show_code("wechat").await.unwrap();
    until("the close is on its way", async || {
        shop.faults(WeChat).fired().iter().any(|f| f.on == "close").then_some(())
    })
    .await
    .unwrap();
    assert!(shop.scan(WeChat, &order));
    shop.faults(WeChat).release();
    assert_eq!(payment.wait_attempt(&["approved", "reversed"]).await.unwrap(), "reversed");
    assert_eq!(
        (shop.kept(WeChat), shop.wallets.wechat.ledger().trade(&order).unwrap().refunds.len()),
        (0, 1)
    );
    payment.cancel().await.unwrap();
    shop.agreed(&client).await;
}

/// UnionPay cannot close a code: it ends by its time, and a minute later nothing can be on its way any more. The time is the test's.
#[tokio::test(flavor = "multi_thread")]
async fn s20_a_unionpay_code_that_nobody_pays_ends_by_its_time_and_one_paid_at_the_last_moment_goes_back() {
    let dir = tempfile::tempdir().unwrap();
    let wall = Wall::new(dir.path());
    let options = RigOptions { env: wall.env(), plugin_host: Some(wall.host()), ..usual() };
    let (shop, client) = shop(options).await;
    let pass = |seconds: i64, all: i64| {
        wall.ahead(all);
        shop.wallets.unionpay.advance(std::time::Duration::from_secs(seconds.unsigned_abs()));
    };
    let payment = client.ready(1_200).await.unwrap();
    let order = payment.show_code("unionpay").await.unwrap();
    // The till has given up asking, and waits for the end of the code.
    payment.wait_attempt(&["reversing"]).await.unwrap();
    pass(SHOWN_S + 1, SHOWN_S + 1);
    assert!(!shop.scan(UnionPay, &order), "a code whose time is over can be scanned");
    let asked = shop.asked(UnionPay, &order);
    until("it is asked about again", async || (shop.asked(UnionPay, &order) > asked + 1).then_some(()))
        .await
        .unwrap();
    let told = client.details(&payment.id()).await.unwrap();
    assert_eq!(told.attempts.last().unwrap().state, "reversing", "over while a payment could be on its way");
    pass(60, SHOWN_S + 62);
    assert_eq!(payment.wait_attempt(&["approved", "reversed"]).await.unwrap(), "reversed");
    // Nobody was kept waiting for that: the end was found out in the background.
    assert_eq!(payment.wait(&["ready", "cancelled"]).await.unwrap(), "cancelled");
    assert_eq!(shop.kept(UnionPay), 0);

    // Paid when the till has given up asking: it goes back, once.
    let payment = client.ready(1_200).await.unwrap();
    let order = payment.show_code("unionpay").await.unwrap();
    payment.wait_attempt(&["reversing"]).await.unwrap();
    assert!(shop.scan(UnionPay, &order));
    assert_eq!(payment.wait_attempt(&["approved", "reversed"]).await.unwrap(), "reversed");
    let back = shop.wallets.unionpay.ledger();
    assert_eq!(back.trades.iter().filter(|t| t.kind == unionpay::Kind::Refund).count(), 1);
    assert_eq!(shop.kept(UnionPay), 0);
    payment.cancel().await.unwrap();
    shop.agreed(&client).await;
}
