//! A card before the contactless reader until the till is ready to authorise, beside a swipe, in turn on one till.
//!
//! The time starts when the reader first tells that a card is there, or right before a swipe's last key, and ends when a
//! front-end hears that the attempt is `sent`: the read is decided on, both records are on disk, the channel has prepared
//! the request, and its first byte may leave (docs/architecture.md, "Life of a step"). What the simulated reader and its
//! card take for each command is measured there and taken off.

use std::path::Path;
use std::time::{Duration, Instant};

use till_dbus::events::{Change, Events};
use till_simulators::nfc::{Card, scheme_key};
use till_simulators::players::{Recording, Swipe};
use till_tests::{Client, Rig, scene, staging};
use tokio::time::timeout;

use crate::figures::{Spread, time};
use crate::payments::TRACKS;
use crate::reader::{Tap, TimedReader};
use crate::table::Row;
use crate::till::{Bench, PATIENCE};
use crate::{Effort, Outcome};

/// What a whole tap may take while the card is in the field, microseconds.
const BUDGET: f64 = 500_000.0;

/// Bits a second of the reader's line, ten for a byte.
const BAUD: usize = 115_200;

/// Customers of each kind that are not counted.
const WARM: usize = 10;

/// When a front-end heard of one customer's card.
struct Heard {
    presented: Instant,
    sent: Instant,
}

/// How long that took from the beginning.
struct Took {
    presented: Duration,
    sent: Duration,
}

/// Measures on a till of its own, without a printer: paper comes after all of this.
pub async fn rows(base: &Path, effort: Effort) -> Outcome<Vec<Row>> {
    let mut reader = None;
    let mut bench = Bench::start_with(base, |rig| {
        reader = Some(connect(rig)?);
        Ok(())
    })
    .await?;
    let done = match &reader {
        Some(reader) => measure(&bench, reader, effort).await,
        None => Err("no contactless reader".into()),
    };
    if done.is_err() {
        bench.last_words();
    }
    bench.rig.stop_till();
    done
}

/// The reader, on a line of the till's; reads count only with the card's signatures proved.
fn connect(rig: &Rig) -> Outcome<TimedReader> {
    let library = staging::built()?.join("libtill_driver_nfc.so");
    let manifest = staging::workspace().join("drivers/nfc/manifest.toml");
    staging::plugin(&rig.dir.join("plugins"), "org.tilld.nfc", &manifest, &library)?;
    let path = rig.dir.join("run/nfc.sock");
    let device = format!(
        // On a busy machine the simulated chip may be late with its acknowledgement; that must not end the run.
        "[device.nfc]\nplugin = \"org.tilld.nfc\"\ntransport = {{ kind = \"unix\", path = \"{}\" }}\n\
         settings = {{ ack-ms = 2000, oda = \"require\", scheme-keys = [\"{}\"] }}\n",
        path.display(),
        scheme_key("A000000333"),
    );
    rig.drop_in("nfc.toml", &device)?;
    TimedReader::listen(&path, Card::unionpay())
}

async fn measure(bench: &Bench, reader: &TimedReader, effort: Effort) -> Outcome<Vec<Row>> {
    let ready = || async { (bench.client.device("nfc").await.ok()?.0 == "ready").then_some(()) };
    scene::until("the contactless reader is ready", ready).await?;
    // Connections of its own: no answer to a call is in a signal's way.
    let listener = Client::connect(bench.rig.bus.address()).await?;
    let mut events = Events::subscribe(listener.connection()).await?;
    let mut customer = 0;
    let mut next = || {
        // Never the same amount twice: the same card for the same amount is asked about as a possible duplicate.
        customer += 1;
        bench.client.ready(1_000 + customer)
    };
    let (mut taps, mut swipes) = (Vec::new(), Vec::new());
    for round in 0..WARM + effort.pick(300, 30) {
        let payment = next().await?;
        reader.present()?;
        let heard = hear(&mut events, payment.path.as_str()).await?;
        let tap = reader.tapped()?;
        let seen = tap.seen.ok_or("the reader has told of no card")?;

        let payment = next().await?;
        let [keys, enter] = swipe(TRACKS[round % 2])?;
        bench.rig.reader.play(&keys);
        let begun = Instant::now();
        bench.rig.reader.play(&enter);
        let swiped = hear(&mut events, payment.path.as_str()).await?;
        if round >= WARM {
            taps.push((took(&heard, seen), tap));
            swipes.push(took(&swiped, begun));
        }
    }
    Ok(table(&taps, &swipes))
}

/// A swipe up to its last key, and that.
fn swipe(tracks: &str) -> Outcome<[Recording; 2]> {
    let mut keys = Swipe::new(tracks);
    keys.enter = false;
    let mut enter = Swipe::new("");
    (enter.key_gap, enter.hold) = (Duration::ZERO, Duration::ZERO);
    Ok([keys.recording()?, enter.recording()?])
}

fn took(heard: &Heard, begun: Instant) -> Took {
    Took {
        presented: heard.presented.saturating_duration_since(begun),
        sent: heard.sent.saturating_duration_since(begun),
    }
}

/// What a front-end hears of a payment until it is paid.
async fn hear(events: &mut Events, path: &str) -> Outcome<Heard> {
    let (mut presented, mut sent) = (None, None);
    loop {
        let event = timeout(PATIENCE, events.next())
            .await
            .map_err(|_| format!("{path}: it is not paid within {PATIENCE:?}"))?
            .ok_or("the bus has ended")?;
        let now = Instant::now();
        if event.path.as_str() != path {
            continue;
        }
        match event.change {
            Change::Presented { .. } => presented = Some(now),
            Change::Properties { changed, .. } => {
                let state = changed.get("AttemptState").and_then(|v| <&str>::try_from(&**v).ok());
                if state == Some("sent") {
                    sent.get_or_insert(now);
                }
            }
            Change::InputRefused { reason, text, .. } => {
                return Err(format!("{path}: refused ({reason}): {text}").into());
            }
            Change::PaymentState { new, .. } if new == "review" || new == "cancelled" => {
                return Err(format!("{path} became {new}").into());
            }
            Change::PaymentState { new, .. } if new == "paid" => break,
            _ => {}
        }
    }
    let (presented, sent) =
        presented.zip(sent).ok_or("paid, and nobody heard that it was presented and sent")?;
    Ok(Heard { presented, sent })
}

fn table(taps: &[(Took, Tap)], swipes: &[Took]) -> Vec<Row> {
    let of = |what: &dyn Fn(&(Took, Tap)) -> Duration| Spread::of(&taps.iter().map(what).collect::<Vec<_>>());
    let own = of(&|(took, tap)| took.sent.saturating_sub(tap.held));
    let presented = of(&|(took, tap)| took.presented.saturating_sub(tap.held));
    let (whole, held) = (of(&|(took, _)| took.sent), of(&|(_, tap)| tap.held));
    let swiped = Spread::of(&swipes.iter().map(|s| s.sent).collect::<Vec<_>>());
    let shown = Spread::of(&swipes.iter().map(|s| s.presented).collect::<Vec<_>>());
    let figures = |s: Spread| format!("{} / {}", time(s.p50), time(s.p99));

    let most = taps.iter().map(|(_, tap)| (tap.apdus, tap.bytes)).max().unwrap_or_default();
    let line = (most.1 * 10) as f64 * 1e6 / BAUD as f64;
    let count = taps.len();
    let ready = "ready to authorise (AttemptState sent, durable) at a client";
    let tap = format!("tap → {ready}, the reader's own time off, p50 / p99 of {count}");
    let limit = "500 ms for a whole tap; p99 to it";
    vec![
        Row::new(tap.clone(), figures(own)).beside(limit, own.p99 / BUDGET),
        Row::new(tap, figures(own)).beside(
            format!("last key of a swipe → the same, {}; p50s", figures(swiped)),
            own.p50 / swiped.p50,
        ),
        Row::new("tap → Presented at a client, the reader's own time off, p50 / p99", figures(presented)).beside(
            format!("last key of a swipe → the same, {}; p50s", figures(shown)),
            presented.p50 / shown.p50,
        ),
        Row::new(
            format!(
                "whole tap with the simulated reader and card, {} commands to the card; plus {} bytes at {BAUD} baud",
                most.0, most.1
            ),
            format!("{}, of it the reader's {}; plus {}", figures(whole), figures(held), time(line)),
        )
        .beside("500 ms for a whole tap; p99 plus line to it", (whole.p99 + line) / BUDGET)
        .aim("< 500 ms", whole.p99 + line < BUDGET),
        Row::new(format!("last key of a swipe → Presented at a client, p50 / p99 of {count}"), figures(shown))
            .aim("p99 < 5 ms", shown.p99 < 5_000.0),
    ]
}
