//! How long a tap takes the driver itself: `cargo run --release -p till-driver-nfc --example tap_time`.
//!
//! The simulated reader and card run in the same thread; their time is measured apart and taken off. What the serial line
//! would take is counted from the bytes (115200 baud, ten bits a byte), not waited for.

use std::time::{Duration, Instant};

use till_driver_nfc::engine::{Engine, Happened, World};
use till_driver_nfc::link::hsu::Hsu;
use till_driver_nfc::settings::Config;
use till_plugin::{Currency, Money, Settings};
use till_simulators::nfc::{Card, Chip, Hand, Out, scheme_key};

struct Fixed(u32);

impl World for Fixed {
    fn wall_ms(&self) -> i64 {
        1_767_323_045_000
    }

    fn random(&self) -> Option<[u8; 4]> {
        Some(self.0.to_be_bytes())
    }

    fn sequence(&mut self) -> u32 {
        self.0 += 1;
        self.0
    }
}

/// One tap: driver's own time, bytes on the line, commands to the card.
struct Tap {
    own: Duration,
    bytes: usize,
    apdus: u64,
}

/// Moves bytes between the two until the driver has nothing to write; gives the time the reader took.
fn pump(engine: &mut Engine<Hsu>, chip: &mut Chip, world: &mut Fixed, bytes: &mut usize) -> Duration {
    let mut theirs = Duration::ZERO;
    while let Some(out) = engine.output() {
        *bytes += out.len();
        let start = Instant::now();
        let said = chip.receive(&out);
        theirs += start.elapsed();
        for part in said {
            if let Out::Bytes(_, part) = part {
                *bytes += part.len();
                engine.push(&part, Duration::from_secs(1), world);
            }
        }
    }
    theirs
}

fn tap(config: &Config, card: Card) -> Option<Tap> {
    let mut engine = Engine::new(Hsu::new(config.timing), config.clone());
    let (mut chip, mut world, mut bytes) = (Chip::new(), Fixed(1), 0);
    engine.start(Duration::ZERO);
    pump(&mut engine, &mut chip, &mut world, &mut bytes);
    chip.present(Hand::with(card));
    bytes = 0;
    let start = Instant::now();
    engine.arm(Money::new(128, Currency::CNY), true, false, Duration::from_secs(1));
    let theirs = pump(&mut engine, &mut chip, &mut world, &mut bytes);
    let own = start.elapsed().saturating_sub(theirs);
    let read = engine.happened().into_iter().any(|h| matches!(h, Happened::Read(_)));
    read.then(|| Tap { own, bytes, apdus: chip.seen().apdus })
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let keys: Vec<String> = ["A000000333", "A000000003", "A000000004"].map(scheme_key).into();
    let with_keys = format!(r#"{{"scheme-keys": {}}}"#, serde_json::to_string(&keys)?);
    for (name, card) in
        [("unionpay", Card::unionpay()), ("visa", Card::visa()), ("mastercard", Card::mastercard())]
    {
        for (what, settings) in [("", "{}"), (", signatures checked", with_keys.as_str())] {
            let config = Config::new(&Settings::from_json(settings))?;
            let mut taps = Vec::new();
            for _ in 0..200 {
                taps.push(tap(&config, card.clone()).ok_or("the tap failed")?);
            }
            taps.sort_by_key(|t| t.own);
            let (median, worst) = (&taps[taps.len() / 2], &taps[taps.len() - 1]);
            println!(
                "{name}{what}: {} commands to the card, driver {} µs (median of {}; worst {} µs), {} bytes on the line = {} ms at 115200 baud",
                median.apdus,
                median.own.as_micros(),
                taps.len(),
                worst.own.as_micros(),
                median.bytes,
                median.bytes * 10 * 1000 / 115_200,
            );
        }
    }
    Ok(())
}
