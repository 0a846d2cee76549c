//! `till-sim nfc`: a contactless reader and the hand before it.

use super::{Outcome, Stop};
use clap::{Args as ClapArgs, ValueEnum};
use std::io::BufRead;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use till_simulators::nfc::{Bus, Hand, NfcReader};

/// Arguments of `till-sim nfc`.
#[derive(ClapArgs)]
pub(crate) struct Args {
    #[command(flatten)]
    place: Place,
    /// With --socket: the bus that the chip hangs on (transport kind `unix` with `as = "i2c"`, `"spi"`, or `"ccid"`: in an ACR122U; `slot`: `"ccid"`, in a USB reader that finds cards by itself).
    #[arg(long, value_name = "BUS", requires = "socket")]
    bus: Option<OnBus>,
}

#[derive(Copy, Clone, ValueEnum)]
enum OnBus {
    I2c,
    Spi,
    Ccid,
    Slot,
}

#[derive(ClapArgs)]
#[group(required = true, multiple = false)]
struct Place {
    /// A Unix socket that the till opens (transport kind `unix`).
    #[arg(long, value_name = "SOCK")]
    socket: Option<PathBuf>,
    /// A symbolic link to a pseudo-terminal that the till opens (transport kind `serial`).
    #[arg(long, value_name = "LINK")]
    pty: Option<PathBuf>,
    /// Where the till connects (transport kind `tcp`).
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
}

/// How long a tap waits for the till.
const TAP: Duration = Duration::from_secs(10);

/// Runs until Ctrl-C or SIGTERM. Lines of standard input: `tap CARD…`, `hold CARD…`, `remove`, `unplug`, `power-cycle`, `seen`;
/// cards are unionpay, phone, visa, mastercard, foreign, mifare, plain, or JSON with faults.
pub(crate) fn run(args: &Args) -> Outcome {
    let place = &args.place;
    let reader = match (&place.socket, &place.pty, place.listen) {
        (Some(path), _, _) if args.bus.is_some() => match args.bus {
            Some(OnBus::Ccid) => NfcReader::on_ccid(path)?,
            Some(OnBus::Slot) => NfcReader::on_slot(path)?,
            Some(OnBus::Spi) => NfcReader::on_bus(path, Bus::Spi)?,
            _ => NfcReader::on_bus(path, Bus::I2c)?,
        },
        (Some(path), _, _) => NfcReader::on_socket(path)?,
        (_, Some(path), _) => NfcReader::on_pty(Some(path))?,
        (_, _, Some(listen)) => NfcReader::on_tcp(listen)?,
        _ => return Err("say where the till finds the reader: --socket, --pty or --listen".into()),
    };
    let stop = Stop::listen()?;
    println!("nfc       {} is ready", reader.path().display());
    let reader = Arc::new(reader);
    let hands = Arc::clone(&reader);
    // Ends with the process: nothing waits for a line that never comes.
    std::thread::Builder::new().name("stdin".into()).spawn(move || {
        for line in
            std::io::stdin().lock().lines().map_while(Result::ok).filter(|line| !line.trim().is_empty())
        {
            println!("nfc       {}", order(&hands, line.trim()));
        }
    })?;
    stop.wait();
    if let Some(left) = place.socket.as_ref().or(place.pty.as_ref()) {
        // The thread above holds the reader too and ends with the process; its path must not outlive it.
        drop(std::fs::remove_file(left));
    }
    Ok(())
}

fn order(reader: &NfcReader, line: &str) -> String {
    let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
    let hand = |then: &dyn Fn(Hand) -> String| match Hand::parse(rest) {
        Ok(hand) if hand.cards.is_empty() => "which card?".into(),
        Ok(hand) => then(hand),
        Err(error) => error.to_string(),
    };
    match word {
        "tap" => hand(&|hand| {
            if reader.tap(hand, TAP) { "tapped".into() } else { "nobody read the card to its end".into() }
        }),
        "hold" => hand(&|hand| {
            reader.present(hand);
            "held before the reader".into()
        }),
        "remove" => {
            reader.remove();
            "taken away".into()
        }
        "unplug" => {
            reader.unplug();
            "unplugged".into()
        }
        "power-cycle" => {
            reader.power_cycle();
            "switched off and on".into()
        }
        "seen" => format!("{:?}", reader.seen()),
        other => format!("{other:?} is no order: tap, hold, remove, unplug, power-cycle or seen"),
    }
}
