//! `till-plugin-host`: loads one plugin and serves it. Started by tilld only; see the crate's README.

use std::process::ExitCode;

use till_plugin_host::{Options, exit};

fn main() -> ExitCode {
    match Options::parse(std::env::args_os().skip(1)) {
        Ok(options) => till_plugin_host::run(&options),
        Err(e) => {
            eprintln!("till-plugin-host: {e}");
            ExitCode::from(exit::USAGE)
        }
    }
}
