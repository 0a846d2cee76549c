//! The daemon's part, as the daemon plays it: numbers from its journal, prepare before send, and what is unknown asked about
//! and undone by the channel's own rules until it is known.

use std::fmt::{Debug, Write as _};
use std::time::Duration;

use till_plugin::channel::{
    Approval, AttemptIds, Authorise, Channel, ChannelDescription, Follow, FollowKind, FollowUp, LegRule,
    NextStep, Outcome, Prepared, QueryOutcome, Reference, UndoOutcome, UndoReason, UnknownReason,
};
use till_plugin::testing::TestHost;
use till_plugin::{Currency, Extra, Instrument, Money, Sensitive, Settings};

use crate::adapter::{Adapter, Step, Way};
use crate::hidden::shows;
use crate::road::Road;

/// What most payments here are of, minor units.
pub const OWED: i64 = 12_850;

/// Yuan and fen.
pub fn cny(minor: i64) -> Money {
    Money::new(minor, Currency::CNY)
}

/// A request with what was made durable before it left.
#[derive(Clone, Debug)]
pub struct Sale {
    /// The request.
    pub request: Authorise,
    /// What `prepare` gave.
    pub prepared: Prepared,
}

/// What a payment came to once everything was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settled {
    /// Taken, so much.
    Taken(i64),
    /// Nothing was taken, or it went back.
    Nothing,
    /// A person decides.
    Person,
}

/// A till with a network.
pub struct Till<A: Adapter> {
    /// The network.
    pub net: A,
    /// The way to it, where there is one.
    pub road: Option<Road>,
    /// The channel's host.
    pub bench: TestHost,
    /// What the channel says of itself.
    pub said: ChannelDescription,
    /// Whether the plugin's process ends before every step.
    pub restarting: bool,
    channel: Option<A::Channel>,
    settings: String,
    number: u32,
    told: String,
    recovery: Vec<u8>,
}

impl<A: Adapter> Till<A> {
    /// A till that is ready to sell.
    pub fn new() -> Self {
        let net = A::start();
        let road = net.network().map(|address| Road::to(address, A::whole));
        let way = road.as_ref().map_or(Way::None, |road| Way::Plain(road.address()));
        let (bench, settings) = (net.bench(None), net.settings(&way));
        let mut till = Self::on(net, road, bench, settings);
        till.reopen();
        till
    }

    /// A till on this host with these settings; not ready yet.
    pub(crate) fn on(net: A, road: Option<Road>, bench: TestHost, settings: String) -> Self {
        let channel = A::Channel::open(bench.host(), Settings::from_json(settings.clone())).unwrap();
        let said = channel.describe();
        Self {
            net,
            road,
            bench,
            said,
            restarting: false,
            channel: Some(channel),
            settings,
            number: 0,
            told: String::new(),
            recovery: Vec::new(),
        }
    }

    /// The plugin's process ends and begins again.
    pub fn reopen(&mut self) {
        self.channel = None;
        let mut channel =
            A::Channel::open(self.bench.host(), Settings::from_json(self.settings.clone())).unwrap();
        self.number += 1;
        self.net.ready(&mut channel, self.number);
        self.channel = Some(channel);
    }

    /// One call into the channel. What it answers is looked through at the end.
    pub fn call<T: Debug>(&mut self, step: impl FnOnce(&mut A::Channel) -> T) -> T {
        if self.restarting {
            self.reopen();
        }
        let told = step(self.channel.as_mut().unwrap());
        writeln!(self.told, "{told:?}").unwrap();
        told
    }

    /// Numbers not used before.
    pub fn ids(&mut self) -> AttemptIds {
        self.number += 1;
        AttemptIds {
            payment: [7; 16],
            attempt: 1,
            trace: self.number,
            batch: self.net.batch(),
            order: format!("T0120260901{:06}", self.number),
            wall_ms: self.net.wall_ms(&self.bench),
        }
    }

    /// A request of an amount, paid with this.
    pub fn asked(&mut self, amount: Money, instrument: Instrument) -> Authorise {
        Authorise {
            ids: self.ids(),
            hold: false,
            amount,
            instrument,
            subject: "茶 & 点心".into(),
            operator: Some("01".into()),
            pin_block: None,
            extra: Extra::new(),
        }
    }

    /// A prepared payment of an amount by a customer who can pay.
    pub fn sale(&mut self, minor: i64) -> Sale {
        let instrument = self.net.instrument(self.number + 1, cny(minor));
        let request = self.asked(cny(minor), instrument);
        let prepared = match self.call(|c| c.prepare(&request)) {
            // A network that no longer takes the till's keys is signed in to again.
            Err(decline) if decline.next == NextStep::SignIn => {
                self.sign_in();
                self.call(|c| c.prepare(&request)).unwrap()
            }
            prepared => prepared.unwrap(),
        };
        self.recovery.extend_from_slice(prepared.recovery.expose());
        Sale { request, prepared }
    }

    /// Sends it.
    pub fn send(&mut self, sale: &Sale) -> Outcome {
        self.call(|c| c.authorise(&sale.request, &sale.prepared))
    }

    /// Sends it and keeps nothing of what is told, for cases that send many thousands.
    pub(crate) fn send_quietly(&mut self, sale: &Sale) -> Outcome {
        self.channel.as_mut().unwrap().authorise(&sale.request, &sale.prepared)
    }

    /// A payment that goes well.
    pub fn paid(&mut self, minor: i64) -> (Sale, Approval) {
        let sale = self.sale(minor);
        match self.send(&sale) {
            Outcome::Approved(approval) => (sale, approval),
            other => panic!("{}: not approved: {other:?}", A::NAME),
        }
    }

    fn original(sale: &Sale, attempt: u32) -> FollowUp {
        FollowUp {
            ids: sale.request.ids.clone(),
            amount: sale.request.amount,
            recovery: sale.prepared.recovery.clone(),
            attempt,
            extra: Extra::new(),
        }
    }

    /// Asks about it.
    pub fn query(&mut self, sale: &Sale) -> QueryOutcome {
        let original = Self::original(sale, 1);
        self.call(|c| c.query(&original))
    }

    /// Undoes it.
    pub fn undo(&mut self, sale: &Sale, reason: UndoReason) -> UndoOutcome {
        let original = Self::original(sale, 1);
        self.call(|c| c.undo(&original, reason))
    }

    /// So much time passes, on both sides.
    pub fn pass(&self, ms: u32) {
        let time = Duration::from_millis(ms.into());
        self.bench.advance(time);
        self.net.pass(time);
    }

    /// Waits until the channel's rule allows an undo.
    pub fn until_undo(&self) {
        self.pass(self.said.resolve.undo.as_ref().map_or(0, |rule| rule.not_before_ms + 1));
    }

    /// What an outcome comes to. `strike` is asked before each step what goes wrong with it.
    pub fn settle(
        &mut self,
        sale: &Sale,
        outcome: Outcome,
        mut strike: impl FnMut(&mut Self, Step),
    ) -> Settled {
        let unknown = match outcome {
            Outcome::Approved(approval) => return Settled::Taken(approval.amount.minor()),
            Outcome::Declined(_) | Outcome::NotSent(_) => return Settled::Nothing,
            Outcome::Unknown(unknown) => unknown,
        };
        let profile = self.said.resolve.clone();
        let mut passed = 0;
        if let Some(rule) = profile.query {
            self.pass(rule.first_ms);
            passed += rule.first_ms;
            // Not each of its many questions, but the first ones and the last.
            for _ in 0..3 {
                strike(self, Step::Query);
                match self.query(sale) {
                    QueryOutcome::Paid(approval) => return Settled::Taken(approval.amount.minor()),
                    QueryOutcome::NotPaid(_) => return Settled::Nothing,
                    _ => {}
                }
                self.pass(rule.every_ms);
                passed += rule.every_ms;
            }
        }
        let Some(rule) = profile.undo else { return Settled::Person };
        self.pass(rule.not_before_ms.saturating_sub(passed) + 1);
        let reason = match unknown.reason {
            UnknownReason::BadSeal => UndoReason::BadSeal,
            UnknownReason::Mismatch | UnknownReason::Garbage => UndoReason::Mismatch,
            _ => UndoReason::NoAnswer,
        };
        let mut attempt = 1;
        for _ in 0..8 {
            strike(self, Step::Undo);
            let original = Self::original(sale, attempt);
            match self.call(|c| c.undo(&original, reason)) {
                UndoOutcome::Undone { .. } | UndoOutcome::NeverExisted => return Settled::Nothing,
                UndoOutcome::Refused(_) => return Settled::Person,
                // The channel may need to be made ready again; it does not count as a try.
                UndoOutcome::NotSent(decline) if decline.next == NextStep::SignIn => self.sign_in(),
                UndoOutcome::NotSent(_) => {}
                UndoOutcome::Unknown(_) => attempt += 1,
            }
            self.pass(rule.pause_ms.min(5_000));
        }
        Settled::Person
    }

    fn sign_in(&mut self) {
        self.number += 1;
        self.net.ready(self.channel.as_mut().unwrap(), self.number);
    }

    /// Sends it and settles it with nothing more going wrong.
    pub fn through(&mut self, sale: &Sale) -> Settled {
        let outcome = self.send(sale);
        self.settle(sale, outcome, |_, _| {})
    }

    /// What follows a payment.
    pub fn follow_on(&mut self, kind: FollowKind, sale: &Sale, approval: &Approval, minor: i64) -> Follow {
        let rule = self.rule(kind);
        let mut request = Follow {
            ids: self.ids(),
            kind,
            original: Reference {
                ids: sale.request.ids.clone(),
                amount: sale.request.amount,
                approval: approval.clone(),
            },
            original_recovery: sale.prepared.recovery.clone(),
            amount: cny(minor),
            instrument: rule.instrument.then(|| sale.request.instrument.clone()),
            operator: Some("01".into()),
            reason: "returned".into(),
            extra: Extra::new(),
        };
        self.net.follow(&mut request);
        request
    }

    /// How the channel does it.
    pub fn rule(&mut self, kind: FollowKind) -> LegRule {
        let rules = self.call(|c| c.leg_rules());
        rules.into_iter().find(|rule| rule.operation == kind.operation()).unwrap()
    }

    /// Prepares and sends.
    pub fn follow(&mut self, request: &Follow) -> Outcome {
        let mut prepared = self.call(|c| c.prepare_follow(request));
        if prepared.as_ref().is_err_and(|decline| decline.next == NextStep::SignIn) {
            self.sign_in();
            prepared = self.call(|c| c.prepare_follow(request));
        }
        match prepared {
            Ok(prepared) => {
                self.recovery.extend_from_slice(prepared.recovery.expose());
                self.call(|c| c.follow(request, &prepared))
            }
            Err(refused) => Outcome::NotSent(refused),
        }
    }

    /// Sends a follow-on and asks about it until it is known: what a network takes now and does later counts as done then.
    pub fn follow_through(&mut self, request: &Follow) -> Outcome {
        let outcome = self.follow(request);
        let Some(rule) =
            self.rule(request.kind).resolve.query.filter(|_| matches!(outcome, Outcome::Unknown(_)))
        else {
            return outcome;
        };
        self.pass(rule.first_ms);
        for attempt in 1..=3 {
            match self.query_follow(request, attempt) {
                QueryOutcome::Paid(approval) => return Outcome::Approved(approval),
                QueryOutcome::NotPaid(decline) => return Outcome::Declined(decline),
                _ => self.pass(rule.every_ms.min(10_000)),
            }
        }
        outcome
    }

    /// Asks about it, as after a restart: without the instrument.
    pub fn query_follow(&mut self, request: &Follow, attempt: u32) -> QueryOutcome {
        let original = FollowUp {
            ids: request.ids.clone(),
            amount: request.amount,
            recovery: Sensitive::new(Vec::new()),
            attempt,
            extra: Extra::new(),
        };
        let bare = Follow { instrument: None, ..request.clone() };
        self.call(|c| c.query_follow(&bare, &original))
    }

    /// What the network has for the merchant is this.
    pub fn books(&self, minor: i64, why: &dyn Debug) {
        if let Some(kept) = self.net.kept(&self.bench) {
            assert_eq!(kept, minor, "{}: the network's books, after {why:?}", A::NAME);
        }
    }

    /// The answer of the books after `settled`: what was said is what there is.
    pub fn agree(&self, settled: &Settled, why: &dyn Debug) {
        match settled {
            Settled::Taken(minor) => self.books(*minor, why),
            Settled::Nothing => self.books(0, why),
            Settled::Person => panic!("{}: never settled, after {why:?}", A::NAME),
        }
    }

    /// Waits until the network has booked what is on its way.
    pub fn until_booked(&self, minor: i64) {
        for _ in 0..5_000 {
            if self.net.kept(&self.bench) == Some(minor) {
                return;
            }
            std::thread::sleep(Duration::from_millis(4)); // asked again, until it is so
        }
        panic!("{}: the network never booked {minor}", A::NAME);
    }

    fn look_through(&mut self) {
        if let Some(channel) = self.channel.as_mut() {
            let statistics = channel.statistics();
            let said = channel.describe();
            write!(self.told, "{statistics:?} {said:?} {:?}", self.bench.channel_events()).unwrap();
        }
        write!(self.told, "{:?}", self.bench.log_lines()).unwrap();
        for secret in self.net.secrets() {
            assert!(!shows(self.told.as_bytes(), &secret), "{} tells a secret: {}", A::NAME, self.told);
        }
        for secret in self.net.never_kept() {
            assert!(!shows(&self.recovery, &secret), "{} keeps a code or track in recovery data", A::NAME);
        }
    }
}

impl<A: Adapter> Drop for Till<A> {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.look_through();
        }
    }
}

impl<A: Adapter> Default for Till<A> {
    fn default() -> Self {
        Self::new()
    }
}
