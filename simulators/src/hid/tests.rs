//! The readers' reports against the shared vectors, and what a till sees of their faults.

use std::time::Duration;

use rustix::net::{AddressFamily, RecvFlags, SocketAddrUnix, SocketFlags, SocketType};

use super::*;

const T2: &str = ";6200000000000005=301210100000?";
const LONG: Duration = Duration::from_secs(10);

fn open(path: &std::path::Path) -> std::os::fd::OwnedFd {
    let till =
        rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
            .unwrap();
    rustix::net::connect(&till, &SocketAddrUnix::new(path).unwrap()).unwrap();
    till
}

fn take(till: &std::os::fd::OwnedFd) -> Vec<u8> {
    let mut report = [0; 2048];
    let (count, _) = rustix::net::recv(till, &mut report, RecvFlags::empty()).unwrap();
    report[..count].to_vec()
}

#[test]
fn a_reader_in_clear_fills_its_report_as_the_vectors_do() {
    let dir = tempfile::tempdir().unwrap();
    let reader = HidStripe::pos(&dir.path().join("r")).unwrap();
    let till = open(&reader.node().path());
    assert!(reader.node().wait_connections(1, LONG));
    let cases = crate::vectors::cases("devices-hid_reports.json");
    let Some(case) = cases.iter().find(|case| case["id"] == "msr-8e-t1t2") else { return };
    let tracks = [case["expect"]["t1"].as_str().unwrap(), case["expect"]["t2"].as_str().unwrap()].concat();
    reader.swipe(&tracks, &[]).unwrap();
    assert_eq!(hex::encode(take(&till)), case["report"].as_str().unwrap());
}

#[test]
fn an_encrypting_reader_seals_with_a_new_key_each_time_and_replays_when_told() {
    let dir = tempfile::tempdir().unwrap();
    let reader = HidStripe::magtek(&dir.path().join("r")).unwrap();
    let till = open(&reader.node().path());
    assert!(reader.node().wait_connections(1, LONG));
    reader.swipe(T2, &[]).unwrap();
    let first = take(&till);
    let (ksn, sealed) = HidStripe::sealed(T2, 1).unwrap();
    assert_eq!((&first[495..505], &first[119..119 + sealed.len()]), (&ksn[..], &sealed[..]));
    assert_eq!(first[620..620 + T2.len()], *b";6200000000000005=301200000000?");
    assert!(!first.windows(7).any(|seen| seen == b"=301210"), "nothing behind the expiry in clear");
    reader.swipe(T2, &[StripeFault::Replay {}]).unwrap();
    assert_eq!(take(&till), first);
    reader.swipe(T2, &[]).unwrap();
    let second = take(&till);
    assert_ne!(second[495..505], first[495..505]);
    assert_ne!(second[119..151], first[119..151]);
    reader.swipe(T2, &[StripeFault::Exhausted {}]).unwrap();
    assert_eq!(take(&till)[494] & 1, 1);
}

#[test]
fn a_long_code_goes_on_over_reports_and_triggers_are_heard() {
    let dir = tempfile::tempdir().unwrap();
    let scanner = HidScanner::listen(&dir.path().join("s")).unwrap();
    assert_eq!(scanner.scan("1", &[]), Err(ScanRefused::Nobody));
    let till = open(&scanner.node().path());
    assert!(scanner.node().wait_connections(1, LONG));
    scanner.scan("x".repeat(60), &[]).unwrap();
    let (one, two) = (take(&till), take(&till));
    assert_eq!((one.len(), one[1], one[61]), (62, 56, 1));
    assert_eq!((two.len(), two[1], two[61]), (62, 4, 0));
    rustix::net::send(&till, &[4, 1], rustix::net::SendFlags::empty()).unwrap();
    assert!(scanner.node().wait_heard(LONG, |heard| heard == [[4, 1]]));
    assert_eq!(scanner.scan("1", &[]), Err(ScanRefused::Prevented));
    rustix::net::send(&till, &[4, 2], rustix::net::SendFlags::empty()).unwrap();
    assert!(scanner.wait_triggered(1, LONG) && scanner.triggered());
    assert_eq!(scanner.scan("1", &[HidScanFault::Unplug {}]), Ok(0));
    assert_eq!(take(&till).len(), 20);
    assert!(take(&till).is_empty(), "unplugged");
}

#[test]
fn tracks_that_are_none_and_faults_that_a_reader_has_not_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let reader = HidStripe::pos(&dir.path().join("r")).unwrap();
    for tracks in ["", "620", ";620", ";620?;620?", &format!(";{}?", "0".repeat(200))] {
        assert_eq!(reader.swipe(tracks, &[]), Err(SwipeRefused::NoTracks), "{tracks}");
    }
    assert_eq!(reader.swipe(T2, &[StripeFault::Exhausted {}]), Err(SwipeRefused::NoKeys));
    assert_eq!(reader.swipe(T2, &[]), Err(SwipeRefused::Nobody));
}
