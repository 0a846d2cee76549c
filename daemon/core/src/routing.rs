//! Which channel takes this payment, and why not the others. A pure function: the same inputs always give the same
//! answer, and the answer is journalled with the attempt.
//!
//! The pipeline is that of pos.md §4.3 as far as it is needed now: eligibility, operator's choice, health, priority,
//! id. Each excluded channel has exactly one reason, the first that hit it. Windows, limits, rules and cost come as
//! further stages between them.

use serde::{Deserialize, Serialize};
use till_plugin::channel::{Operation, ResolveProfile};
use till_plugin::{Family, Money};

use crate::limits::LimitHit;
use crate::payment::LegKind;

/// A channel as routing sees it: configuration and what is known right now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteView {
    /// Channel instance.
    pub id: String,
    /// Families it takes.
    pub families: Vec<Family>,
    /// Operations it does.
    pub operations: Vec<Operation>,
    /// Currencies it takes, ISO 4217 codes.
    pub currencies: Vec<String>,
    /// Smaller comes first.
    pub priority: u32,
    /// Switched on in the configuration.
    pub enabled: bool,
    /// Process, sign-in and connection.
    pub health: RouteHealth,
    /// Signs with the time of day.
    pub needs_clock: bool,
    /// How its unknown outcomes are resolved.
    pub resolve: ResolveProfile,
    /// Merchant that its answers must name.
    pub merchant: Option<String>,
    /// Terminal that its answers must name.
    pub terminal: Option<String>,
    /// Longest an authorisation may take, ms.
    pub authorise_timeout_ms: u32,
    /// Legs that it does after an approval, and on what terms.
    pub legs: Vec<LegTerms>,
}

impl RouteView {
    /// The terms of a leg, if the channel does it.
    pub fn leg(&self, kind: LegKind) -> Option<&LegTerms> {
        self.legs.iter().find(|t| t.kind == kind)
    }
}

/// On what terms a channel does a leg.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LegTerms {
    /// What it does.
    pub kind: LegKind,
    /// How its unknown outcome is resolved.
    pub resolve: ResolveProfile,
    /// The card must be presented again.
    pub instrument: bool,
    /// Less than the whole is possible.
    pub partial: bool,
}

/// How a channel is right now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RouteHealth {
    /// Takes payments.
    Ready,
    /// Its process is starting or it is signing in.
    Starting,
    /// Not signed in; a sign-in comes first.
    SignedOff,
    /// Does not work.
    Failed {
        /// One line.
        reason: String,
    },
}

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
    /// The operator's current channel.
    pub pinned: Option<&'a str>,
    /// The channels, any order.
    pub routes: &'a [RouteView],
    /// Channels whose single reversal slot is taken.
    pub slot_taken: &'a [String],
    /// Channels on which the payment would break a limit.
    pub limited: &'a [(String, LimitHit)],
    /// Whether the wall clock is trusted.
    pub clock_trusted: bool,
    /// Version of the configuration, for the record.
    pub config: &'a str,
}

/// A choice with its reasons.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// What was presented.
    pub family: Family,
    /// How that is known.
    pub evidence: String,
    /// The operator's current channel then.
    pub pinned: Option<String>,
    /// Every channel, in order of preference, excluded ones last.
    pub candidates: Vec<Candidate>,
    /// The channel, if any can take it.
    pub chosen: Option<String>,
    /// Version of the configuration it was made with.
    pub config: String,
}

/// One channel in a decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// Channel instance.
    pub channel: String,
    /// What became of it.
    pub verdict: Verdict,
}

/// What became of a candidate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// Takes the payment.
    Chosen,
    /// Could take it too.
    Eligible,
    /// Cannot, for this one reason.
    Excluded(Exclusion),
}

/// Why a channel cannot take a payment; one variant a stage and reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Exclusion {
    /// Switched off in the configuration.
    Disabled,
    /// Does not take this family.
    Family,
    /// Does not do sales.
    Operation,
    /// Does not take this currency.
    Currency,
    /// The operator chose another one that takes this.
    NotTheCurrentChannel,
    /// Still starting.
    Starting,
    /// Not signed in.
    SignedOff,
    /// Not working.
    Failed(String),
    /// The clock is not trusted and it signs with it.
    Clock,
    /// An unresolved attempt holds its single reversal slot.
    Unresolved,
    /// The payment would break a limit.
    Limit(LimitHit),
}

impl Exclusion {
    /// Lower-kebab code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Disabled => "disabled",
            Self::Family => "family",
            Self::Operation => "operation",
            Self::Currency => "currency",
            Self::NotTheCurrentChannel => "not-current",
            Self::Starting => "starting",
            Self::SignedOff => "signed-off",
            Self::Failed(_) => "failed",
            Self::Clock => "clock",
            Self::Unresolved => "unresolved",
            Self::Limit(_) => "limit",
        }
    }

    /// One line for people: English, Chinese.
    pub fn text(&self) -> (String, String) {
        let pair = |en: &str, zh: &str| (en.to_owned(), zh.to_owned());
        match self {
            Self::Disabled => pair("switched off in the configuration", "配置中已停用"),
            Self::Family => pair("does not take what was presented", "不支持所出示的支付方式"),
            Self::Operation => pair("does not do sales", "不支持消费交易"),
            Self::Currency => pair("does not take this currency", "不支持该币种"),
            Self::NotTheCurrentChannel => pair("the operator chose another channel", "操作员已选择其他通道"),
            Self::Starting => pair("still starting", "正在启动"),
            Self::SignedOff => pair("not signed in", "尚未签到"),
            Self::Failed(reason) => (format!("not working: {reason}"), format!("故障：{reason}")),
            Self::Clock => {
                pair("the clock is not set, and this channel signs with it", "时钟未校准，该通道需要可信时间")
            }
            Self::Unresolved => {
                pair("an earlier payment on it is not resolved yet", "上一笔交易尚未处理完毕")
            }
            Self::Limit(hit) => {
                let (en, zh) = hit.scope.text();
                (
                    format!("above the limit {en}, {} are left", hit.left),
                    format!("超过{zh}限额，剩余 {}", hit.left),
                )
            }
        }
    }
}

/// The operation of a tender.
const fn operation(kind: LegKind) -> Operation {
    match kind {
        LegKind::Hold => Operation::PreAuthorisation,
        _ => Operation::Sale,
    }
}

/// Chooses.
pub fn route(q: &Question<'_>) -> Decision {
    let mut order: Vec<&RouteView> = q.routes.iter().collect();
    order.sort_by(|a, b| (a.priority, &a.id).cmp(&(b.priority, &b.id)));

    // Stage 1, eligibility that does not change from minute to minute.
    let fixed = |r: &RouteView| -> Option<Exclusion> {
        if !r.enabled {
            Some(Exclusion::Disabled)
        } else if !r.families.contains(q.family) {
            Some(Exclusion::Family)
        } else if !r.operations.contains(&operation(q.kind)) {
            Some(Exclusion::Operation)
        } else if !r.currencies.iter().any(|c| c == q.amount.currency().code()) {
            Some(Exclusion::Currency)
        } else {
            None
        }
    };
    // Stage 2: the operator's channel wins among those that take the instrument; if it does not take it, it is
    // excluded for that reason and the others stay in.
    let pin = q.pinned.filter(|p| order.iter().any(|r| r.id == *p && fixed(r).is_none()));
    // Stage 3, what is true right now. It comes after the choice: when the operator's own channel is down, another of
    // the same family must not silently take its place.
    let now = |r: &RouteView| -> Option<Exclusion> {
        match &r.health {
            RouteHealth::Starting => return Some(Exclusion::Starting),
            RouteHealth::SignedOff => return Some(Exclusion::SignedOff),
            RouteHealth::Failed { reason } => {
                return Some(Exclusion::Failed(reason.chars().take(120).collect()));
            }
            RouteHealth::Ready => {}
        }
        if r.needs_clock && !q.clock_trusted {
            Some(Exclusion::Clock)
        } else if r.resolve.single_slot && q.slot_taken.contains(&r.id) {
            Some(Exclusion::Unresolved)
        } else {
            q.limited.iter().find(|(id, _)| *id == r.id).map(|(_, hit)| Exclusion::Limit(hit.clone()))
        }
    };
    let exclusion = |r: &RouteView| {
        fixed(r)
            .or_else(|| pin.filter(|p| *p != r.id).map(|_| Exclusion::NotTheCurrentChannel))
            .or_else(|| now(r))
    };

    let mut chosen = None;
    let (mut eligible, mut excluded) = (Vec::new(), Vec::new());
    for r in order {
        match exclusion(r) {
            Some(e) => excluded.push(Candidate { channel: r.id.clone(), verdict: Verdict::Excluded(e) }),
            None if chosen.is_none() => {
                chosen = Some(r.id.clone());
                eligible.push(Candidate { channel: r.id.clone(), verdict: Verdict::Chosen });
            }
            None => eligible.push(Candidate { channel: r.id.clone(), verdict: Verdict::Eligible }),
        }
    }
    eligible.append(&mut excluded);
    // A record must fit a journal frame whatever is configured.
    eligible.truncate(16);
    Decision {
        family: q.family.clone(),
        evidence: q.evidence.into(),
        pinned: q.pinned.map(Into::into),
        candidates: eligible,
        chosen,
        config: q.config.into(),
    }
}

impl Decision {
    /// Why nothing was chosen, one line for people: English, Chinese.
    pub fn no_channel_text(&self) -> (String, String) {
        let reasons: Vec<(String, (String, String))> = self
            .candidates
            .iter()
            .filter_map(|c| match &c.verdict {
                Verdict::Excluded(Exclusion::Family) => None,
                Verdict::Excluded(e) => Some((c.channel.clone(), e.text())),
                _ => None,
            })
            .collect();
        if reasons.is_empty() {
            return (
                format!("no channel of this till takes {}", self.family),
                format!("本机没有支持 {} 的通道", self.family),
            );
        }
        let join = |pick: fn(&(String, String)) -> &String| {
            reasons.iter().map(|(id, t)| format!("{id}: {}", pick(t))).collect::<Vec<_>>().join("; ")
        };
        (join(|t| &t.0), join(|t| &t.1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use till_plugin::Currency;

    fn view(id: &str, family: &str, priority: u32) -> RouteView {
        RouteView {
            id: id.into(),
            families: vec![Family::new(family)],
            operations: vec![Operation::Sale],
            currencies: vec!["CNY".into()],
            priority,
            enabled: true,
            health: RouteHealth::Ready,
            needs_clock: false,
            resolve: ResolveProfile { query: None, undo: None, single_slot: true },
            merchant: None,
            terminal: None,
            authorise_timeout_ms: 1000,
            legs: Vec::new(),
        }
    }

    fn ask<'a>(routes: &'a [RouteView], family: &'a Family) -> Question<'a> {
        Question {
            amount: Money::new(100, Currency::CNY),
            kind: LegKind::Sale,
            family,
            evidence: "test",
            pinned: None,
            routes,
            slot_taken: &[],
            limited: &[],
            clock_trusted: true,
            config: "1",
        }
    }

    fn reason(d: &Decision, id: &str) -> Option<&'static str> {
        d.candidates.iter().find(|c| c.channel == id).and_then(|c| match &c.verdict {
            Verdict::Excluded(e) => Some(e.code()),
            _ => None,
        })
    }

    #[test]
    fn priority_then_id_decides() {
        let f = Family::new("card-stripe");
        let routes = [
            view("b", "card-stripe", 2),
            view("c", "card-stripe", 1),
            view("a", "card-stripe", 1),
            view("x", "cash", 0),
        ];
        let d = route(&ask(&routes, &f));
        assert_eq!(d.chosen.as_deref(), Some("a"));
        assert_eq!(reason(&d, "x"), Some("family"));
    }

    #[test]
    fn the_operators_channel_wins_where_it_fits_and_is_not_replaced_when_it_is_down() {
        let f = Family::new("card-stripe");
        let mut routes = [view("a", "card-stripe", 1), view("b", "card-stripe", 2), view("cash", "cash", 0)];
        let mut q = ask(&routes, &f);
        q.pinned = Some("b");
        assert_eq!(route(&q).chosen.as_deref(), Some("b"));
        q.pinned = Some("cash");
        assert_eq!(
            route(&q).chosen.as_deref(),
            Some("a"),
            "cash cannot take a card, so the card finds its channel"
        );
        routes[1].health = RouteHealth::Failed { reason: "no line".into() };
        let mut q = ask(&routes, &f);
        q.pinned = Some("b");
        let d = route(&q);
        assert_eq!(d.chosen, None);
        assert_eq!((reason(&d, "a"), reason(&d, "b")), (Some("not-current"), Some("failed")));
    }

    #[test]
    fn each_reason_flips_the_verdict_when_it_goes() {
        let f = Family::new("card-stripe");
        let good = view("a", "card-stripe", 1);
        type Spoil = fn(&mut RouteView);
        let spoilers: [(&str, Spoil); 8] = [
            ("disabled", |r| r.enabled = false),
            ("family", |r| r.families.clear()),
            ("operation", |r| r.operations.clear()),
            ("currency", |r| r.currencies = vec!["USD".into()]),
            ("starting", |r| r.health = RouteHealth::Starting),
            ("signed-off", |r| r.health = RouteHealth::SignedOff),
            ("failed", |r| r.health = RouteHealth::Failed { reason: String::new() }),
            ("clock", |r| r.needs_clock = true),
        ];
        for (code, spoil) in spoilers {
            let mut bad = good.clone();
            spoil(&mut bad);
            let routes = [bad];
            let mut q = ask(&routes, &f);
            q.clock_trusted = false;
            let d = route(&q);
            assert_eq!((d.chosen.as_deref(), reason(&d, "a")), (None, Some(code)));
            let routes = [good.clone()];
            let mut q = ask(&routes, &f);
            q.clock_trusted = false;
            assert_eq!(route(&q).chosen.as_deref(), Some("a"));
        }
        let routes = [good];
        let taken = ["a".to_owned()];
        let mut q = ask(&routes, &f);
        q.slot_taken = &taken;
        assert_eq!(reason(&route(&q), "a"), Some("unresolved"));
    }

    proptest! {
        #[test]
        fn every_channel_has_exactly_one_verdict_and_at_most_one_is_chosen(
            flags in proptest::collection::vec((any::<bool>(), 0_u32..3, any::<bool>()), 0..12),
            pinned in proptest::option::of(0_usize..12),
        ) {
            let routes: Vec<RouteView> = flags.iter().enumerate().map(|(i, (enabled, priority, card))| {
                let mut r = view(&format!("r{i:02}"), if *card { "card-stripe" } else { "cash" }, *priority);
                r.enabled = *enabled;
                r
            }).collect();
            let family = Family::new("card-stripe");
            let pin = pinned.map(|p| format!("r{p:02}"));
            let mut q = ask(&routes, &family);
            q.pinned = pin.as_deref();
            let d = route(&q);
            prop_assert_eq!(d.candidates.len(), routes.len());
            let chosen = d.candidates.iter().filter(|c| c.verdict == Verdict::Chosen).count();
            prop_assert_eq!(chosen, usize::from(d.chosen.is_some()));
            prop_assert_eq!(route(&q), d, "same inputs, same choice");
        }
    }
}
