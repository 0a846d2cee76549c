//! Double entry: what each record means for the shop's accounts (I11).
//!
//! Derived, never stored: the postings of a record are a pure function of it and of its payment, so they can be made
//! again from the journal at any time, and cannot disagree with it. Each record's debits are its credits; the balance of
//! a channel's account is what its network owes the shop for the batches, before anything is paid out.
//!
//! | what became certain | debit | credit |
//! |---|---|---|
//! | a sale or completion | drawer, receivable, or the prepaid value that was spent | sales |
//! | money of an attempt that was given up (it goes back) | the same | deposits |
//! | the tender of a top-up | the same | deposits |
//! | the load of a top-up | deposits | prepaid value owed |
//! | a void or refund | what its original credited | what its original debited |
//! | the close of a part, with the fees that are expected | fees | receivable |
//!
//! Holds and releases move no money of the shop.

use std::collections::BTreeMap;

use till_plugin::{Currency, Money};

use crate::batch::BatchEvent;
use crate::payment::{Attempt, LegKind, Payment, Purpose};
use crate::record::Record;

/// An account of the shop.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Account {
    /// Cash in the drawer, by channel.
    Drawer(String),
    /// What the network of a channel owes the shop.
    Receivable(String),
    /// Value on prepaid cards that the shop owes their holders, by channel.
    Prepaid(String),
    /// Customers' money that is not earned: a top-up that is not loaded yet, a payment that nobody wanted.
    Deposits,
    /// What was sold, less what came back.
    Sales,
    /// What the network of a channel takes for its work.
    Fees(String),
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Posting {
    /// Account.
    pub account: Account,
    /// Debit; else credit.
    pub debit: bool,
    /// How much; never negative.
    pub amount: Money,
}

/// What a record posts; nothing for one that moves no money of the shop. `payment` is the one that the record is about,
/// with the record folded in.
pub fn postings(payment: Option<&Payment>, record: &Record) -> Vec<Posting> {
    // No money moves by training (I17).
    let payment = payment.filter(|p| !p.training);
    match record {
        Record::Batch(BatchEvent::PartClosed { part, payout, .. }) => payout
            .expected
            .iter()
            .filter(|e| e.fee.is_positive())
            .flat_map(|e| {
                let channel = || part.channel.clone();
                pair(Account::Fees(channel()), Account::Receivable(channel()), e.fee)
            })
            .collect(),
        Record::On { attempt, event } if matches!(**event, Record::Approved { .. }) => {
            payment.and_then(|p| Some(of_attempt(p, p.attempt(*attempt)?))).unwrap_or_default()
        }
        Record::ReviewDecided { attempt, verdict: crate::Verdict::Happened, .. } => {
            payment.and_then(|p| Some(of_attempt(p, p.attempt(*attempt)?))).unwrap_or_default()
        }
        Record::Approved { approval, .. } => {
            let its = |a: &&Attempt| a.stands() && !a.abandoned && a.approval.as_ref() == Some(approval);
            payment.and_then(|p| Some(of_attempt(p, p.attempts.iter().rev().find(its)?))).unwrap_or_default()
        }
        _ => Vec::new(),
    }
}

/// What an approved attempt posts.
pub fn of_attempt(p: &Payment, a: &Attempt) -> Vec<Posting> {
    if !a.stands() {
        return Vec::new();
    }
    match a.kind {
        LegKind::Hold | LegKind::Release => Vec::new(),
        LegKind::Sale | LegKind::Capture => pair(money(a), earned(p, a), a.amount),
        LegKind::Void | LegKind::Refund => match p.attempt(a.of) {
            Some(original) => pair(earned(p, original), money(original), a.amount),
            None => Vec::new(),
        },
        LegKind::Load => pair(Account::Deposits, Account::Prepaid(a.channel.clone()), a.amount),
    }
}

fn pair(debit: Account, credit: Account, amount: Money) -> Vec<Posting> {
    vec![Posting { account: debit, debit: true, amount }, Posting { account: credit, debit: false, amount }]
}

/// Where the money of a tender is.
fn money(a: &Attempt) -> Account {
    let channel = a.channel.clone();
    match a.family.as_str() {
        "cash" => Account::Drawer(channel),
        "prepaid" => Account::Prepaid(channel),
        _ => Account::Receivable(channel),
    }
}

/// What it was for.
fn earned(p: &Payment, a: &Attempt) -> Account {
    // A completion follows a hold: what was given up was that.
    let given_up = a.abandoned || p.attempt(a.of).is_some_and(|of| of.abandoned);
    match p.purpose {
        Purpose::TopUp { .. } => Account::Deposits,
        Purpose::Sale | Purpose::Hold if given_up => Account::Deposits,
        Purpose::Sale | Purpose::Hold => Account::Sales,
    }
}

/// Whether debits are credits, in every currency.
pub fn is_balanced(postings: &[Posting]) -> bool {
    let mut books = Ledger::default();
    books.post(postings);
    books.is_balanced()
}

/// Accounts with their balances: the fold of postings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger(BTreeMap<(Account, Currency), i128>);

impl Ledger {
    /// Takes postings in.
    pub fn post(&mut self, postings: &[Posting]) {
        for p in postings {
            // 128 bits: no number of 64-bit amounts that fits into memory leaves them.
            let minor = i128::from(p.amount.minor());
            let balance = self.0.entry((p.account.clone(), p.amount.currency())).or_default();
            *balance += if p.debit { minor } else { -minor };
        }
    }

    /// Debits less credits of an account, minor units; negative: the shop owes it, or earned it.
    pub fn balance(&self, account: &Account, currency: Currency) -> i128 {
        // The key is borrowed as a whole.
        self.0.iter().find(|((a, c), _)| a == account && *c == currency).map_or(0, |(_, balance)| *balance)
    }

    /// All accounts that something was posted to.
    pub fn balances(&self) -> impl Iterator<Item = (&Account, Currency, i128)> {
        self.0.iter().map(|((account, currency), balance)| (account, *currency, *balance))
    }

    /// Whether debits are credits, in every currency.
    pub fn is_balanced(&self) -> bool {
        let mut sums: BTreeMap<Currency, i128> = BTreeMap::new();
        for ((_, currency), balance) in &self.0 {
            *sums.entry(*currency).or_default() += balance;
        }
        sums.values().all(|sum| *sum == 0)
    }
}
