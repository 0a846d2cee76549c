//! Against the acquirer simulator, which has its own codec, keys and ledger: whatever goes wrong on the way, in the end its
//! books and ours agree (channels.md §1.9).

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod balances;
mod book;
mod downloads;
mod follow;
mod holds;
mod sales;
mod settlement;
mod sm4;

use book::{Book, Leg};
use till_channel_bankcard::plugin::Bankcard;
use till_plugin::channel::{
    AttemptIds, Authorise, Decline, Follow, FollowKind, FollowUp, NextStep, Outcome, Prepared, Reference,
    SignIn, UndoOutcome, UndoReason, Unknown, UnknownReason,
};
use till_plugin::instrument::{Instrument, StripeCard};
use till_plugin::testing::TestHost;
use till_plugin::{Channel, Currency, Extra, Money, Sensitive, Settings};
use till_simulators::acquirer::mac::MacAlgorithm;
use till_simulators::acquirer::{Acquirer, AcquirerConfig, HostConfig};

pub(crate) const TID: &str = "12345678";
pub(crate) const PAN: &str = "6200000000000005";
/// What the everyday card begins with.
pub(crate) const START: i64 = 100_000_000;

pub(crate) fn cny(minor: i64) -> Money {
    Money::new(minor, Currency::CNY)
}

/// A till with just enough of a daemon: it gives numbers, signs in when told to, keeps a book, and undoes what is unknown.
pub(crate) struct Till {
    pub(crate) plugin: Bankcard,
    pub(crate) acquirer: Acquirer,
    pub(crate) book: Book,
    pub(crate) batch: u32,
    trace: u32,
}

impl Till {
    pub(crate) fn start() -> Self {
        Self::with(|_| (), HostConfig::default())
    }

    pub(crate) fn with(change: impl FnOnce(&mut serde_json::Value), host: HostConfig) -> Self {
        let acquirer = Acquirer::start(AcquirerConfig { host, ..AcquirerConfig::default() }).unwrap();
        let plugin = open(&acquirer, change);
        let mut till = Self { plugin, acquirer, book: Book::default(), batch: 1, trace: 0 };
        till.sign_in();
        till
    }

    /// With SM4 keys.
    pub(crate) fn sm4() -> Self {
        let host = HostConfig { mac: MacAlgorithm::Sm4Cbc, ..HostConfig::default() };
        Self::with(sm4::speak, host)
    }

    /// The plugin's process ended and began again: nothing is left but what the daemon keeps.
    pub(crate) fn restart(&mut self, change: impl FnOnce(&mut serde_json::Value)) {
        self.plugin = open(&self.acquirer, change);
        self.sign_in();
    }

    pub(crate) fn next(&mut self) -> u32 {
        self.trace += 1;
        self.trace
    }

    pub(crate) fn sign_in(&mut self) {
        let request = SignIn { trace: self.next(), batch: self.batch, operator: None, wall_ms: 0 };
        let signed_in = self.plugin.sign_in(&request).unwrap();
        let batch = signed_in.batch.expect("the host names its batch");
        self.batch = self.batch.max(batch);
    }

    pub(crate) fn ids(&mut self) -> AttemptIds {
        let trace = self.next();
        AttemptIds {
            payment: [1; 16],
            attempt: trace,
            trace,
            batch: self.batch,
            order: format!("T{trace:010}"),
            wall_ms: jiff::Timestamp::now().as_millisecond(),
        }
    }

    pub(crate) fn sell(&mut self, pan: &str, minor: i64) -> (Authorise, Prepared, Outcome) {
        self.authorise(pan, minor, false)
    }

    pub(crate) fn request(&mut self, instrument: Instrument, minor: i64) -> Authorise {
        Authorise {
            ids: self.ids(),
            hold: false,
            amount: cny(minor),
            instrument,
            subject: "goods".into(),
            operator: None,
            pin_block: None,
            extra: Extra::new(),
        }
    }

    pub(crate) fn authorise(&mut self, pan: &str, minor: i64, hold: bool) -> (Authorise, Prepared, Outcome) {
        let request = Authorise { hold, ..self.request(swipe(pan), minor) };
        let prepared = match self.plugin.prepare(&request) {
            Ok(prepared) => prepared,
            Err(decline) => {
                assert_eq!(decline.next, NextStep::SignIn, "{decline:?}");
                self.sign_in();
                self.plugin.prepare(&request).unwrap()
            }
        };
        let outcome = self.plugin.authorise(&request, &prepared);
        if let Outcome::Approved(approval) = &outcome {
            let kind = if hold { Leg::Hold } else { Leg::Sale };
            self.book.enter(kind, &request.ids, approval, &prepared, None);
        }
        (request, prepared, outcome)
    }

    /// An approved sale or hold, as the daemon names it later.
    pub(crate) fn sold(&mut self, minor: i64, hold: bool) -> (Reference, Sensitive<Vec<u8>>) {
        let (request, prepared, outcome) = self.authorise(PAN, minor, hold);
        let Outcome::Approved(approval) = outcome else { panic!("{outcome:?}") };
        (Reference { ids: request.ids, amount: request.amount, approval }, prepared.recovery)
    }

    /// A follow-on with the card presented again.
    pub(crate) fn following(
        &mut self,
        kind: FollowKind,
        original: &(Reference, Sensitive<Vec<u8>>),
        minor: i64,
    ) -> Follow {
        Follow {
            ids: self.ids(),
            kind,
            original: original.0.clone(),
            original_recovery: original.1.clone(),
            amount: cny(minor),
            instrument: Some(swipe(PAN)),
            operator: Some("01".into()),
            reason: String::new(),
            extra: Extra::new(),
        }
    }

    /// Prepared, made durable, sent, written down.
    pub(crate) fn follow(&mut self, request: &Follow) -> Result<(Prepared, Outcome), Decline> {
        let prepared = match self.plugin.prepare_follow(request) {
            Err(decline) if decline.next == NextStep::SignIn => {
                self.sign_in();
                self.plugin.prepare_follow(request)?
            }
            other => other?,
        };
        let outcome = self.plugin.follow(request, &prepared);
        if let Outcome::Approved(approval) = &outcome {
            let kind = Leg::Follow(request.kind);
            self.book.enter(kind, &request.ids, approval, &prepared, Some(&request.original));
        }
        Ok((prepared, outcome))
    }

    /// What a follow-on comes to when nothing is unknown: approved, or the code of its refusal.
    pub(crate) fn done(&mut self, request: &Follow) -> String {
        match self.follow(request) {
            Ok((_, Outcome::Approved(_))) => "approved".into(),
            Ok((_, Outcome::Declined(decline) | Outcome::NotSent(decline))) | Err(decline) => decline.code,
            Ok((_, Outcome::Unknown(unknown))) => panic!("{unknown:?}"),
        }
    }

    /// Undoes until it is settled, as the daemon does.
    pub(crate) fn resolve(
        &mut self,
        request: &Authorise,
        prepared: &Prepared,
        unknown: &Unknown,
    ) -> UndoOutcome {
        self.undo(&request.ids, request.amount, prepared, unknown)
    }

    pub(crate) fn undo(
        &mut self,
        ids: &AttemptIds,
        amount: Money,
        prepared: &Prepared,
        unknown: &Unknown,
    ) -> UndoOutcome {
        let reason = match unknown.reason {
            UnknownReason::BadSeal => UndoReason::BadSeal,
            UnknownReason::Mismatch | UnknownReason::Garbage => UndoReason::Mismatch,
            _ => UndoReason::NoAnswer,
        };
        for attempt in 1..6 {
            let follow_up = FollowUp {
                ids: ids.clone(),
                amount,
                recovery: prepared.recovery.clone(),
                attempt,
                extra: Extra::new(),
            };
            match self.plugin.undo(&follow_up, reason) {
                UndoOutcome::NotSent(decline) if decline.next == NextStep::SignIn => self.sign_in(),
                UndoOutcome::NotSent(_) | UndoOutcome::Unknown(_) => {}
                settled => return settled,
            }
        }
        panic!("the reversal was never settled");
    }

    /// The invariant: the host counts exactly what our book says, and the card is short of exactly that.
    pub(crate) fn books_agree(&self) {
        let totals = self.acquirer.totals(TID, &format!("{:06}", self.batch));
        let ours = self.book.totals(self.batch);
        assert_eq!((totals.debit.minor(), totals.debit_count), ours.0, "debits");
        assert_eq!((totals.credit.minor(), totals.credit_count), ours.1, "credits");
        let left = self.acquirer.card_balance(PAN).unwrap().minor();
        assert_eq!(left, START - self.book.short(), "what the card is short of");
    }
}

fn open(acquirer: &Acquirer, change: impl FnOnce(&mut serde_json::Value)) -> Bankcard {
    let mut settings = serde_json::json!({
        "address": acquirer.addr().to_string(), "terminal": TID, "merchant": "123456789012345", "tls": false,
        "dialect": { "timing": { "connect": 5000, "answer": 1500 } },
    });
    change(&mut settings);
    let host = TestHost::new().with_secret("tmk", b"0123456789ABCDEFFEDCBA9876543210");
    Bankcard::open(host.host(), Settings::from_json(settings.to_string())).unwrap()
}

pub(crate) fn swipe(pan: &str) -> Instrument {
    Instrument::Stripe(StripeCard {
        track1: None,
        track2: Some(format!("{pan}=29121010000000000").into()),
        track3: None,
        pan: pan.to_owned().into(),
        expiry: None,
        service_code: Some("101".into()),
        masked: "620000******0005".into(),
        luhn: true,
    })
}
