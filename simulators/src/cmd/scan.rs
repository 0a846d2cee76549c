//! `till-sim scanner` (the device) and `till-sim scan` (the hand that scans).

use super::{Outcome, Stop};
use clap::Args as ClapArgs;
use std::io::BufRead;
use std::os::unix::fs::FileTypeExt;
use std::path::PathBuf;
use std::sync::Arc;
use till_simulators::players::{ScannerPty, control};

/// Arguments of `till-sim scanner`.
#[derive(ClapArgs)]
pub(crate) struct ScannerArgs {
    /// Where the link to the pseudo-terminal is put, for the till to open. PATH.ctl takes orders from `till-sim scan`.
    #[arg(long, value_name = "PATH")]
    link: PathBuf,
}

/// Arguments of `till-sim scan`.
#[derive(ClapArgs)]
pub(crate) struct ScanArgs {
    /// The link of a running `till-sim scanner` or `till-sim hid-scanner`, or a serial port, pipe or file to write to.
    #[arg(long, value_name = "PATH")]
    to: PathBuf,
    /// The code, or JSON with faults: {"data":"6212…","suffix":"\r\n","gap_us":1042,"faults":[{"kind":"double","gap_ms":300}]}.
    /// Kinds: noise, flip, pause, half, double, burst; for a HID scanner unplug, garbage, length, count-lie, lost-rest, double.
    code: String,
}

/// Holds the scanner until Ctrl-C or SIGTERM; each line of standard input is a scan.
pub(crate) fn scanner(args: &ScannerArgs) -> Outcome {
    let device = Arc::new(ScannerPty::open(Some(&args.link))?);
    let scan = |device: &ScannerPty, line: &str| -> Result<String, String> {
        let scan = control::scan_order(line).map_err(|e| e.to_string())?;
        device.scan(&scan).map_err(|e| e.to_string())?;
        println!("scanner   a code was scanned");
        Ok("scanned".into())
    };
    let theirs = Arc::clone(&device);
    let _guard = control::serve(&args.link, move |line| scan(&theirs, line))?;
    let stop = Stop::listen()?;
    println!("scanner   {} is ready", args.link.display());
    let hands = Arc::clone(&device);
    std::thread::Builder::new().name("stdin".into()).spawn(move || {
        for line in
            std::io::stdin().lock().lines().map_while(Result::ok).filter(|line| !line.trim().is_empty())
        {
            if let Err(error) = scan(&hands, &line) {
                println!("scanner   {error}");
            }
        }
    })?;
    stop.wait();
    // The threads above hold the device too and end with the process; the link must not outlive it.
    std::fs::remove_file(&args.link)?;
    Ok(())
}

/// Scans once.
pub(crate) fn scan(args: &ScanArgs) -> Outcome {
    if control::path_for(&args.to).exists() {
        control::send(&args.to, &args.code)?;
        return Ok(());
    }
    let failed =
        |e: std::io::Error| format!("{}: {e}; start `till-sim scanner --link` first", args.to.display());
    let kind = std::fs::metadata(&args.to).map_err(failed)?.file_type();
    if !(kind.is_char_device() || kind.is_fifo()) {
        return Err(
            format!("{} is neither a running scanner, a serial port nor a pipe", args.to.display()).into()
        );
    }
    let mut port = std::fs::OpenOptions::new().write(true).open(&args.to).map_err(failed)?;
    control::scan_order(&args.code)?.play(&mut port).map_err(failed)?;
    Ok(())
}
