//! Failing, coming back, and staying away.

use std::time::Duration;

use till_hosts::till_plugin::Sensitive;
use till_hosts::till_plugin::driver::HealthLevel;
use till_hosts::till_plugin::host::TransportKind;
use till_hosts::{
    DriverClient, FailureKind, HostError, InstanceEvent, InstanceState, StartError, Supervisor, Timing,
    TransportSpec,
};
use tokio::net::UnixListener;

use crate::bench::{BAD, Bench, CALL, GOOD, assert_presentable, config, failure, state, until, within};

#[tokio::test]
async fn failing_again_and_again_ends_in_quarantine_that_outlives_the_daemon() {
    let bench = Bench::new(&["bad"]);
    let spec = bench.spec("bad", BAD, "how = 'exit'\nwhen = 'create'");
    let (bad, mut events) = bench.supervisor.start(spec.clone()).unwrap();
    let mut failures = 0;
    let reason = until(&mut events, |e| match e {
        InstanceEvent::State(InstanceState::Backoff { .. }) => {
            failures += 1;
            None
        }
        InstanceEvent::State(InstanceState::Quarantined { reason }) => Some(reason.clone()),
        _ => None,
    })
    .await;
    assert_eq!(failures, Timing::default().failures - 1);
    assert!(reason.contains("status 7") && reason.contains("release bad"), "{reason}");
    let error = DriverClient::new(bad).health(HealthLevel::Internal, CALL).await.unwrap_err();
    assert!(matches!(&error, HostError::NotRunning { why, .. } if why == &reason), "{error}");
    bench.supervisor.shutdown().await;

    // The next daemon does not even try.
    let again = Supervisor::new(config(bench.dir.path())).unwrap();
    let (bad, mut events) = again.start(spec).unwrap();
    state(&mut events, "quarantined").await;
    assert_eq!(bad.status().starts, 0);
    assert_eq!(again.quarantined()["bad"].plugin, BAD);
    bad.restart();
    state(&mut events, "quarantined").await;
    assert_eq!(bad.status().starts, 0, "a restart does not lift a quarantine");

    assert!(again.release_quarantine("bad").unwrap());
    assert_eq!(failure(&mut events).await.kind, FailureKind::Exited(7));
    assert!(bad.status().starts > 0);
    assert!(!again.release_quarantine("nobody").unwrap());
}

#[tokio::test]
async fn a_device_that_is_not_there_is_looked_for_and_one_that_goes_away_is_found_again() {
    let bench = Bench::new(&["good"]);
    let path = bench.dir.path().join("device");
    let mut spec = bench.spec("good", GOOD, "");
    spec.transport = Some(TransportSpec::Unix { path: path.clone(), kind: None });
    let (good, mut events) = bench.supervisor.start(spec).unwrap();
    let missing = failure(&mut events).await;
    assert_presentable(&missing, FailureKind::Transport);
    assert!(missing.reason.contains("is not there"), "{missing:?}");
    assert_eq!(good.status().starts, 0, "no process without its device");

    // Plugged in and out, more often than failures are allowed.
    let mut starts = 0;
    for _ in 0..8 {
        let listener = UnixListener::bind(&path).unwrap();
        let (device, _) = within(listener.accept()).await.unwrap();
        within(good.ready()).await.unwrap();
        std::fs::remove_file(&path).unwrap();
        drop((device, listener));
        let gone = until(&mut events, |e| match e {
            InstanceEvent::State(InstanceState::Offline { failure, .. })
                if failure.kind == FailureKind::Gone =>
            {
                Some(failure.clone())
            }
            _ => None,
        })
        .await;
        assert_presentable(&gone, FailureKind::Gone);
        starts = good.status().starts;
    }
    assert_eq!(starts, 8);
    assert!(bench.supervisor.quarantined().is_empty());
}

#[tokio::test]
async fn a_plugin_that_says_its_device_is_gone_is_not_blamed() {
    let bench = Bench::new(&["bad"]);
    let (_bad, mut events) =
        bench.supervisor.start(bench.spec("bad", BAD, "how = 'gone'\nwhen = 'poll'")).unwrap();
    for _ in 0..7 {
        let InstanceState::Offline { failure, .. } = state(&mut events, "offline").await else {
            unreachable!()
        };
        assert_presentable(&failure, FailureKind::Gone);
    }
}

#[tokio::test]
async fn a_crashed_host_is_back_within_a_tenth_of_a_second() {
    let bench = Bench::new(&["good"]);
    let (good, mut events) = bench.good().await;
    state(&mut events, "ready").await;
    let mut worst = Duration::ZERO;
    for _ in 0..3 {
        let pid = good.status().host.unwrap().pid;
        let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
        let failed = failure(&mut events).await;
        assert_presentable(&failed, FailureKind::Signalled(9));
        state(&mut events, "ready").await;
        worst = worst.max(good.status().host.unwrap().start_took);
    }
    println!("from process start to ready, the slowest of three: {worst:?}");
    assert!(worst < Duration::from_millis(500), "{worst:?}");
}

#[tokio::test]
async fn a_stopped_process_is_noticed_by_its_silence() {
    let bench = Bench::new(&["good"]);
    let (good, mut events) = bench.good().await;
    let pid = i32::try_from(good.status().host.unwrap().pid).unwrap();
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::STOP).unwrap();
    let failed = failure(&mut events).await;
    assert_presentable(&failed, FailureKind::Unresponsive);
    state(&mut events, "ready").await;
}

#[tokio::test]
async fn an_id_is_used_once_and_must_be_plain() {
    let bench = Bench::new(&["good"]);
    let (_good, _events) = bench.good().await;
    let start = |id: &str| bench.supervisor.start(bench.spec(id, GOOD, "")).map(drop).unwrap_err();
    assert!(matches!(start("good"), StartError::Running { .. }));
    for id in ["", "../evil", "Good", "a b", ".hidden", "a~"] {
        assert!(matches!(start(id), StartError::Spec(_)), "{id:?}");
    }
}

#[tokio::test]
async fn c20_settings_and_secrets_are_checked_before_anything_starts() {
    let bench = Bench::new(&["good"]);
    let start = |spec| bench.supervisor.start(spec).map(drop).unwrap_err().to_string();
    assert!(start(bench.spec("a", GOOD, "txt = 'typo'")).contains("txt"));
    let mut spec = bench.spec("a", GOOD, "");
    spec.secrets = vec![("kee".into(), Sensitive::new(vec![1]))];
    assert!(start(spec).contains("kee"));
    let mut spec = bench.spec("a", GOOD, "");
    let kind = TransportKind::Hidraw;
    spec.transport = Some(TransportSpec::Device { path: "/dev/null".into(), kind });
    assert!(start(spec).contains("hidraw"));
}

#[tokio::test]
async fn events_that_nobody_reads_end_the_host_as_a_flood_not_the_daemon() {
    let bench = Bench::with(&["good"], |c| c.timing.unread = 20);
    let path = bench.dir.path().join("device");
    let listener = UnixListener::bind(&path).unwrap();
    let mut spec = bench.spec("good", GOOD, "");
    spec.transport = Some(TransportSpec::Unix { path, kind: None });
    let (good, mut events) = bench.ready(spec).await;
    let (device, _) = within(listener.accept()).await.unwrap();
    let mut status = good.watch();
    let flood = async {
        loop {
            device.writable().await.unwrap();
            let _ = device.try_write(b"x");
            tokio::time::sleep(Duration::from_millis(4)).await;
        }
    };
    tokio::select! {
        () = flood => {}
        failed = within(status.wait_for(|s| s.last_failure.is_some())) => {
            let failure = failed.unwrap().last_failure.clone().unwrap();
            assert_presentable(&failure, FailureKind::Flood);
        }
    }
    // The state changes are all there for whoever reads late.
    state(&mut events, "backoff").await;
}
