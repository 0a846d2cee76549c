//! The thin shell: the ledger as a channel.
//!
//! Nothing leaves the machine. A sale is one entry, durable before its answer. A question about an order number that the
//! ledger has never seen closes it first, so every answer here is for good; only a log that cannot be written or read
//! leaves something unknown.

mod accounts;

use std::time::Duration;

use till_plugin::channel::{
    Account, AccountOutcome, Approval, AttemptIds, Authorise, Channel, ChannelDescription, ChannelEvent,
    Decline, DeclineClass, Echo, Follow, FollowKind, FollowUp, LegRule, Operation, Outcome, Prepared,
    QueryOutcome, QueryRule, ResolveProfile, UndoOutcome, UndoReason, UndoRule, Unknown, UnknownReason,
};
use till_plugin::driver::{DeviceState, Health};
use till_plugin::instrument::Cvm;
use till_plugin::{Extra, Family, Host, Instrument, Money, PluginError, Sensitive, Settings};

use crate::ledger::{
    Action, Card, Clock, Entry, Event, Failure, Found, Ledger, LogError, Refusal, Request, masked,
};
use crate::log::HostLog;
use crate::recovery::Known;
use crate::settings::Config;
use crate::token::{CardKey, identify};
use crate::words;

/// The secret that tokens are made with.
pub const SECRET: &str = "card_key";

/// The channel.
#[derive(Debug)]
pub struct Prepaid {
    host: Host,
    config: Config,
    key: CardKey,
    ledger: Ledger<HostLog>,
    debits: u64,
    declined: u64,
}

impl Prepaid {
    fn now(&self) -> Clock {
        let now = self.host.now();
        Clock { wall_ms: now.wall_ms, trusted: now.trusted }
    }

    fn known(&self, instrument: &Instrument) -> Result<Known, Decline> {
        let card = identify(instrument, &self.config.prefixes).map_err(words::not_a_card)?;
        Ok(Known::new(self.key.token(&card), &card))
    }

    fn debit(&self, request: &Authorise) -> Result<(Known, Request), Decline> {
        if request.hold {
            return Err(words::local(
                DeclineClass::Channel,
                "unsupported",
                "a stored-value card is debited, not held: take the amount, or use another way to pay",
                "储值卡不支持预授权",
            ));
        }
        let known = self.known(&request.instrument)?;
        let action = Action::Debit { card: known.token, amount: request.amount };
        Ok((known, asked(&request.ids.order, action, request.operator.as_ref())))
    }

    fn following(&self, request: &Follow) -> Result<Request, Decline> {
        let of = request.original.ids.order.clone();
        let card = request.instrument.as_ref().map(|i| self.known(i)).transpose()?.map(|k| k.token);
        let action = match request.kind {
            FollowKind::Void if request.amount != request.original.amount => {
                return Err(words::local(
                    DeclineClass::Device,
                    "void-amount",
                    "a void is for the whole payment: use a refund for a part",
                    "撤销须为全额，部分退款请用退货",
                ));
            }
            FollowKind::Void => Action::Void { of, card },
            FollowKind::Refund => Action::Refund { of, amount: request.amount, card },
            other => {
                let text = format!("this channel does not do {}", other.as_str());
                return Err(Decline::local(DeclineClass::Channel, "unsupported", text));
            }
        };
        Ok(asked(&request.ids.order, action, request.operator.as_ref()))
    }

    /// Books it.
    fn book(&mut self, request: &Request) -> Result<Entry, NotBooked> {
        let now = self.now();
        let done = self.ledger.submit(request, now).and_then(|done| {
            // A repeat is answered as the first time, unless it was taken back meanwhile.
            let found = if done.repeated { self.ledger.settle(&request.key, now)? } else { None };
            Ok((done.entry, found.is_some_and(|found| found.undone)))
        });
        match done {
            Ok((entry, false)) => Ok(entry),
            Ok((_, true)) => Err(NotBooked::Declined(words::undone())),
            // The ledger was asked and said no, and keeps to it.
            Err(Failure::Refused(refusal)) => {
                self.declined += 1;
                Err(NotBooked::Declined(words::refused(&refusal)))
            }
            Err(failure @ Failure::Log(LogError::NotWritten(_))) => {
                Err(NotBooked::NotSent(words::not_done(&failure)))
            }
            Err(failure) => Err(NotBooked::Unknown(unknown(&failure))),
        }
    }

    /// An entry as an approval. Made of the entry alone: a repeat is answered with the same words.
    fn approval(&self, entry: &Entry, order: &str) -> Approval {
        let card = entry.card.and_then(|token| self.ledger.state().card(&token)).copied();
        let balance = self.ledger.money(entry.balance);
        let mut extra = Extra::new();
        extra.insert("balance-minor".into(), entry.balance.to_string());
        extra.insert("ledger-entry".into(), entry.number.to_string());
        extra.insert("card-entry".into(), entry.seq.to_string());
        Approval {
            amount: self.ledger.money(entry.event.amount()),
            echo: Echo { order: Some(order.to_owned()), merchant: None, terminal: None },
            reference: format!("{:012}", entry.number),
            authorisation_code: None,
            account: card.as_ref().map(Card::masked),
            scheme: Some("储值卡 Prepaid".into()),
            host_time: None,
            cvm: Cvm::None,
            change: None,
            open_drawer: false,
            receipt: vec![("卡内余额 Card balance".into(), balance.to_string())],
            extra,
        }
    }

    /// It is of a time whose entries were given up, and nothing that is kept tells of it: its number must not be closed as
    /// one that never came.
    fn is_too_old(&mut self, ids: &AttemptIds) -> bool {
        let old = self.ledger.kept_since_ms().is_some_and(|since| ids.wall_ms != 0 && ids.wall_ms < since);
        old && !self.ledger.is_kept(&ids.order).unwrap_or(true)
    }

    /// What became of an order number, for good.
    fn became(&mut self, original: &AttemptIds, of_this_kind: fn(&Event) -> bool) -> QueryOutcome {
        let (order, now) = (original.order.as_str(), self.now());
        if self.is_too_old(original) {
            return QueryOutcome::Unknown(Unknown::new(UnknownReason::Unsupported, TOO_OLD));
        }
        match self.ledger.settle(order, now) {
            Ok(None) => QueryOutcome::NotPaid(words::never_arrived()),
            Ok(Some(Found { entry, undone, .. })) => match &entry.event {
                Event::Close { reason } => {
                    QueryOutcome::NotPaid(words::refused(&Refusal::Closed { reason: reason.clone() }))
                }
                _ if undone => QueryOutcome::NotPaid(words::undone()),
                event if of_this_kind(event) => QueryOutcome::Paid(self.approval(&entry, order)),
                event => QueryOutcome::Unknown(Unknown::new(
                    UnknownReason::Mismatch,
                    format!("the order number belongs to a {} in the ledger: call support", event.name()),
                )),
            },
            Err(failure) => QueryOutcome::Unknown(unknown(&failure)),
        }
    }
}

/// Why nothing was booked, or may not have been: three of the four outcomes.
enum NotBooked {
    Declined(Decline),
    NotSent(Decline),
    Unknown(Unknown),
}

impl From<NotBooked> for Outcome {
    fn from(why: NotBooked) -> Self {
        match why {
            NotBooked::Declined(no) => Self::Declined(no),
            NotBooked::NotSent(no) => Self::NotSent(no),
            NotBooked::Unknown(unknown) => Self::Unknown(unknown),
        }
    }
}

impl From<NotBooked> for AccountOutcome {
    fn from(why: NotBooked) -> Self {
        match why {
            NotBooked::Declined(no) => Self::Declined(no),
            NotBooked::NotSent(no) => Self::NotSent(no),
            NotBooked::Unknown(unknown) => Self::Unknown(unknown),
        }
    }
}

fn asked(order: &str, action: Action, operator: Option<&String>) -> Request {
    Request { operator: operator.cloned(), ..Request::new(order, action) }
}

fn unknown(failure: &Failure) -> Unknown {
    Unknown::new(UnknownReason::HostFault, failure.to_string())
}

/// A question settles it at once; only while the log cannot be used it is asked again.
const QUERY: QueryRule = QueryRule { first_ms: 0, every_ms: 2_000, until_ms: 60_000, settle_ms: 0 };
/// What is said of an order number that is older than the entries that are kept.
const TOO_OLD: &str = "the ledger's entries of that time were given up: two people decide by the card's balance and the receipt";
/// Steps of upkeep in one poll.
const UPKEEP: usize = 16;
const UNDO: UndoRule = UndoRule { not_before_ms: 0, pause_ms: 2_000, pause_max_ms: 60_000, tries: 0 };

impl Channel for Prepaid {
    fn open(host: Host, settings: Settings) -> Result<Self, PluginError> {
        let config = Config::read(&settings)?;
        let key = CardKey::new(&host.secret(SECRET)?).map_err(|e| PluginError::settings(e.to_string()))?;
        let now = host.now();
        let now = Clock { wall_ms: now.wall_ms, trusted: now.trusted };
        let log = HostLog::new(host.clone());
        let ledger = Ledger::open(log, config.currency, config.limits(), key.check(), now)
            .map_err(|e| PluginError::new(till_plugin::ErrorCode::NotReady, e.to_string()))?;
        Ok(Self { host, config, key, ledger, debits: 0, declined: 0 })
    }

    fn describe(&self) -> ChannelDescription {
        ChannelDescription {
            families: vec![Family::new(Family::PREPAID)],
            operations: vec![
                Operation::Sale,
                Operation::Void,
                Operation::Refund,
                Operation::Query,
                Operation::Undo,
                Operation::Balance,
                Operation::Probe,
                Operation::Account,
            ],
            currencies: vec![self.config.currency.code().into()],
            resolve: ResolveProfile { query: Some(QUERY), undo: Some(UNDO), single_slot: false },
            needs_clock: false,
            merchant: None,
            terminal: None,
            authorise_timeout_ms: 10_000,
            extra: Extra::new(),
        }
    }

    fn prepare(&mut self, request: &Authorise) -> Result<Prepared, Decline> {
        let (known, debit) = self.debit(request)?;
        let now = self.now();
        self.ledger.check(&debit, now).map_err(|e| words::not_done(&e))?;
        Ok(Prepared { recovery: known.to_recovery(), masked: masked(known.last4) })
    }

    fn authorise(&mut self, request: &Authorise, _prepared: &Prepared) -> Outcome {
        let (_, debit) = match self.debit(request) {
            Ok(debit) => debit,
            Err(refused) => return Outcome::NotSent(refused),
        };
        match self.book(&debit) {
            Ok(entry) => {
                self.debits += 1;
                Outcome::Approved(self.approval(&entry, &request.ids.order))
            }
            Err(why) => why.into(),
        }
    }

    fn query(&mut self, original: &FollowUp) -> QueryOutcome {
        self.became(&original.ids, |event| matches!(event, Event::Debit { .. }))
    }

    fn undo(&mut self, original: &FollowUp, _reason: UndoReason) -> UndoOutcome {
        let (now, of) = (self.now(), original.ids.order.clone());
        if self.is_too_old(&original.ids) {
            return UndoOutcome::Unknown(Unknown::new(UnknownReason::Unsupported, TOO_OLD));
        }
        match self.ledger.settle(&of, now) {
            Ok(Some(Found { entry, undone, .. }))
                if !matches!(entry.event, Event::Close { .. }) && !undone => {}
            Ok(Some(Found { undone: true, .. })) => {
                return UndoOutcome::Undone { money_moved: true, reference: None };
            }
            // It was refused, or is closed now: nothing moved, and nothing will.
            Ok(_) => return UndoOutcome::NeverExisted,
            Err(failure) => return UndoOutcome::Unknown(unknown(&failure)),
        }
        match self.ledger.submit(&Request::new("", Action::Undo { of }), now) {
            Ok(done) => UndoOutcome::Undone {
                money_moved: true,
                reference: Some(format!("{:012}", done.entry.number)),
            },
            Err(Failure::Refused(Refusal::ReturnedAlready { .. })) => {
                UndoOutcome::Undone { money_moved: true, reference: None }
            }
            Err(Failure::Refused(refusal)) => UndoOutcome::Refused(words::refused(&refusal)),
            Err(failure) => UndoOutcome::Unknown(unknown(&failure)),
        }
    }

    fn leg_rules(&self) -> Vec<LegRule> {
        let rule = |operation, undo, partial| LegRule {
            operation,
            resolve: ResolveProfile { query: Some(QUERY), undo, single_slot: false },
            instrument: false,
            partial,
        };
        vec![
            rule(Operation::Void, Some(UNDO), false),
            rule(Operation::Refund, None, true),
            rule(Operation::Account, Some(UNDO), false),
        ]
    }

    fn prepare_follow(&mut self, request: &Follow) -> Result<Prepared, Decline> {
        let following = self.following(request)?;
        let now = self.now();
        self.ledger.check(&following, now).map_err(|e| words::not_done(&e))?;
        Ok(Prepared { recovery: Sensitive::new(b"prepaid 1".to_vec()), masked: String::new() })
    }

    fn follow(&mut self, request: &Follow, _prepared: &Prepared) -> Outcome {
        match self.following(request) {
            Err(refused) => Outcome::NotSent(refused),
            Ok(following) => match self.book(&following) {
                Ok(entry) => Outcome::Approved(self.approval(&entry, &request.ids.order)),
                Err(why) => why.into(),
            },
        }
    }

    fn query_follow(&mut self, request: &Follow, _original: &FollowUp) -> QueryOutcome {
        match request.kind {
            FollowKind::Void => self.became(&request.ids, |e| matches!(e, Event::Void { .. })),
            _ => self.became(&request.ids, |e| matches!(e, Event::Refund { .. })),
        }
    }

    fn prepare_account(&mut self, request: &Account) -> Result<Prepared, Decline> {
        self.check_account(request)
    }

    fn account(&mut self, request: &Account) -> AccountOutcome {
        self.do_account(request)
    }

    fn query_account(&mut self, original: &FollowUp) -> QueryOutcome {
        self.became(&original.ids, |event| {
            !matches!(event, Event::Debit { .. } | Event::Refund { .. } | Event::Void { .. })
        })
    }

    fn balance(&mut self, request: &Authorise) -> Result<Money, Decline> {
        let known = self.known(&request.instrument)?;
        let card = self.ledger.card(&known.token).map_err(|e| words::not_done(&e))?;
        Ok(self.ledger.money(card.balance))
    }

    fn probe(&mut self) -> Result<Health, PluginError> {
        let (state, text) = match self.ledger.sound() {
            Ok(()) => (DeviceState::Ready, "the ledger is on this machine and whole".to_owned()),
            Err(failure) => (DeviceState::Failed, failure.to_string()),
        };
        Ok(Health { state, text })
    }

    fn poll(&mut self, budget: Duration) -> Result<Vec<ChannelEvent>, PluginError> {
        // Nobody waits: a few parts of a checkpoint, when one is due. What fails is tried again at the next poll, and a
        // damaged ledger says so to whoever asks it for something.
        for _ in 0..UPKEEP {
            let now = self.now();
            if !matches!(self.ledger.upkeep(now), Ok(true)) {
                break;
            }
        }
        self.host.sleep(budget);
        Ok(Vec::new())
    }

    fn statistics(&mut self) -> Vec<(String, u64)> {
        let state = self.ledger.state();
        let outstanding = u64::try_from(state.totals().outstanding.minor()).unwrap_or(0);
        vec![
            ("debits".into(), self.debits),
            ("declined".into(), self.declined),
            ("cards".into(), state.totals().cards),
            ("entries".into(), state.number()),
            ("lost-races".into(), state.stale()),
            ("outstanding-minor".into(), outstanding),
        ]
    }
}

till_plugin::export_channel!(Prepaid, id = "org.tilld.prepaid");
