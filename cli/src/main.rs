//! `tillctl`: the command line of tilld.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let cli = tillctl::args::Cli::parse();
    let json = cli.json;
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(e) => {
            eprintln!("tillctl: {e}");
            return ExitCode::FAILURE;
        }
    };
    let result = runtime.block_on(tillctl::run(cli));
    // A thread may still wait for a line on standard input; nobody waits for it.
    runtime.shutdown_background();
    match result {
        Ok(code) => ExitCode::from(code),
        Err(failure) => failure.report(json),
    }
}
