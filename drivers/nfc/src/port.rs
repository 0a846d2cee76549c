//! How bytes reach the reader: a line that speaks by itself (UART, TCP, a socket, CCID), or a bus that is asked.

use std::time::Duration;

use till_plugin::host::{Level, Read, TransportError, TransportKind};
use till_plugin::{Host, PluginError};
use zeroize::Zeroizing;

use crate::link::bus::{Bus, OnI2c, OnSpi};
use crate::link::frame::WAKE;
use crate::link::hsu::Awaited;
use crate::link::line::{Line, LineError};

/// Bytes a read of a line: more than any frame.
const CHUNK: usize = 1024;
/// Longest for a write: a frame takes 24 ms at 115200 baud.
const WRITE: Duration = Duration::from_millis(500);
/// Between two looks at the status: the acknowledgement comes within a millisecond, a reply when the card has answered.
const SOON: Duration = Duration::from_millis(1);
const LATER: Duration = Duration::from_millis(3);
/// A chip that wakes or works does not acknowledge its address: so often, so far apart, a frame is offered to it.
const OFFERS: u8 = 10;
const OFFER: Duration = Duration::from_millis(2);
/// From being addressed to being awake (UM0701-02 §7.2.11: T_osc_start, 2 ms at most).
const WAKING: Duration = Duration::from_millis(3);

/// What waiting came to.
pub(crate) enum Got {
    /// Bytes of the reader, as they came.
    Bytes(Zeroizing<Vec<u8>>),
    /// A whole frame, and nothing but it and filling.
    Frame(Zeroizing<Vec<u8>>),
    /// Nothing in time.
    Nothing,
    /// Another call is waiting.
    Woken,
}

type AnyBus = Box<dyn Bus<Error = LineError> + Send>;

/// The way to the reader.
pub(crate) struct Port {
    host: Host,
    bus: Option<AnyBus>,
    faults: u64,
}

impl Port {
    /// By what the transport is.
    pub(crate) fn new(host: Host, kind: TransportKind) -> Self {
        let line = || Line::new(host.clone());
        let bus: Option<AnyBus> = match kind {
            TransportKind::I2c => Some(Box::new(OnI2c::new(line()))),
            // tilld's SPI is highest bit first, whatever the controller could do.
            TransportKind::Spi => Some(Box::new(OnSpi::new(line(), false))),
            _ => None,
        };
        Self { host, bus, faults: 0 }
    }

    /// Transactions that failed, other than for a chip that did not acknowledge.
    pub(crate) const fn faults(&self) -> u64 {
        self.faults
    }

    /// Writes.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), PluginError> {
        let Some(bus) = &mut self.bus else { return Ok(self.host.write(bytes, WRITE)?) };
        if bytes == WAKE {
            // Being addressed wakes it there, no preamble; it need not acknowledge that.
            if let Err(error) = bus.ready() {
                self.judge(error)?;
            }
            self.host.sleep(WAKING);
            return Ok(());
        }
        for _ in 0..OFFERS {
            match bus.write(bytes) {
                Ok(()) => return Ok(()),
                Err(error) if error.nobody() => {
                    self.host.sleep(OFFER);
                }
                // The link asks again, or gives the command up, when no acknowledgement comes.
                Err(error) => return self.judge(error),
            }
        }
        Ok(())
    }

    /// Waits for the reader at most so long; on a bus only where something is `awaited`.
    pub(crate) fn wait(&mut self, awaited: Option<Awaited>, longest: Duration) -> Result<Got, PluginError> {
        let Some((bus, awaited)) = self.bus.as_mut().zip(awaited) else { return self.listen(longest) };
        let read = match awaited {
            Awaited::Acknowledgement => bus.acknowledgement(),
            Awaited::Reply => bus.read(),
        };
        match read {
            Ok(Some(frame)) => return Ok(Got::Frame(Zeroizing::new(frame))),
            Ok(None) => {}
            Err(error) if error.nobody() => {}
            Err(error) => self.judge(error)?,
        }
        let pause = if awaited == Awaited::Acknowledgement { SOON } else { LATER };
        // A read that wakes for a call and for an unplugged bus; nothing else can come.
        self.listen(pause.min(longest))
    }

    fn listen(&self, longest: Duration) -> Result<Got, PluginError> {
        match self.host.read(CHUNK, longest)? {
            // An answer that came after it was given up.
            Read::Data(_) if self.bus.is_some() => Ok(Got::Nothing),
            Read::Data(bytes) => Ok(Got::Bytes(Zeroizing::new(bytes))),
            Read::Timeout => Ok(Got::Nothing),
            Read::Woken => Ok(Got::Woken),
        }
    }

    /// A bus that is gone ends the device; one that failed once is counted and told.
    fn judge(&mut self, error: LineError) -> Result<(), PluginError> {
        match error {
            LineError::Bus(fault) => {
                if fault.cause != till_plugin::bus::Cause::NoAcknowledge {
                    if self.faults.is_multiple_of(100) {
                        self.host.log(Level::Warn, format!("the bus of the contactless reader: {fault}"));
                    }
                    self.faults += 1;
                }
                Ok(())
            }
            LineError::Gone(gone) => Err(gone.into()),
            silent @ LineError::Silent => {
                let name = self.host.transport().map_or_else(String::new, |t| t.name.clone());
                Err(TransportError::Gone { name, detail: silent.to_string() }.into())
            }
        }
    }
}
