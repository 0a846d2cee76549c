//! The shop's own cards as they are in the field: the plugin in its process, its ledger in the till's journal, both killed.
#![allow(clippy::unwrap_used)] // in helpers too: what fails there fails the test

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use till_hosts::{Catalog, ChannelClient, ClockTrust, InstanceSpec, Supervisor, SupervisorConfig, Timing};
use till_journal::{DeviceKey, Journal, Options, SystemClock};
use till_plugin::channel::*;
use till_plugin::instrument::{Instrument, StripeCard};
use till_plugin::{Currency, Extra, Money, Sensitive};
use tilld::service::instance_log::JournalLog;

const CALL: Duration = Duration::from_secs(20);

fn cny(minor: i64) -> Money {
    Money::new(minor, Currency::CNY)
}

/// Folder with the built programs; builds what is missing.
fn built() -> PathBuf {
    let folder = Path::new(env!("CARGO_BIN_EXE_tilld")).parent().unwrap().to_path_buf();
    let there = |file: &str| folder.join(file).is_file();
    if !there("libtill_channel_prepaid.so") || !there("till-plugin-host") {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["build", "-p", "till-channel-prepaid", "-p", "till-plugin-host"]);
        cargo.current_dir(root()).arg("--target-dir").arg(folder.parent().unwrap());
        if folder.ends_with("release") {
            cargo.arg("--release");
        }
        assert!(cargo.status().unwrap().success(), "what the test needs does not build");
    }
    folder
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap().to_path_buf()
}

/// A journal, a supervisor on it, and the channel.
struct Till {
    journal: Journal,
    supervisor: Supervisor,
    channel: ChannelClient,
}

impl Till {
    async fn start(dir: &Path, built: &Path) -> Self {
        let folder = dir.join("plugins/org.tilld.prepaid");
        std::fs::create_dir_all(&folder).unwrap();
        let library = folder.join("libtill_channel_prepaid.so");
        std::fs::copy(built.join("libtill_channel_prepaid.so"), &library).unwrap();
        std::fs::set_permissions(&library, std::fs::Permissions::from_mode(0o644)).unwrap();
        std::fs::copy(root().join("channels/prepaid/manifest.toml"), folder.join("manifest.toml")).unwrap();
        let mut options = Options::new(dir.join("journal"));
        options.force_filesystem = true;
        (options.free_floor, options.ballast_bytes) = (0, 0);
        let key = DeviceKey::new(&[5; 32]);
        let journal = Journal::open(options, key, Arc::new(SystemClock::new())).unwrap().0;
        let timing = Timing {
            backoff_first: Duration::from_millis(10),
            backoff_max: Duration::from_millis(50),
            // It is killed more often than a shop would bear.
            failures: 1_000,
            ..Timing::default()
        };
        let config = SupervisorConfig {
            timing,
            clock: ClockTrust::Always,
            ..SupervisorConfig::new(built.join("till-plugin-host"), dir.join("state"))
        };
        let log = Arc::new(JournalLog::new(journal.clone()));
        let supervisor = Supervisor::with_log(config, log).unwrap();
        let catalog = Catalog::scan(&[dir.join("plugins")]);
        let mut spec = InstanceSpec::new("prepaid", catalog.get("org.tilld.prepaid").unwrap().clone());
        spec.settings = toml::from_str("prefixes = ['8600']").unwrap();
        spec.secrets = vec![("card_key".into(), Sensitive::new(vec![7; 32]))];
        let (instance, _events) = supervisor.start(spec).unwrap();
        let channel = ChannelClient::new(instance);
        channel.instance().ready().await.unwrap();
        Self { journal, supervisor, channel }
    }

    async fn stop(self) {
        self.supervisor.shutdown().await;
        self.journal.close().unwrap();
    }

    /// Kills the plugin's process and waits for the next one.
    async fn kill_host(&self) {
        let mut watch = self.channel.instance().watch();
        let before = watch.borrow().clone();
        let pid = i32::try_from(before.host.unwrap().pid).unwrap();
        let _already_gone = rustix::process::kill_process(
            rustix::process::Pid::from_raw(pid).unwrap(),
            rustix::process::Signal::KILL,
        );
        watch.wait_for(|now| now.starts > before.starts && now.host.is_some()).await.unwrap();
        self.channel.instance().ready().await.unwrap();
    }

    async fn account(&self, order: &str, operation: AccountOperation, amount: Option<i64>) -> AccountReport {
        let request = Account {
            ids: ids(order),
            operation,
            amount: amount.map(cny),
            instrument: Some(card()),
            recovery: Sensitive::new(Vec::new()),
            operator: Some("alice".into()),
            reason: String::new(),
            before: 0,
            limit: 200,
            extra: Extra::new(),
        };
        match self.channel.account(&request, CALL).await.unwrap() {
            AccountOutcome::Done(report) => report,
            other => panic!("{operation:?}: {other:?}"),
        }
    }

    async fn query(&self, order: &str, amount: i64) -> QueryOutcome {
        let original = FollowUp {
            ids: ids(order),
            amount: cny(amount),
            recovery: Sensitive::new(Vec::new()),
            attempt: 1,
            extra: Extra::new(),
        };
        self.channel.query(&original, CALL).await.unwrap()
    }
}

fn ids(order: &str) -> AttemptIds {
    AttemptIds { payment: [7; 16], attempt: 1, trace: 1, batch: 1, order: order.into(), wall_ms: 0 }
}

fn card() -> Instrument {
    Instrument::Stripe(StripeCard {
        track1: None,
        track2: None,
        track3: None,
        pan: Sensitive::new("8600000000000005".into()),
        expiry: None,
        service_code: None,
        masked: "860000******0005".into(),
        luhn: true,
    })
}

fn sale(order: &str, amount: i64) -> Authorise {
    Authorise {
        ids: ids(order),
        hold: false,
        amount: cny(amount),
        instrument: card(),
        subject: String::new(),
        operator: None,
        pin_block: None,
        extra: Extra::new(),
    }
}

fn no_recovery() -> Prepared {
    Prepared { recovery: Sensitive::new(Vec::new()), masked: String::new() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s55_s58_killed_at_any_moment_every_debit_is_booked_once_or_never_and_the_books_are_whole() {
    let built = built();
    let dir = tempfile::tempdir().unwrap();
    let mut till = Till::start(dir.path(), &built).await;
    till.account("ISSUE001", AccountOperation::Issue, Some(50_000)).await;
    let (mut spent, mut lost) = (0, 0);
    for round in 0_i64..12 {
        let (order, amount) = (format!("SALE{round:04}"), 100 + round);
        let request = sale(&order, amount);
        let prepared = till.channel.prepare(&request, CALL).await.unwrap().unwrap();
        let pending = till.channel.begin_authorise(&request, &prepared, CALL).unwrap();
        // Sooner or later in the debit, another moment in every round.
        tokio::time::sleep(Duration::from_micros(u64::try_from(round).unwrap() * 150)).await;
        till.kill_host().await;
        let told = pending.wait::<Outcome>().await;
        let asked = till.query(&order, amount).await;
        match (&told, &asked) {
            (Ok(Outcome::Approved(a)), QueryOutcome::Paid(b)) => assert_eq!(a, b),
            (Ok(other), _) => panic!("{order}: {other:?}, asked {asked:?}"),
            (Err(_), QueryOutcome::Paid(a)) => assert_eq!(a.amount, cny(amount)),
            // Closed: the same request, were it still on its way, is refused.
            (Err(_), QueryOutcome::NotPaid(_)) => {
                lost += 1;
                let late = till.channel.authorise(&request, &no_recovery(), CALL).await.unwrap();
                assert!(matches!(late, Outcome::Declined(_)), "{order} came in late: {late:?}");
            }
            (Err(e), other) => panic!("{order}: {e}, asked {other:?}"),
        }
        spent += if matches!(asked, QueryOutcome::Paid(_)) { amount } else { 0 };
        if round % 4 == 3 {
            // The whole till restarts: the ledger is folded from the journal.
            till.stop().await;
            till = Till::start(dir.path(), &built).await;
        }
    }
    println!("{lost} of 12 debits were cut off before their entry");
    let report = till.account("HIST0001", AccountOperation::History, None).await;
    assert_eq!(report.balance, cny(50_000 - spent));
    assert_eq!(report.entries.iter().map(|e| e.amount.minor()).sum::<i64>(), report.balance.minor());
    till.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s55_eight_debits_at_once_through_the_process_never_overdraw() {
    let built = built();
    let dir = tempfile::tempdir().unwrap();
    let till = Till::start(dir.path(), &built).await;
    till.account("ISSUE001", AccountOperation::Issue, Some(1_000)).await;
    let debits: Vec<_> = (0..8)
        .map(|n| {
            let request = sale(&format!("SALE{n:04}"), 300);
            till.channel.begin_authorise(&request, &no_recovery(), CALL).unwrap()
        })
        .collect();
    let mut approved = 0;
    for debit in debits {
        approved += u32::from(matches!(debit.wait::<Outcome>().await.unwrap(), Outcome::Approved(_)));
    }
    let report = till.account("HIST0001", AccountOperation::History, None).await;
    assert_eq!((approved, report.balance), (3, cny(100)));
    till.stop().await;
}
