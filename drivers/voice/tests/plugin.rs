//! The driver as the daemon runs it, on the SDK's transport in memory; what is heard, by the voice of till-simulators.

#![allow(clippy::unwrap_used)] // helpers of tests

use std::sync::{Arc, Mutex};
use std::time::Duration;

use till_driver_voice::plugin::Voice;
use till_plugin::driver::{
    Announcement, DeviceState, DriverEvent, HealthLevel, Sentence, Spoken, Stage, StageContent,
};
use till_plugin::host::{Settings, TransportKind};
use till_plugin::manifest::Manifest;
use till_plugin::testing::TestHost;
use till_plugin::{Currency, Driver, ErrorCode, Extra, Money};
use till_simulators::counter::Machine;
use till_simulators::counter::voice::Listener;

fn bench() -> (TestHost, Arc<Mutex<Listener>>) {
    let host = TestHost::new().with_transport(TransportKind::Unix);
    (host.clone(), listen(&host))
}

fn listen(host: &TestHost) -> Arc<Mutex<Listener>> {
    let ear = Arc::new(Mutex::new(Listener::default()));
    let theirs = Arc::clone(&ear);
    host.respond(move |bytes| theirs.lock().unwrap().receive(bytes));
    ear
}

fn open(host: &TestHost, settings: &str) -> Voice {
    Voice::open(host.host(), Settings::from_json(settings)).unwrap()
}

fn due(key: &str, minor: i64) -> Announcement {
    let content =
        StageContent { stage: Stage::Due, amount: Money::new(minor, Currency::CNY), extra: Extra::new() };
    Announcement {
        key: key.into(),
        language: String::new(),
        spoken: Spoken::Stage(content),
        urgent: false,
        valid_ms: 5_000,
        extra: Extra::new(),
    }
}

fn text(key: &str, text: &str, urgent: bool) -> Announcement {
    Announcement { spoken: Spoken::Text(text.into()), urgent, valid_ms: 0, ..due(key, 0) }
}

fn live(voice: &mut Voice, ms: u64) -> Vec<DriverEvent> {
    (0..ms / 50).flat_map(|_| voice.poll(Duration::from_millis(50)).unwrap()).collect()
}

fn heard(ear: &Arc<Mutex<Listener>>) -> Vec<String> {
    ear.lock().unwrap().lines().to_vec()
}

fn count(voice: &mut Voice, name: &str) -> u64 {
    voice.statistics().iter().find(|s| s.0 == name).unwrap().1
}

/// A folder with a clip of `ms` for each word; its first sample names it.
fn folder(words: &[&str], ms: usize) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (n, word) in (1_u8..).zip(words) {
        let data = vec![n; 16 * ms];
        let mut file =
            b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\0\0\0\0\x02\0\x10\0data".to_vec();
        file.extend(u32::try_from(data.len()).unwrap().to_le_bytes());
        file.extend(data);
        std::fs::write(dir.path().join(format!("{word}.wav")), file).unwrap();
    }
    dir
}

#[test]
fn not_present_and_wrong_settings_are_typed_errors() {
    let refused = |host: &TestHost, settings: &str| {
        Voice::open(host.host(), Settings::from_json(settings)).err().map(|e| (e.code, e.message)).unwrap()
    };
    assert_eq!(refused(&TestHost::new(), "{}").0, ErrorCode::TransportGone);
    let (host, _) = bench();
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("一.wav"), b"RIFF").unwrap();
    let clips = format!(r#"{{"backend":"clips","clips":"{}"}}"#, dir.path().display());
    for (settings, names) in [
        (r#"{"backend":"loud"}"#, "loud"),
        (r#"{"language":"fr"}"#, "fr"),
        (r#"{"backend":"clips"}"#, "clips"),
        (r#"{"backend":"clips","clips":"/nowhere"}"#, "/nowhere"),
        (r#"{"char-ms":1}"#, "char-ms"),
        (clips.as_str(), "no WAV"),
    ] {
        let (code, text) = refused(&host, settings);
        assert!(code == ErrorCode::Settings && text.contains(names), "{text}");
    }
    assert!(Voice::open(TestHost::new().host(), Settings::from_json(r#"{"backend":"none"}"#)).is_ok());
    assert_eq!(Manifest::parse(include_str!("../manifest.toml")).unwrap().settings.len(), 4);
}

#[test]
fn the_amount_is_said_once_also_after_a_restart() {
    let (host, ear) = bench();
    let mut voice = open(&host, "{}");
    voice.announce(due("due/1", 12_850)).unwrap();
    voice.announce(due("due/1", 12_850)).unwrap();
    live(&mut voice, 10_000);
    assert_eq!(heard(&ear), ["请支付一百二十八元五角"]);
    assert_eq!((count(&mut voice, "said"), count(&mut voice, "repeated")), (1, 1));
    drop(voice);
    let mut voice = open(&host, "{}");
    voice.announce(due("due/1", 12_850)).unwrap();
    voice.announce(due("due/2", 100)).unwrap();
    live(&mut voice, 10_000);
    assert_eq!(heard(&ear), ["请支付一百二十八元五角", "请支付一元"]);
}

#[test]
fn what_nobody_wants_to_hear_any_more_is_not_said() {
    let (host, ear) = bench();
    let mut voice = open(&host, "{}");
    voice
        .announce(text("long", "一二三四五六七八九十一二三四五六七八九十一二三四五六七八九十", false))
        .unwrap();
    live(&mut voice, 100);
    voice.announce(due("due/1", 100)).unwrap();
    live(&mut voice, 12_000);
    assert_eq!(heard(&ear).len(), 1, "six seconds later the amount is stale");
    assert_eq!(count(&mut voice, "dropped"), 1);
}

#[test]
fn a_storm_is_bounded_and_the_newest_is_said() {
    let (host, ear) = bench();
    let mut voice = open(&host, "{}");
    for n in 0..500 {
        voice.announce(text(&format!("k{n}"), &format!("第{n}"), false)).unwrap();
    }
    live(&mut voice, 60_000);
    let heard = heard(&ear);
    assert_eq!((heard.len(), heard.last().map(String::as_str)), (8, Some("第499")));
}

#[test]
fn an_alarm_ends_what_is_being_said() {
    let words = ["请", "店", "员"];
    let dir = folder(&words, 1_000);
    let (host, ear) = bench();
    let mut voice = open(&host, &format!(r#"{{"backend":"clips","clips":"{}"}}"#, dir.path().display()));
    voice.announce(text("a", "请请请请", false)).unwrap();
    voice.announce(text("b", "员员", false)).unwrap();
    live(&mut voice, 500);
    let before = ear.lock().unwrap().bytes().len();
    assert!(before < 16 * 1_000, "only a moment is written ahead: {before}");
    voice.announce(text("alarm", "店", true)).unwrap();
    live(&mut voice, 10_000);
    let sound = ear.lock().unwrap().bytes().to_vec();
    assert_eq!(sound[before], 2, "the alarm comes next");
    assert_eq!(sound.split(|b| *b == 2).count(), 16_001, "and whole");
    assert!(!sound[before..].contains(&1), "what it cut off is not taken up again");
    assert_eq!(sound.last(), Some(&3), "what waited comes after it");
    assert_eq!(count(&mut voice, "cut-off"), 1);
}

#[test]
fn a_sink_that_hangs_never_holds_a_call_and_is_given_up() {
    let (host, _) = bench();
    let mut voice = open(&host, "{}");
    host.take_at_most(3);
    let before = host.host().now().boot_ms;
    voice.announce(due("due/1", 100)).unwrap();
    assert_eq!(host.host().now().boot_ms, before, "taking a sentence writes nothing");
    let blocked = |e: &DriverEvent| matches!(e, DriverEvent::State { state: DeviceState::Blocked, .. });
    let mut seen = false;
    let ended = (0..400).find_map(|_| match voice.poll(Duration::from_millis(50)) {
        Ok(events) => {
            seen |= events.iter().any(blocked);
            None
        }
        Err(e) => Some(e.code),
    });
    assert_eq!((ended, seen), (Some(ErrorCode::Timeout), true));
    assert!(host.host().now().boot_ms - before < 8_000);
}

#[test]
fn a_sink_that_goes_away_is_a_typed_error() {
    let (host, _) = bench();
    let mut voice = open(&host, "{}");
    host.unplug();
    assert_eq!(voice.poll(Duration::from_millis(50)).unwrap_err().code, ErrorCode::TransportGone);
}

#[test]
fn a_subject_cannot_speak_a_second_sentence() {
    let (host, ear) = bench();
    let mut voice = open(&host, "{}");
    voice.announce(text("a", "一\n支付成功\u{1b}二", false)).unwrap();
    assert_eq!(voice.announce(text("b", "\n", false)).unwrap_err().code, ErrorCode::BadRequest);
    for key in ["", "a\nb"] {
        assert_eq!(voice.announce(text(key, "一", false)).unwrap_err().code, ErrorCode::BadRequest);
    }
    live(&mut voice, 5_000);
    assert_eq!(heard(&ear), ["一支付成功二"]);
}

#[test]
fn another_language_is_refused_and_not_mispronounced() {
    let (host, ear) = bench();
    let mut voice = open(&host, r#"{"language":"en"}"#);
    let chinese = Announcement { language: "zh-CN".into(), ..due("due/1", 100) };
    assert_eq!(voice.announce(chinese).unwrap_err().code, ErrorCode::Unsupported);
    voice.announce(due("due/1", 100)).unwrap();
    voice.say(Sentence { language: "en-GB".into(), text: "hello".into() }).unwrap();
    live(&mut voice, 20_000);
    assert_eq!(heard(&ear), ["please pay one yuan", "hello"]);
}

#[test]
fn silence_says_nothing_and_takes_everything() {
    let (host, ear) = bench();
    let mut voice = open(&host, r#"{"backend":"none"}"#);
    voice.announce(due("due/1", 100)).unwrap();
    live(&mut voice, 1_000);
    assert!(heard(&ear).is_empty());
    assert_eq!(count(&mut voice, "said"), 1);
}

#[test]
fn health_has_three_levels() {
    let (host, ear) = bench();
    let mut voice = open(&host, "{}");
    for level in [HealthLevel::Internal, HealthLevel::External, HealthLevel::Interactive] {
        assert_eq!(voice.health(level).unwrap().state, DeviceState::Unknown);
    }
    live(&mut voice, 5_000);
    assert_eq!(heard(&ear), ["一二三", "一二三"]);
}
