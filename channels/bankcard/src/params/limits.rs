//! Contactless parameters (60.3 = 394): up to which amount a tap owes neither PIN nor signature (小额免密免签; channels.md §6).
//!
//! Tags, forms and meanings by two public clients (their tables: FF8054 to FF805D), flags one digit, amounts twelve digits of
//! minor units.

use super::tlv::{self, Picked, Rule, TlvError};
use till_plugin::instrument::Cvm;
use till_plugin::{Currency, Money};

const CHANNEL: u32 = 0xFF_805D;
const TORN_AGAIN: u32 = 0xFF_803A;
const TORN_KEPT: u32 = 0xFF_803C;
const QUICK: u32 = 0xFF_8054;
const TABLE_A: u32 = 0xFF_8055;
const TABLE_B: u32 = 0xFF_8056;
const ON_DEVICE: u32 = 0xFF_8057;
const NO_PIN: u32 = 0xFF_8058;
const NO_SIGNATURE_LIMIT: u32 = 0xFF_8059;
const NO_SIGNATURE: u32 = 0xFF_805A;

const fn rule(tag: u32, least: usize, most: usize, must: bool) -> Rule {
    Rule { tag, least, most, must }
}

const RULES: [Rule; 10] = [
    rule(CHANNEL, 1, 1, false),
    rule(TORN_AGAIN, 1, 3, false),
    rule(TORN_KEPT, 1, 3, false),
    rule(QUICK, 1, 1, true),
    rule(TABLE_A, 1, 1, false),
    rule(TABLE_B, 1, 1, false),
    rule(ON_DEVICE, 1, 1, false),
    rule(NO_PIN, 12, 12, false),
    rule(NO_SIGNATURE_LIMIT, 12, 12, false),
    rule(NO_SIGNATURE, 1, 1, false),
];

/// AIDs of UnionPay credit and quasi-credit cards (channels.md §6): all of them have no-PIN once table A has ended.
const CREDIT: [[u8; 8]; 2] =
    [[0xA0, 0, 0, 0x03, 0x33, 0x01, 0x01, 0x02], [0xA0, 0, 0, 0x03, 0x33, 0x01, 0x01, 0x03]];

/// For which cards there is no-PIN at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cards {
    /// None: switched off (FF8054), or only those of BIN table A (FF8055), which is not downloaded here.
    None,
    /// Credit cards; debit cards by BIN table B (FF8056), which is not downloaded here.
    Credit,
    /// All.
    All,
}

/// What the acquirer says of taps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContactlessLimits {
    /// For which cards.
    pub cards: Cards,
    /// No PIN up to this (FF8058).
    pub no_pin: Money,
    /// No signature up to this (FF8059, and FF805A = 1); zero: always signed.
    pub no_signature: Money,
    /// Whether the card's own verification on a device counts (FF8057). Told, not used: such a card asks for no PIN.
    pub on_device: bool,
    /// Electronic cash first (FF805D = 1). Told, not used: there is none here.
    pub purse_first: bool,
    /// Seconds in which a torn tap may be repeated (FF803A), and in which its record may be settled (FF803C). Told, not used.
    pub torn_s: [Option<u16>; 2],
}

impl ContactlessLimits {
    /// Reads field 62 of the reply, without a leading mark.
    pub fn read(field62: &[u8], currency: Currency) -> Result<Self, TlvError> {
        let picked = Picked::new(tlv::text(field62)?, &RULES)?;
        let flag = |tag| match picked.get(tag) {
            None | Some(b"0") => Ok(false),
            Some(b"1") => Ok(true),
            Some(_) => Err(TlvError::Value(tag)),
        };
        let digits = |tag, text: &[u8]| match std::str::from_utf8(text).ok().filter(|_| digits(text)) {
            Some(text) => text.parse::<i64>().map_err(|_| TlvError::Value(tag)),
            None => Err(TlvError::Value(tag)),
        };
        // A switch that is on without its amount says nothing that could be followed.
        let limit = |on: bool, tag| match (on, picked.get(tag)) {
            (_, Some(text)) => digits(tag, text).map(|minor| if on { minor } else { 0 }),
            (true, None) => Err(TlvError::Missing(tag)),
            (false, None) => Ok(0),
        };
        let seconds = |tag| {
            let seconds = picked.get(tag).map(|text| digits(tag, text)).transpose()?;
            Ok(seconds.and_then(|seconds| u16::try_from(seconds).ok()))
        };
        let quick = flag(QUICK)?;
        let (table_a, table_b) = (flag(TABLE_A)?, flag(TABLE_B)?);
        let money = |minor| Money::new(minor, currency);
        Ok(Self {
            cards: match (quick, table_a, table_b) {
                (false, ..) | (_, true, _) => Cards::None,
                (true, false, true) => Cards::Credit,
                (true, false, false) => Cards::All,
            },
            no_pin: money(limit(quick, NO_PIN)?),
            no_signature: money(limit(flag(NO_SIGNATURE)?, NO_SIGNATURE_LIMIT)?),
            on_device: flag(ON_DEVICE)?,
            purse_first: flag(CHANNEL)?,
            torn_s: [seconds(TORN_AGAIN)?, seconds(TORN_KEPT)?],
        })
    }

    /// Whether a tap of this amount owes no PIN. `bound`: what the settings allow at most, minor units; `aid`: the card's
    /// application.
    pub fn frees_pin(&self, amount: Money, bound: i64, aid: Option<&[u8]>) -> bool {
        let card = match self.cards {
            Cards::None => false,
            Cards::Credit => aid.is_some_and(|aid| CREDIT.iter().any(|known| aid.starts_with(known))),
            Cards::All => true,
        };
        card && within(amount, self.no_pin, bound)
    }

    /// How the receipt of a tap says its holder was verified: `asked` by the card, `decided` by the PIN rule.
    pub fn receipt(&self, amount: Money, bound: i64, asked: Cvm, decided: Cvm) -> Cvm {
        let unsigned = within(amount, self.no_signature, bound);
        match (asked, decided) {
            (_, Cvm::Signature) if unsigned => Cvm::None,
            // Its PIN was waived; its signature was not.
            (Cvm::OnlinePin, Cvm::None) if !unsigned => Cvm::Signature,
            _ => decided,
        }
    }
}

fn within(amount: Money, limit: Money, bound: i64) -> bool {
    amount.currency() == limit.currency() && amount.minor() <= limit.minor().min(bound)
}

fn digits(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(u8::is_ascii_digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEBIT: &[u8] = &[0xA0, 0, 0, 0x03, 0x33, 0x01, 0x01, 0x01];

    fn cny(minor: i64) -> Money {
        Money::new(minor, Currency::CNY)
    }

    fn read(objects: &[(&str, &str)]) -> Result<ContactlessLimits, TlvError> {
        let object = |(tag, value): &(&str, &str)| format!("{tag}{:03}{value}", value.len());
        let field = objects.iter().map(object).collect::<Vec<_>>().concat();
        ContactlessLimits::read(field.as_bytes(), Currency::CNY)
    }

    const ON: &[(&str, &str)] =
        &[("FF8054", "1"), ("FF8058", "000000030000"), ("FF805A", "1"), ("FF8059", "000000050000")];

    fn with(more: &[(&str, &str)]) -> Result<ContactlessLimits, TlvError> {
        read(&[ON, more].concat())
    }

    #[test]
    fn s38_the_downloaded_limit_counts_and_the_setting_bounds_it() {
        let limits = with(&[]).unwrap();
        assert!(limits.frees_pin(cny(30_000), 100_000, None));
        assert!(!limits.frees_pin(cny(30_001), 100_000, None));
        assert!(!limits.frees_pin(cny(20_001), 20_000, None), "the setting is the most");
        assert!(!limits.frees_pin(Money::new(1, "JPY".parse().unwrap()), 100_000, None));
    }

    #[test]
    fn switched_off_is_off_whatever_the_amount_says() {
        let off = read(&[("FF8054", "0"), ("FF8058", "000000030000")]).unwrap();
        assert!(!off.frees_pin(cny(1), 100_000, None));
        let pilot = with(&[("FF8055", "1")]).unwrap();
        assert!(
            !pilot.frees_pin(cny(1), 100_000, Some(&CREDIT[0])),
            "only cards of a table that is not here"
        );
    }

    #[test]
    fn with_table_b_only_credit_cards_are_free_of_it() {
        let limits = with(&[("FF8055", "0"), ("FF8056", "1")]).unwrap();
        assert!(limits.frees_pin(cny(1), 100_000, Some(&CREDIT[0])));
        assert!(limits.frees_pin(cny(1), 100_000, Some(&CREDIT[1])));
        assert!(!limits.frees_pin(cny(1), 100_000, Some(DEBIT)));
        assert!(!limits.frees_pin(cny(1), 100_000, None));
    }

    #[test]
    fn a_signature_is_waived_up_to_its_own_limit_only() {
        let limits = with(&[]).unwrap();
        let receipt = |minor, asked, decided| limits.receipt(cny(minor), 100_000, asked, decided);
        assert_eq!(receipt(50_000, Cvm::Signature, Cvm::Signature), Cvm::None);
        assert_eq!(receipt(50_001, Cvm::Signature, Cvm::Signature), Cvm::Signature);
        assert_eq!(receipt(1, Cvm::OnlinePin, Cvm::OnlinePin), Cvm::OnlinePin);
        let off = with(&[]).map(|limits| ContactlessLimits { no_signature: cny(0), ..limits }).unwrap();
        assert_eq!(off.receipt(cny(1), 100_000, Cvm::OnlinePin, Cvm::None), Cvm::Signature);
        assert_eq!(
            off.receipt(cny(1), 100_000, Cvm::None, Cvm::None),
            Cvm::None,
            "the card asked for nothing"
        );
    }

    #[test]
    fn what_cannot_be_followed_is_refused_whole() {
        assert_eq!(read(&[("FF8058", "000000030000")]), Err(TlvError::Missing(QUICK)));
        assert_eq!(read(&[("FF8054", "1")]), Err(TlvError::Missing(NO_PIN)));
        assert_eq!(with(&[("FF8057", "2")]), Err(TlvError::Value(ON_DEVICE)));
        assert_eq!(with(&[("FF803A", "1a")]), Err(TlvError::Value(TORN_AGAIN)));
        assert_eq!(with(&[("FF8054", "0")]), Err(TlvError::Twice(QUICK)));
        let long = read(&[("FF8054", "1"), ("FF8058", "30000")]);
        assert_eq!(long, Err(TlvError::Size { tag: NO_PIN, got: 5, least: 12, most: 12 }));
        assert_eq!(read(&[("FF8054", "1"), ("FF8058", "00000003000x")]), Err(TlvError::Value(NO_PIN)));
        let limits = with(&[("FF803A", "010"), ("FF803C", "60"), ("FF805D", "1"), ("FF8057", "1")]).unwrap();
        assert_eq!((limits.torn_s, limits.purse_first, limits.on_device), ([Some(10), Some(60)], true, true));
    }
}
