//! The pipeline: who can take the payment, and in what order.

use std::collections::BTreeMap;

use till_plugin::channel::Operation;
use till_plugin::{Family, Money};

use super::decision::{Candidate, Decision, Exclusion, RuleWeight, ShareWeight, Verdict, Weights, WindowHit};
use super::policy::{Action, Rule, Subject};
use super::view::{RouteHealth, RouteView};
use crate::batch::{Now, Rules};
use crate::limits::LimitHit;
use crate::payment::LegKind;
use crate::planted::planted;
use crate::profile::Profile;
use crate::suspension::Suspension;
use crate::windows::{self, Standing};

/// Candidates that a record holds: it must fit a journal frame whatever is configured.
const RECORDED: usize = 16;

/// Everything a choice depends on.
#[derive(Clone, Debug)]
pub struct Question<'a> {
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
    /// Who sells; empty: nobody is named.
    pub operator: &'a str,
    /// The operator's current channel.
    pub pinned: Option<&'a str>,
    /// The channel that the same card went to before in this batch.
    pub sticky: Option<&'a str>,
    /// The channels, any order.
    pub routes: &'a [RouteView],
    /// Channels whose single reversal slot is taken.
    pub slot_taken: &'a [String],
    /// Suspended channels.
    pub suspended: &'a BTreeMap<String, Suspension>,
    /// Channels on which the payment would break a limit.
    pub limited: &'a [(String, LimitHit)],
    /// Channels that were tried for the same presented instrument, with the attempt that each did not take.
    pub tried: &'a [(String, u32)],
    /// Sales of the business day on channels that have shares.
    pub taken: &'a [(String, u64)],
    /// Windows, rules, fees, breakers.
    pub rules: &'a Rules,
    /// The profile that the sale goes by.
    pub profile: Option<&'a Profile>,
    /// The wall clock, and whether it is trusted.
    pub now: Now,
    /// Version of the configuration, for the record.
    pub config: &'a str,
}

/// The operation of a tender.
const fn operation(kind: LegKind) -> Operation {
    match kind {
        LegKind::Hold => Operation::PreAuthorisation,
        _ => Operation::Sale,
    }
}

/// A channel that is left, with what it is put in order by.
struct Left<'a> {
    view: &'a RouteView,
    weights: Weights,
}

/// Chooses.
pub fn route(q: &Question<'_>) -> Decision {
    let fixed: Vec<Option<Exclusion>> = q.routes.iter().map(|r| fixed(q, r)).collect();
    // The operator's channel wins among those that take the instrument; if it does not take it, it is excluded for that
    // reason and the others stay in.
    let takes = |p: &&str| q.routes.iter().zip(&fixed).any(|(r, e)| r.id == **p && e.is_none());
    let pin = q.pinned.filter(takes);
    let policy = &*q.rules.routing.policy;
    let subject = Subject {
        family: q.family,
        amount: q.amount,
        operator: q.operator,
        account: q.account,
        now: q.now,
        profile: q.profile.map(|p| p.id.as_str()),
    };
    let rule = policy.rules.iter().find(|rule| rule.when.met(&subject));

    let mut left: Vec<Left<'_>> = Vec::new();
    let mut excluded: Vec<(&str, Exclusion)> = Vec::new();
    for (view, fixed) in q.routes.iter().zip(fixed) {
        // What is true right now comes after the choice: when the operator's own channel is down, another of the same
        // family must not silently take its place (decision 0008).
        let chosen_other = || pin.filter(|p| *p != view.id).map(|_| Exclusion::NotTheCurrentChannel);
        let mut stands = Standing::Open;
        let exclusion = fixed.or_else(chosen_other).or_else(|| {
            stands = standing(q, view);
            in_the_way(q, view, stands).or_else(|| kept_away(q, view, rule))
        });
        match exclusion {
            Some(e) => excluded.push((&view.id, e)),
            None => left.push(Left { view, weights: weights(q, view, rule, stands) }),
        }
    }
    in_order(q, &mut left);
    // Channels of other families say the least: they come last, where a long list is cut.
    excluded.sort_by(|(a, x), (b, y)| (x == &Exclusion::Family, a).cmp(&(y == &Exclusion::Family, b)));

    let chosen = left.first().map(|l| l.view.id.clone());
    let fits = left.into_iter().enumerate().map(|(at, l)| Candidate {
        channel: l.view.id.clone(),
        verdict: if at == 0 { Verdict::Best(l.weights) } else { Verdict::Fits(l.weights) },
    });
    let not = excluded
        .into_iter()
        .map(|(id, e)| Candidate { channel: id.to_owned(), verdict: Verdict::Excluded(e) });
    Decision {
        family: q.family.clone(),
        evidence: q.evidence.into(),
        pinned: q.pinned.map(Into::into),
        candidates: fits.chain(not).take(RECORDED).collect(),
        chosen,
        config: q.profile.map_or_else(|| q.config.into(), |p| format!("{}+{}", q.config, p.id)),
    }
}

fn standing(q: &Question<'_>, r: &RouteView) -> Standing {
    windows::outlook(&q.rules.routing.policy.windows, &r.id, q.now, r.settles_within_ms()).standing
}

/// What is true of a channel right now, whatever is to begin on it.
fn in_the_way(q: &Question<'_>, r: &RouteView, standing: Standing) -> Option<Exclusion> {
    if let Some(s) = q.suspended.get(&r.id) {
        return Some(Exclusion::Suspended(s.by, s.reason.clone()));
    }
    window(q, standing).or_else(|| now(q, r))
}

/// The same for what is no payment.
pub(super) fn stands_in_the_way(q: &Question<'_>, r: &RouteView) -> Option<Exclusion> {
    in_the_way(q, r, standing(q, r))
}

/// Eligibility that does not change from minute to minute.
fn fixed(q: &Question<'_>, r: &RouteView) -> Option<Exclusion> {
    if !r.enabled {
        Some(Exclusion::Disabled)
    } else if !r.families.contains(q.family) {
        Some(Exclusion::Family)
    } else if !r.operations.contains(&operation(q.kind)) {
        Some(Exclusion::Operation)
    } else if !r.currencies.iter().any(|c| c == q.amount.currency().code()) {
        Some(Exclusion::Currency)
    } else {
        not_offered(q, r).map(Exclusion::Profile)
    }
}

/// The profile that does not offer a channel; empty: none is in force that does.
fn not_offered(q: &Question<'_>, r: &RouteView) -> Option<String> {
    let on = q.profile.is_some_and(|p| p.on.contains(&r.id));
    let off = q.profile.is_some_and(|p| p.off.contains(&r.id));
    let usually = !q.rules.routing.policy.off.contains(&r.id);
    (off || !(on || usually)).then(|| q.profile.filter(|_| off).map(|p| p.id.clone()).unwrap_or_default())
}

/// Maintenance.
fn window(q: &Question<'_>, standing: Standing) -> Option<Exclusion> {
    let utc_offset_min = q.now.utc_offset_min;
    let hit = |from_ms, until_ms| Some(Exclusion::Window(WindowHit { from_ms, until_ms, utc_offset_min }));
    match standing {
        Standing::Closed { until_ms } if !planted!(WindowIgnored) => hit(None, until_ms),
        Standing::Draining { from_ms, until_ms } if !planted!(DrainIgnored) => hit(Some(from_ms), until_ms),
        _ => None,
    }
}

/// What is true of the channel right now, its breaker, limits.
fn now(q: &Question<'_>, r: &RouteView) -> Option<Exclusion> {
    match &r.health {
        RouteHealth::Starting => return Some(Exclusion::Starting),
        RouteHealth::SignedOff => return Some(Exclusion::SignedOff),
        RouteHealth::Failed { reason } => {
            return Some(Exclusion::Failed(reason.chars().take(120).collect()));
        }
        RouteHealth::Ready => {}
    }
    if r.needs_clock && !q.now.trusted {
        return Some(Exclusion::Clock);
    }
    if let Some(bar) = q.rules.routing.merchants.bar(&r.id, q.operator) {
        return Some(Exclusion::Merchant(bar));
    }
    if r.resolve.single_slot && q.slot_taken.contains(&r.id) {
        return Some(Exclusion::Unresolved);
    }
    if let Some(tripped) = q.rules.routing.breakers.tripped(&r.id, q.kind)
        && !planted!(BreakerIgnored)
    {
        return Some(Exclusion::Breaker(tripped));
    }
    q.limited.iter().find(|(id, _)| *id == r.id).map(|(_, hit)| Exclusion::Limit(hit.clone()))
}

/// What a rule or an attempt before says against it.
fn kept_away(q: &Question<'_>, r: &RouteView, rule: Option<&Rule>) -> Option<Exclusion> {
    if let Some(rule) = rule
        && match &rule.then {
            Action::Only(these) => !these.contains(&r.id),
            Action::Never(these) => these.contains(&r.id),
            Action::Prefer(_) => false,
        }
    {
        return Some(Exclusion::Rule(rule.id.clone()));
    }
    q.tried.iter().find(|(id, _)| *id == r.id).map(|(_, attempt)| Exclusion::Tried(*attempt))
}

/// What a channel that is left is put in order by, but for what depends on the others.
fn weights(q: &Question<'_>, r: &RouteView, rule: Option<&Rule>, standing: Standing) -> Weights {
    let policy = &*q.rules.routing.policy;
    let plan = q.rules.channels.get(&r.id).and_then(|rule| rule.fee.as_ref());
    let place = |these: &[String]| these.iter().position(|c| *c == r.id).and_then(|p| u32::try_from(p).ok());
    Weights {
        degraded_until_ms: match standing {
            Standing::Degraded { until_ms } => Some(until_ms),
            _ => None,
        },
        rule: rule.map(|rule| RuleWeight {
            id: rule.id.clone(),
            place: match &rule.then {
                Action::Only(these) | Action::Prefer(these) => place(these),
                Action::Never(_) => None,
            },
        }),
        sticky: policy.sticky && q.sticky == Some(r.id.as_str()),
        fee: plan.map(|plan| plan.of(q.amount).minor()),
        by_cost: false,
        share: None,
        priority: q.profile.and_then(|p| p.priority.get(&r.id)).copied().unwrap_or(r.priority),
    }
}

/// Puts what is left in order. Costs are compared where all are known; shares decide among those that are alike before them.
fn in_order(q: &Question<'_>, left: &mut [Left<'_>]) {
    let policy = &*q.rules.routing.policy;
    if policy.cost && left.iter().all(|l| l.weights.fee.is_some()) {
        for l in left.iter_mut() {
            l.weights.by_cost = true;
        }
    }
    let sort = |left: &mut [Left<'_>]| {
        left.sort_by(|a, b| a.weights.compare(&b.weights).0.then_with(|| a.view.id.cmp(&b.view.id)));
    };
    sort(left);
    if policy.shares.is_empty() {
        return;
    }
    let Some(first) = left.first().map(|l| l.weights.clone()) else { return };
    let alike = |w: &Weights| !matches!(first.compare(w).1, "maintenance" | "rule" | "sticky" | "cost");
    let sharing: Vec<(usize, u32, u64)> = left
        .iter()
        .enumerate()
        .take_while(|(_, l)| alike(&l.weights))
        .filter_map(|(at, l)| {
            let share = policy.shares.get(&l.view.id).copied().filter(|share| *share > 0)?;
            let taken = q.taken.iter().find(|(id, _)| *id == l.view.id).map_or(0, |(_, taken)| *taken);
            Some((at, share, taken))
        })
        .collect();
    let of = sharing.iter().map(|(_, share, _)| u64::from(*share)).sum();
    let all = sharing.iter().map(|(_, _, taken)| *taken).sum();
    let turns = super::split::turns(&sharing.iter().map(|(_, s, t)| (*s, *t)).collect::<Vec<_>>());
    for (turn, which) in (0..).zip(turns) {
        let (at, share, taken) = sharing[which];
        left[at].weights.share = Some(ShareWeight { share, of, taken, all, turn });
    }
    sort(left);
}
