//! The chip on I2C and SPI (UM0701-02 §6.2.3–6.2.5): it says nothing by itself. Frames wait until they are fetched, and a status
//! byte tells whether one does. Transactions come as packets of the till's bus transport (its page on plugins has the bytes).

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::chip::{Chip, Out};
use super::fault::Fault;

/// Which bus.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Bus {
    /// I2C: the address is not acknowledged while the chip wakes.
    I2c,
    /// SPI, lowest bit first, on a line that carries the highest first: every byte is mirrored.
    Spi,
}

/// From being addressed to being awake.
const OSCILLATOR: Duration = Duration::from_millis(2);
const DONE: u8 = 0;
const NOT_ACKNOWLEDGED: u8 = 1;
const REFUSED: u8 = 4;

/// An operation of a transaction.
enum Operation {
    Write(Vec<u8>),
    Read(usize),
    Transfer(Vec<u8>),
    Pause,
}

/// What stands between the chip and the bus.
pub(super) struct Front {
    bus: Bus,
    /// Frames, each from when on.
    waiting: VecDeque<(Instant, Vec<u8>)>,
    /// Asleep; since when it wakes.
    awake: Option<Instant>,
    /// The line was cut.
    cut: bool,
}

impl Front {
    pub(super) const fn new(bus: Bus) -> Self {
        Self { bus, waiting: VecDeque::new(), awake: None, cut: false }
    }

    /// The power was off.
    pub(super) fn power_cycle(&mut self) {
        *self = Self::new(self.bus);
    }

    /// What the chip says waits here.
    pub(super) fn hold(&mut self, outs: Vec<Out>, now: Instant) {
        let mut at = now;
        for out in outs {
            match out {
                Out::Bytes(after, frame) => {
                    at += after;
                    self.waiting.push_back((at, frame));
                }
                Out::Cut => self.cut = true,
            }
        }
    }

    /// A transaction; `None`: the line is cut.
    pub(super) fn transaction(&mut self, chip: &mut Chip, packet: &[u8], now: Instant) -> Option<Vec<u8>> {
        let (number, rest) = packet.split_first()?;
        let refused = |text: &str| Some([&[*number, REFUSED], text.as_bytes()].concat());
        let Some(operations) = operations(rest) else { return refused("not a transaction") };
        let awake = if let Some(from) = self.awake {
            now >= from
        } else {
            self.awake = Some(now + OSCILLATOR);
            chip.receive(&[0x55]);
            false
        };
        let nacked = chip.happens(|f| if let Fault::Deaf { times } = f { Some(*times) } else { None });
        let read = match self.bus {
            Bus::I2c if !awake || nacked => {
                return Some([&[*number, NOT_ACKNOWLEDGED], b"nobody".as_slice()].concat());
            }
            Bus::I2c => self.i2c(chip, operations, now)?,
            // Nobody drives MISO.
            Bus::Spi if !awake || nacked => vec![0xFF; operations.iter().map(Operation::read).sum()],
            Bus::Spi => self.spi(chip, operations, now),
        };
        if self.cut {
            return None;
        }
        Some([&[*number, DONE], read.as_slice()].concat())
    }

    fn ready(&self, now: Instant) -> bool {
        self.waiting.front().is_some_and(|(from, _)| now >= *from)
    }

    /// A frame from its start, as much of it as is fetched; its rest is lost.
    fn fetch(&mut self, count: usize) -> Vec<u8> {
        let (_, mut frame) = self.waiting.pop_front().unwrap_or((Instant::now(), Vec::new()));
        frame.resize(count, 0);
        frame
    }

    /// A command that comes before an answer was fetched takes its place (§6.2.1.3).
    fn take(&mut self, chip: &mut Chip, bytes: &[u8], now: Instant) {
        let outs = chip.receive(bytes);
        if !outs.is_empty() || chip.aborted() {
            self.waiting.clear();
        }
        self.hold(outs, now);
    }

    fn i2c(&mut self, chip: &mut Chip, operations: Vec<Operation>, now: Instant) -> Option<Vec<u8>> {
        let mut read = Vec::new();
        for operation in operations {
            match operation {
                Operation::Write(bytes) => self.take(chip, &bytes, now),
                Operation::Read(count) => {
                    let ready = self.ready(now);
                    read.push(u8::from(ready));
                    match count.checked_sub(1)? {
                        0 => {}
                        rest if ready => read.extend(self.fetch(rest)),
                        rest => read.resize(read.len() + rest, 0),
                    }
                }
                Operation::Transfer(_) | Operation::Pause => return None,
            }
        }
        Some(read)
    }

    /// What goes out and comes in while chip select is low; the first byte says what it is about.
    fn spi(&mut self, chip: &mut Chip, operations: Vec<Operation>, now: Instant) -> Vec<u8> {
        let (mut out, mut wanted) = (Vec::new(), Vec::new());
        for operation in operations {
            let (bytes, read) = match operation {
                Operation::Write(bytes) => (bytes, false),
                Operation::Read(count) => (vec![0; count], true),
                Operation::Transfer(bytes) => (bytes, true),
                Operation::Pause => continue,
            };
            wanted.resize(wanted.len() + bytes.len(), read);
            out.extend(bytes.iter().map(|b| b.reverse_bits()));
        }
        let answer = match out.split_first() {
            Some((0x01, frame)) => {
                self.take(chip, frame, now);
                Vec::new()
            }
            Some((0x02, rest)) => vec![u8::from(self.ready(now)); rest.len()],
            Some((0x03, rest)) if self.ready(now) => self.fetch(rest.len()),
            // Bits the wrong way round end here: it understands nothing.
            _ => Vec::new(),
        };
        let said = std::iter::once(0).chain(answer).chain(std::iter::repeat(0));
        said.zip(wanted).filter(|(_, wanted)| *wanted).map(|(byte, _)| byte.reverse_bits()).collect()
    }
}

impl Operation {
    const fn read(&self) -> usize {
        match self {
            Self::Read(count) => *count,
            Self::Transfer(bytes) => bytes.len(),
            Self::Write(_) | Self::Pause => 0,
        }
    }
}

fn operations(mut rest: &[u8]) -> Option<Vec<Operation>> {
    let mut all = Vec::new();
    while !rest.is_empty() {
        let [code, high, low, behind @ ..] = rest else { return None };
        let value = usize::from(*high) << 8 | usize::from(*low);
        let (bytes, behind) = behind.split_at_checked(if matches!(code, 1 | 3) { value } else { 0 })?;
        all.push(match code {
            1 => Operation::Write(bytes.to_vec()),
            2 => Operation::Read(value),
            3 => Operation::Transfer(bytes.to_vec()),
            4 => Operation::Pause,
            _ => return None,
        });
        rest = behind;
    }
    Some(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRMWARE: [u8; 9] = [0, 0, 0xFF, 2, 0xFE, 0xD4, 0x02, 0x2A, 0];
    const REPLY: [u8; 13] = [0, 0, 0xFF, 6, 0xFA, 0xD5, 0x03, 0x32, 1, 6, 7, 0xE8, 0];
    const ACK: [u8; 6] = [0, 0, 0xFF, 0, 0xFF, 0];

    struct Till {
        front: Front,
        chip: Chip,
        now: Instant,
    }

    impl Till {
        fn new(bus: Bus) -> Self {
            Self { front: Front::new(bus), chip: Chip::new(), now: Instant::now() }
        }

        fn run(&mut self, packet: &[u8]) -> Vec<u8> {
            let reply = self.front.transaction(&mut self.chip, &[&[9], packet].concat(), self.now).unwrap();
            assert_eq!(reply[0], 9);
            reply[1..].to_vec()
        }

        fn write(&mut self, bytes: &[u8]) -> Vec<u8> {
            self.run(&[&[1, 0, u8::try_from(bytes.len()).unwrap()], bytes].concat())
        }
    }

    #[test]
    fn on_i2c_it_wakes_by_its_address_and_says_whether_a_frame_waits() {
        let mut till = Till::new(Bus::I2c);
        assert_eq!(till.run(&[2, 0, 1])[0], NOT_ACKNOWLEDGED, "asleep");
        till.now += OSCILLATOR;
        assert_eq!(till.run(&[2, 0, 1]), [DONE, 0], "awake, nothing waits");
        assert_eq!(till.write(&FIRMWARE), [DONE]);
        assert_eq!(till.run(&[2, 0, 1]), [DONE, 1], "the status alone takes nothing away");
        assert_eq!(till.run(&[2, 0, 7]), [&[DONE, 1], ACK.as_slice()].concat());
        assert_eq!(till.run(&[2, 0, 15]), [&[DONE, 1], REPLY.as_slice(), &[0]].concat());
        assert_eq!(till.run(&[2, 0, 3]), [DONE, 0, 0, 0]);
    }

    #[test]
    fn a_frame_that_is_fetched_in_pieces_loses_its_rest_until_it_is_asked_for_again() {
        let mut till = Till::new(Bus::I2c);
        till.run(&[2, 0, 1]);
        till.now += OSCILLATOR;
        till.write(&FIRMWARE);
        till.run(&[2, 0, 7]);
        assert_eq!(till.run(&[2, 0, 5]), [DONE, 1, 0, 0, 0xFF, 6]);
        assert_eq!(till.run(&[2, 0, 2]), [DONE, 0, 0]);
        till.write(&[0, 0, 0xFF, 0xFF, 0, 0]);
        assert_eq!(till.run(&[2, 0, 14]), [&[DONE, 1], REPLY.as_slice()].concat());
    }

    #[test]
    fn on_spi_the_lowest_bit_comes_first() {
        let mirrored = |bytes: &[u8]| -> Vec<u8> { bytes.iter().map(|b| b.reverse_bits()).collect() };
        let mut till = Till::new(Bus::Spi);
        assert_eq!(till.run(&[1, 0, 1, 0x40, 2, 0, 1]), [DONE, 0xFF], "asleep: nobody drives the line");
        till.now += OSCILLATOR;
        till.write(&mirrored(&[&[1], FIRMWARE.as_slice()].concat()));
        assert_eq!(till.run(&[1, 0, 1, 0x40, 2, 0, 1]), [DONE, 0x80], "ready");
        assert_eq!(till.run(&[1, 0, 1, 0xC0, 2, 0, 6]), [&[DONE], mirrored(&ACK).as_slice()].concat());
        // The other way round it understands nothing.
        assert_eq!(till.run(&[1, 0, 1, 0x02, 2, 0, 1]), [DONE, 0]);
        // All at once, the answer one byte behind the order.
        let both = [&[3, 0, 14, 0xC0], [0; 13].as_slice()].concat();
        assert_eq!(till.run(&both), [&[DONE, 0], mirrored(&REPLY).as_slice()].concat());
    }

    #[test]
    fn what_is_no_transaction_is_refused() {
        let mut till = Till::new(Bus::I2c);
        for bad in [&[9, 0, 1][..], &[1, 0, 5, 1], &[2, 0]] {
            assert_eq!(till.run(bad)[0], REFUSED, "{bad:?}");
        }
    }
}
