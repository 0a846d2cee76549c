//! `till-sim display`, `voice`, `gpio` and `pinpad`: what stands on the counter.

use super::{Outcome, Stop};
use clap::{Args as ClapArgs, ValueEnum};
use std::io::BufRead;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use till_simulators::counter::display::{Commands, Display};
use till_simulators::counter::gpio::Chip;
use till_simulators::counter::pinpad::{Hand, Pad};
use till_simulators::counter::voice::Listener;
use till_simulators::counter::{Listen, Machine, Virtual};

/// Where the till connects.
#[derive(ClapArgs)]
#[group(required = true, multiple = false)]
pub(crate) struct Place {
    /// A Unix socket, made anew.
    #[arg(long, value_name = "SOCK")]
    link: Option<PathBuf>,
    /// A TCP address.
    #[arg(long, value_name = "ADDR")]
    listen: Option<std::net::SocketAddr>,
}

impl Place {
    fn listen(&self) -> Result<Listen, &'static str> {
        let unix = self.link.clone().map(Listen::Unix);
        unix.or(self.listen.map(Listen::Tcp)).ok_or("give --link or --listen")
    }
}

/// Commands of a display.
#[derive(Copy, Clone, ValueEnum)]
pub(crate) enum Model {
    /// CD5220 and copies.
    Cd5220,
    /// Epson DM-D.
    Epson,
    /// LED8N.
    Led8n,
}

/// Arguments of `till-sim display`.
#[derive(ClapArgs)]
pub(crate) struct DisplayArgs {
    #[command(flatten)]
    place: Place,
    /// Whose commands it reads.
    #[arg(long, value_enum, default_value = "cd5220")]
    model: Model,
    /// It has a Chinese font (GB 2312).
    #[arg(long)]
    chinese: bool,
}

/// Arguments of `till-sim voice`.
#[derive(ClapArgs)]
pub(crate) struct VoiceArgs {
    #[command(flatten)]
    place: Place,
}

/// Arguments of `till-sim gpio`.
#[derive(ClapArgs)]
pub(crate) struct GpioArgs {
    #[command(flatten)]
    place: Place,
    /// Names of its lines.
    #[arg(long, value_name = "NAME", value_delimiter = ',', default_value = "RELAY,SWITCH")]
    lines: Vec<String>,
}

/// Arguments of `till-sim pinpad`.
#[derive(ClapArgs)]
pub(crate) struct PinpadArgs {
    #[command(flatten)]
    place: Place,
}

/// Shows the levels of lines; standard input takes `high NAME`, `low NAME` (an input), `take NAME` (another program has it).
pub(crate) fn gpio(args: &GpioArgs) -> Outcome {
    let device = Virtual::start("gpio", &args.place.listen()?, Chip::new(args.lines.clone()))?;
    let names = args.lines.clone();
    let show = move |chip: &Chip| {
        let line = |n: &String| {
            let pulses = chip.pulses(n);
            let last =
                pulses.last().map(|p| format!(" ({} pulses, the last {} ms)", pulses.len(), p.1.as_millis()));
            format!("{n} {}{}", if chip.level(n) { "high" } else { "low" }, last.unwrap_or_default())
        };
        format!("gpio      {}", names.iter().map(line).collect::<Vec<_>>().join("  "))
    };
    run(device, "gpio", show, |device, line| {
        let (what, name) = line.split_once(' ').unwrap_or((line, ""));
        device.touch(|chip| match what {
            "high" | "low" => chip.force(name, what == "high"),
            "take" => chip.take(name, "another program"),
            _ => {}
        });
        matches!(what, "high" | "low" | "take")
    })
}

/// Shows what the pad asks; standard input takes `pin DIGITS`, `give-up`, `wait`, `nobody` for the next request.
pub(crate) fn pinpad(args: &PinpadArgs) -> Outcome {
    let device = Virtual::start("pinpad", &args.place.listen()?, Pad::default())?;
    let show = |pad: &Pad| match pad.asked().last() {
        Some((amount, last)) => format!("pinpad    {} asked: {amount}, account …{last}", pad.asked().len()),
        None => "pinpad    test keys, not certified: no real PINs".into(),
    };
    run(device, "pinpad", show, |device, line| {
        let hand = match line.split_once(' ').unwrap_or((line, "")) {
            ("pin", digits) => Hand::Types(digits.to_owned()),
            ("give-up", _) => Hand::GivesUp,
            ("wait", _) => Hand::Waits,
            ("nobody", _) => Hand::Nobody,
            _ => return false,
        };
        device.touch(|pad| pad.hand(hand));
        true
    })
}

/// Shows the display at each change; standard input takes `power-cycle`, `stop-reading on|off`, `hang-up`.
pub(crate) fn display(args: &DisplayArgs) -> Outcome {
    let commands = match args.model {
        Model::Cd5220 => Commands::Cd5220,
        Model::Epson => Commands::Epson,
        Model::Led8n => Commands::Led8n,
    };
    let device = Virtual::start("display", &args.place.listen()?, Display::new(commands, args.chinese))?;
    let show = |d: &Display| {
        let [above, below] = d.lines();
        let odd = d.unknown().last().map(|b| format!("\ndisplay   not understood: {}", hex::encode(b)));
        format!("display   |{above:<20}|\n          |{below:<20}|{}", odd.unwrap_or_default())
    };
    run(device, "display", show, |device, line| match line {
        "power-cycle" => {
            device.touch(Display::power_cycle);
            true
        }
        _ => false,
    })
}

/// Shows each sentence, or how much sound came; standard input takes `stop-reading on|off`, `hang-up`.
pub(crate) fn voice(args: &VoiceArgs) -> Outcome {
    let device = Virtual::start("voice", &args.place.listen()?, Listener::default())?;
    let show = |ear: &Listener| match ear.lines().last() {
        Some(line) => format!("voice     {}: {line}", ear.lines().len()),
        None => format!("voice     {} bytes of sound", ear.bytes().len()),
    };
    run(device, "voice", show, |_, _| false)
}

/// Shows what changes until Ctrl-C or SIGTERM; carries out what standard input says.
fn run<M: Machine>(
    device: Virtual<M>,
    what: &'static str,
    show: impl Fn(&M) -> String + Send + 'static,
    order: impl Fn(&Virtual<M>, &str) -> bool + Send + 'static,
) -> Outcome {
    let stop = Stop::listen()?;
    match device.addr() {
        Some(addr) => println!("{what:<9} listening on {addr}"),
        None => println!("{what:<9} is ready"),
    }
    let device = Arc::new(device);
    let (watched, hands) = (Arc::clone(&device), device);
    // Both end with the process.
    std::thread::Builder::new().name("show".into()).spawn(move || {
        let mut last = String::new();
        loop {
            let mut now = String::new();
            let changed = watched.wait(Duration::from_mins(1), |machine| {
                now = show(machine);
                now != last
            });
            if changed {
                println!("{now}");
                last = now;
            }
        }
    })?;
    std::thread::Builder::new().name("stdin".into()).spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            match line.trim() {
                "" => {}
                "stop-reading on" => hands.stop_reading(true),
                "stop-reading off" => hands.stop_reading(false),
                "hang-up" => hands.hang_up(),
                other if order(&hands, other) => {}
                other => println!("{what:<9} does not know {other:?}"),
            }
        }
    })?;
    stop.wait();
    Ok(())
}
