//! `till-sim unionpay`: the gateway as a process.

use std::{fs, net::SocketAddr, path::PathBuf};

use clap::Args as ClapArgs;
use till_simulators::unionpay::{Papers, Platform, Settings};
use till_simulators::wallet::keys::Keys;

use super::{Outcome, Stop};

/// Arguments of `till-sim unionpay`.
#[derive(ClapArgs)]
pub(crate) struct Args {
    /// Where to serve plain HTTP; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Where to serve HTTPS; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:0")]
    listen_tls: SocketAddr,
    /// Directory of the keys: made there where absent, and kept. The till needs `app-private-key.pem` (the merchant's),
    /// `merchant.pem`, `unionpay-root.pem`, `unionpay-middle.pem` and, for HTTPS, `ca.pem` from it.
    #[arg(long, value_name = "DIR")]
    keys: PathBuf,
    /// Scripted faults (JSON; see the simulators' README).
    #[arg(long, value_name = "FILE")]
    faults: Option<PathBuf>,
}

/// Serves until Ctrl-C or SIGTERM. Prints where, one `name value` a line, once it accepts connections.
pub(crate) fn run(args: &Args) -> Outcome {
    let mut settings = Settings::default();
    settings.http = args.listen;
    settings.https = Some(args.listen_tls);
    settings.keys = Some(Keys::in_directory(&args.keys)?);
    settings.papers = Some(Papers::in_directory(&args.keys)?);
    let platform = Platform::start(settings)?;
    for (name, text) in [
        ("ca.pem", platform.authority_pem()),
        ("merchant.pem", platform.merchant_certificate_pem()),
        ("unionpay-root.pem", platform.root_pem()),
        ("unionpay-middle.pem", platform.middle_pem()),
    ] {
        let path = args.keys.join(name);
        fs::write(&path, text).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    }
    if let Some(path) = &args.faults {
        let script = fs::read_to_string(path)
            .map_err(|error| format!("cannot read the fault script {}: {error}", path.display()))?;
        platform.faults().load(&script).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    let stop = Stop::listen()?;
    println!("http {}", platform.url());
    if let Some(url) = platform.https_url() {
        println!("https {url}");
    }
    println!("mer-id {}", platform.mer_id());
    println!("keys {}", args.keys.display());
    println!("ready");
    stop.wait();
    platform.stop();
    Ok(())
}
