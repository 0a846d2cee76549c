//! PN532 on I2C and SPI: the same dialogue by other ways.
#![allow(clippy::unwrap_used)] // a test that cannot go on should stop here

mod common;

use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;

use common::hex;
use embedded_hal::i2c::{ErrorType as I2cError, I2c, Operation as I2cOperation};
use embedded_hal::spi::{ErrorType as SpiError, Operation as SpiOperation, SpiDevice};
use till_driver_nfc::chip;
use till_driver_nfc::link::bus::{ADDRESS, Bus, OnI2c, OnSpi};
use till_driver_nfc::link::frame::MOST;
use till_driver_nfc::link::hsu::{Hsu, Timing};
use till_driver_nfc::link::{Event, Link};
use till_simulators::nfc::{Chip, Out};

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
