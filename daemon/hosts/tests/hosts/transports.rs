//! Opening what lies between a driver and its device.

use std::os::fd::AsFd;
use std::time::Duration;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use till_hosts::till_plugin::driver::DriverEvent;
use till_hosts::till_plugin::host::TransportKind;
use till_hosts::{InstanceEvent, OpenError, TransportSpec};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpSocket};

use crate::bench::{Bench, GOOD, until, within};

const LIMIT: Duration = Duration::from_secs(5);

async fn error(spec: TransportSpec) -> OpenError {
    within(spec.open(Duration::from_millis(300))).await.map(drop).unwrap_err()
}

/// What the good driver tells that it read.
async fn heard(bench: &Bench, transport: TransportSpec, send: impl AsyncFnOnce()) -> String {
    let mut spec = bench.spec("good", GOOD, "");
    spec.transport = Some(transport);
    let (_good, mut events) = bench.ready(spec).await;
    send().await;
    until(&mut events, |e| match e {
        InstanceEvent::Driver(DriverEvent::State { text, .. }) => Some(text.clone()),
        _ => None,
    })
    .await
}

#[tokio::test]
async fn a_serial_port_is_raw_every_byte_arrives() {
    let bench = Bench::new(&["good"]);
    let device = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&device).unwrap();
    unlockpt(&device).unwrap();
    let path = ptsname(&device, Vec::new()).unwrap().into_string().unwrap().into();
    // What a line discipline would eat, turn or act on: XOFF, EOF, INTR, CR, LF, 0xff, 8th bit.
    let bytes = b"\x13\x11\x04\x03\r\n\xff\x80";
    let heard = heard(&bench, TransportSpec::Serial { path, baud: 115_200 }, async || {
        assert_eq!(rustix::io::write(device.as_fd(), bytes).unwrap(), bytes.len());
    });
    assert_eq!(heard.await, "131104030d0aff80");
}

#[tokio::test]
async fn a_tcp_device_works_and_each_way_of_not_answering_is_named() {
    let bench = Bench::new(&["good"]);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let text = heard(&bench, TransportSpec::Tcp { address: address.clone() }, async || {
        let (mut device, _) = listener.accept().await.unwrap();
        device.write_all(b"hi").await.unwrap();
        // Kept open until it has been read.
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_mins(1)).await;
            drop(device);
        });
    });
    assert_eq!(text.await, "6869");

    // Bound and not listening: the kernel refuses.
    let closed = TcpSocket::new_v4().unwrap();
    closed.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = closed.local_addr().unwrap().to_string();
    assert!(matches!(error(TransportSpec::Tcp { address }).await, OpenError::Refused { .. }));
    let e = error(TransportSpec::Tcp { address: "printer".into() }).await;
    assert!(matches!(e, OpenError::Address { .. }) && e.to_string().contains("host:port"), "{e}");
}

#[tokio::test]
async fn what_is_not_there_or_not_what_it_should_be_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "x").unwrap();
    let missing = dir.path().join("missing");

    for spec in [
        TransportSpec::Serial { path: missing.clone(), baud: 9600 },
        TransportSpec::Unix { path: missing.clone(), kind: None },
        TransportSpec::Evdev { path: missing.clone(), also: Vec::new() },
        TransportSpec::Device { path: missing.clone(), kind: TransportKind::Hidraw },
        TransportSpec::Replay { path: missing.clone() },
    ] {
        assert_eq!(error(spec).await, OpenError::Missing { path: missing.clone() });
    }
    for spec in [
        TransportSpec::Serial { path: file.clone(), baud: 9600 },
        TransportSpec::Evdev { path: file.clone(), also: Vec::new() },
        TransportSpec::Evdev { path: "/dev/null".into(), also: Vec::new() },
        TransportSpec::Device { path: file.clone(), kind: TransportKind::CharDevice },
    ] {
        let e = error(spec.clone()).await;
        assert!(matches!(e, OpenError::Kind { .. }), "{spec:?}: {e}");
    }
    let e = error(TransportSpec::Replay { path: file }).await;
    assert!(matches!(e, OpenError::Recording { .. }), "{e}");
    let e = error(TransportSpec::Serial { path: "/dev/null".into(), baud: 0 }).await;
    assert!(matches!(e, OpenError::Baud { .. }), "{e}");
    TransportSpec::Device { path: "/dev/null".into(), kind: TransportKind::CharDevice }
        .open(LIMIT)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_recording_is_played_to_the_plugin_and_may_end_in_unplugging() {
    let bench = Bench::new(&["good"]);
    let path = bench.dir.path().join("scan.rec");
    std::fs::write(
        &path,
        "# till-recording 1 serial\n0 in 363930\n0 out 363930\n30 in 31\n30 out 31\n60 gone\n",
    )
    .unwrap();
    let mut spec = bench.spec("good", GOOD, "");
    spec.transport = Some(TransportSpec::Replay { path });
    let (_good, mut events) = bench.ready(spec).await;
    let mut read = Vec::new();
    let reason = until(&mut events, |e| match e {
        InstanceEvent::Driver(DriverEvent::State { text, .. }) => {
            read.push(text.clone());
            None
        }
        InstanceEvent::State(s) if s.as_str() == "offline" => Some(s.reason().to_owned()),
        _ => None,
    })
    .await;
    assert_eq!(read, ["363930", "31"]);
    assert!(reason.contains("scan.rec is gone"), "{reason}");
}

#[tokio::test]
async fn a_recording_of_a_kind_that_the_driver_cannot_use_is_refused() {
    let bench = Bench::new(&["good"]);
    let path = bench.dir.path().join("x.rec");
    std::fs::write(&path, "# till-recording 1 hidraw\n").unwrap();
    let mut spec = bench.spec("good", GOOD, "");
    spec.transport = Some(TransportSpec::Replay { path });
    let (good, _events) = bench.supervisor.start(spec).unwrap();
    let state = within(good.ready()).await.unwrap_err();
    assert!(state.reason().contains("hidraw"), "{state:?}");
}

#[tokio::test]
async fn reports_stay_apart_from_a_simulated_hid_device_and_from_a_recording() {
    let bench = Bench::new(&["good"]);
    let mut reports = Vec::new();
    let path = bench.dir.path().join("hid.rec");
    // Two reports at one time: on a stream the plugin would read them as one.
    std::fs::write(&path, "# till-recording 1 hidraw\n0 in 0231\n0 in 0232\n40 in 0233\n60 gone\n").unwrap();
    let recorded = TransportSpec::Replay { path }.open(LIMIT).await.unwrap();
    assert_eq!(recorded.info.kind, TransportKind::Hidraw);

    let path = bench.dir.path().join("hid.sock");
    let listener = rustix::net::socket_with(
        rustix::net::AddressFamily::UNIX,
        rustix::net::SocketType::SEQPACKET,
        rustix::net::SocketFlags::CLOEXEC,
        None,
    )
    .unwrap();
    rustix::net::bind(&listener, &rustix::net::SocketAddrUnix::new(&path).unwrap()).unwrap();
    rustix::net::listen(&listener, 1).unwrap();
    let spec = TransportSpec::Unix { path, kind: Some(TransportKind::Hidraw) };
    let simulated = spec.open(LIMIT).await.unwrap();
    let device = rustix::net::accept(&listener).unwrap();
    for report in [b"\x021", b"\x022", b"\x023"] {
        assert_eq!(rustix::io::write(&device, report).unwrap(), 2);
    }
    drop(device);

    for transport in [recorded, simulated] {
        let end = tokio::net::UnixStream::from_std(transport.fd.into()).unwrap();
        loop {
            within(end.readable()).await.unwrap();
            let mut bytes = [0; 64];
            match end.try_read(&mut bytes) {
                Ok(0) => break,
                Ok(n) => reports.push(bytes[..n].to_vec()),
                Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(e) => panic!("{e}"),
            }
        }
    }
    assert_eq!(reports, [b"\x021", b"\x022", b"\x023", b"\x021", b"\x022", b"\x023"]);
}
