//! The `settings` table of this channel.

use serde::Deserialize;
use till_plugin::{Currency, PluginError, Settings};

use crate::ledger::Limits;

/// Shortest validity that the rules for issuers allow, years (channels.md §5).
pub const SHORTEST_VALIDITY: u8 = 3;

/// Settings. Unknown keys are refused. Amounts in minor units.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Currency of all cards.
    pub currency: Currency,
    /// How the numbers of this shop's cards begin.
    pub prefixes: Vec<String>,
    /// Most a bearer card holds.
    pub bearer_cap: i64,
    /// Most a registered card holds.
    pub registered_cap: i64,
    /// Most a card holds whose number is read or scanned.
    pub number_cap: i64,
    /// Most a card holds that is known by its UID only.
    pub uid_cap: i64,
    /// Validity of a bearer card, years.
    pub validity_years: u8,
    /// Bearer cards are paid out too.
    pub redeem_bearer: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            currency: Currency::CNY,
            prefixes: Vec::new(),
            bearer_cap: 100_000,
            registered_cap: 500_000,
            number_cap: 500_000,
            uid_cap: 20_000,
            validity_years: SHORTEST_VALIDITY,
            redeem_bearer: false,
        }
    }
}

impl Config {
    /// Reads and checks them.
    pub fn read(settings: &Settings) -> Result<Self, PluginError> {
        let config: Self = settings.parse()?;
        for (name, cap) in [
            ("bearer_cap", config.bearer_cap),
            ("registered_cap", config.registered_cap),
            ("number_cap", config.number_cap),
            ("uid_cap", config.uid_cap),
        ] {
            if cap < 0 {
                return Err(PluginError::settings(format!(
                    "{name} is negative; write the most such a card may hold, in minor units, or 0 for none"
                )));
            }
        }
        if config.validity_years < SHORTEST_VALIDITY {
            return Err(PluginError::settings(format!(
                "validity_years = {}; a card is valid for at least {SHORTEST_VALIDITY} years",
                config.validity_years
            )));
        }
        let good = |p: &String| (2..=12).contains(&p.len()) && p.bytes().all(|b| b.is_ascii_alphanumeric());
        if let Some(bad) = config.prefixes.iter().find(|p| !good(p)) {
            return Err(PluginError::settings(format!(
                "prefixes: {bad:?} is not 2 to 12 letters and digits"
            )));
        }
        Ok(config)
    }

    /// What the ledger holds to.
    pub const fn limits(&self) -> Limits {
        Limits {
            bearer_cap: self.bearer_cap,
            registered_cap: self.registered_cap,
            number_cap: self.number_cap,
            uid_cap: self.uid_cap,
            redeem_bearer: self.redeem_bearer,
        }
    }
}
