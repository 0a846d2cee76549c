//! The requests of a terminal, field by field (channels.md §1.3). Nothing here is signed or sent.

use crate::card::CardData;
use crate::dialect::Dialect;
use crate::message::Message;
use till_plugin::{Currency, Money};

/// Why a request cannot be built.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// Another currency than the acquirer's.
    #[error("this acquirer takes currency {want} only, not {got}")]
    Currency {
        /// What was asked.
        got: Currency,
        /// The acquirer's.
        want: Currency,
    },
    /// Zero, negative, or more than twelve digits of minor units.
    #[error("the amount must be above zero and have at most twelve digits of minor units")]
    Amount,
    /// Trace or batch outside 1 to 999999.
    #[error("trace and batch numbers go from 1 to 999999")]
    Number,
}

/// Who sends: terminal and merchant number as the acquirer gave them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terminal {
    /// Field 41, eight characters.
    pub id: String,
    /// Field 42, fifteen characters.
    pub merchant: String,
}

/// The numbers of one request inside its batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Numbers {
    /// Field 11.
    pub trace: u32,
    /// 60.2.
    pub batch: u32,
}

impl Numbers {
    fn trace(self) -> Result<String, RequestError> {
        six(self.trace)
    }

    fn batch(self) -> Result<String, RequestError> {
        six(self.batch)
    }
}

/// An earlier transaction that a request refers to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Original {
    /// Its numbers.
    pub numbers: Numbers,
    /// Host reference (field 37).
    pub reference: String,
    /// Authorisation code (field 38).
    pub authorisation: Option<String>,
    /// Its date at the host, `MMDD`.
    pub date: String,
}

/// Totals of a batch: minor units and how many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Totals {
    /// Sales and completions.
    pub debit: (Money, u32),
    /// Voids, refunds, completion voids.
    pub credit: (Money, u32),
}

fn six(number: u32) -> Result<String, RequestError> {
    if (1..=999_999).contains(&number) { Ok(format!("{number:06}")) } else { Err(RequestError::Number) }
}

/// Field 4: twelve digits of minor units, the dialect's currency only.
pub fn amount(dialect: &Dialect, money: Money) -> Result<String, RequestError> {
    same_currency(dialect, money)?;
    if (1..=999_999_999_999).contains(&money.minor()) {
        Ok(format!("{:012}", money.minor()))
    } else {
        Err(RequestError::Amount)
    }
}

fn same_currency(dialect: &Dialect, money: Money) -> Result<(), RequestError> {
    let want = dialect.request.currency;
    if money.currency() == want {
        Ok(())
    } else {
        Err(RequestError::Currency { got: money.currency(), want })
    }
}

/// The requests of one terminal in one dialect.
#[derive(Debug, Clone, Copy)]
pub struct Requests<'a> {
    /// How the acquirer speaks.
    pub dialect: &'a Dialect,
    /// Who sends.
    pub terminal: &'a Terminal,
}

impl Requests<'_> {
    fn start(&self, mti: [u8; 4], field60: String) -> Message {
        let mut message = Message::new(mti);
        message.set(41, &self.terminal.id).set(42, &self.terminal.merchant).set(60, field60);
        message
    }

    /// A management request: 60 is type 00, batch and network code.
    fn management(&self, mti: [u8; 4], batch: u32, code: &str) -> Result<Message, RequestError> {
        Ok(self.start(mti, format!("00{}{code}", six(batch)?)))
    }

    /// A financial request: card, amount, and 60 with type, batch, code 000 and the terminal's state.
    fn financial(
        &self,
        mti: [u8; 4],
        kind: &str,
        processing: &str,
        numbers: Numbers,
        card: &CardData,
    ) -> Result<Message, RequestError> {
        let rules = &self.dialect.request;
        let state =
            format!("{kind}{}000{}{}", numbers.batch()?, rules.terminal_capability, rules.ic_condition);
        let mut message = self.start(mti, state);
        message
            .set(3, processing)
            .set(11, numbers.trace()?)
            .set(22, card.entry_mode())
            .set(25, "00")
            .set(49, rules.currency_number());
        if card.track2.is_none() || rules.pan_with_track2 {
            message.set(2, card.pan.expose());
        }
        if let Some(expiry) = &card.expiry {
            message.set(14, expiry.expose());
        }
        if let Some(track2) = &card.track2 {
            message.set(35, track2.expose());
        }
        if let Some(sequence) = &card.sequence {
            message.set(23, sequence);
        }
        if let Some(emv) = &card.emv {
            message.set(55, emv.as_slice());
        }
        match &card.pin_block {
            Some(block) => message
                .set_unless_empty(26, &rules.pin_capture_length)
                .set_unless_empty(53, &rules.pin_control)
                .set(52, block.as_slice()),
            None => message.set_unless_empty(53, &rules.no_pin_control),
        };
        Ok(message)
    }

    /// Sign-in 0800. `operator`: the first three characters of field 63, else the dialect's.
    pub fn sign_in(&self, numbers: Numbers, operator: Option<&str>) -> Result<Message, RequestError> {
        let mut message = self.management(*b"0800", numbers.batch, &self.dialect.request.sign_in_code)?;
        message.set(11, numbers.trace()?).set(63, self.operator(operator));
        Ok(message)
    }

    /// Sign-off 0820.
    pub fn sign_off(&self, batch: u32) -> Result<Message, RequestError> {
        self.management(*b"0820", batch, &self.dialect.request.sign_off_code)
    }

    /// Echo 0820: is the host there? Without money and without a trace.
    pub fn echo(&self, batch: u32) -> Result<Message, RequestError> {
        self.management(*b"0820", batch, &self.dialect.request.echo_code)
    }

    /// Sale 0200.
    pub fn sale(&self, numbers: Numbers, money: Money, card: &CardData) -> Result<Message, RequestError> {
        let mut message = self.financial(*b"0200", "22", "000000", numbers, card)?;
        message.set(4, amount(self.dialect, money)?);
        Ok(message)
    }

    /// Balance 0200. The answer is never kept.
    pub fn balance(&self, numbers: Numbers, card: &CardData) -> Result<Message, RequestError> {
        self.financial(*b"0200", "01", "310000", numbers, card)
    }

    /// Void 0200 of a transaction of the same batch, full amount.
    pub fn void(
        &self,
        numbers: Numbers,
        money: Money,
        card: &CardData,
        original: &Original,
    ) -> Result<Message, RequestError> {
        let mut message = self.financial(*b"0200", "23", "200000", numbers, card)?;
        message
            .set(4, amount(self.dialect, money)?)
            .set(37, &original.reference)
            .set(61, format!("{}{}", original.numbers.batch()?, original.numbers.trace()?));
        if let Some(code) = &original.authorisation {
            message.set(38, code);
        }
        Ok(message)
    }

    /// Refund 0220: a notice, repeated with the same trace when unanswered, never reversed.
    pub fn refund(
        &self,
        numbers: Numbers,
        money: Money,
        card: &CardData,
        original: &Original,
    ) -> Result<Message, RequestError> {
        let mut message = self.financial(*b"0220", "25", "200000", numbers, card)?;
        message
            .set(4, amount(self.dialect, money)?)
            .set(37, &original.reference)
            .set(61, format!("000000000000{}", original.date))
            .set(63, "000");
        Ok(message)
    }

    /// Settlement 0500: field 48 holds debit and credit totals of domestic cards, then of foreign ones, 31 digits each,
    /// the last of which is the host's result.
    pub fn settlement(
        &self,
        numbers: Numbers,
        domestic: Totals,
        foreign: Option<Totals>,
        operator: Option<&str>,
    ) -> Result<Message, RequestError> {
        let mut message = self.management(*b"0500", numbers.batch, &self.dialect.request.settlement_code)?;
        let foreign = foreign.map_or_else(|| Ok("0".repeat(31)), |totals| self.totals(totals))?;
        message
            .set(11, numbers.trace()?)
            .set(48, format!("{}{foreign}", self.totals(domestic)?))
            .set(49, self.dialect.request.currency_number())
            .set(63, self.operator(operator));
        Ok(message)
    }

    fn totals(&self, totals: Totals) -> Result<String, RequestError> {
        let half = |(money, count): (Money, u32)| {
            same_currency(self.dialect, money)?;
            let fits = (0..=999_999_999_999).contains(&money.minor()) && count <= 999;
            if fits { Ok(format!("{:012}{count:03}", money.minor())) } else { Err(RequestError::Amount) }
        };
        Ok(format!("{}{}0", half(totals.debit)?, half(totals.credit)?))
    }

    fn operator(&self, operator: Option<&str>) -> String {
        match operator {
            Some(name)
                if (1..=3).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric()) =>
            {
                format!("{name:<3}")
            }
            _ => self.dialect.request.operator.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::CUP;

    fn cny(minor: i64) -> Money {
        Money::new(minor, Currency::CNY)
    }

    #[test]
    fn amounts_outside_twelve_digits_and_foreign_currencies_never_become_a_request() {
        let dialect = Dialect::parse(CUP).unwrap();
        assert_eq!(amount(&dialect, cny(12_850)).unwrap(), "000000012850");
        assert_eq!(amount(&dialect, cny(999_999_999_999)).unwrap(), "999999999999");
        for minor in [0, -1, i64::MIN, 1_000_000_000_000, i64::MAX] {
            assert_eq!(amount(&dialect, cny(minor)), Err(RequestError::Amount));
        }
        let yen = Money::new(100, "JPY".parse().unwrap());
        assert!(matches!(amount(&dialect, yen), Err(RequestError::Currency { .. })));
    }

    #[test]
    fn numbers_outside_one_to_999999_never_become_a_request() {
        let dialect = Dialect::parse(CUP).unwrap();
        let terminal = Terminal { id: "12345678".into(), merchant: "123456789012345".into() };
        let requests = Requests { dialect: &dialect, terminal: &terminal };
        for trace in [0, 1_000_000, u32::MAX] {
            assert_eq!(requests.sign_in(Numbers { trace, batch: 1 }, None), Err(RequestError::Number));
            assert_eq!(requests.sign_in(Numbers { trace: 1, batch: trace }, None), Err(RequestError::Number));
        }
        let sign_in = requests.sign_in(Numbers { trace: 1, batch: 1 }, Some("07")).unwrap();
        assert_eq!(sign_in.text(63), Some("07 "));
        assert_eq!(sign_in.text(60), Some("00000001003"));
    }
}
