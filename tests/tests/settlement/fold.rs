//! Totals are what the journal says, record by record (S50).

use std::collections::BTreeMap;

use till_core::payment::LegKind;
use till_core::record::Record;
use till_dbus::Options;

use crate::Till;

/// Taken and given back.
type Sums = (i64, i64);

/// Kind, amount, channel, batch, operator.
type Begun = (LegKind, i64, String, u32, String);

/// A reader of the journal who has never heard of batches' own sums: by batch and channel, and by operator.
#[derive(Default)]
struct Reader {
    who: BTreeMap<[u8; 16], String>,
    /// By payment and attempt.
    begun: BTreeMap<([u8; 16], u32), Begun>,
    newest: BTreeMap<[u8; 16], u32>,
    channels: BTreeMap<(u32, String), Sums>,
    operators: BTreeMap<(u32, String), Sums>,
}

impl Reader {
    fn read(&mut self, record: &Record) {
        match record {
            Record::Opened { payment, operator, .. } => {
                self.who.insert(payment.0, operator.clone().unwrap_or_default());
            }
            Record::Tendered { payment, ids, kind, amount, batch, decision, .. } => {
                let (channel, who) = (decision.chosen.clone().unwrap(), self.who[&payment.0].clone());
                self.begin(payment.0, ids.attempt, (*kind, amount.minor(), channel, *batch, who));
            }
            Record::LegCreated { payment, ids, kind, amount, batch, channel, operator, .. } => {
                let who = operator.clone().unwrap_or_else(|| self.who[&payment.0].clone());
                self.begin(payment.0, ids.attempt, (*kind, amount.minor(), channel.clone(), *batch, who));
            }
            Record::Approved { payment, .. } => {
                let attempt = self.newest[&payment.0];
                let (kind, minor, channel, batch, who) = self.begun[&(payment.0, attempt)].clone();
                for sums in [
                    self.channels.entry((batch, channel)).or_default(),
                    self.operators.entry((batch, who)).or_default(),
                ] {
                    match kind {
                        LegKind::Sale | LegKind::Capture => sums.0 += minor,
                        LegKind::Void | LegKind::Refund => sums.1 += minor,
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }

    fn begin(&mut self, payment: [u8; 16], attempt: u32, what: Begun) {
        self.begun.insert((payment, attempt), what);
        self.newest.insert(payment, attempt);
    }
}

async fn read(till: &Till) -> Reader {
    let mut reader = Reader::default();
    for r in till.client.journal().await.unwrap() {
        if let Ok(record) = serde_json::from_value::<Record>(r["record"].clone()) {
            reader.read(&record);
        }
    }
    reader
}

async fn told(till: &Till, batches: u32) -> BTreeMap<(u32, String), Sums> {
    let mut told = BTreeMap::new();
    for number in 1..=batches {
        for part in till.settlement().await.list_parts(number, Options::new()).await.unwrap() {
            if !part.currency.is_empty() {
                told.insert((number, part.channel), (part.debits, part.credits));
            }
        }
    }
    told
}

async fn by_operator(till: &Till, batches: u32) -> BTreeMap<(u32, String), Sums> {
    let mut told = BTreeMap::new();
    for number in 1..=batches {
        for row in till.settlement().await.list_operators(number, Options::new()).await.unwrap() {
            told.insert((number, row.operator), (row.debits, row.credits));
        }
    }
    told
}

#[tokio::test(flavor = "multi_thread")]
async fn s50_totals_by_channel_operator_and_day_are_a_full_fold_of_the_journal() {
    let mut till = Till::open("").await;
    let old = till.card(1_000).await;
    let voided = till.card(1_100).await;
    till.cash(500).await;
    till.leg(&voided, "void", 0).await;
    assert_eq!(told(&till, 1).await, read(&till).await.channels, "while the day is open");
    till.close().await;
    till.wait_closed(1).await;
    let cash = till.cash(600).await;
    till.leg(&cash, "refund", 200).await;
    till.leg(&old, "refund", 300).await;
    let live = told(&till, 2).await;
    let reader = read(&till).await;
    assert_eq!(live, reader.channels);
    assert_eq!(by_operator(&till, 2).await, reader.operators, "what the bus tells of operators");
    assert_eq!(live[&(1, "bankcard".into())], (2_100, 1_100));
    assert_eq!(live[&(2, "bankcard".into())], (0, 300));
    assert_eq!(reader.operators[&(1, "001".into())], (2_600, 0));
    assert_eq!(reader.operators[&(1, "007".into())], (0, 1_100));

    till.rig.kill_till();
    let batches = crate::keys::at_rest(&till.rig, |at_rest| at_rest.till.batches().clone());
    for (key, sums) in &reader.operators {
        let totals = &batches.get(key.0).unwrap().operators()[&key.1];
        let line = totals.line(till_plugin::Currency::CNY);
        assert_eq!((line.debits.amount.minor(), line.credits.amount.minor()), *sums, "{key:?}");
    }
    till.start().await;
    assert_eq!(told(&till, 2).await, live, "a restart counts the same");
    assert_eq!(by_operator(&till, 2).await, reader.operators);
    till.rest().await;
}
