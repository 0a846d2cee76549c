//! What can be asked.

use clap::builder::{StringValueParser, TypedValueParser};
use clap::{Args, Parser, Subcommand, ValueEnum};
use till_plugin::{Currency, Sensitive};

mod after;
mod balance;
mod cases;
mod channel;
mod device;
mod doctor;
mod maintenance;
mod merchant;
mod prepaid;
mod template;
mod why;

pub use after::{Bill, Case, Leg, LegOptions, PartLeg, ReviewCommand, Verdict};
pub use balance::Balance;
pub use cases::{DisputeCommand, Notices, Outcome};
pub use channel::ChannelCommand;
pub use device::{DeviceCommand, Record};
pub use doctor::{Bundle, Doctor};
pub use maintenance::MaintenanceCommand;
pub use merchant::{MerchantCommand, PasswordFrom};
pub use prepaid::{CardArgs, PrepaidCommand};
pub use template::{Lang, Look as TemplateLook, TemplateCommand, Width};
pub use why::{Purpose as WhatFor, WhatIf};

/// Drive and look at the till.
///
/// Exit codes: 0 done · 1 failed · 2 wrong usage · 3 tilld cannot be reached · 4 not allowed · 5 refused by the till ·
/// 6 it ended and no money moved · 7 its outcome is not known yet · 8 the journal has problems · 9 the doctor found something to fix
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
    /// Suspend a channel, resume it, and see who did so.
    #[command(subcommand)]
    Channel(ChannelCommand),
    /// Choose the current channel.
    Switch {
        /// Channel id, or `auto`: chosen for each payment.
        channel: String,
    },
    /// Put the till into training, or take it out of it: no money moves by what is sold meanwhile (`pay --training`).
    /// Wants --operator.
    Training {
        /// Whether the till is to be in training.
        to: OnOff,
    },
    /// Announced maintenance of channels: no new sales before it and while it lasts.
    #[command(subcommand)]
    Maintenance(MaintenanceCommand),
    /// Merchants' numbers and passwords, for channels that ask for them before they sell.
    #[command(subcommand)]
    Merchant(MerchantCommand),
    /// Make the hash of a merchant's password, for a file in the secrets folder. Asks no till.
    HashPassword {
        /// File to make (mode 0600) [default: standard output].
        file: Option<std::path::PathBuf>,
        /// Where the password comes from.
        #[command(flatten)]
        password: PasswordFrom,
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
    /// Why each attempt of a payment went to its channel, and why not to the others.
    Explain {
        /// Payment id, idempotency key, or `active`.
        payment: String,
    },
    /// Which channel would take an amount, and what else could be taken. Asks nobody, writes nothing.
    WhatIf(WhatIf),
    /// Give money back by the channel that took it, all that is left or a part. Wants --operator.
    Refund(PartLeg),
    /// Take an approved payment of the open batch back, whole. Wants --operator.
    Void(Leg),
    /// Take held money, the whole hold or less. Wants --operator.
    Capture(PartLeg),
    /// Give a hold back. Wants --operator.
    Release(Leg),
    /// Print a receipt or slip once more, as a numbered copy.
    Reprint {
        /// Payment id, idempotency key, or `active`.
        payment: String,
        /// Number of the receipt [default: the payment's own].
        #[arg(long, value_name = "N")]
        receipt: Option<u64>,
    },
    /// Decide what nobody knows: two people, each with their own --operator.
    #[command(subcommand)]
    Review(ReviewCommand),
    /// A sale that was found paid after a restart stands: the customer has the goods.
    Ack {
        /// Payment id, idempotency key, or `active`.
        payment: String,
    },
    /// Give an attempt up whose outcome nobody knows, so that another can begin; it can then never end as paid.
    Abandon {
        /// Payment id, idempotency key, or `active`.
        payment: String,
        /// Why; goes into the journal.
        reason: String,
    },
    /// Go on with a part-paid payment of before a restart.
    Resume {
        /// Payment id, idempotency key, or `active`.
        payment: String,
    },
    /// Payments that carry a number: receipt, trace (six digits), order, network reference, key, payment id.
    Find {
        /// The number.
        number: String,
    },
    /// Payments with what was paid and what went back, oldest first; with --operator those that this person opened.
    Bill(Bill),
    /// A payment's receipt at any later time, as text or with --json as data; or work on a receipt template, without a till.
    #[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
    Receipt {
        /// Payment id, idempotency key, or `active`.
        #[arg(required = true)]
        payment: Option<String>,
        /// Number of the receipt or slip [default: the payment's own].
        #[arg(long, value_name = "N")]
        receipt: Option<u64>,
        /// Work on a template.
        #[command(subcommand)]
        template: Option<TemplateCommand>,
    },
    /// Everything that happened to a payment, record by record.
    History {
        /// Payment id, idempotency key, or `active`.
        payment: String,
    },
    /// Cases of disputed payments.
    #[command(subcommand)]
    Dispute(DisputeCommand),
    /// What the merchant is told: money in and out, decisions, disputes.
    Notices(Notices),
    /// The shop's own stored-value cards.
    #[command(subcommand)]
    Prepaid(PrepaidCommand),
    /// A customer's bank card: its balance, told by its bank. Read by the till's reader; the PIN is entered at the pad. Kept
    /// nowhere.
    Balance(Balance),
    /// Devices.
    Devices,
    /// One device.
    #[command(subcommand)]
    Device(DeviceCommand),
    /// Record what passes a device's transport, for a bug report or a test; card data is masked. Ctrl-C ends it.
    Record(Record),
    /// Installed plugins.
    Plugins,
    /// The journal.
    #[command(subcommand)]
    Journal(JournalCommand),
    /// One payment's evidence, for a third party.
    #[command(subcommand)]
    Evidence(EvidenceCommand),
    /// Batches and the end of day.
    #[command(subcommand)]
    Day(DayCommand),
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
    /// Say of every device, plugin, channel, permission, unit, of clock, disk, bus and journal: well, or what is wrong and
    /// the exact fix. Also while tilld is stopped. Changes nothing.
    Doctor(Doctor),
    /// Collect diagnostics into one tar file for a bug report, without secrets, card data or journal records. At most 4 MiB.
    Bundle(Bundle),
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
    /// Show the customer a code to scan: of --channel, or of whichever wallet this till would choose.
    #[arg(long, conflicts_with_all = ["cash", "code"])]
    pub show_code: bool,
    /// What the code is, when the till cannot tell (qr-alipay, qr-wechat …).
    #[arg(long, requires = "code")]
    pub family: Option<String>,
    /// Pay on this channel.
    #[arg(long)]
    pub channel: Option<String>,
    /// Idempotency key: the same key and request is the same payment, also after a restart.
    #[arg(long)]
    pub key: Option<String>,
    /// Hold the money only (pre-authorisation): `capture` takes it, `release` gives it back.
    #[arg(long, conflicts_with_all = ["cash", "part", "show_code"])]
    pub hold: bool,
    /// Practise: the till must be in training, and no money moves.
    #[arg(long)]
    pub training: bool,
    /// What --cash, --code or --show-code brings pays this much of what is owed; the payment stays part-paid.
    #[arg(long, value_name = "AMOUNT")]
    pub part: Option<String>,
    /// The payment of --key is part-paid, and this is another part. Without it a repeated call takes nothing twice.
    #[arg(long, requires = "key")]
    pub more: bool,
    /// The same amount with the same instrument is another purchase: why.
    #[arg(long, value_name = "WHY", conflicts_with_all = ["cash", "show_code"])]
    pub duplicate_reason: Option<String>,
    /// Print the payment's id and leave it open at the till.
    #[arg(long)]
    pub no_wait: bool,
}

/// On or off.
#[derive(Copy, Clone, Debug, PartialEq, Eq, ValueEnum)]
pub enum OnOff {
    /// On.
    On,
    /// Off.
    Off,
}

/// Commands of the business day.
#[derive(Subcommand)]
pub enum DayCommand {
    /// End the business day: the batch is settled in the background, sales go on in the next one.
    Close,
    /// The open batch, those being settled, and the newest closed ones.
    List,
    /// One batch: what each channel took and gave back, how its settlement stands, and what is left to people.
    Show {
        /// Batch number [default: the open one].
        batch: Option<u32>,
    },
    /// What each operator took and gave back in a batch.
    Operators {
        /// Batch number [default: the open one].
        batch: Option<u32>,
    },
    /// What a batch's channels take: as forecast, as charged where the network told it, and each sale that differs.
    Fees {
        /// Batch number [default: the open one].
        batch: Option<u32>,
        /// Name at most so many sales that differ.
        #[arg(long, default_value_t = 50)]
        limit: u32,
    },
    /// The settlement slip of a closed batch, as text.
    Slip {
        /// Batch number.
        batch: u32,
    },
    /// Print the settlement slip of a closed batch once more, as a numbered copy.
    Print {
        /// Batch number.
        batch: u32,
    },
    /// Let a settlement go on that was given up.
    Again {
        /// Batch number.
        batch: u32,
        /// Channel id.
        channel: String,
    },
    /// Close a part that cannot be settled; what is open in it stays named. Two people have to say so.
    Anyway {
        /// Batch number.
        batch: u32,
        /// Channel id.
        channel: String,
        /// Why; goes into the journal.
        reason: String,
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
    /// Replace keys while sales go on: that of the journal's chain, or the master key. Wants --operator.
    RotateKeys {
        /// Which.
        #[arg(long, value_parser = ["chain", "master", "both"], default_value = "chain")]
        which: String,
    },
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
