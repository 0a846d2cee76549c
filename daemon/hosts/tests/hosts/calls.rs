//! Calls: turns, timeouts, cancels; and what is certain about each that fails.

use std::time::Duration;

use till_hosts::till_plugin::channel::{AttemptIds, Authorise, Outcome, Prepared};
use till_hosts::till_plugin::instrument::Instrument;
use till_hosts::till_plugin::proto::method;
use till_hosts::till_plugin::{Currency, Extra, Money, Sensitive};
use till_hosts::{ChannelClient, FailureKind, HostError};

use crate::bench::{Bench, CALL, GOOD_CHANNEL, failure, within};

pub(crate) fn authorise(subject: &str) -> Authorise {
    let amount = Money::new(12_850, Currency::CNY);
    Authorise {
        ids: AttemptIds {
            payment: [1; 16],
            attempt: 1,
            trace: 42,
            batch: 1,
            order: "T0000000042".into(),
            wall_ms: 1_767_323_045_000,
        },
        hold: false,
        amount,
        instrument: Instrument::Cash { tendered: amount },
        subject: subject.into(),
        operator: None,
        pin_block: None,
        extra: Extra::new(),
    }
}

fn prepared() -> Prepared {
    Prepared { recovery: Sensitive::new(vec![1, 2, 3]), masked: String::new() }
}

async fn channel(settings: &str) -> (Bench, ChannelClient, till_hosts::Events) {
    let bench = Bench::new(&["goodchannel"]);
    let (instance, events) = bench.ready(bench.spec("channel", GOOD_CHANNEL, settings)).await;
    (bench, ChannelClient::new(instance), events)
}

#[tokio::test]
async fn a_sale_is_prepared_and_authorised() {
    let (_bench, client, _events) = channel("").await;
    let request = authorise("tea");
    let prepared = client.prepare(&request, CALL).await.unwrap().unwrap();
    assert_eq!(prepared.recovery.expose(), b"tea");
    let Outcome::Approved(approval) = client.authorise(&request, &prepared, CALL).await.unwrap() else {
        panic!("not approved")
    };
    assert_eq!(approval.amount, request.amount);
}

#[tokio::test]
async fn a_host_that_dies_in_an_authorisation_leaves_it_unknown_and_comes_back() {
    let (_bench, client, mut events) = channel("dies = true").await;
    let error = client.authorise(&authorise("tea"), &prepared(), CALL).await.unwrap_err();
    assert!(matches!(error, HostError::Died { .. }), "{error}");
    assert!(matches!(error.as_outcome(), Outcome::Unknown(_)));
    assert_eq!(failure(&mut events).await.kind, FailureKind::Exited(9));
    within(client.instance().ready()).await.unwrap();
    // A call that needs no network still works.
    client.prepare(&authorise("tea"), CALL).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_call_that_never_got_its_turn_certainly_did_nothing() {
    let (_bench, client, _events) = channel("takes_ms = 1000").await;
    let slow = client.begin_authorise(&authorise("slow"), &prepared(), CALL).unwrap();
    let error = client.probe(Duration::from_millis(100)).await.unwrap_err();
    assert!(matches!(error, HostError::Busy { .. }), "{error}");
    assert!(matches!(error.as_outcome(), Outcome::NotSent(_)));
    // The slow one was not disturbed.
    assert!(matches!(within(slow.wait()).await.unwrap(), Outcome::Approved(_)));
}

#[tokio::test]
async fn calls_that_wait_when_the_host_dies_certainly_did_nothing_and_the_running_one_is_unknown() {
    let (_bench, client, _events) = channel("takes_ms = 300\ndies = true").await;
    let running = client.begin_authorise(&authorise("one"), &prepared(), CALL).unwrap();
    let waiting = client.begin_authorise(&authorise("two"), &prepared(), CALL).unwrap();
    let (running, waiting) = (
        within(running.wait::<Outcome>()).await.unwrap_err(),
        within(waiting.wait::<Outcome>()).await.unwrap_err(),
    );
    assert!(!running.nothing_happened(), "{running}");
    assert!(waiting.nothing_happened(), "{waiting}");
}

#[tokio::test]
async fn a_cancelled_call_ends_early_with_its_own_outcome() {
    let (_bench, client, _events) = channel("takes_ms = 60000").await;
    let mut call = client.begin_authorise(&authorise("slow"), &prepared(), Duration::from_secs(90)).unwrap();
    call.cancel();
    // The plugin's sleep ends early; what it then says is its own business, and it is not lost.
    match within(call.wait::<Outcome>()).await {
        Ok(Outcome::Approved(_)) | Err(HostError::Cancelled { .. }) => {}
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_cancelled_call_that_waits_is_never_sent() {
    let (_bench, client, _events) = channel("takes_ms = 300").await;
    let running = client.begin_authorise(&authorise("one"), &prepared(), CALL).unwrap();
    let mut waiting = client.begin_authorise(&authorise("two"), &prepared(), CALL).unwrap();
    waiting.cancel();
    let error = within(waiting.wait::<Outcome>()).await.unwrap_err();
    assert!(matches!(error, HostError::Cancelled { .. }) && error.nothing_happened(), "{error}");
    assert!(matches!(within(running.wait().await_outcome()).await, Outcome::Approved(_)));
}

trait AwaitOutcome {
    async fn await_outcome(self) -> Outcome;
}

impl<F: Future<Output = Result<Outcome, HostError>>> AwaitOutcome for F {
    async fn await_outcome(self) -> Outcome {
        self.await.unwrap()
    }
}

#[tokio::test]
async fn a_method_that_the_plugin_does_not_have_did_nothing() {
    let (_bench, client, _events) = channel("").await;
    let error = client.instance().call::<_, ()>(0x7777, &(), CALL).await.unwrap_err();
    assert!(error.nothing_happened(), "{error}");
    assert!(error.to_string().contains("0x7777"), "{error}");
}

#[tokio::test]
async fn a_request_that_cannot_be_decoded_did_nothing_and_a_wrong_reply_is_unknown() {
    let (_bench, client, _events) = channel("").await;
    let instance = client.instance();
    let error = instance.call::<_, Outcome>(method::AUTHORISE_1, &7_u8, CALL).await.unwrap_err();
    assert!(error.nothing_happened(), "{error}");
    let error = instance.call::<_, Vec<u64>>(method::DESCRIBE_1, &(), CALL).await.unwrap_err();
    assert!(matches!(error, HostError::BadReply { .. }) && !error.nothing_happened(), "{error}");
}

#[tokio::test]
async fn a_request_that_is_too_big_is_not_sent_and_breaks_nothing() {
    let (_bench, client, _events) = channel("").await;
    let error = client.prepare(&authorise(&"x".repeat(300_000)), CALL).await.unwrap_err();
    assert!(matches!(error, HostError::TooBig { .. }) && error.nothing_happened(), "{error}");
    // The biggest that fits goes both ways.
    let big = "x".repeat(250_000);
    let prepared = client.prepare(&authorise(&big), CALL).await.unwrap().unwrap();
    assert_eq!(prepared.recovery.expose().len(), big.len());
}

#[tokio::test]
async fn an_idle_plugin_that_polls_without_waiting_does_not_spin() {
    let (_bench, client, _events) = channel("").await;
    let pid = client.instance().status().host.unwrap().pid;
    let cpu = || {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        let fields: Vec<u64> =
            stat.rsplit(") ").next().unwrap().split(' ').filter_map(|f| f.parse().ok()).collect();
        // Fields 14 and 15 of proc(5), counted after the name and the state letter.
        fields[10] + fields[11]
    };
    let before = cpu();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let ticks = cpu() - before;
    assert!(ticks <= 10, "{ticks} hundredths of a second of processor time in one idle second");
}
