//! Channels that are suspended, by people (S11) and because an answer is not what was agreed (S15), through a whole tilld.
#![allow(clippy::unwrap_used)] // in helpers too: what fails there fails the test

use till_dbus::events::{Change, Event};
use till_dbus::types::SuspensionRow;
use till_dbus::{Error, Options, Terminal1Proxy};
use till_simulators::acquirer::Profile;
use till_simulators::players::Swipe;
use till_tests::scene::{TRACKS, again, refused, until, wallet_code};
use till_tests::{Client, Rig, RigOptions, Watch};

const AGREED: &str = r#"
[channel.bankcard.agreed]
merchant-name = "老王茶馆"
mcc = "5812"
[channel.alipay.agreed]
merchant-name = "老王茶馆（一店）"
rate-ppm = 6000
"#;

fn li() -> Options<'static> {
    [("operator", "li".into())].into()
}

async fn terminal(client: &Client) -> Terminal1Proxy<'static> {
    Terminal1Proxy::new(client.connection()).await.unwrap()
}

async fn acts(client: &Client) -> Vec<SuspensionRow> {
    terminal(client).await.list_suspensions(Options::new()).await.unwrap()
}

/// The channel is in this state as clients see it.
async fn is(client: &Client, channel: &str, state: &str) -> String {
    let at = || async {
        let (now, reason) = client.channel(channel).await.ok()?;
        (now == state).then_some(reason)
    };
    until(&format!("{channel} is {state}"), at).await.unwrap()
}

async fn ready(client: &Client) {
    is(client, "alipay", "ready").await;
    is(client, "bankcard", "ready").await;
    let device = || async { (client.device("cardreader").await.ok()?.0 == "ready").then_some(()) };
    until("the card reader is ready", device).await.unwrap();
}

async fn pinned() -> (Rig, Client) {
    let options = RigOptions { extra_config: AGREED.into(), ..RigOptions::default() };
    let mut rig = Rig::stand(options).unwrap();
    rig.acquirer.answer_profile(Profile { name: Some("老王茶馆".into()), mcc: Some("5812".into()) });
    rig.gateway.answer_profile(Some("老王茶馆（一店）"), Some(6_000));
    rig.start_till().unwrap();
    let client = rig.wait_up().await.unwrap();
    ready(&client).await;
    (rig, client)
}

fn alarms(seen: &[Event]) -> Vec<String> {
    let text = |e: &Event| match &e.change {
        Change::Alarm { code, text, .. } if code == "pinning" => Some(text.clone()),
        _ => None,
    };
    seen.iter().filter_map(text).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn s11_a_supervisor_suspends_a_channel_and_resumes_it_over_a_kill() {
    let mut rig = Rig::start(RigOptions::default()).await.unwrap();
    let client = rig.client().await.unwrap();
    ready(&client).await;
    let watch = Watch::new(rig.bus.address()).await.unwrap();
    let till = terminal(&client).await;

    // Paid before; it must be possible to give it back.
    let before = client.ready(2_000).await.unwrap();
    before.pay_code(&wallet_code(1)).await.unwrap();
    before.wait(&["paid"]).await.unwrap();

    let unnamed = till.suspend_channel("alipay", "why not", Options::new()).await;
    assert!(matches!(unnamed, Err(Error::InvalidArgs(_))), "{unnamed:?}");
    let silent = till.suspend_channel("alipay", " ", li()).await;
    assert!(matches!(silent, Err(Error::InvalidArgs(_))), "{silent:?}");
    let unknown = till.suspend_channel("gold", "why", li()).await;
    assert!(matches!(unknown, Err(Error::NotFound(_))), "{unknown:?}");
    let none = till.resume_channel("alipay", "why", li()).await;
    assert!(matches!(none, Err(Error::NotSuspended(_))), "{none:?}");
    till.suspend_channel("alipay", "contract ended", li()).await.unwrap();
    let twice = till.suspend_channel("alipay", "again", li()).await;
    assert!(matches!(twice, Err(Error::Suspended(_))), "{twice:?}");
    assert_eq!(is(&client, "alipay", "suspended").await, "suspended: contract ended");
    let blockers = client.blockers().await.unwrap();
    let named = |(who, code, _, zh): &&(String, String, String, String)| {
        who == "alipay" && code == "channel-suspended" && zh.contains("已暂停：contract ended")
    };
    assert_eq!(blockers.iter().filter(named).count(), 1, "{blockers:?}");

    let (chosen, text, text_zh, ..) = till.what_if(1_000, "CNY", "qr-alipay", Options::new()).await.unwrap();
    assert!(chosen.is_empty() && text.contains("alipay: not: suspended: contract ended"), "{text}");
    assert!(text_zh.contains("alipay：排除：已暂停：contract ended"), "{text_zh}");

    // What was paid by it goes back by it.
    let after = till_dbus::AfterSales1Proxy::new(client.connection()).await.unwrap();
    after.refund(&before.id(), 0, li()).await.unwrap();
    let back = || async {
        let p = client.details(&before.id()).await.ok()?;
        (p.returned == Some(2_000)).then_some(())
    };
    until("the refund by the suspended channel", back).await.unwrap();

    rig.kill_till();
    rig.start_till().unwrap();
    let client = rig.wait_up().await.unwrap();
    is(&client, "bankcard", "ready").await;
    is(&client, "alipay", "suspended").await;
    let payment = client.ready(1_000).await.unwrap();
    assert_eq!(refused(payment.pay_code(&wallet_code(2)).await), "NoRoute");
    payment.pay_cash(1_000).await.unwrap();
    payment.wait(&["paid"]).await.unwrap();
    assert_eq!(rig.gateway.ledger().trades.len(), 1, "nothing went there");

    terminal(&client).await.resume_channel("alipay", "new contract", li()).await.unwrap();
    is(&client, "alipay", "ready").await;
    let next = client.ready(1_500).await.unwrap();
    next.pay_code(&wallet_code(3)).await.unwrap();
    next.wait(&["paid"]).await.unwrap();
    let told: Vec<_> =
        acts(&client).await.into_iter().map(|a| (a.what, a.by, a.reason, a.operator)).collect();
    let row = |what: &str, reason: &str| (what.into(), "person".into(), reason.into(), "li".into());
    assert_eq!(told, [row("resumed", "new contract"), row("suspended", "contract ended")]);
    let moves = watch.states("/channel/alipay");
    let suspended = moves.iter().filter(|(state, _)| state == "suspended").count();
    assert_eq!(suspended, 1, "told once: {moves:?}");
    rig.at_rest(&client).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn s15_a_wallet_that_answers_for_another_shop_is_paid_told_and_suspended_over_a_kill() {
    let (mut rig, client) = pinned().await;
    let watch = Watch::new(rig.bus.address()).await.unwrap();
    let good = client.ready(10_000).await.unwrap();
    good.pay_code(&wallet_code(1)).await.unwrap();
    good.wait(&["paid"]).await.unwrap();
    is(&client, "alipay", "ready").await;

    rig.gateway.answer_profile(Some("好运来百货"), Some(6_000));
    let jumped = client.ready(10_000).await.unwrap();
    jumped.pay_code(&wallet_code(2)).await.unwrap();
    jumped.wait(&["paid"]).await.unwrap();
    let reason = is(&client, "alipay", "suspended").await;
    assert!(reason.contains("merchant-name 老王茶馆（一店） ≠ 好运来百货"), "{reason}");
    let text = watch.wait("the alarm", |seen| alarms(seen).into_iter().next()).await.unwrap();
    for part in ["alipay is suspended", "alipay 已暂停", "merchant-name", "老王茶馆（一店）", "好运来百货"]
    {
        assert!(text.contains(part), "{part} in {text}");
    }

    // It is in the journal with the money: a kill forgets neither.
    rig.kill_till();
    rig.start_till().unwrap();
    let client = rig.wait_up().await.unwrap();
    is(&client, "bankcard", "ready").await;
    is(&client, "alipay", "suspended").await;
    assert_eq!(client.details(&jumped.id()).await.unwrap().state, "paid", "the money stands");
    let next = client.ready(3_000).await.unwrap();
    assert_eq!(refused(next.pay_code(&wallet_code(3)).await), "NoRoute");
    next.pay_cash(3_000).await.unwrap();
    next.wait(&["paid"]).await.unwrap();

    let told = acts(&client).await;
    let act = told.first().unwrap();
    assert_eq!((act.what.as_str(), act.by.as_str(), act.operator.as_str()), ("suspended", "pinning", ""));
    assert_eq!(act.payment, jumped.id());
    terminal(&client).await.resume_channel("alipay", "they corrected it", li()).await.unwrap();
    is(&client, "alipay", "ready").await;

    // A fee that no rate of ours gives is one too.
    rig.gateway.answer_profile(Some("老王茶馆（一店）"), Some(3_800));
    let dear = client.ready(10_000).await.unwrap();
    dear.pay_code(&wallet_code(4)).await.unwrap();
    dear.wait(&["paid"]).await.unwrap();
    let reason = is(&client, "alipay", "suspended").await;
    assert!(reason.contains("fee 60 ≠ 38"), "{reason}");
    rig.at_rest(&client).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn s15_an_acquirer_that_answers_with_another_mcc_is_paid_told_and_suspended_over_a_kill() {
    let (mut rig, client) = pinned().await;
    let good = client.ready(2_000).await.unwrap();
    rig.reader.swipe(&Swipe::new(TRACKS)).unwrap();
    good.wait(&["paid"]).await.unwrap();
    is(&client, "bankcard", "ready").await;

    rig.acquirer.answer_profile(Profile { name: Some("老王茶馆".into()), mcc: Some("6012".into()) });
    let jumped = client.ready(2_100).await.unwrap();
    rig.reader.swipe(&again(TRACKS)).unwrap();
    jumped.wait(&["paid"]).await.unwrap();
    // Killed as soon as anybody hears that it is paid.
    rig.kill_till();
    rig.start_till().unwrap();
    let client = rig.wait_up().await.unwrap();
    let reason = is(&client, "bankcard", "suspended").await;
    assert!(reason.contains("mcc 5812 ≠ 6012") && !reason.contains("merchant-name"), "{reason}");
    let told = || async {
        let blockers = client.blockers().await.ok()?;
        blockers.iter().any(|b| b.0 == "bankcard" && b.1 == "channel-suspended").then_some(())
    };
    until("it is told after the restart", told).await.unwrap();
    let p = client.details(&jumped.id()).await.unwrap();
    assert_eq!((p.state.as_str(), p.paid), ("paid", 2_100), "the money stands");

    let (chosen, text, _, record, _) =
        terminal(&client).await.what_if(2_200, "CNY", "card-stripe", Options::new()).await.unwrap();
    assert!(chosen.is_empty() && text.contains("mcc 5812 ≠ 6012"), "{text}");
    assert_eq!(record.matches("Suspended").count(), 1, "{record}");
    rig.at_rest(&client).await.unwrap();
}
