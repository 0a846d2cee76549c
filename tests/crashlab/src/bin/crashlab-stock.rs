//! `crashlab-stock`: sled as it comes, without the shim, as the only copy. A control that must lose records.

#[path = "../store.rs"]
mod store;

use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    store::main(false, &args)
}
