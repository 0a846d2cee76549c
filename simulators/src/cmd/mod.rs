//! The subcommands of `till-sim`, one file each. To add one: its file, its `mod` line, its variant and its arm.

mod acquirer;
mod alipay;
mod bus;
mod counter;
mod hid;
mod nfc;
mod printer;
mod scan;
mod swipe;
mod unionpay;
mod wallet;
mod wechatpay;

use clap::Subcommand;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// How a subcommand ends. The text of the error is what the user reads: what failed, on what, what to do.
pub(crate) type Outcome = Result<(), Box<dyn std::error::Error>>;

/// The simulators.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Run a bank's host for card payments (ISO 8583 over TCP) with its own ledger.
    Acquirer(acquirer::Args),
    /// Run an Alipay gateway with its own books, keys and certificate authority.
    Alipay(alipay::Args),
    /// Run a private D-Bus message bus (embedded broker; no system package needed).
    Bus(bus::Args),
    /// Run a customer display that shows what a customer would read.
    Display(counter::DisplayArgs),
    /// Run a contactless reader (PN532) with test cards and scripted faults.
    Nfc(nfc::Args),
    /// Run a GPIO chip with named lines: a cash drawer's relay and switch, lamps.
    Gpio(counter::GpioArgs),
    /// Run a stripe reader over HID, in clear or encrypting with test keys.
    HidReader(hid::ReaderArgs),
    /// Run a code scanner over HID POS, with a trigger.
    HidScanner(hid::ScannerArgs),
    /// Run a PIN pad with test keys. Not certified: no real PINs.
    Pinpad(counter::PinpadArgs),
    /// Run a receipt printer (ESC/POS over TCP) that shows and keeps what it prints.
    Printer(printer::Args),
    /// Run a card reader on a Unix socket.
    Reader(swipe::ReaderArgs),
    /// Scan a code with a running scanner, or over a serial port.
    Scan(scan::ScanArgs),
    /// Run a code scanner on a pseudo-terminal.
    Scanner(scan::ScannerArgs),
    /// Swipe a card at a running reader, or record a swipe.
    Swipe(swipe::SwipeArgs),
    /// Run a UnionPay QR gateway with its own books, keys and certificates.
    Unionpay(unionpay::Args),
    /// Run an ear: shows what a voice says.
    Voice(counter::VoiceArgs),
    /// Run a WeChat Pay platform with its own books, keys and certificate authority.
    Wechatpay(wechatpay::Args),
}

impl Command {
    /// Runs the chosen simulator until it is done or is told to stop (Ctrl-C, SIGTERM).
    pub(crate) fn run(self) -> Outcome {
        match self {
            Self::Alipay(args) => alipay::run(args),
            Self::Acquirer(args) => acquirer::run(&args),
            Self::Bus(args) => bus::run(&args),
            Self::Display(args) => counter::display(&args),
            Self::Nfc(args) => nfc::run(&args),
            Self::Gpio(args) => counter::gpio(&args),
            Self::HidReader(args) => hid::reader(&args),
            Self::HidScanner(args) => hid::scanner(&args),
            Self::Pinpad(args) => counter::pinpad(&args),
            Self::Printer(args) => printer::run(&args),
            Self::Reader(args) => swipe::reader(&args),
            Self::Scan(args) => scan::scan(&args),
            Self::Scanner(args) => scan::scanner(&args),
            Self::Swipe(args) => swipe::swipe(&args),
            Self::Voice(args) => counter::voice(&args),
            Self::Unionpay(args) => unionpay::run(&args),
            Self::Wechatpay(args) => wechatpay::run(&args),
        }
    }
}

/// Ctrl-C and SIGTERM, taken over. Do it before a simulator says that it is ready: from then on it may be told to stop, and
/// must stop cleanly.
pub(crate) struct Stop {
    runtime: tokio::runtime::Runtime,
    interrupt: Signal,
    terminate: Signal,
}

impl Stop {
    /// Takes the signals over.
    pub(crate) fn listen() -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (interrupt, terminate) = {
            let _inside = runtime.enter();
            (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?)
        };
        Ok(Self { runtime, interrupt, terminate })
    }

    /// Returns once one of them has come.
    pub(crate) fn wait(mut self) {
        self.runtime.block_on(async {
            tokio::select! {
                _ = self.interrupt.recv() => {}
                _ = self.terminate.recv() => {}
            }
        });
    }
}
