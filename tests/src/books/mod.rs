//! Whether our books and the networks' own say the same: every attempt against what its network booked, and back.
//!
//! The reader of what the till says (`ours`) knows the rules of money, not the till's code; `theirs` knows what each
//! network has.

mod jobs;
mod ours;
mod theirs;

use till_dbus::types::PaymentDetails;

use crate::client::Client;
use crate::rig::{Rig, RigError};
use ours::Payment;

/// What the books say, in minor units.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Books {
    /// Paid through the wallet and not given back, as we and its gateway say.
    pub wallet: i64,
    /// Paid by card and not given back, as we and the acquirer say.
    pub card: i64,
    /// Paid in cash and not given back, as we say.
    pub cash: i64,
    /// What payments left on the shop's own cards (top-ups less purchases), as we and the cards' ledger say.
    pub prepaid: i64,
    /// Held and neither completed nor released.
    pub held: i64,
    /// Attempts whose outcome is still open: id and state.
    pub open: Vec<(String, String)>,
    /// All payments.
    pub payments: Vec<PaymentDetails>,
}

impl Rig {
    /// Reads every payment of the till and compares it with the networks' own ledgers: sales, holds, completions,
    /// releases, voids, refunds, top-ups. An error lists what differs.
    pub async fn books(&self, client: &Client) -> Result<Books, RigError> {
        let mut books = Books { payments: client.all_payments().await?, ..Books::default() };
        let mut wrong = Vec::new();
        let payments: Vec<Payment<'_>> = books.payments.iter().map(Payment).collect();
        for p in &payments {
            p.check(&mut wrong);
            books.open.extend(p.open().map(|a| (p.0.id.clone(), a.state.clone())));
            books.held += p.held();
        }
        let kept = |channel: &str| payments.iter().map(|p| p.kept_by(channel)).sum::<i64>();
        (books.wallet, books.card, books.cash) = (kept("alipay"), kept("bankcard"), kept("cash"));
        books.prepaid = payments.iter().map(Payment::on_cards).sum();
        theirs::wallet(self, &payments, &mut wrong);
        theirs::acquirer(self, &payments, &mut wrong);
        theirs::cards(self, client, &payments, books.prepaid, &mut wrong).await?;
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

    /// The end of a test: our ledger equals the networks', nothing is under way, nothing waits to be printed (here and in
    /// the fold of the journal: a restart would print it again), and the journal is whole.
    pub async fn at_rest(&self, client: &Client) -> Result<Books, RigError> {
        let books = self.closed_books(client).await?;
        jobs::none_left(client).await?;
        match client.verify_journal().await? {
            (_, problems) if problems.is_empty() => Ok(books),
            (_, problems) => Err(RigError::Till(format!("the journal is not whole: {problems:?}"))),
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
