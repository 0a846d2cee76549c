//! What the configuration says of routing.

use std::collections::BTreeMap;
use std::sync::Arc;

use till_plugin::{Currency, Family, Money};

use crate::batch::Now;
use crate::breaker::Breakers;
use crate::merchant::{Passes, Terms};
use crate::profile::Profile;
use crate::windows::Window;

/// What routing goes by besides the channels themselves: part of [`Rules`](crate::batch::Rules). Cheap to clone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Routing {
    /// As configured.
    pub policy: Arc<Policy>,
    /// Breakers as they are now.
    pub breakers: Arc<Breakers>,
    /// Who passed where a merchant is asked for, as it is now.
    pub merchants: Arc<Passes>,
}

/// What the configuration says of routing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Maintenance that was announced.
    pub windows: Vec<Window>,
    /// Rules; the first that fits a payment is the one.
    pub rules: Vec<Rule>,
    /// A card goes where it went before in the same batch.
    pub sticky: bool,
    /// The cheapest channel comes first, where the fees of all that are left are known.
    pub cost: bool,
    /// Shares of channels in the sales of a business day; a channel that has none takes what the others cannot.
    pub shares: BTreeMap<String, u32>,
    /// Channels that are not offered unless the profile in force says so.
    pub off: Vec<String>,
    /// Profiles; the first whose time it is is in force.
    pub profiles: Vec<Profile>,
    /// Channels that ask for the merchant.
    pub merchants: BTreeMap<String, Terms>,
    /// A payment that a channel did not take by its own fault goes to the next one by itself.
    pub failover: bool,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            windows: Vec::new(),
            rules: Vec::new(),
            sticky: true,
            cost: true,
            shares: BTreeMap::new(),
            off: Vec::new(),
            profiles: Vec::new(),
            merchants: BTreeMap::new(),
            failover: true,
        }
    }
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Name, for people and records.
    pub id: String,
    /// Which payments.
    pub when: Conditions,
    /// What of them.
    pub then: Action,
}

/// Which payments a rule is about: all conditions that are there must be met.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conditions {
    /// One of these families; empty: any.
    pub families: Vec<Family>,
    /// At least this much, in its currency.
    pub min: Option<Money>,
    /// At most this much, in its currency.
    pub max: Option<Money>,
    /// In this currency.
    pub currency: Option<Currency>,
    /// Sold by one of these; empty: by anybody.
    pub operators: Vec<String>,
    /// The account begins with one of these, as far as it is shown (six digits); empty: any.
    pub bins: Vec<String>,
    /// Between these minutes after local midnight, the second not included; over midnight when the second is the smaller.
    /// While the clock is not trusted no rule with hours or days fits.
    pub hours: Option<(u16, u16)>,
    /// On these days, bit 0 Monday to bit 6 Sunday; None: every day.
    pub days: Option<u8>,
    /// While this profile is in force; None: always.
    pub profile: Option<String>,
}

/// What a rule says of a payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// These channels and no other, in this order.
    Only(Vec<String>),
    /// None of these.
    Never(Vec<String>),
    /// These first, in this order.
    Prefer(Vec<String>),
}

/// A payment as rules see it.
pub(super) struct Subject<'a> {
    pub family: &'a Family,
    pub amount: Money,
    pub operator: &'a str,
    pub account: &'a str,
    pub now: Now,
    pub profile: Option<&'a str>,
}

impl Conditions {
    pub(super) fn met(&self, s: &Subject<'_>) -> bool {
        let same = |money: &Money| money.currency() == s.amount.currency();
        (self.families.is_empty() || self.families.contains(s.family))
            && self.min.as_ref().is_none_or(|m| same(m) && s.amount.minor() >= m.minor())
            && self.max.as_ref().is_none_or(|m| same(m) && s.amount.minor() <= m.minor())
            && self.profile.as_deref().is_none_or(|p| s.profile == Some(p))
            && self.currency.is_none_or(|c| c == s.amount.currency())
            && (self.operators.is_empty() || self.operators.iter().any(|o| o == s.operator))
            && (self.bins.is_empty() || self.bins.iter().any(|b| starts(s.account, b)))
            && ((self.hours.is_none() && self.days.is_none()) || self.at(s.now))
    }

    fn at(&self, now: Now) -> bool {
        if !now.trusted {
            return false;
        }
        let minute = now.minute();
        let hours = self.hours.is_none_or(|(from, until)| {
            let (from, until) = (i64::from(from), i64::from(until));
            if from <= until { (from..until).contains(&minute) } else { minute >= from || minute < until }
        });
        hours && self.days.is_none_or(|days| days >> now.today().weekday() & 1 == 1)
    }
}

/// Whether an account as it may be shown begins so: digits up to the first hidden one, whatever stands between them.
fn starts(account: &str, bin: &str) -> bool {
    let mut shown = account.chars().take_while(|c| *c != '*').filter(|c| !c.is_whitespace());
    bin.chars().all(|b| shown.next() == Some(b))
}
