//! Questions out of the state of the till: for a payment, for somebody who only wants to know, for what else could be
//! taken, and for the next try by itself.

use std::collections::BTreeMap;

use till_plugin::channel::DeclineClass;
use till_plugin::{Currency, Family, Money};

use super::decision::{Decision, Exclusion, Verdict};
use super::pipeline::{Question, route, stands_in_the_way};
use super::view::RouteView;
use crate::input::Context;
use crate::limits::{LimitHit, Scope, Use};
use crate::machine::limits_hit;
use crate::payment::{Attempt, AttemptState, LegKind, Payment, PaymentState};
use crate::planted::planted;
use crate::profile;
use crate::suspension::Suspension;
use crate::till::Till;

/// Of what a channel is asked for.
#[derive(Copy, Clone, Debug)]
pub struct Ask<'a> {
    /// How much.
    pub amount: Money,
    /// Sale or hold.
    pub kind: LegKind,
    /// What was presented.
    pub family: &'a Family,
    /// How the family is known.
    pub evidence: &'a str,
    /// The account as it may be shown; empty: not known.
    pub account: &'a str,
    /// Keyed token of the instrument; empty: none.
    pub token: &'a str,
    /// Who sells.
    pub operator: Option<&'a str>,
    /// The operator's channel.
    pub pinned: Option<&'a str>,
    /// Channels that were tried for the same presented instrument.
    pub tried: &'a [(String, u32)],
    /// When the sale was opened, Unix ms; None: it is only asked about.
    pub since_ms: Option<i64>,
}

/// What the till says about any instrument of nobody, or of somebody: the same for each family that is asked for.
struct Around<'a> {
    slots: Vec<String>,
    suspended: &'a BTreeMap<String, Suspension>,
    limited: Vec<(String, LimitHit)>,
    taken: Vec<(String, u64)>,
    sticky: Option<&'a str>,
}

impl<'a> Around<'a> {
    fn of(till: &'a Till, ctx: &Context, a: &Ask<'_>) -> Self {
        let sticky = ctx.rules.routing.policy.sticky;
        Self {
            slots: till.slots_taken(),
            suspended: till.suspensions().now(),
            limited: limits_hit(till, ctx, a.token, a.operator, a.amount),
            taken: taken(till, ctx, a.amount),
            sticky: if sticky { before(till, a) } else { None },
        }
    }

    fn decide(&self, ctx: &Context, a: &Ask<'_>) -> Decision {
        route(&self.question(ctx, a))
    }

    fn question<'q>(&'q self, ctx: &'q Context, a: &Ask<'q>) -> Question<'q> {
        let now = ctx.rules.now(ctx.wall_ms, ctx.clock_trusted);
        let policy = &*ctx.rules.routing.policy;
        Question {
            profile: profile::of_sale(&policy.profiles, now, a.since_ms),
            amount: a.amount,
            kind: a.kind,
            family: a.family,
            evidence: a.evidence,
            account: a.account,
            operator: a.operator.unwrap_or_default(),
            pinned: a.pinned,
            sticky: self.sticky,
            routes: &ctx.routes,
            slot_taken: &self.slots,
            suspended: self.suspended,
            limited: &self.limited,
            tried: a.tried,
            taken: &self.taken,
            rules: &ctx.rules,
            now,
            config: &ctx.config,
        }
    }
}

/// Chooses a channel for what is asked, with the till and the world as they are.
pub fn ask(till: &Till, ctx: &Context, a: &Ask<'_>) -> Decision {
    Around::of(till, ctx, a).decide(ctx, a)
}

/// What keeps a channel from anything that begins now and is no payment: suspended, maintenance, sign-in and process, clock,
/// merchant, an unresolved payment, its breaker. None: nothing does.
pub fn in_the_way(till: &Till, ctx: &Context, view: &RouteView, operator: &str) -> Option<Exclusion> {
    let currency = view.currencies.first().and_then(|code| code.parse().ok()).unwrap_or(Currency::CNY);
    let family = Family::new("");
    let a = Ask {
        amount: Money::zero(currency),
        kind: LegKind::Sale,
        family: &family,
        evidence: "",
        account: "",
        token: "",
        operator: Some(operator),
        pinned: None,
        tried: &[],
        since_ms: None,
    };
    // No amount: no limit and no share counts it.
    let (limited, taken) = (Vec::new(), Vec::new());
    let suspended = till.suspensions().now();
    let around = Around { slots: till.slots_taken(), suspended, limited, taken, sticky: None };
    stands_in_the_way(&around.question(ctx, &a), view)
}

/// The channel that the same card was last charged on in the open batch. A payment that has left memory is not asked for:
/// this is a preference.
fn before<'a>(till: &'a Till, a: &Ask<'_>) -> Option<&'a str> {
    if a.token.is_empty() {
        return None;
    }
    let batch = till.open_batch();
    let same = |t: &&Attempt| t.token == a.token && t.batch == batch && t.stands() && t.kind.is_tender();
    let recent = till.recent_payments().chain(till.open_payments());
    let last =
        recent.filter(|p| !p.training).flat_map(|p| &p.attempts).filter(same).max_by_key(|t| t.sent_seq);
    last.map(|t| t.channel.as_str())
}

/// Sales of the business day, and those under way, on channels that have shares.
fn taken(till: &Till, ctx: &Context, amount: Money) -> Vec<(String, u64)> {
    let shares = &ctx.rules.routing.policy.shares;
    let count = |channel: &String| {
        let wanted = Use { channel, operator: "", token: "", amount };
        let done = till.limit_counters().used(&Scope::Channel(channel.clone()), &wanted).count;
        let same = |u: &Use<'_>| u.channel == channel && u.amount.currency() == amount.currency();
        let under_way = till.uses_under_way().filter(same).count();
        (channel.clone(), u64::from(done).saturating_add(u64::try_from(under_way).unwrap_or(u64::MAX)))
    };
    shares.keys().map(count).collect()
}

/// A way to pay that would be taken now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suggestion {
    /// What the customer would present.
    pub family: Family,
    /// The channel that would take it.
    pub channel: String,
    /// Its fee, if its plan is known.
    pub fee: Option<Money>,
}

/// What this till would take now instead: other families than the one that was asked for, the best first. For people: a
/// customer's instrument is never exchanged for another by the till.
pub fn suggest(till: &Till, ctx: &Context, a: &Ask<'_>) -> Vec<Suggestion> {
    let mut families: Vec<&Family> =
        ctx.routes.iter().filter(|r| r.enabled).flat_map(|r| &r.families).collect();
    families.sort();
    families.dedup();
    // Whatever the operator chose, and nothing is known of an instrument that nobody has shown.
    let unseen = Ask { account: "", token: "", pinned: None, tried: &[], ..*a };
    let around = Around::of(till, ctx, &unseen);
    let mut found: Vec<((bool, bool, i64, u32), Suggestion)> = families
        .into_iter()
        .filter(|family| *family != a.family)
        .filter_map(|family| {
            let decision = around.decide(ctx, &Ask { family, ..unseen });
            let best = decision.candidates.into_iter().find(|c| c.verdict.is_chosen())?;
            let Verdict::Best(w) = best.verdict else { return None };
            let order = (w.degraded_until_ms.is_some(), w.fee.is_none(), w.fee.unwrap_or(0), w.priority);
            let fee = w.fee.map(|minor| Money::new(minor, a.amount.currency()));
            Some((order, Suggestion { family: family.clone(), channel: best.channel, fee }))
        })
        .collect();
    found.sort_by(|(a, x), (b, y)| a.cmp(b).then_with(|| x.family.cmp(&y.family)));
    found.into_iter().map(|(_, s)| s).collect()
}

/// What would be chosen at a time, and what else could be taken. Writes nothing and asks nobody; health and breakers are
/// those of now.
pub fn what_if(till: &Till, ctx: &Context, a: &Ask<'_>, at_ms: Option<i64>) -> (Decision, Vec<Suggestion>) {
    let mut then = ctx.clone();
    if let Some(at_ms) = at_ms {
        then.wall_ms = at_ms;
        // Who names a time says what time it is.
        then.clock_trusted = true;
    }
    (ask(till, &then, a), suggest(till, &then, a))
}

/// Whether the newest attempt of a payment may be followed by one on the next channel by itself, with the same presented
/// instrument: its channel did not take it by its own fault, it is final without money, nothing else of the payment is
/// open, and nobody wants the payment gone. Gives what was tried for this instrument.
pub fn failover(p: &Payment, ctx: &Context) -> Option<Vec<(String, u32)>> {
    if planted!(FailoverEarly)
        && let Some(open) = p.open_attempt().filter(|a| a.unknown.is_some())
    {
        return Some(vec![(open.channel.clone(), open.ids.attempt)]);
    }
    let waits = matches!(p.state, PaymentState::Ready | PaymentState::PartPaid) && !p.parked;
    let wanted = !p.cancel_requested && !p.training && p.returning.is_none();
    if !ctx.rules.routing.policy.failover || !waits || !wanted || p.open_attempt().is_some() {
        return None;
    }
    let last = p.attempts.last().filter(|a| gave_way(a) && !a.token.is_empty())?;
    // The tries of one presentation stand together: the same instrument, each given way before the next.
    let same = |a: &&Attempt| gave_way(a) && a.token == last.token && a.family == last.family;
    let tried = p.attempts.iter().rev().take_while(same);
    Some(tried.map(|a| (a.channel.clone(), a.ids.attempt)).collect())
}

/// An attempt that ended without money by its channel's fault, with an instrument that is not used up by it: what surely
/// did not leave can be taken elsewhere; after an answer a stripe or a shop's card can, a code or a chip's cryptogram is
/// good once.
fn gave_way(a: &Attempt) -> bool {
    let fault = a.decline.as_ref().is_some_and(|d| d.class == DeclineClass::Channel);
    let again = matches!(a.family.as_str(), Family::CARD_STRIPE | Family::PREPAID);
    let over = a.state == AttemptState::NotSent || (a.state == AttemptState::Declined && again);
    a.kind.is_tender() && !a.abandoned && a.unknown.is_none() && over && fault
}
