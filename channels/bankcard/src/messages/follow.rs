//! What follows a payment: its void, refund, completion and release.

use super::{Numbers, RequestError, Requests, amount};
use crate::card::CardData;
use crate::message::Message;
use till_plugin::Money;

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

impl Original {
    /// 61.1 and 61.2: batch and trace.
    fn numbers(&self) -> Result<String, RequestError> {
        Ok(format!("{}{}", self.numbers.batch()?, self.numbers.trace()?))
    }

    /// 61 of a request that finds its original by reference or code: no numbers, only the date 61.3.
    fn dated(&self) -> Result<String, RequestError> {
        let known = self.date.len() == 4 && self.date.bytes().all(|byte| byte.is_ascii_digit());
        if known { Ok(format!("000000000000{}", self.date)) } else { Err(RequestError::Original) }
    }

    fn reference(&self) -> Result<String, RequestError> {
        padded(&self.reference, 12)
    }

    fn authorisation(&self) -> Result<String, RequestError> {
        padded(self.authorisation.as_deref().unwrap_or_default(), 6)
    }
}

/// Fixed fields lose their blanks on the way in and get them back here.
fn padded(text: &str, length: usize) -> Result<String, RequestError> {
    let fits = (1..=length).contains(&text.len()) && text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    if fits { Ok(format!("{text:<length$}")) } else { Err(RequestError::Original) }
}

impl Requests<'_> {
    /// Void 0200 of a sale of the same batch, full amount.
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
            .set(37, original.reference()?)
            .set(61, original.numbers()?);
        if original.authorisation.is_some() {
            message.set(38, original.authorisation()?);
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
            .set(37, original.reference()?)
            .set(61, original.dated()?)
            .set(63, "000");
        Ok(message)
    }

    /// Pre-authorisation void 0100: gives a hold back, full amount.
    pub fn release(
        &self,
        numbers: Numbers,
        money: Money,
        card: &CardData,
        original: &Original,
    ) -> Result<Message, RequestError> {
        self.of_hold((*b"0100", "11", "200000"), numbers, money, card, original)
    }

    /// Completion 0200: takes held money, or a part of it.
    pub fn completion(
        &self,
        numbers: Numbers,
        money: Money,
        card: &CardData,
        original: &Original,
    ) -> Result<Message, RequestError> {
        self.of_hold((*b"0200", "20", "000000"), numbers, money, card, original)
    }

    /// Completion 0220: the same as a notice, repeated with the same trace when unanswered, never reversed.
    pub fn completion_notice(
        &self,
        numbers: Numbers,
        money: Money,
        card: &CardData,
        original: &Original,
    ) -> Result<Message, RequestError> {
        self.of_hold((*b"0220", "24", "000000"), numbers, money, card, original)
    }

    /// Completion void 0200, same batch, full amount: the hold stands again.
    pub fn completion_void(
        &self,
        numbers: Numbers,
        money: Money,
        card: &CardData,
        original: &Original,
    ) -> Result<Message, RequestError> {
        let mut message = self.financial(*b"0200", "21", "200000", numbers, card)?;
        message
            .set(4, amount(self.dialect, money)?)
            .set(37, original.reference()?)
            .set(38, original.authorisation()?)
            .set(61, format!("{}{}", original.numbers()?, &original.dated()?[12..]));
        Ok(message)
    }

    /// What names a hold by its authorisation code and date.
    fn of_hold(
        &self,
        (mti, kind, processing): ([u8; 4], &str, &str),
        numbers: Numbers,
        money: Money,
        card: &CardData,
        original: &Original,
    ) -> Result<Message, RequestError> {
        let mut message = self.financial(mti, kind, processing, numbers, card)?;
        message
            .set(4, amount(self.dialect, money)?)
            .set(38, original.authorisation()?)
            .set(61, original.dated()?);
        Ok(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn original(reference: &str, code: Option<&str>, date: &str) -> Original {
        Original {
            numbers: Numbers { trace: 2, batch: 12 },
            reference: reference.into(),
            authorisation: code.map(str::to_owned),
            date: date.into(),
        }
    }

    #[test]
    fn an_original_that_cannot_be_named_never_becomes_a_request() {
        assert_eq!(original("0909", None, "0901").reference().unwrap(), "0909        ");
        assert_eq!(original("0909", Some("A1"), "0901").authorisation().unwrap(), "A1    ");
        assert_eq!(original("0909", None, "0901").authorisation(), Err(RequestError::Original));
        for reference in ["", "0909200100021", "09\n"] {
            assert_eq!(original(reference, None, "0901").reference(), Err(RequestError::Original));
        }
        for date in ["", "901", "09-1", "20260901"] {
            assert_eq!(original("0909", None, date).dated(), Err(RequestError::Original));
        }
    }
}
