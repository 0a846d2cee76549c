//! A good plugin works as its author expects.

use till_hosts::till_plugin::driver::{DriverEvent, HealthLevel, OpenDrawer, ShowContent};
use till_hosts::till_plugin::proto::method;
use till_hosts::till_plugin::{Extra, Sensitive};
use till_hosts::{ChannelClient, DriverClient, InstanceEvent, InstanceState, TransportSpec};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixListener;

use crate::bench::{Bench, CALL, GOOD, GOOD_CHANNEL, state, until, within};

pub(crate) fn drawer() -> OpenDrawer {
    OpenDrawer { reason: "no-sale: test".into(), pin: 0, extra: Extra::new() }
}

pub(crate) fn count(statistics: &[(String, u64)], name: &str) -> u64 {
    statistics.iter().find(|(n, _)| n == name).unwrap().1
}

#[tokio::test]
async fn it_becomes_ready_says_who_it_is_and_is_confined() {
    let bench = Bench::new(&["good"]);
    let (good, mut events) = bench.good().await;
    let info = good.status().host.unwrap();
    assert_eq!(info.driver().unwrap().model, "good");
    assert!(info.rustc.starts_with("rustc "), "{info:?}");
    let layers = info.layers();
    for layer in ["parent-death", "rlimits", "no-new-privs", "no-dump", "landlock", "seccomp", "wiped-memory"]
    {
        assert!(layers.contains_key(layer), "{layer} is not reported: {layers:?}");
    }
    // What a kernel always has must be whole, and what the plugin frees goes through the host.
    for layer in ["parent-death", "rlimits", "no-new-privs", "no-dump", "wiped-memory"] {
        assert_eq!(layers[layer], "full");
    }
    assert_eq!(state(&mut events, "starting").await, InstanceState::Starting);
    let line = until(&mut events, |e| match e {
        InstanceEvent::Log { message, .. } => Some(message.clone()),
        _ => None,
    });
    assert_eq!(line.await, "good opened");
    state(&mut events, "ready").await;
}

#[tokio::test]
async fn bytes_go_both_ways_over_its_transport() {
    let bench = Bench::new(&["good"]);
    let path = bench.dir.path().join("device");
    let listener = UnixListener::bind(&path).unwrap();
    let mut spec = bench.spec("good", GOOD, "");
    spec.transport = Some(TransportSpec::Unix { path, kind: None });
    let (good, mut events) = bench.ready(spec).await;
    let (mut device, _) = within(listener.accept()).await.unwrap();

    device.write_all(b"\x01\x02\xff").await.unwrap();
    let heard = until(&mut events, |e| match e {
        InstanceEvent::Driver(DriverEvent::State { text, .. }) => Some(text.clone()),
        _ => None,
    });
    assert_eq!(heard.await, "0102ff");
    let mut back = [0; 3];
    within(device.read_exact(&mut back)).await.unwrap();
    assert_eq!(back, *b"\x01\x02\xff");

    let client = DriverClient::new(good);
    client.show(&ShowContent::Text(vec!["hello".into()]), CALL).await.unwrap();
    let mut shown = [0; 5];
    within(device.read_exact(&mut shown)).await.unwrap();
    assert_eq!(shown, *b"hello");
}

#[tokio::test]
async fn a_marked_call_stands_among_the_events_where_it_was_answered_and_a_failed_one_does_not() {
    let bench = Bench::new(&["good"]);
    let path = bench.dir.path().join("device");
    let listener = UnixListener::bind(&path).unwrap();
    let mut spec = bench.spec("good", GOOD, "");
    spec.transport = Some(TransportSpec::Unix { path, kind: None });
    let (good, mut events) = bench.ready(spec).await;
    let (mut device, _) = within(listener.accept()).await.unwrap();
    let mut told = Vec::new();
    for mark in 1..=50_u8 {
        // Told while the call runs; then the mark; then what the device sends once the caller knows.
        let drawer = OpenDrawer { reason: "opening".into(), ..drawer() };
        good.call_marked::<_, ()>(method::OPEN_DRAWER_1, &drawer, CALL, mark.into()).await.unwrap();
        let refused = good.call_marked::<_, ()>(method::SIGNAL_1, &0_u8, CALL, 1_000).await;
        assert!(refused.is_err(), "it has no light");
        device.write_all(&[mark]).await.unwrap();
        device.read_exact(&mut [0]).await.unwrap();
        for _ in 0..3 {
            let next = until(&mut events, |e| match e {
                InstanceEvent::Driver(DriverEvent::State { text, .. }) => Some(text.clone()),
                InstanceEvent::Answered { mark } => Some(format!("mark {mark}")),
                _ => None,
            });
            told.push(next.await);
        }
        assert_eq!(told, ["opening".to_owned(), format!("mark {mark}"), format!("{mark:02x}")]);
        told.clear();
    }
}

#[tokio::test]
async fn what_it_stores_is_there_after_a_restart_and_secrets_arrive() {
    let bench = Bench::new(&["good"]);
    let mut spec = bench.spec("drawer", GOOD, "secret = 'key'");
    spec.secrets = vec![("key".into(), Sensitive::new(vec![7; 24]))];
    let (instance, mut events) = bench.ready(spec).await;
    let client = DriverClient::new(instance.clone());
    for _ in 0..3 {
        client.open_drawer(&drawer(), CALL).await.unwrap();
    }
    let statistics = client.statistics(CALL).await.unwrap();
    assert_eq!(count(&statistics, "opened"), 3);
    assert_eq!(count(&statistics, "secret-bytes"), 24);
    assert_eq!(count(&statistics, "clock-trusted"), 1);
    let left = count(&statistics, "remaining-ms");
    assert!((1..=10_000).contains(&left), "{left}");

    state(&mut events, "ready").await;
    instance.restart();
    state(&mut events, "ready").await;
    assert_eq!(count(&client.statistics(CALL).await.unwrap(), "opened"), 3);
    assert_eq!(instance.status().starts, 2);
}

#[tokio::test]
async fn a_missing_secret_is_named_and_stays_until_somebody_acts() {
    let bench = Bench::new(&["good"]);
    let (instance, mut events) = bench.supervisor.start(bench.spec("g", GOOD, "secret = 'key'")).unwrap();
    let InstanceState::Failed { failure } = state(&mut events, "failed").await else { unreachable!() };
    assert!(failure.reason.contains("\"key\""), "{failure:?}");
    assert!(matches!(instance.ready().await, Err(InstanceState::Failed { .. })));
}

#[tokio::test]
async fn two_plugins_side_by_side_are_two_plugins() {
    let bench = Bench::new(&["good", "goodchannel", "bad"]);
    let (good, _g) = bench.good().await;
    let (bad, _b) = bench.ready(bench.spec("bad", crate::bench::BAD, "how = 'none'")).await;
    let (channel, _c) = bench.ready(bench.spec("channel", GOOD_CHANNEL, "")).await;
    let model = |i: &till_hosts::Instance| i.status().host.unwrap().driver().unwrap().model;
    assert_eq!((model(&good), model(&bad)), ("good".into(), "bad".into()));
    let description = ChannelClient::new(channel).describe(CALL).await.unwrap();
    assert_eq!(description.currencies, ["CNY"]);
    let health = DriverClient::new(good).health(HealthLevel::Internal, CALL).await.unwrap();
    assert_eq!(health.text, "I am good");
}

#[tokio::test]
async fn stop_ends_the_process_and_later_calls_say_so() {
    let bench = Bench::new(&["good"]);
    let (good, mut events) = bench.good().await;
    let pid = good.status().host.unwrap().pid;
    within(good.stop()).await;
    assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists(), "the host is still there");
    assert_eq!(good.status().state, InstanceState::Stopped);
    state(&mut events, "stopped").await;
    assert_eq!(events.next().await, None);
    let error = DriverClient::new(good).health(HealthLevel::Internal, CALL).await.unwrap_err();
    assert!(error.nothing_happened(), "{error}");
    // The id is free again.
    bench.good().await;
}
