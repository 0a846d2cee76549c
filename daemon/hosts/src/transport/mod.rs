//! Transports: what lies between a driver and its device. The daemon opens them and hands the file descriptor to the
//! plugin's host, which has no right to open anything itself.

mod appear;
mod bus;
mod device;
mod error;
mod evdev;
mod gpio;
mod net;
mod ports;
pub mod recording;
mod replay;
mod serial;
mod udev;
mod usb;

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use till_plugin::host::{TransportInfo, TransportKind};

pub use error::OpenError;
pub(crate) use ports::{Appeared, Ports};
pub use recording::{Recording, RecordingError, Step};
pub use udev::UdevSpec;
pub use usb::{UsbClass, UsbSpec};

/// Longest that opening may take where the configuration says nothing.
pub const OPEN_TIMEOUT: Duration = Duration::from_secs(5);

/// Which transport to open.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TransportSpec {
    /// Serial port or pty: raw mode, 8 data bits, no parity, 1 stop bit, no flow control.
    Serial {
        /// Device file.
        path: PathBuf,
        /// Bits per second.
        baud: u32,
    },
    /// TCP connection, kept alive.
    Tcp {
        /// `host:port`.
        address: String,
    },
    /// Unix socket: a simulated device.
    Unix {
        /// Socket.
        path: PathBuf,
        /// What it stands for; [`TransportKind::Evdev`] for a simulated keyboard wedge, [`TransportKind::Hidraw`] for a
        /// device of reports, I2C or SPI for a chip on a bus, CCID for a card reader (these are sockets of packets, the others of streams). `None`: plain bytes.
        kind: Option<TransportKind>,
    },
    /// Input device, grabbed exclusively before it is read.
    Evdev {
        /// Event node that is read.
        path: PathBuf,
        /// Further nodes of the same device, grabbed so that they do not type elsewhere.
        also: Vec<PathBuf>,
    },
    /// A character device that is opened and passed on.
    Device {
        /// Device file.
        path: PathBuf,
        /// [`TransportKind::Hidraw`], [`TransportKind::CharDevice`], [`TransportKind::Usb`], …
        kind: TransportKind,
    },
    /// The GPIO chip with a label: its number differs between kernels (a Pi 5's moved from 4 to 0).
    Gpio {
        /// Label, as `gpiodetect` shows it.
        chip: String,
    },
    /// One address on an I2C bus.
    I2c {
        /// Node of the bus.
        path: PathBuf,
        /// 7 bits.
        address: u8,
    },
    /// One chip select of an SPI bus.
    Spi {
        /// Its node.
        path: PathBuf,
        /// Clock, Hz.
        speed: u32,
        /// 0 to 3: polarity and phase of the clock.
        mode: u8,
    },
    /// A USB printer or card reader, claimed by its class; no kernel driver between.
    Usb(UsbSpec),
    /// A recording, played with its own timing.
    Replay {
        /// Recording file.
        path: PathBuf,
    },
    /// Whatever udev says fits the plugin's match tables: looked for at every attempt to open.
    Udev(UdevSpec),
}

impl TransportSpec {
    /// What the plugin sees it as; `None` where only opening tells (a recording, udev).
    pub const fn kind(&self) -> Option<TransportKind> {
        match self {
            Self::Serial { .. } => Some(TransportKind::Serial),
            Self::Tcp { .. } => Some(TransportKind::Tcp),
            Self::Unix { kind: Some(kind), .. } | Self::Device { kind, .. } => Some(*kind),
            Self::Unix { kind: None, .. } => Some(TransportKind::Unix),
            Self::Evdev { .. } => Some(TransportKind::Evdev),
            Self::Gpio { .. } => Some(TransportKind::CharDevice),
            Self::I2c { .. } => Some(TransportKind::I2c),
            Self::Spi { .. } => Some(TransportKind::Spi),
            Self::Usb(device) => Some(device.what.kind()),
            Self::Replay { .. } | Self::Udev(_) => None,
        }
    }

    /// Where it leads, for messages.
    pub fn name(&self) -> String {
        match self {
            Self::Serial { path, .. }
            | Self::Unix { path, .. }
            | Self::Evdev { path, .. }
            | Self::Device { path, .. }
            | Self::Spi { path, .. }
            | Self::Replay { path } => path.display().to_string(),
            Self::I2c { path, address } => format!("{} {address:#04x}", path.display()),
            Self::Tcp { address } => address.clone(),
            Self::Gpio { chip } => format!("GPIO chip {chip}"),
            Self::Udev(wish) => wish.name(),
            Self::Usb(printer) => printer.name(),
        }
    }

    /// Opens it, within `timeout` where the other end decides how long it takes. What [`TransportSpec::Udev`] stands for
    /// is chosen by its properties alone here; an instance's plugin adds its match tables.
    pub async fn open(&self, timeout: Duration) -> Result<OpenTransport, OpenError> {
        match self {
            Self::Serial { path, baud } => {
                let (file, baud) = (path.clone(), *baud);
                blocking(path, move || serial::open(&file, baud)).await
            }
            Self::Tcp { address } => net::tcp(address, timeout).await,
            Self::Unix { path, kind } => net::unix(path, kind.is_some_and(packets), timeout).await,
            Self::Evdev { path, also } => evdev::open(path, also).await,
            Self::Device { path, .. } => {
                let file = path.clone();
                blocking(path, move || device::open(&file)).await
            }
            Self::Gpio { chip } => {
                let label = chip.clone();
                blocking(Path::new("/dev"), move || gpio::open(&label)).await
            }
            Self::I2c { path, address } => {
                let (node, address) = (path.clone(), *address);
                blocking(path, move || bus::i2c(&node, address)).await
            }
            Self::Spi { path, speed, mode } => {
                let (node, speed, mode) = (path.clone(), *speed, *mode);
                blocking(path, move || bus::spi(&node, speed, mode)).await
            }
            Self::Usb(printer) => usb::open(Path::new("/"), printer).await,
            Self::Replay { path } => return replay::open(path, &replay::Positions::default()),
            Self::Udev(wish) => {
                let search = udev::Search { root: Path::new("/"), rules: &[], usable: None };
                let found = search.find(wish).await?;
                let mut transport = Box::pin(found.spec.open(timeout)).await?;
                transport.label = found.label;
                return Ok(transport);
            }
        }
        .map(|opened| OpenTransport {
            info: TransportInfo { kind: self.kind().unwrap_or(TransportKind::Unix), name: self.name() },
            label: self.name(),
            fd: opened.fd,
            claim: None,
            _held: opened.held,
        })
    }
}

/// Whether a kind is packets, which a simulated device and a recording must keep apart.
const fn packets(kind: TransportKind) -> bool {
    matches!(kind, TransportKind::Hidraw | TransportKind::I2c | TransportKind::Spi | TransportKind::Ccid)
}

/// Opens off the runtime's threads: a serial port without carrier, or a sick USB device, may hold an open for long.
async fn blocking(
    path: &Path,
    open: impl FnOnce() -> Result<Opened, OpenError> + Send + 'static,
) -> Result<Opened, OpenError> {
    match tokio::task::spawn_blocking(open).await {
        Ok(opened) => opened,
        Err(e) => Err(OpenError::Other { path: path.into(), detail: e.to_string() }),
    }
}

/// An open transport. Keeps grabs and players alive as long as it lives.
#[derive(Debug)]
pub struct OpenTransport {
    /// What the plugin is told of it.
    pub info: TransportInfo,
    /// Where it leads, for people; of a device found by udev: `udev: /dev/ttyACM0 (ID_SERIAL=…)`.
    pub label: String,
    /// Non-blocking, close-on-exec.
    pub fd: OwnedFd,
    claim: Option<ports::Claim>,
    _held: Held,
}

/// What an opener gives.
struct Opened {
    fd: OwnedFd,
    held: Held,
}

impl From<OwnedFd> for Opened {
    fn from(fd: OwnedFd) -> Self {
        Self { fd, held: Held::Nothing }
    }
}

/// What must live as long as the transport is used.
enum Held {
    Nothing,
    /// A grab belongs to the open file and is given up when this is dropped.
    Grabs {
        _devices: Vec<::evdev::raw_stream::RawDevice>,
    },
    /// Gives the bus back when dropped.
    Bus {
        _line: bus::Line,
    },
    /// Ends the player when dropped.
    Player {
        _stop: tokio::sync::oneshot::Sender<()>,
    },
}

impl std::fmt::Debug for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Nothing => "nothing",
            Self::Grabs { .. } => "grabs",
            Self::Bus { .. } => "bus",
            Self::Player { .. } => "player",
        })
    }
}
