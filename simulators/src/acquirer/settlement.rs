//! End of a batch: totals compared, records taken, batch closed (channels.md §1.7).

use super::host::{Answer, Field60, Host, Now};
use super::ledger::Totals;
use super::message::Message;
use super::money::Fen;
use serde::Serialize;

/// A batch this host has closed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Closed {
    /// Terminal.
    pub tid: String,
    /// Batch.
    pub batch: String,
    /// This host's count.
    pub host: Totals,
    /// The terminal's count in its 0500.
    pub terminal: Totals,
    /// Whether the 0510 said so.
    pub balanced: bool,
    /// Records uploaded that this host has not, or has with another amount, by trace number.
    pub differences: Vec<String>,
    /// Records uploaded.
    pub uploaded: usize,
}

/// The batch after this one: 999999 is followed by 000001.
pub(super) const fn next_batch(batch: u32) -> u32 {
    if batch >= 999_999 { 1 } else { batch + 1 }
}

impl Host {
    /// 0500: field 48 compared with this host's count; digits 31 and 62 of the answer say 1 (balanced) or 2.
    pub(super) fn settle(&mut self, request: &Message, now: &Now) -> Answer {
        let tid = request.text(41).to_owned();
        let batch = Field60::of(request).batch().to_owned();
        let Some(session) = self.sessions.get(&tid) else { return Self::refuse(request, now, "97") };
        if batch != format!("{:06}", session.batch) {
            return Self::refuse(request, now, "77");
        }
        let field48 = request.text(48);
        let (Some(first), Some(second)) = (parse_half(field48, 0), parse_half(field48, 31)) else {
            return Self::refuse(request, now, "30");
        };
        let host = self.totals(&tid, &batch);
        let agree = |mine: Totals, theirs: Totals| if mine == theirs { '1' } else { '2' };
        let (domestic, foreign) = (agree(host.0, first), agree(host.1, second));
        let balanced = (domestic, foreign) == ('1', '1');
        let mut counted = first;
        counted.debit = counted.debit.plus(second.debit);
        counted.credit = counted.credit.plus(second.credit);
        counted.debit_count += second.debit_count;
        counted.credit_count += second.credit_count;
        let halves = first.to_field().zip(second.to_field());
        if let Some(session) = self.sessions.get_mut(&tid) {
            session.settling = Some((counted, balanced));
            session.uploaded.clear();
        }
        let mut message = Self::reply(request, now);
        let (rrn, _) = self.references(now);
        message.copy(request, &[49]).set(15, now.date.as_str()).set(32, Self::acquirer()).set(37, rrn);
        if let Some((first, second)) = halves {
            message.set(48, format!("{first}{domestic}{second}{foreign}"));
        }
        message.set(39, "00");
        Answer { message, mak: None }
    }

    /// This host's count, domestic and foreign cards apart where the configuration asks for it.
    pub(super) fn totals(&self, tid: &str, batch: &str) -> (Totals, Totals) {
        if self.split_foreign {
            (self.ledger.totals_of(tid, batch, Some(false)), self.ledger.totals_of(tid, batch, Some(true)))
        } else {
            (self.ledger.totals(tid, batch), Totals::default())
        }
    }

    /// 0320: records (201, 203 to 206) are taken, an end record (202, 207) closes the batch.
    pub(super) fn upload(&mut self, request: &Message, now: &Now) -> Answer {
        let field60 = Field60::of(request);
        let (tid, batch) = (request.text(41).to_owned(), field60.batch().to_owned());
        let code = self.take_upload(&tid, &batch, field60.net(), request.text(48));
        let mut message = Self::reply(request, now);
        let (rrn, _) = self.references(now);
        message.copy(request, &[48]).set(37, rrn).set(39, code);
        Answer { message, mak: None }
    }

    fn take_upload(&mut self, tid: &str, batch: &str, net: &str, field48: &str) -> &'static str {
        let end = matches!(net, "202" | "207");
        let Some(session) = self.sessions.get_mut(tid) else { return "97" };
        if session.settling.is_none() || format!("{:06}", session.batch) != batch {
            // The end record of the batch just closed, sent again because its answer was lost.
            let repeated = end && self.closed.last().is_some_and(|c| c.tid == tid && c.batch == batch);
            return if repeated { "00" } else { "12" };
        }
        match net {
            "201" => match parse_records(field48) {
                Some(records) => {
                    session.uploaded.extend(records);
                    "00"
                }
                None => "30",
            },
            "203" | "204" | "205" | "206" => "00",
            "202" | "207" => {
                self.close_batch(tid);
                "00"
            }
            _ => "40",
        }
    }

    pub(super) fn close_batch(&mut self, tid: &str) {
        let Some(session) = self.sessions.get_mut(tid) else { return };
        let Some((terminal, balanced)) = session.settling.take() else { return };
        let batch = format!("{:06}", session.batch);
        session.batch = next_batch(session.batch);
        let uploaded = std::mem::take(&mut session.uploaded);
        let differs = |(trace, amount): &&(String, Fen)| {
            !self.ledger.entries().any(|e| {
                e.key.tid == tid && e.key.batch == batch && e.key.trace == *trace && e.amount == *amount
            })
        };
        self.closed.push(Closed {
            tid: tid.into(),
            host: self.ledger.totals(tid, &batch),
            terminal,
            balanced,
            differences: uploaded.iter().filter(differs).map(|(trace, _)| trace.clone()).collect(),
            uploaded: uploaded.len(),
            batch,
        });
    }
}

/// Amount, count, amount, count from one half of field 48 (62 digits).
fn parse_half(text: &str, at: usize) -> Option<Totals> {
    let half = text.get(at..at + 30).filter(|_| text.len() == 62)?;
    Some(Totals {
        debit: Fen::from_field(half.get(..12)?)?,
        debit_count: half.get(12..15)?.parse().ok()?,
        credit: Fen::from_field(half.get(15..27)?)?,
        credit_count: half.get(27..30)?.parse().ok()?,
    })
}

/// Magstripe records: count n2, then type2 trace6 PAN20 amount12 each. The card numbers are not kept.
fn parse_records(text: &str) -> Option<Vec<(String, Fen)>> {
    let count: usize = text.get(..2)?.parse().ok()?;
    let records = text.get(2..)?;
    if !text.is_ascii() || records.len() != count * 40 {
        return None;
    }
    let record = |at: usize| {
        Some((records.get(at + 2..at + 8)?.to_owned(), Fen::from_field(records.get(at + 28..at + 40)?)?))
    };
    (0..count).map(|i| record(i * 40)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn upload_records_must_be_whole() {
        let one = ["01", "22", "000002", "00006200000000000005", "000000012850"].concat();
        assert_eq!(parse_records(&one), Some(vec![("000002".into(), Fen::new(12_850))]));
        assert_eq!(parse_records(&one[..41]), None);
        assert_eq!(parse_records("02"), None);
    }

    #[test]
    fn batches_wrap_to_one() {
        assert_eq!(next_batch(999_999), 1);
        assert_eq!(next_batch(12), 13);
    }
}
