//! A machine that is about to sleep waits for the answer of a payment that is on its way.

use std::time::{Duration, Instant};

use till_simulators::faults::{Fault, Rule};
use till_simulators::players::Scan;
use till_tests::login1::Login1;
use till_tests::scene::{PATIENCE, until, wallet_code};
use till_tests::{Rig, RigOptions};
use tokio::time::timeout;

#[tokio::test(flavor = "multi_thread")]
async fn sleep_is_delayed_from_the_request_to_its_answer_and_not_between_sales() {
    let options = RigOptions { wallet_exchange_ms: 20_000, ..RigOptions::default() };
    let rig = Rig::start(options).await.unwrap();
    let client = rig.client().await.unwrap();

    // No logind on this machine: nothing waits for it.
    let payment = client.ready(900).await.unwrap();
    rig.scanner.scan(&Scan::new(wallet_code(1))).unwrap();
    payment.wait(&["paid"]).await.unwrap();

    let mut logind = Login1::start(rig.bus.address()).await.unwrap();
    for (number, customer) in [(1, 2), (2, 3)] {
        rig.gateway.faults().add(Rule::once("alipay.trade.pay", Fault::HoldReply {})).unwrap();
        let payment = client.ready(1_000).await.unwrap();
        rig.scanner.scan(&Scan::new(wallet_code(customer))).unwrap();
        let lock = timeout(PATIENCE, logind.taken()).await.expect("a lock is taken").unwrap();
        let (what, who, _, mode) = lock.asked.clone();
        assert_eq!((what.as_str(), who.as_str(), mode.as_str()), ("sleep", "tilld", "delay"));
        assert!(rig.gateway.faults().wait_fired(number, Duration::from_secs(15)));
        rig.gateway.faults().release();
        payment.wait(&["paid"]).await.unwrap();
        timeout(PATIENCE, lock.released()).await.expect("and given back").unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_till_that_is_stopped_parks_the_payment_within_its_stop_timeout_and_resolves_it_after() {
    let options = RigOptions { wallet_exchange_ms: 20_000, ..RigOptions::default() };
    let mut rig = Rig::start(options).await.unwrap();
    let client = rig.client().await.unwrap();
    rig.gateway.faults().add(Rule::once("alipay.trade.pay", Fault::HoldReply {})).unwrap();
    let payment = client.ready(1_000).await.unwrap();
    let id = payment.id();
    rig.scanner.scan(&Scan::new(wallet_code(7))).unwrap();
    assert!(rig.gateway.faults().wait_fired(1, Duration::from_secs(15)));

    let asked = Instant::now();
    assert!(rig.stop_till(), "it ends in order, the answer still out");
    // `TimeoutStopSec` of the unit: then it would be killed.
    assert!(asked.elapsed() < Duration::from_mins(1));
    // The customer's money is gone by now, and the till that comes back finds that out.
    rig.start_till().unwrap();
    let client = rig.wait_ready().await.unwrap();
    let settled = || async {
        let attempt = client.details(&id).await.ok()?.attempts.pop()?;
        matches!(attempt.state.as_str(), "approved" | "reversed").then_some(())
    };
    until("the payment that was parked is resolved", settled).await.unwrap();
    rig.books(&client).await.unwrap();
}
