//! `till-sim unionpay`: the gateway as a process.

use std::path::PathBuf;

use clap::Args as ClapArgs;
use till_simulators::unionpay::{Papers, Platform, Settings};
use till_simulators::wallet::keys::Keys;

use super::{Outcome, Stop, wallet};

/// Arguments of `till-sim unionpay`.
#[derive(ClapArgs)]
pub(crate) struct Args {
    #[command(flatten)]
    doors: wallet::Doors,
    /// Directory of the keys: made there where absent, and kept. The till needs `app-private-key.pem` (the merchant's),
    /// `merchant.pem`, `unionpay-root.pem`, `unionpay-middle.pem` and, for HTTPS, `ca.pem` from it.
    #[arg(long, value_name = "DIR")]
    keys: PathBuf,
}

/// Serves until Ctrl-C or SIGTERM. Prints where, one `name value` a line, once it accepts connections.
pub(crate) fn run(args: &Args) -> Outcome {
    let mut settings = Settings::default();
    settings.http = args.doors.listen;
    settings.https = Some(args.doors.listen_tls);
    settings.keys = Some(Keys::in_directory(&args.keys)?);
    settings.papers = Some(Papers::in_directory(&args.keys)?);
    let platform = Platform::start(settings)?;
    wallet::put(
        &args.keys,
        &[
            ("ca.pem", platform.authority_pem()),
            ("merchant.pem", platform.merchant_certificate_pem()),
            ("unionpay-root.pem", platform.root_pem()),
            ("unionpay-middle.pem", platform.middle_pem()),
        ],
    )?;
    args.doors.script(platform.faults())?;
    let stop = Stop::listen()?;
    wallet::tell(&platform.url(), platform.https_url().as_deref());
    println!("mer-id {}", platform.mer_id());
    println!("keys {}", args.keys.display());
    println!("ready");
    stop.wait();
    platform.stop();
    Ok(())
}
