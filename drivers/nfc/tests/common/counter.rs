//! The engine with a USB reader's twin at its other end, and a clock: every message is answered after the pause that the reader takes.
#![allow(dead_code)] // each test file takes what it needs

use std::time::Duration;

use till_driver_nfc::engine::{Engine, Happened, World};
use till_driver_nfc::link::hsu::Timing;
use till_driver_nfc::link::way::Way;
use till_driver_nfc::settings::Config;
use till_plugin::host::TransportKind;
use till_plugin::{Currency, Instrument, Money, Settings};
use till_simulators::nfc::{Acr122, Chip, Hand, Slot};

pub(crate) const SECOND: Duration = Duration::from_secs(1);
/// UnionPay's test card as a front-end sees it.
pub(crate) const READ: &str = "620000******0005";

struct Fixed;

impl World for Fixed {
    fn wall_ms(&self) -> i64 {
        1_767_323_045_000
    }

    fn random(&self) -> Option<[u8; 4]> {
        Some([1, 2, 3, 4])
    }

    fn sequence(&mut self) -> u32 {
        1
    }
}

/// A twin that speaks CCID messages.
pub(crate) trait Reader {
    fn power_cycle(&mut self, chip: &mut Chip);
    fn message(&mut self, chip: &mut Chip, message: &[u8]) -> Option<Vec<(Duration, Vec<u8>)>>;
}

impl Reader for Acr122 {
    fn power_cycle(&mut self, chip: &mut Chip) {
        self.power_cycle(chip);
    }

    fn message(&mut self, chip: &mut Chip, message: &[u8]) -> Option<Vec<(Duration, Vec<u8>)>> {
        self.message(chip, message)
    }
}

impl Reader for Slot {
    fn power_cycle(&mut self, chip: &mut Chip) {
        self.power_cycle(chip);
    }

    fn message(&mut self, chip: &mut Chip, message: &[u8]) -> Option<Vec<(Duration, Vec<u8>)>> {
        self.message(chip, message)
    }
}

pub(crate) struct Counter<R> {
    pub(crate) engine: Engine<Way>,
    pub(crate) reader: R,
    pub(crate) chip: Chip,
    pub(crate) now: Duration,
    pub(crate) happened: Vec<Happened>,
    pub(crate) sent: Vec<Vec<u8>>,
}

impl<R: Reader> Counter<R> {
    /// Set up, after a second.
    pub(crate) fn new(reader: R, settings: &str) -> Self {
        let config = Config::new(&Settings::from_json(settings)).unwrap();
        let way = Way::new(TransportKind::Ccid, Timing::default(), config.reader_beeps);
        let mut counter = Self {
            engine: Engine::new(way, config),
            reader,
            chip: Chip::new(),
            now: Duration::ZERO,
            happened: Vec::new(),
            sent: Vec::new(),
        };
        counter.reader.power_cycle(&mut counter.chip);
        counter.engine.start(Duration::ZERO);
        counter.run(SECOND);
        counter
    }

    /// Lets time pass.
    pub(crate) fn run(&mut self, time: Duration) {
        let until = self.now + time;
        while self.now < until {
            while let Some(block) = self.engine.output() {
                self.sent.push(block.to_vec());
                for (after, back) in self.reader.message(&mut self.chip, &block).unwrap_or_default() {
                    self.now += after;
                    self.engine.push(&back, self.now, &mut Fixed);
                }
            }
            self.happened.extend(self.engine.happened());
            let next = self.engine.deadline().unwrap_or(until);
            self.now = next.max(self.now + Duration::from_millis(1)).min(until);
            self.engine.tick(self.now, &mut Fixed);
        }
        self.happened.extend(self.engine.happened());
    }

    /// For bank cards and the shop's own, 1.28 CNY.
    pub(crate) fn arm(&mut self) {
        self.happened.clear();
        self.engine.arm(Money::new(128, Currency::CNY), true, true, self.now);
    }

    /// What people hear: masked numbers, and reasons.
    pub(crate) fn heard(&self) -> Vec<String> {
        self.happened
            .iter()
            .filter_map(|h| match h {
                Happened::Read(Instrument::Chip(card)) => Some(card.masked.clone()),
                Happened::Read(Instrument::StoredValue(card)) => Some(card.masked.clone()),
                Happened::Failed { reason, .. } => Some((*reason).to_owned()),
                Happened::Broken(e) => Some(e.to_string()),
                _ => None,
            })
            .collect()
    }

    /// Armed, and a card held there for four seconds.
    pub(crate) fn tap(&mut self, hand: Hand) -> Vec<String> {
        self.arm();
        self.chip.present(hand);
        self.run(4 * SECOND);
        self.chip.remove();
        self.heard()
    }
}
