//! Who is named neither in the configuration nor by polkit can do nothing with money and read nothing of it.
//!
//! The private bus of the tests enforces no policy, so what is refused here is refused by tilld itself; the bus's own
//! part, and the real polkitd, are in tests/container.
//!
//! Needs root: a second process of this test gives its rights up and calls the till as user 65534.
#![allow(clippy::unwrap_used)] // in helpers too: what fails there fails the test

use std::collections::BTreeSet;

use till_dbus::contract::all;
use till_tests::polkit::{Polkit, Said};
use till_tests::stranger::{self, Order, everything, has_a_stranger};
use till_tests::{Rig, RigOptions};

const ROOT: &str = "/org/tilld/Till1";
const TERMINAL: &str = "org.tilld.Terminal1";
/// A channel that keeps cards, so that there is an object of every interface.
const PREPAID: &str = r#"
[payment]
cards = [{ family = "prepaid", prefix = "8600", min-length = 16, max-length = 16 }]

[channel.prepaid]
plugin = "org.tilld.prepaid"
secrets = { card_key = "prepaid-card-key" }
settings = { prefixes = ["8600"] }
"#;

/// Not a test of its own: what the stranger does, in a process of its own.
#[tokio::test(flavor = "multi_thread")]
async fn stranger() {
    stranger::act().await.unwrap();
}

fn not_root() -> bool {
    let not = !rustix::process::geteuid().is_root();
    if not {
        println!("skipped: needs root to become another user");
    }
    not
}

fn terminal(member: &str) -> Order {
    Order::Call(ROOT.into(), TERMINAL.into(), member.into())
}

fn state() -> Order {
    Order::Get(ROOT.into(), TERMINAL.into(), "State".into())
}

/// The error's name without its prefix.
fn name(answer: &str) -> &str {
    let name = answer.split([' ', ':']).next().unwrap_or_default();
    name.strip_prefix("org.tilld.Error.").unwrap_or(name)
}

#[tokio::test(flavor = "multi_thread")]
async fn c16_a_user_whom_nobody_named_moves_no_money_and_reads_nothing_by_any_member() {
    if not_root() {
        return;
    }
    let rig = Rig::start(RigOptions { extra_config: PREPAID.into(), ..RigOptions::default() }).await.unwrap();
    let client = rig.client().await.unwrap();
    let payment = client.ready(1_000).await.unwrap();
    let (orders, found) = everything(&client).await.unwrap();
    let contract: BTreeSet<String> = all().unwrap().into_iter().map(|i| i.name).collect();
    assert_eq!(found, contract, "an interface that no object here has is not tried");
    let answers = has_a_stranger(&rig, &orders).await.unwrap();
    let let_in: Vec<_> = answers
        .iter()
        .filter(|(order, answer)| match order {
            // No property can be written by anybody.
            Order::Set(..) => answer.starts_with("ok"),
            // Answered by the library, which has standard errors only.
            Order::GetAll(..) => name(answer) != "org.freedesktop.DBus.Error.AccessDenied",
            _ => name(answer) != "NotAuthorized",
        })
        .collect();
    assert!(let_in.is_empty(), "not refused: {let_in:#?}");
    assert!(answers.len() > 150, "only {} were tried", answers.len());
    assert_eq!(payment.state().await.unwrap(), "ready");
    assert_eq!(client.all_payments().await.unwrap().len(), 1);
    assert_eq!(client.current_channel().await.unwrap(), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn polkit_adds_what_its_rules_grant_and_a_person_is_asked_only_where_the_caller_allows_it() {
    if not_root() {
        return;
    }
    let rig = Rig::start(RigOptions::default()).await.unwrap();
    let polkit = Polkit::start(rig.bus.address()).await.unwrap();
    let asking = |member: &str| Order::CallAsking(ROOT.into(), TERMINAL.into(), member.into());

    // It runs and grants nothing: as without it.
    let orders = [Order::Managed, state(), terminal("OpenPayment"), terminal("OpenDrawer")];
    for (order, answer) in has_a_stranger(&rig, &orders).await.unwrap() {
        assert_eq!(name(&answer), "NotAuthorized", "{order:?}");
        assert!(answer.contains("polkit rule"), "the fix: {answer}");
    }
    let asked = polkit.asked();
    let actions: Vec<&str> = asked.iter().map(|q| q.action.as_str()).collect();
    assert_eq!(actions, ["org.tilld.view", "org.tilld.view", "org.tilld.sell", "org.tilld.open-drawer"]);
    for question in &asked {
        // A process id could be somebody else's by now.
        assert_eq!(question.subject.0, "system-bus-name");
        assert!(question.subject.1.starts_with(':'), "{question:?}");
        assert!(!question.interactive, "{question:?}");
    }
    assert_eq!(asked[2].details["member"], "OpenPayment");
    assert_eq!(asked[2].details["interface"], TERMINAL);
    assert_eq!(asked[2].details["path"], ROOT);

    // What is granted, and no more.
    polkit.say("org.tilld.view", Said::Yes);
    polkit.say("org.tilld.sell", Said::Yes);
    polkit.say("org.tilld.open-drawer", Said::Password);
    let orders = [
        Order::Managed,
        state(),
        terminal("OpenPayment"),
        terminal("SetTraining"),
        terminal("OpenDrawer"),
        asking("OpenDrawer"),
    ];
    let answers: Vec<String> =
        has_a_stranger(&rig, &orders).await.unwrap().into_iter().map(|a| a.1).collect();
    assert_eq!(answers[..3], ["ok", "ok", "ok"]);
    assert_eq!(name(&answers[3]), "NotAuthorized", "{}", answers[3]);
    assert_eq!(name(&answers[4]), "NotAuthorized", "{}", answers[4]);
    assert!(answers[4].contains("authenticates"), "it says that a password is wanted: {}", answers[4]);
    assert_ne!(name(&answers[5]), "NotAuthorized", "somebody gave the password: {}", answers[5]);
    let asked = polkit.asked();
    assert_eq!(asked.iter().filter(|q| q.interactive).count(), 1);
    assert!(asked.iter().all(|q| q.interactive != q.name.is_empty()), "only a dialogue can be taken back");
    let client = rig.client().await.unwrap();
    assert_eq!(client.all_payments().await.unwrap().len(), 1);

    // Gone again: not more than before it came.
    drop(polkit);
    for (order, answer) in has_a_stranger(&rig, &[Order::Managed, terminal("OpenPayment")]).await.unwrap() {
        assert_eq!(name(&answer), "NotAuthorized", "{order:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_polkit_that_the_integrator_does_not_want_is_not_asked_whatever_it_would_grant() {
    if not_root() {
        return;
    }
    let extra_config = "\n[access]\npolkit = false\n".into();
    let rig = Rig::start(RigOptions { extra_config, ..RigOptions::default() }).await.unwrap();
    let polkit = Polkit::start(rig.bus.address()).await.unwrap();
    for action in ["org.tilld.view", "org.tilld.sell", "org.tilld.open-drawer"] {
        polkit.say(action, Said::Yes);
    }
    let orders = [Order::Managed, state(), terminal("OpenPayment"), terminal("OpenDrawer")];
    for (order, answer) in has_a_stranger(&rig, &orders).await.unwrap() {
        assert_eq!(name(&answer), "NotAuthorized", "{order:?}");
        assert!(answer.contains("access.") && !answer.contains("polkit rule"), "the fix: {answer}");
    }
    assert_eq!(polkit.asked(), []);
    assert!(rig.client().await.unwrap().all_payments().await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_polkit_that_never_answers_costs_a_bounded_time_and_no_sale() {
    if not_root() {
        return;
    }
    let rig = Rig::start(RigOptions::default()).await.unwrap();
    let polkit = Polkit::start(rig.bus.address()).await.unwrap();
    for action in ["org.tilld.view", "org.tilld.sell", "org.tilld.open-drawer"] {
        polkit.say(action, Said::Silence);
    }
    let client = rig.client().await.unwrap();
    let sale = async {
        for _ in 0..3 {
            let payment = client.ready(1_000).await.unwrap();
            payment.pay_cash(1_000).await.unwrap();
            payment.wait(&["paid"]).await.unwrap();
        }
    };
    // While the stranger waits, in methods and in the properties that the tree is held for.
    let orders = [state(), terminal("OpenDrawer"), Order::Managed, state(), terminal("OpenPayment")];
    let ((), answers) = tokio::join!(sale, has_a_stranger(&rig, &orders));
    for (order, answer) in answers.unwrap() {
        assert_eq!(name(&answer), "Timeout", "{order:?}");
        assert!(answer.contains("systemctl restart polkit"), "the fix: {answer}");
    }
    assert_eq!(client.all_payments().await.unwrap().len(), 3, "nobody was let in");
}
