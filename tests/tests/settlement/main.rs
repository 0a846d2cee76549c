//! The end of a day through the whole daemon: tilld, its plugins, the acquirer, the printer; S50, S64–S67, S72.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod close;
mod day;
mod fees;
mod fold;
mod hold;
mod keys;
mod limits;

use std::time::Duration;

use till_dbus::types::{BatchRow, ExceptionRow, PartRow, PaymentDetails};
use till_dbus::{AfterSales1Proxy, Options, Settlement1Proxy};
use till_simulators::acquirer::ledger::Key;
use till_simulators::faults::{Fault, Rule};
use till_tests::scene::{TRACKS, again, until};
use till_tests::{Client, PaymentClient, Rig, RigOptions};

const LONG: Duration = Duration::from_secs(15);

/// A settlement that is given up within a test, one detail record a request.
const QUICK: &str = "\n[channel.bankcard.settlement]\ntries = 2\npause-s = 1\nrecords = 1\n";

/// A till with somebody at it.
struct Till {
    rig: Rig,
    client: Client,
}

fn by(operator: &str) -> Options<'_> {
    [("operator", operator.into())].into()
}

impl Till {
    async fn open(extra: &str) -> Self {
        Self::with(RigOptions { extra_config: extra.into(), ..RigOptions::default() }).await
    }

    async fn with(options: RigOptions) -> Self {
        let rig = Rig::start(options).await.unwrap();
        let client = rig.client().await.unwrap();
        Self { rig, client }
    }

    async fn start(&mut self) {
        self.rig.start_till().unwrap();
        self.client = self.rig.wait_ready().await.unwrap();
    }

    async fn settlement(&self) -> Settlement1Proxy<'static> {
        Settlement1Proxy::new(self.client.connection()).await.unwrap()
    }

    /// Money in cash.
    async fn cash(&self, minor: i64) -> PaymentClient {
        let payment = self.client.ready(minor).await.unwrap();
        payment.pay_cash(minor).await.unwrap();
        payment.wait(&["paid"]).await.unwrap();
        payment
    }

    /// A card is drawn for a payment that waits.
    async fn draw(&self, minor: i64) -> PaymentClient {
        let ready = || async { (self.client.channel("bankcard").await.ok()?.0 == "ready").then_some(()) };
        until("the card channel is ready", ready).await.unwrap();
        let payment = self.client.ready(minor).await.unwrap();
        self.rig.reader.swipe(&again(TRACKS)).unwrap();
        payment
    }

    /// Money by card.
    async fn card(&self, minor: i64) -> PaymentClient {
        let payment = self.draw(minor).await;
        payment.wait(&["paid"]).await.unwrap();
        payment
    }

    /// A leg of a payment, once it has ended; the card is drawn again where it is wanted.
    async fn leg(&self, payment: &PaymentClient, kind: &str, minor: i64) -> PaymentDetails {
        let after = AfterSales1Proxy::new(self.client.connection()).await.unwrap();
        let (id, options) = (payment.id(), by("007"));
        let leg = match kind {
            "void" => after.void(&id, options).await,
            "refund" => after.refund(&id, minor, options).await,
            "capture" => after.capture(&id, minor, options).await,
            other => panic!("{other}"),
        };
        let leg = leg.unwrap();
        let wants = || async {
            let a = self.client.details(&id).await.ok()?.attempts.into_iter().find(|a| a.attempt == leg)?;
            Some(a.wants_card.unwrap_or(false))
        };
        if until("the leg is there", wants).await.unwrap() {
            self.rig.reader.swipe(&again(TRACKS)).unwrap();
        }
        let over = || async {
            let p = self.client.details(&id).await.ok()?;
            let state = p.attempts.iter().find(|a| a.attempt == leg)?.state.clone();
            (!["created", "sent", "querying", "reversing"].contains(&state.as_str())).then_some((p, state))
        };
        let (p, state) = until(&format!("{kind} of {id}"), over).await.unwrap();
        assert_eq!(state, "approved", "{kind} of {id}: {p:?}");
        p
    }

    /// The end of a test: our ledger equals the networks', and nothing is under way or waits to be printed.
    async fn rest(&self) {
        if let Err(e) = self.rig.at_rest(&self.client).await {
            panic!("{e}\n{}", self.rig.log_lines().join("\n"));
        }
    }

    async fn close(&self) -> u32 {
        self.settlement().await.close(by("007")).await.unwrap()
    }

    async fn batch(&self, number: u32) -> Option<BatchRow> {
        let rows = self.settlement().await.list_batches(Options::new()).await.ok()?;
        rows.into_iter().find(|b| b.number == number)
    }

    async fn wait_closed(&self, number: u32) -> BatchRow {
        let closed = || async { self.batch(number).await.filter(|b| b.state == "closed") };
        until(&format!("batch {number} is closed"), closed).await.unwrap_or_else(|e| {
            panic!("{e}\n{}", self.rig.log_lines().join("\n"));
        })
    }

    /// The part of a channel that has one in a batch.
    async fn part(&self, number: u32, channel: &str) -> PartRow {
        let rows = self.settlement().await.list_parts(number, Options::new()).await.unwrap();
        rows.into_iter().find(|p| p.channel == channel).unwrap()
    }

    async fn exceptions(&self, number: u32) -> Vec<ExceptionRow> {
        self.settlement().await.list_exceptions(number, Options::new()).await.unwrap()
    }

    /// Where the acquirer keeps a payment.
    async fn key(&self, payment: &PaymentClient) -> Key {
        let details = self.client.details(&payment.id()).await.unwrap();
        let a = &details.attempts[0];
        Key {
            tid: "12345678".into(),
            batch: format!("{:06}", a.batch.unwrap()),
            trace: format!("{:06}", a.trace.unwrap()),
        }
    }

    /// The acquirer's answer to the next request of this kind is held; waited for by `fired`.
    fn hold_answer(&self, on: &str, after: u32) -> usize {
        let fired = self.rig.acquirer.faults().fired().len();
        self.rig.acquirer.faults().add(Rule::once(on, Fault::HoldReply {}).after(after)).unwrap();
        fired + 1
    }

    fn fired(&self, count: usize) {
        assert!(self.rig.acquirer.faults().wait_fired(count, LONG), "the request reached the acquirer");
    }

    /// Records of the journal of these kinds, with their bodies.
    async fn records(&self, kinds: &[&str]) -> Vec<serde_json::Value> {
        let all = self.client.journal().await.unwrap();
        let wanted = |r: &serde_json::Value| r["kind"].as_str().is_some_and(|k| kinds.contains(&k));
        all.into_iter().filter(wanted).collect()
    }
}
