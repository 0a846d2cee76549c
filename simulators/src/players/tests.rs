//! The players against readers written for the test.

use super::event::{EV_KEY, EV_SYN, SIZE, SYN_DROPPED};
use super::*;
use crate::vectors::cases;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

const LONG: Duration = Duration::from_secs(10);
const TRACK2: &str = ";6200000000000005=29122010000000000?";

/// A wedge decoder of its own: presses only, US layout by a table the other way round.
fn typed(events: &[InputEvent]) -> String {
    let (mut shift, mut ctrl, mut out) = (false, false, String::new());
    for event in events.iter().filter(|e| e.kind == EV_KEY) {
        match (event.code, event.value) {
            (keymap::LEFT_SHIFT, value) => shift = value != 0,
            (keymap::LEFT_CTRL, value) => ctrl = value != 0,
            (keymap::ENTER, 1) => out.push('\n'),
            (code, 1) => {
                let modifier = if shift { keymap::Modifier::Shift } else { keymap::Modifier::Plain };
                let found =
                    (0x20..0x7Fu8).map(char::from).find(|c| keymap::key(*c) == Some((code, modifier)));
                let ch = found.unwrap();
                out.push(if ctrl { char::from(u8::try_from(ch).unwrap() & 0x1F) } else { ch });
            }
            _ => {}
        }
    }
    out
}

fn events(bytes: &[u8]) -> Vec<InputEvent> {
    bytes.chunks_exact(SIZE).map(|c| InputEvent::from_bytes(c.try_into().unwrap())).collect()
}

#[test]
fn a_swipe_types_its_tracks_in_kernel_events() {
    let swipe = Swipe::new(format!("%B6200000000000005^ZHANG/SAN^2912201?{TRACK2}"));
    let all = swipe.events().unwrap();
    assert_eq!(typed(&all), format!("%B6200000000000005^ZHANG/SAN^2912201?{TRACK2}\n"));
    assert!(all.windows(2).all(|w| w[0].at <= w[1].at), "in order of time");
    // Each report ends with SYN_REPORT, each press has its scan code before it.
    assert_eq!(all.iter().filter(|e| e.kind == EV_SYN).count() * 3, all.len());
    assert_eq!(all[0].kind, event::EV_MSC);
    let text = format!("{swipe:?}");
    assert!(!text.contains("62000"), "{text}");
}

#[test]
fn what_a_us_keyboard_has_not_is_refused() {
    assert_eq!(Swipe::new(";62€").events(), Err(Untypeable { at: 3 }));
}

#[test]
fn faults_do_what_their_names_say() {
    let presses = |swipe: &Swipe, value: i32| {
        swipe.events().unwrap().iter().filter(|e| e.kind == EV_KEY && e.value == value).count()
    };
    let clean = Swipe::new(TRACK2);
    let stuck = Swipe::new(TRACK2).with(SwipeFault::MissingKeyUp { at: 3 });
    assert_eq!(presses(&clean, 0) - 1, presses(&stuck, 0));
    let repeated = Swipe::new(TRACK2).with(SwipeFault::Autorepeat { at: 3, count: 4 });
    assert_eq!((presses(&repeated, 2), typed(&repeated.events().unwrap())), (4, format!("{TRACK2}\n")));
    let half = Swipe::new(TRACK2).with(SwipeFault::Half { chars: 10 });
    assert_eq!(typed(&half.events().unwrap()), TRACK2[..10]);
    let double = Swipe::new(TRACK2).with(SwipeFault::Double { gap_ms: 200 });
    assert_eq!(typed(&double.events().unwrap()), format!("{TRACK2}\n{TRACK2}\n"));
    let dropped = Swipe::new(TRACK2).with(SwipeFault::SynDropped { at: 5, lost: 3 }).events().unwrap();
    assert_eq!(dropped.iter().filter(|e| (e.kind, e.code) == (EV_SYN, SYN_DROPPED)).count(), 1);
    assert_eq!(typed(&dropped), format!("{}{}\n", &TRACK2[..5], &TRACK2[8..]));
    let caps = Swipe::new("aB?").with(SwipeFault::CapsLock {});
    assert_eq!(typed(&caps.events().unwrap()), "Ab?\n", "what a till sees that does not know of Caps Lock");
    let paused = Swipe::new(TRACK2).with(SwipeFault::Pause { at: 5, ms: 120 }).events().unwrap();
    assert!(paused.windows(2).any(|w| w[1].at.saturating_sub(w[0].at) >= Duration::from_millis(120)));
}

#[test]
fn a_recording_holds_one_report_a_line_and_reads_back() {
    let swipe = Swipe::new(TRACK2);
    let text = swipe.recording().unwrap().to_text();
    assert!(text.starts_with("# till-recording 1 evdev\n0 in "));
    let back = Recording::parse(&text).unwrap();
    let bytes: Vec<u8> = back.chunks.iter().flat_map(|c| c.bytes.clone()).collect();
    assert!(events(&bytes) == swipe.events().unwrap());
    assert!(back.chunks.iter().all(|c| c.bytes.len() == 3 * SIZE));
}

#[test]
fn the_reader_feeds_who_has_it_open_and_can_be_unplugged() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("reader.sock");
    let reader = ReaderSocket::listen(&path).unwrap();
    assert_eq!(reader.swipe(&Swipe::new("lost")).unwrap(), 0, "nobody has it open");
    let mut till = UnixStream::connect(&path).unwrap();
    till.set_read_timeout(Some(LONG)).unwrap();
    assert!(reader.wait_connections(1, LONG));
    let start = Instant::now();
    assert_eq!(reader.swipe(&Swipe::new(TRACK2)).unwrap(), 1);
    assert!(start.elapsed() >= Duration::from_millis(70), "36 characters at 2 ms");
    reader.unplug();
    let mut bytes = Vec::new();
    till.read_to_end(&mut bytes).unwrap();
    assert_eq!(typed(&events(&bytes)), format!("{TRACK2}\n"));
    let again = UnixStream::connect(&path).unwrap();
    assert!(reader.wait_connections(2, LONG));
    drop(again);
    assert_eq!(reader.swipe(&Swipe::new("x")).unwrap(), 0, "the till has closed it");
    assert!(matches!(ReaderSocket::listen(&path), Err(DeviceError::InUse { .. })));
    drop(reader);
    assert!(!path.exists());
}

#[test]
fn a_scan_arrives_byte_by_byte_on_the_line_and_stays_up_between_tills() {
    let folder = tempfile::tempdir().unwrap();
    let link = folder.path().join("scanner");
    let scanner = ScannerPty::open(Some(&link)).unwrap();
    assert_eq!(scanner.path(), link);
    for _ in 0..2 {
        let mut till = std::fs::OpenOptions::new().read(true).write(true).open(&link).unwrap();
        let start = Instant::now();
        scanner.scan(&Scan::new("6212345678901234567")).unwrap();
        assert!(start.elapsed() >= Duration::from_millis(21), "21 bytes at 9600 baud");
        let mut bytes = [0; 21];
        till.read_exact(&mut bytes).unwrap();
        assert_eq!(&bytes, b"6212345678901234567\r\n", "raw: CR stays CR, nothing is echoed");
    }
    let mut till = std::fs::OpenOptions::new().read(true).write(true).open(&link).unwrap();
    till.write_all(b"\x16T\r").unwrap();
    assert!(scanner.wait_heard(3, LONG));
    assert_eq!(scanner.heard(), b"\x16T\r");
    drop(scanner);
    assert!(matches!(till.read(&mut [0]), Ok(0) | Err(_)), "unplugged");
    assert!(!link.exists() && std::fs::symlink_metadata(&link).is_err());
}

#[test]
fn scan_faults_do_what_their_names_say() {
    let sent = |scan: &Scan| scan.timeline().into_iter().flat_map(|(_, bytes)| bytes).collect::<Vec<u8>>();
    let scan = || Scan::new("2812");
    assert_eq!(sent(&scan().with(ScanFault::Noise { hex: "ff00".into() })), b"\xFF\x002812\r\n");
    assert_eq!(sent(&scan().with(ScanFault::Flip { at: 1, mask: 0x40 })), b"2x12\r\n");
    assert_eq!(sent(&scan().with(ScanFault::Half { bytes: 3 })), b"281");
    let double = scan().with(ScanFault::Double { gap_ms: 500 });
    assert_eq!(sent(&double), b"2812\r\n2812\r\n");
    assert!(double.timeline()[6].0 >= Duration::from_millis(500));
    let burst = scan().with(ScanFault::Double { gap_ms: 0 }).with(ScanFault::Burst {});
    assert_eq!(burst.timeline().len(), 1, "two scans in one write");
    assert!(scan().with(ScanFault::Pause { at: 2, ms: 90 }).timeline()[2].0 >= Duration::from_millis(90));
    assert!(!format!("{:?}", scan()).contains("2812"));
}

#[test]
fn orders_reach_the_device_and_errors_never_repeat_the_card() {
    let folder = tempfile::tempdir().unwrap();
    let device = folder.path().join("reader.sock");
    let guard = control::serve(&device, |line| {
        control::swipe_order(line)
            .map(|swipe| format!("{} faults", swipe.faults.len()))
            .map_err(|e| e.to_string())
    })
    .unwrap();
    assert_eq!(control::send(&device, TRACK2).unwrap(), "0 faults");
    let order = r#"{"data":";6200000000000005=2912?","faults":[{"kind":"half","chars":4}]}"#;
    assert_eq!(control::send(&device, order).unwrap(), "1 faults");
    let error =
        control::send(&device, r#"{"data":";6200000000000005=2912?","fault":[]}"#).unwrap_err().to_string();
    assert!(error.contains("not an order") && !error.contains("62000"), "{error}");
    drop(guard);
    assert!(control::send(&device, TRACK2).is_err());
    assert!(control::scan_order(r#"{"data":"28","suffix":"","gap_us":0}"#).unwrap().timeline().len() == 2);
}

#[test]
fn a_file_in_the_way_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notes.txt");
    std::fs::write(&path, "mine").unwrap();
    assert!(matches!(ScannerPty::open(Some(&path)), Err(DeviceError::NotOurs { .. })));
    assert!(matches!(ReaderSocket::listen(&path), Err(DeviceError::NotOurs { .. })));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
}

#[test]
fn every_track_of_the_vectors_can_be_swiped() {
    for case in cases("devices-track_strings.json") {
        let raw = case["raw"].as_str().unwrap();
        let events = Swipe::new(raw).events().unwrap_or_else(|e| panic!("{}: {e}", case["id"]));
        assert_eq!(typed(&events), format!("{raw}\n"), "{}", case["id"]);
    }
}

#[test]
fn the_events_are_those_of_the_vectors() {
    for case in cases("devices-evdev_wedge.json") {
        let id = case["id"].as_str().unwrap();
        if !["wedge-ean13", "wedge-t2", "wedge-wechat", "wedge-url", "wedge-ctrl-gs"].contains(&id) {
            continue;
        }
        let mut swipe = Swipe::new(case["expect"]["text"].as_str().unwrap());
        swipe.scan_codes = false;
        let got: Vec<_> = swipe.events().unwrap().iter().map(|e| (e.kind, e.code, e.value)).collect();
        let expected: Vec<(u16, u16, i32)> =
            serde_json::from_value(case["events_type_code_value"].clone()).unwrap();
        assert_eq!(got, expected, "{id}");
    }
}
