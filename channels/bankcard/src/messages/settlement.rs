//! The end of a batch: totals, details, end mark (channels.md §1.7).

use super::{Numbers, RequestError, Requests, amount, same_currency};
use crate::message::Message;
use std::fmt;
use till_plugin::{Money, Sensitive};
use zeroize::Zeroizing;

/// Most records in one 0320.
pub const RECORDS: usize = 8;

/// Totals of a batch: minor units and how many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Totals {
    /// Sales and completions.
    pub debit: (Money, u32),
    /// Voids, refunds, completion voids.
    pub credit: (Money, u32),
}

/// One online payment of the batch, as a record of field 48.
#[derive(Clone)]
pub struct Detail {
    /// Its trace.
    pub trace: u32,
    /// Its card.
    pub pan: Sensitive<String>,
    /// What was approved.
    pub amount: Money,
}

impl fmt::Debug for Detail {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Detail({:06} {})", self.trace, self.pan.masked_pan())
    }
}

impl Requests<'_> {
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
            if !(0..=999_999_999_999).contains(&money.minor()) {
                return Err(RequestError::Amount);
            }
            if count <= 999 {
                Ok(format!("{:012}{count:03}", money.minor()))
            } else {
                Err(RequestError::Count)
            }
        };
        Ok(format!("{}{}0", half(totals.debit)?, half(totals.credit)?))
    }

    /// Batch upload 0320 of one to [`RECORDS`] online payments.
    pub fn records(&self, numbers: Numbers, details: &[Detail]) -> Result<Message, RequestError> {
        if !(1..=RECORDS).contains(&details.len()) {
            return Err(RequestError::Count);
        }
        let rules = &self.dialect.request;
        let mut message = self.management(*b"0320", numbers.batch, &rules.upload_code)?;
        let mut text = Zeroizing::new(String::with_capacity(2 + RECORDS * 40));
        text.push('0');
        text.push_str(&details.len().to_string());
        for detail in details {
            let pan = detail.pan.expose();
            text.push_str(&rules.upload_card_class);
            text.push_str(&super::six(detail.trace)?);
            text.extend(std::iter::repeat_n('0', 20_usize.saturating_sub(pan.len())));
            text.push_str(pan);
            text.push_str(&amount(self.dialect, detail.amount)?);
        }
        message.set(11, numbers.trace()?).set(48, text.as_str());
        Ok(message)
    }

    /// Batch upload 0320 of one notice (refund, completion): its own fields, with the upload's code in 60.3.
    pub fn late_notice(&self, notice: &Message) -> Result<Message, RequestError> {
        let field60 = notice.text(60).and_then(|text| text.get(..8)).ok_or(RequestError::Original)?;
        let mut message = Message::new(*b"0320");
        for (number, value) in notice.iter().filter(|(number, _)| !matches!(number, 60 | 63 | 64)) {
            message.set(number, value);
        }
        message.set(60, format!("{field60}{}", self.dialect.request.upload_code));
        Ok(message)
    }

    /// End mark 0320: how many details were uploaded; none after totals that agreed.
    pub fn upload_end(&self, numbers: Numbers, balanced: bool, count: u32) -> Result<Message, RequestError> {
        let rules = &self.dialect.request;
        let code = if balanced { &rules.upload_end_code } else { &rules.upload_end_unbalanced_code };
        if count > 9999 {
            return Err(RequestError::Count);
        }
        let mut message = self.management(*b"0320", numbers.batch, code)?;
        message.set(11, numbers.trace()?).set(48, format!("{count:04}"));
        Ok(message)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Terminal;
    use super::*;
    use crate::dialect::{CUP, Dialect};
    use till_plugin::Currency;

    #[test]
    fn what_field_48_has_no_digits_for_never_becomes_a_request() {
        let dialect = Dialect::parse(CUP).unwrap();
        let terminal = Terminal { id: "12345678".into(), merchant: "123456789012345".into() };
        let requests = Requests { dialect: &dialect, terminal: &terminal };
        let numbers = Numbers { trace: 1, batch: 1 };
        let cny = |minor| Money::new(minor, Currency::CNY);
        let settle = |debit: (i64, u32)| {
            let totals = Totals { debit: (cny(debit.0), debit.1), credit: (cny(0), 0) };
            requests.settlement(numbers, totals, None, None).map(|_| ())
        };
        assert_eq!(settle((999_999_999_999, 999)), Ok(()));
        assert_eq!(settle((1_000_000_000_000, 1)), Err(RequestError::Amount));
        assert_eq!(settle((-1, 1)), Err(RequestError::Amount));
        assert_eq!(settle((1, 1000)), Err(RequestError::Count));
        let detail = Detail { trace: 2, pan: String::from("6200000000000005").into(), amount: cny(1) };
        let records = |count: usize| requests.records(numbers, &vec![detail.clone(); count]).map(|_| ());
        assert_eq!(
            (records(8), records(9), records(0)),
            (Ok(()), Err(RequestError::Count), Err(RequestError::Count))
        );
        assert_eq!(requests.upload_end(numbers, false, 10_000), Err(RequestError::Count));
        assert!(!format!("{detail:?}").contains("6200000000000005"));
    }
}
