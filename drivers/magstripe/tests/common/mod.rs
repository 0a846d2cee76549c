//! A keyboard to play with: writes key events as the kernel does.
#![allow(dead_code, reason = "each test program uses its part")]

use std::time::Duration;

use till_plugin::driver::{DriverEvent, EnableRequest};
use till_plugin::host::TransportKind;
use till_plugin::instrument::StripeCard;
use till_plugin::testing::TestHost;
use till_plugin::{Currency, Driver, Instrument, Money, Settings};
use till_wedge::keymap::key_for;

pub(crate) const SHIFT: u16 = 42;
pub(crate) const T1: &str = "%B6200000000000005^ZHANG/SAN^30122010000000000000?";
pub(crate) const T2: &str = ";6200000000000005=30122010000000000?";

pub(crate) struct Keys {
    pub(crate) bytes: Vec<u8>,
    micros: u64,
}

impl Keys {
    pub(crate) fn new() -> Self {
        Self { bytes: Vec::new(), micros: 5_000_000 }
    }
    pub(crate) fn raw(&mut self, kind: u16, code: u16, value: i32) -> &mut Self {
        self.bytes.extend((self.micros / 1_000_000).to_ne_bytes());
        self.bytes.extend((self.micros % 1_000_000).to_ne_bytes());
        self.bytes.extend(kind.to_ne_bytes());
        self.bytes.extend(code.to_ne_bytes());
        self.bytes.extend(value.to_ne_bytes());
        self
    }
    pub(crate) fn key(&mut self, code: u16, value: i32) -> &mut Self {
        self.micros += 1000;
        self.raw(1, code, value).raw(0, 0, 0)
    }
    pub(crate) fn tap(&mut self, code: u16) -> &mut Self {
        self.key(code, 1).key(code, 0)
    }
    pub(crate) fn text(&mut self, text: &str) -> &mut Self {
        for byte in text.bytes() {
            let (code, shift) = key_for(byte).unwrap();
            if shift {
                self.key(SHIFT, 1).tap(code).key(SHIFT, 0);
            } else {
                self.tap(code);
            }
        }
        self
    }
    pub(crate) fn pause(&mut self, millis: u64) -> &mut Self {
        self.micros += millis * 1000;
        self
    }
    pub(crate) fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes)
    }
}

pub(crate) fn keys(text: &str) -> Vec<u8> {
    Keys::new().text(text).take()
}

pub(crate) fn bench(kind: TransportKind) -> TestHost {
    TestHost::new().with_transport(kind)
}

pub(crate) fn open<D: Driver>(host: &TestHost, settings: &str) -> D {
    D::open(host.host(), Settings::from_json(settings)).unwrap()
}

pub(crate) fn sale() -> EnableRequest {
    EnableRequest {
        amount: Money::new(12_850, Currency::CNY),
        families: Vec::new(),
        extra: std::collections::BTreeMap::new(),
    }
}

pub(crate) fn armed<D: Driver>(host: &TestHost, settings: &str) -> D {
    let mut driver: D = open(host, settings);
    driver.enable(sale()).unwrap();
    driver
}

/// All that happens within two seconds.
pub(crate) fn events<D: Driver>(driver: &mut D) -> Vec<DriverEvent> {
    let mut all = Vec::new();
    for _ in 0..40 {
        all.extend(driver.poll(Duration::from_millis(50)).unwrap());
    }
    all
}

pub(crate) fn card(event: &DriverEvent) -> &StripeCard {
    match event {
        DriverEvent::Read(Instrument::Stripe(card)) => card,
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
