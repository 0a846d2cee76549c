//! `till-plugin-host`: one process, one plugin instance.
//!
//! The daemon starts it with a socket on descriptor 3 and, for devices, the opened transport on descriptor 4. It confines
//! itself, loads the `.so`, and serves frames of [`till_plugin::proto`]. Blocking; two threads: one reads frames and
//! answers pings, the other is the only one that enters the plugin.
//!
//! It knows no D-Bus, no journal and no async runtime, and it opens nothing by itself.

mod clock;
mod confine;
mod elf;
mod link;
mod load;
mod options;
mod reader;
mod serve;
mod services;
mod shared;
mod tap;
mod transport;
mod verify;
mod wake;
mod wipe;

use std::process::ExitCode;

use till_plugin::proto::{FromHost, Hello, PROTOCOL};

pub use elf::ElfError;
pub use load::LoadError;
pub use options::{Clock, Options, OptionsError};
pub use verify::{VerifyError, verify};

/// Exit statuses.
pub mod exit {
    /// Ended in order.
    pub const DONE: u8 = 0;
    /// Wrong arguments.
    pub const USAGE: u8 = 64;
    /// The plugin file is refused; the reason was sent.
    pub const REFUSED: u8 = 65;
    /// The plugin could not make its instance; the reason was sent.
    pub const CREATE: u8 = 66;
    /// The instance ended by itself; the reason was sent.
    pub const ENDED: u8 = 67;
    /// The daemon ended or broke the protocol.
    pub const LINK: u8 = 68;
    /// This process itself is at fault.
    pub const INTERNAL: u8 = 70;
}

/// Runs until the daemon stops it, the plugin ends, or something fails. Never returns once the plugin is loaded: the
/// process ends without running what the plugin's libraries left for exit.
pub fn run(options: &Options) -> ExitCode {
    quiet_panics();
    let mut layers = match confine::process(options) {
        Ok(layers) => layers,
        Err(e) => {
            eprintln!("till-plugin-host: {e}");
            return ExitCode::from(exit::LINK);
        }
    };
    let (link, input) = match link::open(options.socket) {
        Ok(pair) => pair,
        Err(e) => {
            eprintln!("till-plugin-host: no socket on descriptor {}: {e}", options.socket);
            return ExitCode::from(exit::USAGE);
        }
    };
    let loaded = match verify(&options.plugin).map_err(LoadError::from).and_then(|()| load::load(options)) {
        Ok(loaded) => loaded,
        Err(e) => {
            if let Some(detail) = e.detail() {
                link.log_debug(detail);
            }
            link.send(&FromHost::Refused { message: format!("{}: {e}", options.plugin.display()) });
            return ExitCode::from(exit::REFUSED);
        }
    };
    layers.push(confine::files(options));
    layers.push(confine::calls(options));
    layers.push(wipe::layer_of_wiping());
    link.send(&FromHost::Hello(Hello {
        protocol: PROTOCOL,
        plugin: loaded.id,
        version: loaded.version,
        sdk: loaded.sdk,
        rustc: loaded.rustc,
        sandbox: layers,
    }));
    serve::serve(loaded.root, link, input, options)
}

/// This process ends on a panic of its own, with one line; the plugin's panics never come here.
fn quiet_panics() {
    std::panic::set_hook(Box::new(|info| {
        let place = info.location().map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
        eprintln!("till-plugin-host: internal error at {place}; report it to the tilld project");
        end(exit::INTERNAL);
    }));
}

/// Ends the process at once: other threads may be inside the plugin, and its exit handlers are not ours to run.
#[allow(unsafe_code)]
pub(crate) fn end(status: u8) -> ! {
    // SAFETY: `_exit` only ends the process.
    unsafe { libc::_exit(status.into()) }
}
