//! The driver on a transport in memory, with the simulated reader at its other end. Time passes only where something waits.

#![allow(dead_code)] // each test file takes what it needs

use std::sync::{Arc, Mutex};
use std::time::Duration;

use till_driver_nfc::plugin::Nfc;
use till_plugin::driver::{DriverEvent, EnableRequest};
use till_plugin::host::TransportKind;
use till_plugin::instrument::ChipCard;
use till_plugin::testing::TestHost;
use till_plugin::{Currency, Driver, Extra, Family, Instrument, Money, Settings};
use till_simulators::nfc::{Chip, Hand, Out, Seen};

pub(crate) struct Twin {
    pub(crate) host: TestHost,
    pub(crate) chip: Arc<Mutex<Chip>>,
    pub(crate) driver: Nfc,
}

pub(crate) fn sale(minor: i64) -> EnableRequest {
    EnableRequest { amount: Money::new(minor, Currency::CNY), families: Vec::new(), extra: Extra::new() }
}

/// Connects a host's transport to a chip. After a cut it says nothing more; the test then unplugs the host.
pub(crate) fn connect(host: &TestHost, chip: &Arc<Mutex<Chip>>) {
    let theirs = Arc::clone(chip);
    let mut cut = false;
    host.respond(move |bytes| {
        let mut said = Vec::new();
        if !cut {
            for out in theirs.lock().unwrap().receive(bytes) {
                match out {
                    Out::Bytes(_, more) => said.extend(more),
                    Out::Cut => cut = true,
                }
            }
        }
        said
    });
}

impl Twin {
    pub(crate) fn new(settings: &str) -> Self {
        let host = TestHost::new().with_transport(TransportKind::Serial);
        let chip = Arc::new(Mutex::new(Chip::new()));
        connect(&host, &chip);
        let driver = Nfc::open(host.host(), Settings::from_json(settings)).unwrap();
        Self { host, chip, driver }
    }

    /// Armed for 1.28 CNY.
    pub(crate) fn armed(settings: &str) -> Self {
        let mut twin = Self::new(settings);
        twin.driver.enable(sale(128)).unwrap();
        twin
    }

    pub(crate) fn present(&self, hand: Hand) {
        assert!(self.chip.lock().unwrap().present(hand).is_empty());
    }

    pub(crate) fn remove(&self) -> Hand {
        self.chip.lock().unwrap().remove()
    }

    pub(crate) fn seen(&self) -> Seen {
        self.chip.lock().unwrap().seen()
    }

    /// All that happens within a time.
    pub(crate) fn within(&mut self, ms: u64) -> Vec<DriverEvent> {
        let until = self.host.host().now().boot_ms + ms;
        let mut all = Vec::new();
        while self.host.host().now().boot_ms < until {
            all.extend(self.driver.poll(Duration::from_millis(20)).unwrap());
        }
        all
    }

    /// A whole tap: what it led to, card taken away afterwards.
    pub(crate) fn tap(&mut self, hand: Hand) -> Vec<DriverEvent> {
        self.present(hand);
        let seen = self.within(1000);
        self.remove();
        self.within(300);
        seen
    }
}

pub(crate) fn card(event: &DriverEvent) -> &ChipCard {
    match event {
        DriverEvent::Read(Instrument::Chip(card)) => card,
        other => panic!("not a card: {other:?}"),
    }
}

pub(crate) fn reasons(events: &[DriverEvent]) -> Vec<&str> {
    events
        .iter()
        .map(|event| match event {
            DriverEvent::Read(_) => "read",
            DriverEvent::ReadFailed(failure) => failure.reason.as_str(),
            other => panic!("{other:?}"),
        })
        .collect()
}

pub(crate) fn families(of: &[&str]) -> Vec<Family> {
    of.iter().map(|f| Family::new(*f)).collect()
}
