//! `till-sim alipay`: the gateway as a process.

use std::{fs, path::PathBuf, time::Duration};

use clap::Args as ClapArgs;
use till_simulators::alipay::{Gateway, Papers, Settings, Spelling};
use till_simulators::wallet::keys::{APP_PRIVATE_FILE, GATEWAY_PUBLIC_FILE, Keys};

use super::{Outcome, Stop, wallet};

/// What the file with the certificate authority is called.
const AUTHORITY_FILE: &str = "ca.pem";

/// What the files of certificate mode are called.
const APP_CERTIFICATE_FILE: &str = "app-certificate.pem";
const ALIPAY_CERTIFICATE_FILE: &str = "alipay-certificate.pem";
const ALIPAY_ROOT_FILE: &str = "alipay-root.pem";

/// Arguments of `till-sim alipay`.
#[derive(ClapArgs)]
pub(crate) struct Args {
    #[command(flatten)]
    doors: wallet::Doors,
    /// Directory of the keys: made there where absent, and kept, so that a restart is the same gateway. The till needs
    /// `app-private-key.pem`, `gateway-public-key.pem` and, for HTTPS, `ca.pem` from it.
    #[arg(long, value_name = "DIR")]
    keys: PathBuf,
    /// The app's public key (PEM), where the till brings a key pair of its own.
    #[arg(long, value_name = "FILE")]
    app_public_key: Option<PathBuf>,
    /// Certificate mode: requests and answers name certificates. The till needs `app-certificate.pem`,
    /// `alipay-certificate.pem` and `alipay-root.pem` in place of the gateway's public key.
    #[arg(long, conflicts_with = "app_public_key")]
    certificates: bool,
    /// The app that may call.
    #[arg(long, default_value = "2021000000000001")]
    app_id: String,
    /// The merchant behind the app.
    #[arg(long, default_value = "2088000000000001")]
    seller_id: String,
    /// How far a request's clock may be off, seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    clock_tolerance: u64,
    /// How long every answer takes at least, milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 0)]
    latency: u64,
    /// Book a payment even if it arrives after its own cancel.
    #[arg(long)]
    book_late_payments: bool,
    /// Spell replies alike in every run with this seed.
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,
}

/// Serves until Ctrl-C or SIGTERM. Prints where, one `name value` a line, once it accepts connections.
pub(crate) fn run(args: Args) -> Outcome {
    let mut settings = Settings::default();
    settings.http = args.doors.listen;
    settings.https = Some(args.doors.listen_tls);
    settings.keys = Some(Keys::in_directory(&args.keys)?);
    settings.app_public_key = args
        .app_public_key
        .map(|path| {
            fs::read_to_string(&path)
                .map_err(|error| format!("cannot read the key {}: {error}", path.display()))
        })
        .transpose()?;
    settings.app_id = args.app_id;
    settings.seller_id = args.seller_id;
    settings.clock_tolerance = Duration::from_secs(args.clock_tolerance);
    settings.latency = Duration::from_millis(args.latency);
    settings.bar_late_payments = !args.book_late_payments;
    settings.spelling = args.seed.map_or(Spelling::Random, Spelling::Seeded);
    if args.certificates {
        settings.certificates = true;
        settings.papers = Some(Papers::in_directory(&args.keys)?);
    }
    let gateway = Gateway::start(settings)?;
    if let Some(given) = gateway.certificates() {
        wallet::put(
            &args.keys,
            &[
                (APP_CERTIFICATE_FILE, &given.app_pem),
                (ALIPAY_CERTIFICATE_FILE, &given.gateway_pem),
                (ALIPAY_ROOT_FILE, &given.root_pem),
            ],
        )?;
    }
    wallet::put(&args.keys, &[(AUTHORITY_FILE, gateway.authority_pem())])?;
    args.doors.script(gateway.faults())?;
    let stop = Stop::listen()?;
    wallet::tell(&gateway.url(), gateway.https_url().as_deref());
    println!("app-id {}", gateway.app_id());
    println!("seller-id {}", gateway.seller_id());
    println!("app-private-key {}", args.keys.join(APP_PRIVATE_FILE).display());
    println!("gateway-public-key {}", args.keys.join(GATEWAY_PUBLIC_FILE).display());
    if gateway.certificates().is_some() {
        println!("app-certificate {}", args.keys.join(APP_CERTIFICATE_FILE).display());
        println!("alipay-certificate {}", args.keys.join(ALIPAY_CERTIFICATE_FILE).display());
        println!("alipay-root {}", args.keys.join(ALIPAY_ROOT_FILE).display());
    }
    println!("ca {}", args.keys.join(AUTHORITY_FILE).display());
    println!("ready");
    stop.wait();
    gateway.stop();
    Ok(())
}
