//! What the commands of all simulated wallets have in common.

use std::{fs, net::SocketAddr, path::Path, path::PathBuf};

use clap::Args as ClapArgs;
use till_simulators::faults::Plan;

use super::Outcome;

/// Where a wallet is served, and what goes wrong there.
#[derive(ClapArgs)]
pub(super) struct Doors {
    /// Where to serve plain HTTP; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:0")]
    pub(super) listen: SocketAddr,
    /// Where to serve HTTPS; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:0")]
    pub(super) listen_tls: SocketAddr,
    /// Scripted faults (JSON; see the simulators' README).
    #[arg(long, value_name = "FILE")]
    faults: Option<PathBuf>,
}

impl Doors {
    /// Loads the scripted faults.
    pub(super) fn script(&self, plan: &Plan) -> Outcome {
        if let Some(path) = &self.faults {
            let script = fs::read_to_string(path)
                .map_err(|error| format!("cannot read the fault script {}: {error}", path.display()))?;
            plan.load(&script).map_err(|error| format!("{}: {error}", path.display()))?;
        }
        Ok(())
    }
}

/// Prints where it is served.
pub(super) fn tell(http: &str, https: Option<&str>) {
    println!("http {http}");
    if let Some(url) = https {
        println!("https {url}");
    }
}

/// Writes what the till needs beside the keys.
pub(super) fn put(directory: &Path, files: &[(&str, &str)]) -> Outcome {
    for (name, text) in files {
        let path = directory.join(name);
        fs::write(&path, text).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    }
    Ok(())
}
