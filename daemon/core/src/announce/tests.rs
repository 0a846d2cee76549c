#![allow(clippy::unwrap_used)]
use super::*;
use crate::input::{Context, Input};
use crate::refusal::Refusal;
use crate::routing::RouteView;
use crate::shell::{Durable, Next, NotDone, Shell};
use crate::windows::{Kind, Span};

const NOW: i64 = 1_790_000_000_000;

fn ctx() -> Context {
    let route = |id: &str| RouteView {
        id: id.into(),
        ..crate::training::route(till_plugin::Family::new("cash"), "CNY")
    };
    Context {
        wall_ms: NOW,
        clock_trusted: true,
        routes: vec![route("bank"), route("cash")],
        terminal: "T1".into(),
        config: "1".into(),
        printer: None,
        reuse_window_ms: 0,
        duplicate_window_ms: 0,
        undo_after_ms: None,
        hold_valid_ms: 0,
        job_valid_ms: 0,
        rules: crate::batch::Rules::default(),
    }
}

fn window(channel: &str, from_ms: i64) -> Window {
    let when = When::Once(Span { from_ms, until_ms: from_ms + 1_000 });
    Window { channel: channel.into(), when, kind: Kind::Down, lead_ms: None, reason: "core".into() }
}

fn says(source: Source, issue: u64, windows: Vec<Window>) -> Announcement {
    Announcement { source, issue, windows }
}

/// Gives how many records it took.
fn input(shell: &mut Shell, input: &Input) -> Result<usize, AnnounceRefusal> {
    match shell.decide(input, &ctx()) {
        Ok(Next::Act(_)) => Ok(0),
        Ok(Next::Write(pending)) => {
            assert!(pending.payload().len() <= crate::MAX_RECORD);
            let mut again = Shell::new(shell.till().clone());
            let at = Durable::new(shell.till().seq() + 1, NOW);
            again.replay(at, pending.payload()).unwrap();
            shell.durable(pending, at);
            assert_eq!(again.till(), shell.till(), "a replay gives the live plan");
            Ok(1)
        }
        Err(NotDone::Refused(Refusal::Announce(refusal))) => Err(refusal),
        Err(e) => panic!("{e}"),
    }
}

fn announce(shell: &mut Shell, id: &str, announcement: Announcement) -> Result<usize, AnnounceRefusal> {
    input(shell, &Input::Announce { id: id.into(), announcement, operator: Some("chen".into()) })
}

fn withdraw(shell: &mut Shell, id: &str, source: Source) -> Result<usize, AnnounceRefusal> {
    input(shell, &Input::Withdraw { id: id.into(), source, operator: None })
}

#[test]
fn the_plan_is_what_was_announced_last_and_saying_it_again_writes_nothing() {
    let mut shell = Shell::default();
    let one = says(Source::Supervisor, 0, vec![window("bank", NOW)]);
    assert_eq!(announce(&mut shell, "a", one.clone()), Ok(1));
    assert_eq!(announce(&mut shell, "a", one), Ok(0));
    let other = says(Source::Supervisor, 0, vec![window("bank", NOW + 5), window("cash", NOW)]);
    assert_eq!(announce(&mut shell, "a", other), Ok(1));
    assert_eq!(shell.till().announced().windows().count(), 2);
    let nowhere = says(Source::File, 0, vec![window("nowhere", NOW)]);
    assert_eq!(announce(&mut shell, "f", nowhere), Err(AnnounceRefusal::NoChannel("nowhere".into())));
    assert_eq!(withdraw(&mut shell, "b", Source::Supervisor), Err(AnnounceRefusal::Unknown("b".into())));
    assert_eq!(withdraw(&mut shell, "a", Source::File), Ok(0), "a file takes back only what files say");
    assert_eq!(withdraw(&mut shell, "a", Source::Supervisor), Ok(1));
    assert!(shell.till().announced().is_empty());
}

#[test]
fn an_older_signed_message_never_comes_back_also_after_the_newer_one_was_withdrawn() {
    let mut shell = Shell::default();
    let message = |issue, channel: &str| says(Source::Signed, issue, vec![window(channel, NOW)]);
    assert_eq!(announce(&mut shell, SIGNED, message(7, "bank")), Ok(1));
    assert_eq!(announce(&mut shell, SIGNED, message(7, "bank")), Ok(0), "delivered twice");
    let outdated = |asked| Err(AnnounceRefusal::Outdated { asked, known: 7 });
    assert_eq!(announce(&mut shell, SIGNED, message(7, "cash")), outdated(7));
    assert_eq!(announce(&mut shell, SIGNED, message(6, "bank")), outdated(6));
    assert_eq!(withdraw(&mut shell, SIGNED, Source::Supervisor), Ok(1));
    assert_eq!(announce(&mut shell, SIGNED, message(7, "bank")), outdated(7));
    // What is for other shops is left out, and the number counts.
    assert_eq!(announce(&mut shell, SIGNED, message(8, "elsewhere")), Ok(1));
    assert_eq!((shell.till().announced().issue(), shell.till().announced().windows().count()), (8, 0));
}

#[test]
fn there_is_room_for_so_many_and_what_is_long_over_makes_room() {
    let mut shell = Shell::default();
    let many = |n: usize| says(Source::Supervisor, 0, (0..n).map(|_| long("bank")).collect());
    fn long(channel: &str) -> Window {
        Window { reason: "原".repeat(100), lead_ms: Some(i64::MAX), ..window(channel, i64::MAX - 5_000) }
    }
    assert_eq!(announce(&mut shell, "big", many(MOST_WINDOWS + 1)), Err(AnnounceRefusal::TooMany));
    assert_eq!(announce(&mut shell, &"x".repeat(NAME), many(MOST_WINDOWS)), Ok(1), "it fits one record");
    for n in 1..MOST {
        let from = if n < 3 { NOW - 30 * 86_400_000 } else { NOW };
        assert_eq!(
            announce(&mut shell, &format!("a{n}"), says(Source::Supervisor, 0, vec![window("bank", from)])),
            Ok(1)
        );
    }
    // The first two were over for long when the others came.
    assert_eq!(shell.till().announced().len(), MOST - 2);
    for n in ["b1", "b2"] {
        assert_eq!(announce(&mut shell, n, many(1)), Ok(1));
    }
    assert_eq!(announce(&mut shell, "b3", many(1)), Err(AnnounceRefusal::Full));
    assert_eq!(announce(&mut shell, "b2", many(2)), Ok(1), "what is there can still change");
}
