//! PN532 on I2C and SPI, and inside an ACR122U: the same dialogue by other ways.
#![allow(clippy::unwrap_used)] // a test that cannot go on should stop here

mod common;

use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;

use common::hex;
use embedded_hal::i2c::{ErrorType as I2cError, I2c, Operation as I2cOperation};
use embedded_hal::spi::{ErrorType as SpiError, Operation as SpiOperation, SpiDevice};
use till_driver_nfc::chip;
use till_driver_nfc::engine::{Engine, Happened, World};
use till_driver_nfc::link::bus::{ADDRESS, Bus, OnI2c, OnSpi};
use till_driver_nfc::link::ccid::{self, Acr122};
use till_driver_nfc::link::frame::MOST;
use till_driver_nfc::link::hsu::{Hsu, Timing};
use till_driver_nfc::link::{Event, Link};
use till_driver_nfc::settings::Config;
use till_plugin::{Currency, Instrument, Money, Settings};
use till_simulators::nfc::{Card, Chip, Hand, Out};

/// The simulated chip as a bus sees it: frames wait until they are asked for.
struct Waiting {
    chip: Chip,
    frames: VecDeque<Vec<u8>>,
    /// How often it is busy before a frame is ready.
    busy: u32,
}

impl Waiting {
    fn new() -> Self {
        let mut chip = Chip::new();
        // On these buses a transaction wakes it.
        chip.receive(&[0x55]);
        Self { chip, frames: VecDeque::new(), busy: 2 }
    }

    fn write(&mut self, bytes: &[u8]) {
        for out in self.chip.receive(bytes) {
            if let Out::Bytes(_, bytes) = out {
                self.frames.push_back(bytes);
            }
        }
    }

    fn ready(&mut self) -> bool {
        if self.frames.is_empty() {
            return false;
        }
        if self.busy > 0 {
            self.busy -= 1;
            return false;
        }
        true
    }

    fn read(&mut self, into: &mut [u8]) {
        let frame = self.frames.pop_front().unwrap_or_default();
        self.busy = 2;
        into.fill(0);
        into[..frame.len()].copy_from_slice(&frame);
    }
}

impl I2cError for Waiting {
    type Error = Infallible;
}

impl I2c for Waiting {
    fn transaction(&mut self, address: u8, operations: &mut [I2cOperation<'_>]) -> Result<(), Infallible> {
        assert_eq!(address, ADDRESS);
        for operation in operations {
            match operation {
                I2cOperation::Write(bytes) => Waiting::write(self, bytes),
                I2cOperation::Read(bytes) => {
                    let ready = self.ready();
                    bytes.fill(0);
                    bytes[0] = u8::from(ready);
                    if ready && bytes.len() > 1 {
                        assert!(bytes.len() > MOST, "a frame is read whole: its rest would be lost");
                        Waiting::read(self, &mut bytes[1..]);
                    }
                }
            }
        }
        Ok(())
    }
}

struct Mirrored(Waiting);

impl SpiError for Mirrored {
    type Error = Infallible;
}

impl SpiDevice for Mirrored {
    fn transaction(&mut self, operations: &mut [SpiOperation<'_, u8>]) -> Result<(), Infallible> {
        let turned = |bytes: &[u8]| -> Vec<u8> { bytes.iter().map(|b| b.reverse_bits()).collect() };
        let mut asked = 0;
        for operation in operations {
            match operation {
                SpiOperation::Write(bytes) => {
                    let bytes = turned(bytes);
                    asked = bytes[0];
                    if asked == 0x01 {
                        self.0.write(&bytes[1..]);
                    }
                }
                SpiOperation::Read(bytes) => {
                    match asked {
                        0x02 => bytes[0] = u8::from(self.0.ready()),
                        0x03 => self.0.read(bytes),
                        other => panic!("{other:02X}"),
                    }
                    for byte in bytes.iter_mut() {
                        *byte = byte.reverse_bits();
                    }
                }
                _ => panic!("not an operation of this chip"),
            }
        }
        Ok(())
    }
}

/// Asks for the firmware over a bus.
fn ask<B: Bus<Error = Infallible>>(mut bus: B) -> Vec<u8> {
    let mut link = Hsu::new(Timing::default());
    link.send(chip::FIRMWARE, Duration::from_secs(1), true, Duration::ZERO).unwrap();
    while let Some(bytes) = link.output() {
        bus.write(&bytes).unwrap();
    }
    for _ in 0..20 {
        if let Some(bytes) = bus.read().unwrap() {
            link.push(&bytes, Duration::from_millis(1));
        }
        if let Some(Event::Reply(reply)) = link.event() {
            return reply.to_vec();
        }
    }
    panic!("no reply");
}

#[test]
fn i2c_asks_for_the_status_first_and_reads_frames_whole() {
    assert_eq!(ask(OnI2c::new(Waiting::new())), hex("0332010607"));
    let mut bus = OnI2c::new(Waiting::new());
    assert!(!bus.ready().unwrap() && bus.read().unwrap().is_none(), "nothing was asked for yet");
}

#[test]
fn spi_bits_are_turned_where_the_controller_cannot() {
    assert_eq!(ask(OnSpi::new(Mirrored(Waiting::new()), false)), hex("0332010607"));
}

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

/// What an ACR122U does with a block: takes the pseudo-APDU out, asks its PN532, wraps the reply.
fn acr122(chip: &mut Chip, block: &[u8]) -> Vec<u8> {
    assert_eq!(block[0], 0x6F);
    let apdu = &block[10..];
    assert_eq!((&apdu[..4], usize::from(apdu[4])), ([0xFF, 0, 0, 0].as_slice(), apdu.len() - 5));
    let frame = till_driver_nfc::link::frame::encode(&apdu[5..]).unwrap();
    let mut reply = Vec::new();
    for out in chip.receive(&frame) {
        if let Out::Bytes(_, bytes) = out
            && bytes.len() > 6
        {
            let start = if bytes[3] == 0xFF && bytes[4] == 0xFF { 8 } else { 5 };
            reply = bytes[start..bytes.len() - 2].to_vec();
        }
    }
    reply.extend([0x90, 0x00]);
    let mut out = vec![0x80];
    out.extend(u32::try_from(reply.len()).unwrap().to_le_bytes());
    out.extend([0, block[6], 0, 0x81, 0]);
    out.extend(reply);
    out
}

#[test]
fn a_whole_tap_through_an_acr122u() {
    let config = Config::new(&Settings::from_json("{}")).unwrap();
    let mut engine = Engine::new(Acr122::new(), config);
    let mut chip = Chip::new();
    chip.receive(&[0x55]);
    chip.present(Hand::with(Card::unionpay()));
    engine.start(Duration::ZERO);
    engine.arm(Money::new(128, Currency::CNY), true, false, Duration::ZERO);
    let mut read = None;
    for n in 0..200 {
        let Some(block) = engine.output() else { break };
        engine.push(&acr122(&mut chip, &block), Duration::from_millis(n), &mut Fixed);
        read = read.or(engine.happened().into_iter().find_map(|h| match h {
            Happened::Read(Instrument::Chip(card)) => Some(card),
            _ => None,
        }));
    }
    assert_eq!(read.unwrap().masked, "620000******0005");
}

#[test]
fn an_acr122u_that_is_silent_failing_or_asks_for_time() {
    let second = Duration::from_secs(1);
    let asked = || {
        let mut link = Acr122::new();
        link.send(chip::FIRMWARE, second, true, Duration::ZERO).unwrap();
        assert!(link.output().is_some());
        link
    };
    let mut link = asked();
    link.push(&hex("80000000000001800100"), Duration::from_millis(900));
    assert_eq!(link.deadline(), Some(Duration::from_millis(1900)), "it asked for more time");
    link.tick(Duration::from_millis(1900));
    assert!(matches!(link.event(), Some(Event::Fault(_))));
    for bad in ["8000", "80000000000001400100", "80020000000001008100 6300", "80040000000001008100 D503 6300"]
    {
        let mut link = asked();
        link.push(&hex(bad), Duration::ZERO);
        assert!(matches!(link.event(), Some(Event::Fault(_))), "{bad}");
    }
    assert!(ccid::usable(b"ACR122U201") && !ccid::usable(b"ACR122U103") && !ccid::usable(b""));
    assert!(ccid::direct(&[0x40; 254]).is_none());
}
