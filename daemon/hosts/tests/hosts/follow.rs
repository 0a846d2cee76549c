//! What follows a payment, accounts, and the log of an instance: through real processes.

use std::sync::Arc;
use std::time::Duration;

use till_hosts::till_plugin::channel::{
    Account, AccountOperation, AccountOutcome, Follow, FollowKind, FollowUp, Operation, Outcome, Prepared,
    QueryOutcome, RecordKind, Reference, Upload, UploadRecord,
};
use till_hosts::till_plugin::host::{LogEntry, LogError};
use till_hosts::till_plugin::proto::MAX_LOG_PAGE;
use till_hosts::till_plugin::{Currency, Extra, Money, Sensitive};
use till_hosts::{
    ChannelClient, Events, FailureKind, HostError, InstanceLog, LogFuture, MemoryLog, NoLog, Supervisor,
};

use crate::bench::{Bench, CALL, GOOD_CHANNEL, config, failure, within};
use crate::calls::authorise;

const OLD_CHANNEL: &str = "org.tilld.fixture.oldchannel";

async fn channel(settings: &str, log: Arc<dyn InstanceLog>) -> (Bench, ChannelClient, Events) {
    let mut bench = Bench::new(&["goodchannel"]);
    bench.supervisor = Supervisor::with_log(config(bench.dir.path()), log).unwrap();
    let (instance, events) = bench.ready(bench.spec("channel", GOOD_CHANNEL, settings)).await;
    (bench, ChannelClient::new(instance), events)
}

/// A refund of a sale that the channel approved, prepared.
async fn refund(client: &ChannelClient) -> (Follow, Prepared) {
    let sale = authorise("tea");
    let prepared = client.prepare(&sale, CALL).await.unwrap().unwrap();
    let Outcome::Approved(approval) = client.authorise(&sale, &prepared, CALL).await.unwrap() else {
        panic!("not approved")
    };
    let mut ids = sale.ids.clone();
    ids.order = "R0000000043".into();
    let request = Follow {
        ids,
        kind: FollowKind::Refund,
        original: Reference { ids: sale.ids, amount: sale.amount, approval },
        original_recovery: prepared.recovery,
        amount: Money::new(500, Currency::CNY),
        instrument: Some(sale.instrument),
        operator: Some("01".into()),
        reason: "torn bag".into(),
        extra: Extra::new(),
    };
    let prepared = client.prepare_follow(&request, CALL).await.unwrap().unwrap();
    (request, prepared)
}

fn about(request: &Follow) -> FollowUp {
    FollowUp {
        ids: request.ids.clone(),
        amount: request.amount,
        recovery: Sensitive::new(Vec::new()),
        attempt: 1,
        extra: Extra::new(),
    }
}

#[tokio::test]
async fn a_refund_is_prepared_sent_and_asked_about_without_the_instrument() {
    let log = Arc::new(MemoryLog::default());
    let (_bench, client, _events) = channel("", log.clone()).await;
    let operations: Vec<_> = client.leg_rules().iter().map(|r| r.operation).collect();
    assert_eq!(operations, [Operation::Refund, Operation::Account]);
    let (request, prepared) = refund(&client).await;
    assert_eq!(prepared.recovery.expose(), b"torn bag");
    assert!(log.entries("channel").is_empty(), "preparing sends nothing");
    let asked = client.query_follow(&request, &about(&request), CALL).await.unwrap();
    assert_eq!(asked, QueryOutcome::NotFound);
    let Outcome::Approved(a) = client.follow(&request, &prepared, CALL).await.unwrap() else {
        panic!("not approved")
    };
    assert_eq!((a.amount, a.extra["seq"].as_str()), (request.amount, "1"));
    // The plugin answers "not found" to a query that brings the card.
    let asked = client.query_follow(&request, &about(&request), CALL).await.unwrap();
    assert!(matches!(asked, QueryOutcome::Paid(a) if a.amount == request.amount), "{request:?}");
}

#[tokio::test]
async fn a_host_that_dies_behind_its_log_entry_leaves_unknown_and_the_entry_is_there_for_the_next_one() {
    let log = Arc::new(MemoryLog::default());
    let (request, prepared) = {
        let (_bench, client, _events) = channel("", Arc::new(NoLog)).await;
        refund(&client).await
    };
    let (_bench, client, mut events) = channel("dies = true", log.clone()).await;
    let error = client.follow(&request, &prepared, CALL).await.unwrap_err();
    assert!(matches!(error.as_outcome(), Outcome::Unknown(_)), "{error}");
    assert_eq!(failure(&mut events).await.kind, FailureKind::Exited(9));
    assert_eq!(log.entries("channel"), [LogEntry { seq: 1, bytes: b"R0000000043".to_vec() }]);
    within(client.instance().ready()).await.unwrap();
    let asked = client.query_follow(&request, &about(&request), CALL).await.unwrap();
    assert!(matches!(asked, QueryOutcome::Paid(_)), "{asked:?}");
}

#[tokio::test]
async fn accounts_and_uploads_reach_the_plugin_and_a_long_log_is_read_to_its_end() {
    let log = Arc::new(MemoryLog::default());
    let (_bench, client, _events) = channel("", log.clone()).await;
    let sale = authorise("tea");
    let mut account = Account {
        ids: sale.ids.clone(),
        operation: AccountOperation::Load,
        amount: Some(Money::new(10_000, Currency::CNY)),
        instrument: Some(sale.instrument),
        recovery: Sensitive::new(Vec::new()),
        operator: None,
        reason: String::new(),
        before: 0,
        limit: 0,
        extra: Extra::new(),
    };
    let prepared = client.prepare_account(&account, CALL).await.unwrap().unwrap();
    (account.instrument, account.recovery) = (None, prepared.recovery.clone());
    // Others write as well; this instance counts its own only.
    log.append("other", vec![1]).await.unwrap();
    let entries = MAX_LOG_PAGE * 2 + 3;
    for _ in 1..entries {
        log.append("channel", vec![7; 2048]).await.unwrap();
    }
    let AccountOutcome::Done(report) = client.account(&account, CALL).await.unwrap() else {
        panic!("not done")
    };
    assert_eq!(report.balance.minor(), i64::try_from(entries).unwrap());
    assert_eq!((report.account.as_str(), report.approval.unwrap().amount.minor()), ("load", 10_000));
    let original = FollowUp {
        ids: account.ids.clone(),
        amount: account.amount.unwrap(),
        recovery: account.recovery,
        attempt: 1,
        extra: Extra::new(),
    };
    assert!(matches!(client.query_account(&original, CALL).await.unwrap(), QueryOutcome::Paid(_)));

    let (request, _) = refund(&client).await;
    let record = UploadRecord {
        reference: request.original,
        kind: RecordKind::Sale,
        recovery: Sensitive::new(vec![1]),
        original: None,
    };
    let upload = Upload { ids: account.ids, batch: 1, records: vec![record; 3], count: 3, balanced: false };
    let Outcome::Approved(a) = client.upload(&upload, CALL).await.unwrap() else { panic!("not taken") };
    assert_eq!(a.amount.minor(), 3);
}

/// Never answers.
#[derive(Debug)]
struct Stuck;

impl InstanceLog for Stuck {
    fn append(&self, _: &str, _: Vec<u8>) -> LogFuture<u64> {
        Box::pin(std::future::pending::<Result<u64, LogError>>())
    }

    fn read(&self, _: &str, _: u64, _: usize) -> LogFuture<Vec<LogEntry>> {
        Box::pin(std::future::pending::<Result<Vec<LogEntry>, LogError>>())
    }

    fn trim(&self, _: &str, _: u64) -> LogFuture<()> {
        Box::pin(std::future::pending::<Result<(), LogError>>())
    }
}

#[tokio::test]
async fn a_log_that_refuses_or_hangs_is_never_an_approval_and_disturbs_nobody_else() {
    let (_bench, client, _events) = channel("", Arc::new(NoLog)).await;
    let (request, prepared) = refund(&client).await;
    let Outcome::Unknown(unknown) = client.follow(&request, &prepared, CALL).await.unwrap() else {
        panic!("approved without its entry")
    };
    assert!(unknown.text.contains("nobody keeps logs"), "{}", unknown.text);

    let (_bench, client, _events) = channel("", Arc::new(Stuck)).await;
    let (request, prepared) = refund(&client).await;
    // Longer than the pings that a host may miss: it goes on answering them meanwhile.
    let patience = Duration::from_millis(1200);
    let outcome = match client.follow(&request, &prepared, patience).await {
        Ok(outcome) => outcome,
        Err(e @ HostError::TimedOut { .. }) => e.as_outcome(),
        Err(e) => panic!("{e}"),
    };
    assert!(matches!(outcome, Outcome::Unknown(_)), "{outcome:?}");
}

#[tokio::test]
async fn a_channel_of_before_the_rules_is_ready_and_offers_sales_only() {
    let bench = Bench::new(&["oldchannel"]);
    let (instance, _events) = bench.ready(bench.spec("old", OLD_CHANNEL, "")).await;
    let client = ChannelClient::new(instance);
    assert_eq!(client.leg_rules(), []);
    let sale = authorise("tea");
    let prepared = client.prepare(&sale, CALL).await.unwrap().unwrap();
    assert_eq!(prepared.recovery.expose(), b"tea");
    let (_good, good, _) = channel("", Arc::new(NoLog)).await;
    let (request, _) = refund(&good).await;
    let error = client.prepare_follow(&request, CALL).await.unwrap_err();
    assert!(error.nothing_happened(), "{error}");
    assert!(client.follow(&request, &prepared, CALL).await.unwrap_err().nothing_happened());
}

#[tokio::test]
async fn a_channel_that_dies_telling_its_rules_is_never_ready() {
    let bench = Bench::new(&["goodchannel"]);
    let spec = bench.spec("channel", GOOD_CHANNEL, "rules_die = true");
    let (instance, mut events) = bench.supervisor.start(spec).unwrap();
    assert_eq!(failure(&mut events).await.kind, FailureKind::Exited(9));
    assert!(instance.status().host.is_none());
}
