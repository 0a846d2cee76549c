//! `till-sim wechatpay`: the platform as a process.

use std::path::PathBuf;

use clap::Args as ClapArgs;
use till_simulators::wallet::keys::Keys;
use till_simulators::wechatpay::{Platform, Settings};

use super::{Outcome, Stop, wallet};

/// Arguments of `till-sim wechatpay`.
#[derive(ClapArgs)]
pub(crate) struct Args {
    #[command(flatten)]
    doors: wallet::Doors,
    /// Directory of the keys: made there where absent, and kept. The till needs `app-private-key.pem` (the merchant's),
    /// `platform-public-key.pem` and, for HTTPS, `ca.pem` from it.
    #[arg(long, value_name = "DIR")]
    keys: PathBuf,
    /// Sign answers with a certificate's key, which the till fetches, instead of a public key.
    #[arg(long)]
    certificates: bool,
}

/// Serves until Ctrl-C or SIGTERM. Prints where, one `name value` a line, once it accepts connections.
pub(crate) fn run(args: &Args) -> Outcome {
    let mut settings = Settings::default();
    settings.http = args.doors.listen;
    settings.https = Some(args.doors.listen_tls);
    settings.keys = Some(Keys::in_directory(&args.keys)?);
    settings.certificates = args.certificates;
    let platform = Platform::start(settings)?;
    wallet::put(
        &args.keys,
        &[("ca.pem", platform.authority_pem()), ("platform-public-key.pem", platform.public_pem())],
    )?;
    args.doors.script(platform.faults())?;
    let stop = Stop::listen()?;
    wallet::tell(&platform.url(), platform.https_url().as_deref());
    println!("appid {}", platform.appid());
    println!("mchid {}", platform.mchid());
    println!("merchant-serial {}", platform.merchant_serial());
    println!("platform-key-id {}", platform.key_id());
    println!("keys {}", args.keys.display());
    println!("ready");
    stop.wait();
    platform.stop();
    Ok(())
}
