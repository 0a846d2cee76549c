//! The requests of a terminal, field by field (channels.md §1.3). Nothing here is signed or sent.
//!
//! Here what they share, sessions, sales and holds; `follow` has what follows a payment, `settlement` the end of a batch.

mod download;
mod follow;
mod settlement;

use crate::card::CardData;
use crate::dialect::Dialect;
use crate::message::Message;
use till_plugin::{Currency, Money};

pub use follow::Original;
pub use settlement::{Detail, RECORDS, Totals};

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
    /// What is known of the original does not fit the fields that name it.
    #[error(
        "the host's reference or authorisation code of the original is not known: settle it with the acquirer"
    )]
    Original,
    /// More records or payments than a message has digits for.
    #[error(
        "field 48 counts at most 999 payments a side in a settlement, and 8 records or 9999 details in an upload"
    )]
    Count,
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
            .set(25, if matches!(kind, "10" | "11" | "20" | "21" | "24") { "06" } else { "00" })
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
            Some(pin) => {
                message
                    .set_unless_empty(26, &rules.pin_capture_length)
                    .set_unless_empty(53, &rules.pin_control)
                    .set(52, pin.block.as_slice());
                if let Some(ksn) = &pin.ksn {
                    message.set(rules.pin_ksn_field, ksn.as_slice());
                }
                &mut message
            }
            // A card named by its number alone has neither PIN nor track for field 53 to speak of.
            None if card.entry == "01" => &mut message,
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

    /// Pre-authorisation 0100: holds money.
    pub fn hold(&self, numbers: Numbers, money: Money, card: &CardData) -> Result<Message, RequestError> {
        let mut message = self.financial(*b"0100", "10", "030000", numbers, card)?;
        message.set(4, amount(self.dialect, money)?);
        Ok(message)
    }

    /// Balance 0200. The answer is never kept.
    pub fn balance(&self, numbers: Numbers, card: &CardData) -> Result<Message, RequestError> {
        self.financial(*b"0200", "01", "310000", numbers, card)
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
