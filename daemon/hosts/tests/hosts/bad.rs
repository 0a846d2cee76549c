//! Every misdeed costs the plugin that does it, and nobody else.

use std::time::Duration;

use till_hosts::till_plugin::ErrorCode;
use till_hosts::till_plugin::channel::Outcome;
use till_hosts::till_plugin::driver::HealthLevel;
use till_hosts::{DriverClient, Events, Failure, FailureKind, HostError, Instance, InstanceEvent};

use crate::bench::{BAD, Bench, CALL, assert_presentable, failure, until, within};

struct Pair {
    bench: Bench,
    good: Instance,
    _good_events: Events,
    bad: Instance,
    events: Events,
}

/// A bad instance beside a good one.
async fn pair(how: &str, when: &str) -> Pair {
    let bench = Bench::new(&["good", "bad"]);
    let (good, good_events) = bench.good().await;
    let spec = bench.spec("bad", BAD, &format!("how = '{how}'\nwhen = '{when}'"));
    let (bad, events) = bench.supervisor.start(spec).unwrap();
    Pair { bench, good, _good_events: good_events, bad, events }
}

impl Pair {
    /// The good one answers as before, from the same process.
    async fn good_answers(&self) {
        let client = DriverClient::new(self.good.clone());
        let health = within(client.health(HealthLevel::Internal, CALL)).await.unwrap();
        assert_eq!(health.text, "I am good");
        assert_eq!(self.good.status().starts, 1);
    }

    async fn misdeed(&self, timeout: Duration) -> HostError {
        self.bad.ready().await.unwrap();
        let client = DriverClient::new(self.bad.clone());
        within(client.health(HealthLevel::Internal, timeout)).await.unwrap_err()
    }
}

/// A misdeed in a call: the caller is told "unknown", the failure is typed, the good one answers.
async fn in_call(how: &str, kind: FailureKind) -> Failure {
    let mut pair = pair(how, "call").await;
    let error = pair.misdeed(Duration::from_secs(5)).await;
    assert!(!error.nothing_happened(), "{how}: {error}");
    assert!(matches!(error.as_outcome(), Outcome::Unknown(_)), "{how}: a money call must be unknown");
    pair.good_answers().await;
    let failure = failure(&mut pair.events).await;
    assert_presentable(&failure, kind);
    // And it is back.
    within(pair.bad.ready()).await.unwrap();
    drop(pair.bench);
    failure
}

#[tokio::test]
async fn panic_in_a_call_is_an_error_with_its_place_and_without_its_text() {
    let mut pair = pair("panic", "call").await;
    let error = pair.misdeed(CALL).await;
    let HostError::Refused { error: ref said, .. } = error else { panic!("{error}") };
    assert_eq!(said.code, ErrorCode::Panicked);
    assert!(matches!(error.as_outcome(), Outcome::Unknown(_)));
    let failure = failure(&mut pair.events).await;
    assert_presentable(&failure, FailureKind::Panicked);
    assert!(failure.reason.contains("misbehave.rs:"), "{failure:?}");
    pair.good_answers().await;
    within(pair.bad.ready()).await.unwrap();
}

#[tokio::test]
async fn panic_in_create() {
    let mut pair = pair("panic", "create").await;
    assert_presentable(&failure(&mut pair.events).await, FailureKind::Panicked);
    pair.good_answers().await;
}

#[tokio::test]
async fn panic_in_poll() {
    let mut pair = pair("panic", "poll").await;
    assert_presentable(&failure(&mut pair.events).await, FailureKind::Panicked);
    pair.good_answers().await;
}

#[tokio::test]
async fn panic_in_drop_is_told_and_does_not_hinder_the_stop() {
    let mut pair = pair("panic", "drop").await;
    within(pair.bad.ready()).await.unwrap();
    within(pair.bad.stop()).await;
    let line = until(&mut pair.events, |e| match e {
        InstanceEvent::Log { message, .. } if message.starts_with("panic at") => Some(message.clone()),
        _ => None,
    });
    assert!(line.await.contains("misbehave.rs:"));
    pair.good_answers().await;
}

#[tokio::test]
async fn hang_in_drop_does_not_hinder_the_stop() {
    let pair = pair("hang", "drop").await;
    within(pair.bad.ready()).await.unwrap();
    let pid = pair.bad.status().host.unwrap().pid;
    within(pair.bad.stop()).await;
    assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
    pair.good_answers().await;
}

#[tokio::test]
async fn exit_in_a_call() {
    let failure = in_call("exit", FailureKind::Exited(7)).await;
    assert!(failure.reason.contains("status 7"), "{failure:?}");
    // What it said last is kept, without the card number that it quoted.
    assert_eq!(failure.last_lines.last().unwrap(), "giving up on 41**********1111");
}

#[tokio::test]
async fn segfault_in_a_call() {
    let failure = in_call("segfault", FailureKind::Signalled(11)).await;
    assert!(failure.reason.contains("SIGSEGV"), "{failure:?}");
}

#[tokio::test]
async fn abort_in_a_call() {
    in_call("abort", FailureKind::Signalled(6)).await;
}

#[tokio::test]
async fn memory_up_to_the_limit() {
    let failure = in_call("allocate", FailureKind::Signalled(6)).await;
    assert!(failure.last_lines.iter().any(|l| l.contains("memory allocation")), "{failure:?}");
}

#[tokio::test]
async fn hang_in_a_call_is_killed_at_the_deadline() {
    let mut pair = pair("hang", "call").await;
    let began = std::time::Instant::now();
    let error = pair.misdeed(Duration::from_millis(300)).await;
    assert!(matches!(error, HostError::TimedOut { .. }), "{error}");
    assert!(matches!(error.as_outcome(), Outcome::Unknown(_)));
    assert!(began.elapsed() >= Duration::from_millis(300));
    assert_presentable(&failure(&mut pair.events).await, FailureKind::TimedOut);
    pair.good_answers().await;
    within(pair.bad.ready()).await.unwrap();
}

#[tokio::test]
async fn sleeping_past_the_deadline_is_the_same() {
    let mut pair = pair("sleep", "call").await;
    let error = pair.misdeed(Duration::from_millis(300)).await;
    assert!(matches!(error, HostError::TimedOut { .. }), "{error}");
    assert_presentable(&failure(&mut pair.events).await, FailureKind::TimedOut);
}

#[tokio::test]
async fn one_that_does_not_hear_a_cancel_is_killed_at_its_deadline_all_the_same() {
    let mut pair = pair("ignore-cancel", "call").await;
    pair.bad.ready().await.unwrap();
    let client = DriverClient::new(pair.bad.clone());
    // The caller goes away at once; the plugin never comes back by itself.
    tokio::time::timeout(
        Duration::from_millis(50),
        client.health(HealthLevel::Internal, Duration::from_millis(300)),
    )
    .await
    .unwrap_err();
    assert_presentable(&failure(&mut pair.events).await, FailureKind::TimedOut);
    pair.good_answers().await;
}

#[tokio::test]
async fn hang_in_create() {
    let mut pair = pair("hang", "create").await;
    assert_presentable(&failure(&mut pair.events).await, FailureKind::Unresponsive);
    pair.good_answers().await;
}

#[tokio::test]
async fn hang_in_poll() {
    let mut pair = pair("hang", "poll").await;
    let failure = failure(&mut pair.events).await;
    assert_presentable(&failure, FailureKind::Unresponsive);
    assert!(failure.reason.contains("poll"), "{failure:?}");
    pair.good_answers().await;
}

#[tokio::test]
async fn exit_and_segfault_in_create_and_poll() {
    for (how, when, kind) in [
        ("exit", "create", FailureKind::Exited(7)),
        ("exit", "poll", FailureKind::Exited(7)),
        ("segfault", "create", FailureKind::Signalled(11)),
        ("segfault", "poll", FailureKind::Signalled(11)),
    ] {
        let mut pair = pair(how, when).await;
        assert_presentable(&failure(&mut pair.events).await, kind);
        pair.good_answers().await;
    }
}

#[tokio::test]
async fn a_flood_of_events() {
    let mut pair = pair("flood", "poll").await;
    assert_presentable(&failure(&mut pair.events).await, FailureKind::Flood);
    pair.good_answers().await;
}

#[tokio::test]
async fn a_flood_of_stored_values() {
    let mut pair = pair("store-flood", "poll").await;
    let found = failure(&mut pair.events).await;
    // A slow disk slows the flood down to what is allowed; then the poll that never returns is what ends it.
    assert!(matches!(found.kind, FailureKind::Flood | FailureKind::Unresponsive), "{found:?}");
    pair.good_answers().await;
}

#[tokio::test]
async fn a_flood_of_log_lines_is_thinned_and_the_hanging_poll_behind_it_ended() {
    let mut pair = pair("flood-log", "poll").await;
    let mut lines = 0;
    let failure = until(&mut pair.events, |e| match e {
        InstanceEvent::Log { .. } => {
            lines += 1;
            None
        }
        InstanceEvent::State(s) if s.as_str() == "backoff" => Some(s.reason().to_owned()),
        _ => None,
    })
    .await;
    assert!(failure.contains("poll"), "{failure}");
    assert!(lines < 500, "{lines} lines came through");
    pair.good_answers().await;
}

#[tokio::test]
async fn a_flood_on_standard_error_costs_nobody_else() {
    let mut pair = pair("flood-stderr", "poll").await;
    assert_presentable(&failure(&mut pair.events).await, FailureKind::Unresponsive);
    pair.good_answers().await;
}

#[tokio::test]
async fn a_frame_of_four_gigabytes() {
    let failure = in_call("wild-length", FailureKind::Protocol).await;
    assert!(failure.reason.contains("4294967295"), "{failure:?}");
}

#[tokio::test]
async fn half_a_frame() {
    let failure = in_call("half-frame", FailureKind::Exited(0)).await;
    assert!(failure.reason.contains("ended after"), "{failure:?}");
}

#[tokio::test]
async fn a_frame_that_is_no_message() {
    in_call("garbage", FailureKind::Protocol).await;
}

#[tokio::test]
async fn a_reply_to_a_call_that_nobody_made() {
    let failure = in_call("wrong-id", FailureKind::Protocol).await;
    assert!(failure.reason.contains("999999"), "{failure:?}");
}

#[tokio::test]
async fn closing_the_hosts_own_socket() {
    let mut pair = pair("close-socket", "call").await;
    let error = pair.misdeed(Duration::from_millis(500)).await;
    assert!(!error.nothing_happened(), "{error}");
    let found = failure(&mut pair.events).await;
    assert!(
        matches!(found.kind, FailureKind::Protocol | FailureKind::TimedOut | FailureKind::Exited(_)),
        "{found:?}"
    );
    pair.good_answers().await;
}

#[tokio::test]
async fn an_error_message_with_a_card_number_is_cleaned() {
    let pair = pair("error", "call").await;
    let error = pair.misdeed(CALL).await;
    assert!(error.to_string().contains("62**********0005"), "{error}");
    pair.good_answers().await;
}
