//! The PN532 on I2C and SPI (UM0701-02 §6.2.3–6.2.5), over the traits of embedded-hal 1.0: the same frames as on the serial
//! line, with a status byte before each read. Both give and take plain frame bytes, so [`super::hsu::Hsu`] sits on top.
//!
//! Whatever implements the traits will do: in the daemon it is [`super::line::Line`], elsewhere linux-embedded-hal, rppal, or a
//! microcontroller's HAL.

use embedded_hal::i2c::I2c;
use embedded_hal::spi::{Operation, SpiDevice};

use super::frame::{ACK, MOST};

/// Address of every PN532 (7 bits).
pub const ADDRESS: u8 = 0x24;
/// Status byte: a frame waits.
const READY: u8 = 0x01;
/// Bytes of the longest frame with everything around it.
const FRAME: usize = MOST + 11;
/// Bytes of an acknowledgement.
const SHORT: usize = ACK.len();

/// A PN532 behind a bus that is asked, not one that speaks by itself.
pub trait Bus {
    /// What the bus says when it fails.
    type Error;
    /// Sends a frame as it is.
    fn write(&mut self, frame: &[u8]) -> Result<(), Self::Error>;
    /// Whether a frame waits to be read.
    fn ready(&mut self) -> Result<bool, Self::Error>;
    /// Reads the frame that waits; nothing where none does. Bytes behind its end are the chip's filling.
    fn read(&mut self) -> Result<Option<Vec<u8>>, Self::Error>;
    /// The same where only an acknowledgement can wait: 7 bytes instead of 277 are 24 ms less at 100 kHz.
    fn acknowledgement(&mut self) -> Result<Option<Vec<u8>>, Self::Error>;
}

/// PN532 on I2C.
pub struct OnI2c<B> {
    bus: B,
}

impl<B: I2c> OnI2c<B> {
    /// On this bus, at [`ADDRESS`].
    pub const fn new(bus: B) -> Self {
        Self { bus }
    }
}

impl<B: I2c> Bus for OnI2c<B> {
    type Error = B::Error;

    fn write(&mut self, frame: &[u8]) -> Result<(), Self::Error> {
        self.bus.write(ADDRESS, frame)
    }

    fn ready(&mut self) -> Result<bool, Self::Error> {
        let mut status = [0];
        self.bus.read(ADDRESS, &mut status)?;
        Ok(status[0] == READY)
    }

    fn read(&mut self) -> Result<Option<Vec<u8>>, Self::Error> {
        if self.ready()? { self.take(FRAME) } else { Ok(None) }
    }

    fn acknowledgement(&mut self) -> Result<Option<Vec<u8>>, Self::Error> {
        self.take(SHORT)
    }
}

impl<B: I2c> OnI2c<B> {
    fn take(&mut self, length: usize) -> Result<Option<Vec<u8>>, B::Error> {
        // One transaction: the chip hands a frame out from its start in each, so it cannot be read in pieces.
        let mut bytes = vec![0; 1 + length];
        self.bus.read(ADDRESS, &mut bytes)?;
        if bytes.first() != Some(&READY) {
            return Ok(None);
        }
        bytes.remove(0);
        Ok(Some(bytes))
    }
}

/// PN532 on SPI, mode 0. The chip sends the lowest bit first; controllers that cannot are given mirrored bytes.
pub struct OnSpi<D> {
    device: D,
    mirror: bool,
}

impl<D: SpiDevice> OnSpi<D> {
    /// `lowest_first`: the controller is set to send the lowest bit first. Nearly none can.
    pub const fn new(device: D, lowest_first: bool) -> Self {
        Self { device, mirror: !lowest_first }
    }

    fn turn(&self, bytes: &mut [u8]) {
        if self.mirror {
            for byte in bytes {
                *byte = byte.reverse_bits();
            }
        }
    }
}

impl<D: SpiDevice> Bus for OnSpi<D> {
    type Error = D::Error;

    fn write(&mut self, frame: &[u8]) -> Result<(), Self::Error> {
        let mut bytes = Vec::with_capacity(1 + frame.len());
        bytes.push(0x01);
        bytes.extend_from_slice(frame);
        self.turn(&mut bytes);
        self.device.write(&bytes)
    }

    fn ready(&mut self) -> Result<bool, Self::Error> {
        let mut ask = [0x02];
        self.turn(&mut ask);
        let mut status = [0];
        self.device.transaction(&mut [Operation::Write(&ask), Operation::Read(&mut status)])?;
        self.turn(&mut status);
        Ok(status[0] & READY != 0)
    }

    fn read(&mut self) -> Result<Option<Vec<u8>>, Self::Error> {
        self.take(FRAME)
    }

    fn acknowledgement(&mut self) -> Result<Option<Vec<u8>>, Self::Error> {
        self.take(SHORT)
    }
}

impl<D: SpiDevice> OnSpi<D> {
    fn take(&mut self, length: usize) -> Result<Option<Vec<u8>>, D::Error> {
        if !self.ready()? {
            return Ok(None);
        }
        let mut ask = [0x03];
        self.turn(&mut ask);
        let mut bytes = vec![0; length];
        self.device.transaction(&mut [Operation::Write(&ask), Operation::Read(&mut bytes)])?;
        self.turn(&mut bytes);
        Ok(Some(bytes))
    }
}
