//! `till-sim bus`: the private bus as a process.

use super::Outcome;
use clap::Args as ClapArgs;
use till_simulators::bus;

/// Arguments of `till-sim bus`.
#[derive(ClapArgs)]
pub(crate) struct Args {
    /// Where to listen, as a D-Bus address: `unix:path=/run/user/1000/till/bus`, or `unix:dir=…` for a socket with
    /// a random name in that directory. Only the user who starts the bus can connect to the socket.
    #[arg(long, value_name = "ADDRESS")]
    address: String,
    /// Print the address that clients use on standard output, once the bus accepts connections.
    #[arg(long)]
    print_address: bool,
}

/// Serves the bus until SIGINT or SIGTERM, then removes its socket.
pub(crate) fn run(args: &Args) -> Outcome {
    bus::serve_until_signal(&args.address, |address| {
        if args.print_address {
            println!("{address}");
        }
    })?;
    Ok(())
}
