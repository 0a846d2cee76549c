//! An I2C address or an SPI chip select at the end of the host's transport, as embedded-hal sees one: each transaction is a packet
//! to tilld and one back ([`till_plugin::bus`]).

use std::time::Duration;

use embedded_hal::i2c::{self, I2c, NoAcknowledgeSource};
use embedded_hal::spi::{self, SpiDevice};
use till_plugin::Host;
use till_plugin::bus::{Cause, Fault, Operation, PACKET, Reply, Request};
use till_plugin::host::{Read, TransportError, WriteError};
use zeroize::Zeroizing;

/// Longest for one transaction: 300 bytes take 30 ms at 100 kHz; a kernel gives a hanging bus up after a second.
const PATIENCE: Duration = Duration::from_secs(3);
/// A turn of waiting while the host wants something else of this thread. A transaction is never left half way.
const TURN: Duration = Duration::from_millis(1);

/// Why a transaction did not happen.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LineError {
    /// The bus said so.
    #[error("the bus: {0}")]
    Bus(#[from] Fault),
    /// There is no bus any more.
    #[error(transparent)]
    Gone(#[from] TransportError),
    /// No answer from the other end.
    #[error("the bus does not answer within {PATIENCE:?}: is its adapter still there?")]
    Silent,
}

impl From<WriteError> for LineError {
    fn from(e: WriteError) -> Self {
        e.error.map_or(Self::Silent, Self::Gone)
    }
}

impl LineError {
    fn cause(&self) -> Option<Cause> {
        match self {
            Self::Bus(fault) => Some(fault.cause),
            Self::Gone(_) | Self::Silent => None,
        }
    }

    /// Nobody was there, or was not able to: asleep, busy, or unplugged.
    pub fn nobody(&self) -> bool {
        self.cause() == Some(Cause::NoAcknowledge)
    }
}

impl i2c::Error for LineError {
    fn kind(&self) -> i2c::ErrorKind {
        match self.cause() {
            Some(Cause::NoAcknowledge) => i2c::ErrorKind::NoAcknowledge(NoAcknowledgeSource::Unknown),
            Some(Cause::Arbitration) => i2c::ErrorKind::ArbitrationLoss,
            Some(Cause::Timeout) => i2c::ErrorKind::Bus,
            _ => i2c::ErrorKind::Other,
        }
    }
}

impl spi::Error for LineError {
    fn kind(&self) -> spi::ErrorKind {
        spi::ErrorKind::Other
    }
}

/// The bus.
pub struct Line {
    host: Host,
    number: u8,
}

impl Line {
    /// Over a transport of kind I2C or SPI.
    pub const fn new(host: Host) -> Self {
        Self { host, number: 0 }
    }

    /// One transaction; all that was read.
    fn run(&mut self, operations: Vec<Operation>) -> Result<Zeroizing<Vec<u8>>, LineError> {
        self.number = self.number.wrapping_add(1);
        let request = Request { number: self.number, operations };
        let refused = |text: String| Fault { cause: Cause::Refused, text };
        let packet = request.encode().map_err(|e| refused(e.to_string()))?;
        self.host.write(&packet, PATIENCE)?;
        let mut left = PATIENCE;
        loop {
            let before = self.host.now().boot_ms;
            match self.host.read(PACKET, left)? {
                Read::Data(packet) => {
                    let packet = Zeroizing::new(packet);
                    let reply = Reply::decode(&packet).map_err(|e| refused(e.to_string()))?;
                    // Another number answers a transaction that was given up.
                    if reply.number == self.number {
                        let read = reply.result?;
                        if read.len() == request.read() {
                            return Ok(read);
                        }
                        return Err(refused("it gave another number of bytes".into()).into());
                    }
                }
                Read::Timeout => return Err(LineError::Silent),
                Read::Woken => std::thread::sleep(TURN),
            }
            let passed = Duration::from_millis(self.host.now().boot_ms.saturating_sub(before)).max(TURN);
            left = left.saturating_sub(passed);
        }
    }
}

fn wiped(bytes: &[u8]) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(bytes.to_vec())
}

/// Hands what was read out to the places that asked for it.
fn hand_out<'a>(read: &[u8], places: impl Iterator<Item = &'a mut [u8]>) {
    let mut left = read;
    for place in places {
        let (now, later) = left.split_at(place.len().min(left.len()));
        place.get_mut(..now.len()).unwrap_or_default().copy_from_slice(now);
        left = later;
    }
}

impl i2c::ErrorType for Line {
    type Error = LineError;
}

impl I2c for Line {
    /// The address is the one in tilld.toml: the line leads to no other.
    fn transaction(&mut self, _address: u8, operations: &mut [i2c::Operation<'_>]) -> Result<(), LineError> {
        let wanted = operations.iter().map(|operation| match operation {
            i2c::Operation::Write(bytes) => Operation::Write(wiped(bytes)),
            i2c::Operation::Read(place) => Operation::Read(u16::try_from(place.len()).unwrap_or(u16::MAX)),
        });
        let read = self.run(wanted.collect())?;
        hand_out(
            &read,
            operations.iter_mut().filter_map(|operation| match operation {
                i2c::Operation::Read(place) => Some(&mut **place),
                i2c::Operation::Write(_) => None,
            }),
        );
        Ok(())
    }
}

impl spi::ErrorType for Line {
    type Error = LineError;
}

impl SpiDevice for Line {
    fn transaction(&mut self, operations: &mut [spi::Operation<'_, u8>]) -> Result<(), LineError> {
        let wanted = operations.iter().map(|operation| match operation {
            spi::Operation::Write(bytes) => Operation::Write(wiped(bytes)),
            spi::Operation::Read(place) => Operation::Read(u16::try_from(place.len()).unwrap_or(u16::MAX)),
            spi::Operation::TransferInPlace(place) => Operation::Transfer(wiped(place)),
            spi::Operation::Transfer(place, bytes) => {
                // As long as the longer of the two; what is missing is sent as zeros.
                let mut both = wiped(bytes);
                both.resize(bytes.len().max(place.len()), 0);
                Operation::Transfer(both)
            }
            spi::Operation::DelayNs(ns) => Operation::pause(Duration::from_nanos(u64::from(*ns))),
        });
        let read = self.run(wanted.collect())?;
        let mut at = 0;
        for operation in operations.iter_mut() {
            let (place, length): (&mut [u8], usize) = match operation {
                spi::Operation::Read(place) | spi::Operation::TransferInPlace(place) => {
                    let length = place.len();
                    (place, length)
                }
                spi::Operation::Transfer(place, bytes) => {
                    let length = place.len().max(bytes.len());
                    (place, length)
                }
                spi::Operation::Write(_) | spi::Operation::DelayNs(_) => continue,
            };
            hand_out(read.get(at..).unwrap_or_default(), std::iter::once(place));
            at += length;
        }
        Ok(())
    }
}
