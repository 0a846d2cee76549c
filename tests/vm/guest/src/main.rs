//! Runs in the guest of `tests/vm`, as root, once tilld is installed: plugs devices in, uses them, pulls them out, and says
//! what a shop would have lost. One line a scenario on standard output; what tilld logged goes to standard error.

mod bridge;
mod chip;
mod counter;
mod error;
mod gadget;
mod keyboard;
mod scenarios;
mod scope;
mod system;
mod till;

use std::process::ExitCode;
use std::time::Instant;

use error::VmError;
use till::Till;

#[tokio::main]
async fn main() -> ExitCode {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    match all(&wanted).await {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(e) => {
            println!("FAIL setup: {e}");
            system::show_log();
            ExitCode::FAILURE
        }
    }
}

/// Runs the scenarios; how many failed.
async fn all(wanted: &[String]) -> Result<usize, VmError> {
    let mut failed = 0;
    let from = Instant::now();
    let mut till = Till::stand().await?;
    println!("   tilld stands under its unit after {:.1?}", from.elapsed());
    for name in wanted {
        let from = Instant::now();
        let result = scenarios::run(name, &till).await;
        let took = from.elapsed();
        match result {
            Ok(said) => println!("ok   {name} ({took:.1?}){}{said}", if said.is_empty() { "" } else { ": " }),
            Err(e) => {
                failed += 1;
                println!("FAIL {name} ({took:.1?}): {e}");
                eprintln!("---- {name}: {e}");
                system::show_log();
            }
        }
        till.reconnect().await?;
    }
    Ok(failed)
}
