//! What can be asked.

use clap::builder::{StringValueParser, TypedValueParser};
use clap::{Args, Parser, Subcommand};
use till_plugin::{Currency, Sensitive};

/// Drive and look at the till.
///
/// Exit codes: 0 done · 1 failed · 2 wrong usage · 3 tilld cannot be reached · 4 not allowed · 5 refused by the till ·
/// 6 the payment ended without money · 7 the payment's outcome is not known yet · 8 the journal has problems
#[derive(Parser)]
#[command(name = "tillctl", version, arg_required_else_help = true)]
pub struct Cli {
    /// Bus: system, session, or an address [default: $TILLD_BUS, else system].
    #[arg(long, global = true, value_name = "ADDRESS")]
    pub bus: Option<String>,
    /// JSON on standard output, with stable keys.
    #[arg(long, global = true)]
    pub json: bool,
    /// Who is at the till; goes into the journal.
    #[arg(long, global = true, value_name = "NAME")]
    pub operator: Option<String>,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Subcommand)]
pub enum Command {
    /// The till at a glance: state, what stands in the way and its fix, current channel, payment, devices.
    Status,
    /// Payment channels.
    Channels,
    /// Choose the current channel.
    Switch {
        /// Channel id, or `auto`: chosen for each payment.
        channel: String,
    },
    /// Open a payment, confirm its amount, and follow it to its end. Ctrl-C asks to cancel it.
    Pay(Pay),
    /// Give a payment up.
    Cancel {
        /// Payment id, idempotency key, or `active`.
        payment: String,
    },
    /// Payments, newest first.
    Payments {
        /// How many at most (1-500).
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=500))]
        limit: u32,
        /// Go on after this payment id.
        #[arg(long, value_name = "PAYMENT")]
        before: Option<String>,
    },
    /// Everything about one payment: its attempts, and why each channel was chosen.
    Show {
        /// Payment id, idempotency key, or `active`.
        payment: String,
    },
    /// Devices.
    Devices,
    /// One device.
    #[command(subcommand)]
    Device(DeviceCommand),
    /// Installed plugins.
    Plugins,
    /// The journal.
    #[command(subcommand)]
    Journal(JournalCommand),
    /// One payment's evidence, for a third party.
    #[command(subcommand)]
    Evidence(EvidenceCommand),
    /// Open the cash drawer without a sale.
    Drawer {
        /// Why; goes into the journal.
        reason: String,
    },
    /// Sign the terminal in at a channel's network.
    SignIn {
        /// Channel id.
        channel: String,
    },
    /// Ask a channel's network whether it is well; never with money.
    Probe {
        /// Channel id.
        channel: String,
    },
    /// Show every signal of the till as it comes, until Ctrl-C. Codes and long digit runs are masked.
    Monitor,
    /// Print shell completions.
    Completions {
        /// Shell.
        shell: clap_complete::Shell,
    },
}

/// Options of `pay`.
#[derive(Args)]
pub struct Pay {
    /// What is owed: digits with a point, such as 128.50.
    pub amount: String,
    /// ISO 4217 code.
    #[arg(long, default_value = "CNY", value_parser = currency)]
    pub currency: Currency,
    /// What it is for, at most 64 characters.
    #[arg(long)]
    pub subject: Option<String>,
    /// The customer handed over this much cash.
    #[arg(long, value_name = "TENDERED", conflicts_with = "code")]
    pub cash: Option<String>,
    /// `-`: read the customer's payment code from standard input, without echo. A code is never an argument.
    #[arg(long, value_name = "-", allow_hyphen_values = true, value_parser = code())]
    pub code: Option<Sensitive<String>>,
    /// What the code is, when the till cannot tell (qr-alipay, qr-wechat …).
    #[arg(long, requires = "code")]
    pub family: Option<String>,
    /// Pay on this channel.
    #[arg(long)]
    pub channel: Option<String>,
    /// Idempotency key: the same key and request is the same payment, also after a restart.
    #[arg(long)]
    pub key: Option<String>,
    /// Print the payment's id and leave it open at the till.
    #[arg(long)]
    pub no_wait: bool,
}

/// Commands of one device.
#[derive(Subcommand)]
pub enum DeviceCommand {
    /// Restart it, also out of quarantine.
    Restart {
        /// Device id.
        id: String,
    },
}

/// Commands of the journal.
#[derive(Subcommand)]
pub enum JournalCommand {
    /// Check every record, hash and link.
    Verify,
    /// Write records as JSON lines; the last line is the head of the chain.
    Export {
        /// File to make (mode 0600), or `-` for standard output.
        file: std::path::PathBuf,
        /// First sequence number.
        #[arg(long, default_value_t = 1)]
        from: u64,
        /// Last sequence number; 0: the newest.
        #[arg(long, default_value_t = 0)]
        to: u64,
    },
    /// Sequence number and hash of the newest record.
    Head,
    /// Check everything: by the running tilld, else both copies on the disk, changing nothing.
    Check(Offline),
    /// Mend each copy from the other, with tilld stopped; what is damaged is put aside, never deleted.
    Rebuild {
        /// Make every store anew, also where it looks whole.
        #[arg(long)]
        anew: bool,
        /// Without a running tilld.
        #[command(flatten)]
        offline: Offline,
    },
    /// Write a backup, a tar file without keys: by the running tilld, else from the disk.
    Backup {
        /// File to make (mode 0600).
        file: std::path::PathBuf,
        /// Without a running tilld.
        #[command(flatten)]
        offline: Offline,
    },
    /// Put a backup where the journal belongs, with tilld stopped; refused unless that place is empty.
    Restore {
        /// The backup.
        file: std::path::PathBuf,
        /// Without a running tilld.
        #[command(flatten)]
        offline: Offline,
    },
}

/// For work without a running tilld.
#[derive(Args)]
pub struct Offline {
    /// tilld's configuration, in place of /etc/tilld.
    #[arg(long, value_name = "FILE")]
    pub config: Option<std::path::PathBuf>,
    /// Do not ask a running tilld.
    #[arg(long)]
    pub offline: bool,
}

/// Commands of evidence.
#[derive(Subcommand)]
pub enum EvidenceCommand {
    /// Write the till's public key (PEM). Do it once, at install, and keep the file where the till cannot change it.
    Key {
        /// File to make, or `-` for standard output.
        #[arg(default_value = "-")]
        file: std::path::PathBuf,
    },
    /// Write one payment's evidence: its records and receipt, signed by the till. Nothing of other payments is in it.
    Export {
        /// Payment id, idempotency key, or `active`.
        payment: String,
        /// File to make (mode 0600), or `-` for standard output.
        file: std::path::PathBuf,
    },
    /// Check an evidence file. Needs no till and no journal. Exit codes: 0 it holds · 1 it does not · 7 it holds, but
    /// without --key nobody says whose it is.
    Verify {
        /// The evidence file, or `-` for standard input.
        file: std::path::PathBuf,
        /// The till's public key, as `tillctl evidence key` wrote it.
        #[arg(long, value_name = "PUB")]
        key: Option<std::path::PathBuf>,
    },
}

fn currency(text: &str) -> Result<Currency, String> {
    text.parse().map_err(|e: till_plugin::money::CurrencyError| e.to_string())
}

// Takes any text: clap prints a value that it refuses, and a code must not be shown a second time.
fn code() -> impl TypedValueParser<Value = Sensitive<String>> {
    StringValueParser::new().map(Sensitive::new)
}
