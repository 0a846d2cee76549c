//! Whether our books and the networks' own say the same: every attempt against the trade it made, and back.

use std::collections::{BTreeMap, BTreeSet};

use till_dbus::types::{AttemptDetails, PaymentDetails};
use till_simulators::acquirer::ledger::State;

use crate::client::Client;
use crate::rig::{Rig, RigError};

/// What the books say, in minor units.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Books {
    /// Paid through the wallet, as we and its gateway say.
    pub wallet: i64,
    /// Paid by card, as we and the acquirer say.
    pub card: i64,
    /// Paid in cash, as we say.
    pub cash: i64,
    /// Attempts whose outcome is still open: id and state.
    pub open: Vec<(String, String)>,
    /// All payments.
    pub payments: Vec<PaymentDetails>,
}

/// An amount in minor units from a text in yuan (`128.50`).
fn minor(yuan: &str) -> Option<i64> {
    let (whole, part) = yuan.split_once('.')?;
    (part.len() == 2).then_some(())?;
    whole.parse::<i64>().ok()?.checked_mul(100)?.checked_add(part.parse().ok()?)
}

/// Whether it takes money; else it gives money back.
fn takes(a: &AttemptDetails) -> bool {
    !matches!(a.kind.as_deref(), Some("void" | "refund"))
}

/// How much it is about.
fn amount(p: &PaymentDetails, a: &AttemptDetails) -> i64 {
    a.amount.unwrap_or(p.amount)
}

/// What of an attempt was given back by a kind of leg, minor units.
fn given_back(p: &PaymentDetails, of: u32, kind: &str) -> i64 {
    let legs = p.attempts.iter().filter(|a| a.of == Some(of) && a.kind.as_deref() == Some(kind));
    legs.filter(|a| a.state == "approved").map(|a| amount(p, a)).sum()
}

/// Whether money may still move through it.
fn is_open(a: &AttemptDetails) -> bool {
    !matches!(a.state.as_str(), "not-sent" | "approved" | "declined" | "reversed")
}

impl Rig {
    /// Reads every payment of the till and compares it with both networks' own ledgers. An error lists what differs.
    pub async fn books(&self, client: &Client) -> Result<Books, RigError> {
        let mut books = Books { payments: client.all_payments().await?, ..Books::default() };
        let mut wrong = Vec::new();
        let wallet: BTreeMap<String, i64> = self
            .gateway
            .ledger()
            .trades
            .iter()
            .map(|t| (t.out_trade_no.clone(), minor(&t.kept().yuan()).unwrap_or(i64::MIN)))
            .collect();
        let cards: BTreeMap<(u32, u32), (i64, State)> = self
            .acquirer
            .ledger()
            .iter()
            .map(|e| {
                let number = |text: &str| text.parse::<u32>().unwrap_or(0);
                let amount = e.amount.to_field().and_then(|f| f.parse::<i64>().ok()).unwrap_or(i64::MIN);
                ((number(&e.key.batch), number(&e.key.trace)), (amount, e.state))
            })
            .collect();
        let (mut orders, mut traces) = (BTreeSet::new(), BTreeSet::new());
        for p in &books.payments {
            let sum = |of: &dyn Fn(&AttemptDetails) -> bool| -> i64 {
                let done = p.attempts.iter().filter(|a| a.state == "approved" && of(a));
                done.map(|a| amount(p, a)).sum()
            };
            let (approved, back) = (sum(&takes), sum(&|a| !takes(a)));
            let state = if approved == 0 {
                ""
            } else if back == approved {
                "returned"
            } else {
                "paid"
            };
            let told = if matches!(p.state.as_str(), "paid" | "returned") { p.state.as_str() } else { "" };
            if p.paid != approved || p.returned.unwrap_or(0) != back || told != state || approved > p.amount {
                let (id, returned) = (&p.id, p.returned.unwrap_or(0));
                wrong.push(format!(
                    "payment {id}: {} with {} paid of {} and {returned} returned",
                    p.state, p.paid, p.amount
                ));
            }
            for a in &p.attempts {
                let took = a.state == "approved";
                if is_open(a) {
                    books.open.push((p.id.clone(), a.state.clone()));
                }
                match a.channel.as_str() {
                    "alipay" => {
                        let order = a.order.clone().unwrap_or_default();
                        let kept = wallet.get(&order).copied().unwrap_or(0);
                        let ours = if took && takes(a) {
                            amount(p, a) - given_back(p, a.attempt, "refund")
                        } else {
                            0
                        };
                        // A refund is booked on its payment's own order.
                        let settled = !is_open(a) && !p.attempts.iter().any(is_open);
                        if settled && kept != ours {
                            wrong.push(format!("order {order} is {}: {ours} with us, {kept} there", a.state));
                        }
                        books.wallet += ours;
                        orders.insert(order);
                    }
                    "bankcard" => {
                        let key = (a.batch.unwrap_or(0), a.trace.unwrap_or(0));
                        let kept = match cards.get(&key) {
                            Some((amount, State::Approved)) => *amount,
                            _ => 0,
                        };
                        let voided =
                            given_back(p, a.attempt, "void") > 0 || a.kind.as_deref() == Some("void");
                        let ours = if took && !voided { amount(p, a) } else { 0 };
                        let settled = !is_open(a) && !p.attempts.iter().any(is_open);
                        if settled && a.kind.as_deref() != Some("void") && kept != ours {
                            wrong.push(format!("trace {key:?} is {}: {ours} with us, {kept} there", a.state));
                        }
                        books.card += if takes(a) { ours } else { -ours };
                        traces.insert(key);
                    }
                    "cash" if took => books.cash += if takes(a) { amount(p, a) } else { -amount(p, a) },
                    _ => {}
                }
            }
        }
        for (order, kept) in wallet.iter().filter(|(order, kept)| **kept != 0 && !orders.contains(*order)) {
            wrong.push(format!("the wallet kept {kept} for order {order}, which we do not know"));
        }
        let unknown = |key: &(u32, u32), state: &State| *state == State::Approved && !traces.contains(key);
        for (key, (amount, _)) in cards.iter().filter(|(key, (_, state))| unknown(key, state)) {
            wrong.push(format!("the acquirer kept {amount} for trace {key:?}, which we do not know"));
        }
        if wrong.is_empty() {
            return Ok(books);
        }
        Err(RigError::Till(format!("the books differ:\n{}", wrong.join("\n"))))
    }

    /// As [`Rig::books`], once nothing is open any more.
    pub async fn closed_books(&self, client: &Client) -> Result<Books, RigError> {
        let deadline = tokio::time::Instant::now() + crate::scene::PATIENCE * 2;
        loop {
            // While something is open the books may differ for a moment: a trade is booked before we hear of it.
            match self.books(client).await {
                Ok(books) if books.open.is_empty() => return Ok(books),
                Ok(books) if tokio::time::Instant::now() > deadline => {
                    return Err(RigError::Till(format!("still open: {:?}", books.open)));
                }
                Err(e) if tokio::time::Instant::now() > deadline => return Err(e),
                _ => tokio::time::sleep(std::time::Duration::from_millis(100)).await,
            }
        }
    }
}

impl Client {
    /// Every payment of the till, newest first, as its journal tells it.
    pub async fn all_payments(&self) -> zbus::Result<Vec<PaymentDetails>> {
        type Row = (String, String, i64, String, String, i64);
        let terminal = self.terminal().await?;
        let mut all = Vec::new();
        let mut before: Option<String> = None;
        loop {
            let mut options = till_dbus::Options::new();
            if let Some(id) = &before {
                options.insert("before", id.as_str().into());
            }
            let rows: Vec<Row> = terminal.call("ListPayments", &(500_u32, options)).await?;
            let Some(last) = rows.last() else { return Ok(all) };
            before = Some(last.0.clone());
            for row in &rows {
                all.push(terminal.call("FindPayment", &(&row.0, till_dbus::Options::new())).await?);
            }
            if rows.len() < 500 {
                return Ok(all);
            }
        }
    }

    /// One payment by its id or key.
    pub async fn details(&self, id: &str) -> zbus::Result<PaymentDetails> {
        self.terminal().await?.call("FindPayment", &(id, till_dbus::Options::new())).await
    }

    /// The journal's records as JSON, oldest first.
    pub async fn journal(&self) -> Result<Vec<serde_json::Value>, RigError> {
        let system = |e: std::io::Error| RigError::System(e.to_string());
        let mut file = tempfile::tempfile().map_err(system)?;
        self.export_journal(file.try_clone().map_err(system)?).await?;
        std::io::Seek::rewind(&mut file).map_err(system)?;
        let lines = std::io::BufRead::lines(std::io::BufReader::new(file));
        let mut records = Vec::new();
        for line in lines {
            let line = line.map_err(system)?;
            records.push(serde_json::from_str(&line).map_err(|e| RigError::System(e.to_string()))?);
        }
        // The last line is the head of the chain.
        records.pop();
        Ok(records)
    }
}
