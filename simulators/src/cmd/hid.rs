//! `till-sim hid-reader` and `till-sim hid-scanner`: devices of reports; the hands are `till-sim swipe` and `till-sim scan`.

use super::{Outcome, Stop};
use clap::Args as ClapArgs;
use std::io::BufRead;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use till_simulators::hid::{HidScanner, HidStripe};
use till_simulators::players::control;

/// Arguments of `till-sim hid-reader`.
#[derive(ClapArgs)]
pub(crate) struct ReaderArgs {
    /// The socket that the till opens (`kind = "unix"`, `as = "hidraw"`). SOCK.ctl takes orders from `till-sim swipe`.
    #[arg(long, value_name = "SOCK")]
    link: PathBuf,
    /// A MagTek reader that encrypts with the standards' test keys, in place of a HID POS reader in clear.
    #[arg(long)]
    encrypt: bool,
}

/// Arguments of `till-sim hid-scanner`.
#[derive(ClapArgs)]
pub(crate) struct ScannerArgs {
    /// The socket that the till opens (`kind = "unix"`, `as = "hidraw"`). SOCK.ctl takes orders from `till-sim scan`.
    #[arg(long, value_name = "SOCK")]
    link: PathBuf,
}

/// Holds the reader until Ctrl-C or SIGTERM; each line of standard input is a swipe, `unplug` hangs up.
pub(crate) fn reader(args: &ReaderArgs) -> Outcome {
    let device = if args.encrypt { HidStripe::magtek(&args.link)? } else { HidStripe::pos(&args.link)? };
    let descriptor = device.descriptor();
    run("hid-reader", &args.link, &descriptor, device, |device, line| {
        if line.trim() == "unplug" {
            device.node().unplug();
            return Ok("unplugged".into());
        }
        let (tracks, faults) = control::hid_swipe_order(line).map_err(|e| e.to_string())?;
        let tills = device.swipe(&tracks, &faults).map_err(|e| e.to_string())?;
        Ok(format!("a card was swiped, {tills} listening"))
    })
}

/// Holds the scanner until Ctrl-C or SIGTERM; each line of standard input is a scan, `unplug` hangs up.
pub(crate) fn scanner(args: &ScannerArgs) -> Outcome {
    let device = HidScanner::listen(&args.link)?;
    let descriptor = device.descriptor();
    run("hid-scanner", &args.link, &descriptor, device, |device, line| {
        if line.trim() == "unplug" {
            device.node().unplug();
            return Ok("unplugged".into());
        }
        let (code, faults) = control::hid_scan_order(line).map_err(|e| e.to_string())?;
        let tills = device.scan(&code, &faults).map_err(|e| e.to_string())?;
        Ok(format!("a code was scanned, {tills} listening"))
    })
}

fn run<D: Send + Sync + 'static>(
    name: &'static str,
    link: &Path,
    descriptor: &str,
    device: D,
    carry_out: fn(&D, &str) -> Result<String, String>,
) -> Outcome {
    let device = Arc::new(device);
    let theirs = Arc::clone(&device);
    let _guard = control::serve(link, move |line| {
        let done = carry_out(&theirs, line)?;
        println!("{name} {done}");
        Ok(done)
    })?;
    let stop = Stop::listen()?;
    println!("{name} report-descriptor = \"{descriptor}\"");
    println!("{name} {} is ready", link.display());
    std::thread::Builder::new().name("stdin".into()).spawn(move || {
        for line in
            std::io::stdin().lock().lines().map_while(Result::ok).filter(|line| !line.trim().is_empty())
        {
            match carry_out(&device, &line) {
                Ok(done) => println!("{name} {done}"),
                Err(refused) => println!("{name} {refused}"),
            }
        }
    })?;
    stop.wait();
    // The threads above hold the device too and end with the process; the socket must not outlive it.
    std::fs::remove_file(link)?;
    Ok(())
}
