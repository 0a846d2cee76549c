//! `till-sim reader` (the device) and `till-sim swipe` (the hand that swipes, or records a swipe).

use super::{Outcome, Stop};
use clap::Args as ClapArgs;
use std::io::BufRead;
use std::path::PathBuf;
use std::sync::Arc;
use till_simulators::players::{ReaderSocket, control};

/// Arguments of `till-sim reader`.
#[derive(ClapArgs)]
pub(crate) struct ReaderArgs {
    /// The Unix socket that the till opens as `replay-stream`. SOCK.ctl takes orders from `till-sim swipe`.
    #[arg(long, value_name = "SOCK")]
    link: PathBuf,
}

/// Arguments of `till-sim swipe`.
#[derive(ClapArgs)]
#[group(required = true, multiple = true)]
pub(crate) struct SwipeArgs {
    /// The socket of a running `till-sim reader` or `till-sim hid-reader`.
    #[arg(long, value_name = "SOCK")]
    to: Option<PathBuf>,
    /// A file to write the swipe to as a recording (`# till-recording 1 evdev`). It holds the tracks: test cards only.
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// The tracks with their sentinels, or JSON with faults: {"data":";62…=…?","faults":[{"kind":"half","chars":12}]}.
    /// Kinds: missing-key-up, autorepeat, syn-dropped, half, double, pause, caps-lock; for a HID reader unplug, garbage, length,
    /// length-lie, double, unread, exhausted, masked-only, replay.
    #[arg(required = true)]
    tracks: String,
}

/// Holds the reader until Ctrl-C or SIGTERM; each line of standard input is a swipe, `unplug` hangs up.
pub(crate) fn reader(args: &ReaderArgs) -> Outcome {
    let device = Arc::new(ReaderSocket::listen(&args.link)?);
    let swipe = |device: &ReaderSocket, line: &str| -> Result<String, String> {
        if line.trim() == "unplug" {
            device.unplug();
            return Ok("unplugged".into());
        }
        let swipe = control::swipe_order(line).map_err(|e| e.to_string())?;
        let tills = device.swipe(&swipe).map_err(|e| e.to_string())?;
        println!("reader    a card was swiped, {tills} listening");
        if tills == 0 {
            Err("nobody has the reader open: the swipe is lost".into())
        } else {
            Ok("swiped".into())
        }
    };
    let theirs = Arc::clone(&device);
    let _guard = control::serve(&args.link, move |line| swipe(&theirs, line))?;
    let stop = Stop::listen()?;
    println!("reader    {} is ready", args.link.display());
    let hands = Arc::clone(&device);
    std::thread::Builder::new().name("stdin".into()).spawn(move || {
        for line in
            std::io::stdin().lock().lines().map_while(Result::ok).filter(|line| !line.trim().is_empty())
        {
            if let Err(error) = swipe(&hands, &line) {
                println!("reader    {error}");
            }
        }
    })?;
    stop.wait();
    // The threads above hold the device too and end with the process; the socket must not outlive it.
    std::fs::remove_file(&args.link)?;
    Ok(())
}

/// Swipes once, records, or both.
pub(crate) fn swipe(args: &SwipeArgs) -> Outcome {
    if let Some(path) = &args.record {
        let text = control::swipe_order(&args.tracks)?.recording()?.to_text();
        std::fs::write(path, text).map_err(|e| format!("{}: {e}", path.display()))?;
    }
    // A HID reader knows other faults than a keyboard: the device reads the order itself.
    if let Some(to) = &args.to {
        control::send(to, &args.tracks)?;
    }
    Ok(())
}
