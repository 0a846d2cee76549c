//! `till-sim display` and `till-sim voice`: what the customer sees and hears.

use super::{Outcome, Stop};
use clap::{Args as ClapArgs, ValueEnum};
use std::io::BufRead;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use till_simulators::counter::display::{Commands, Display};
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
            let changed = watched.wait(Duration::from_secs(60), |machine| {
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
