//! End of a batch: totals compared (channels.md §1.7). The details and the end are in `upload`.

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
    /// This host's count at the end, details that came late included.
    pub host: Totals,
    /// The terminal's count in its 0500.
    pub terminal: Totals,
    /// Whether the 0510 said so.
    pub balanced: bool,
    /// Details uploaded that this host has booked otherwise, or has undone, by trace number.
    pub differences: Vec<String>,
    /// Details uploaded that this host had not booked and has booked now, by trace number.
    pub booked: Vec<String>,
    /// What this host has booked and a terminal that uploaded its details did not name, by trace number.
    pub surplus: Vec<String>,
    /// Details uploaded, each counted once.
    pub uploaded: usize,
}

impl Host {
    /// 0500: field 48 compared with this host's count; digits 31 and 62 of the answer say 1 (balanced) or 2. Asked again,
    /// it compares again; of a batch already closed it says how the counts stand and changes nothing.
    pub(super) fn settle(&mut self, request: &Message, now: &Now) -> Answer {
        let tid = request.text(41).to_owned();
        let batch = Field60::of(request).batch().to_owned();
        let field48 = request.text(48);
        let (Some(first), Some(second)) = (parse_half(field48, 0), parse_half(field48, 31)) else {
            return Self::refuse(request, now, "30");
        };
        let host = self.totals(&tid, &batch);
        let agree = |mine: Totals, theirs: Totals| if mine == theirs { '1' } else { '2' };
        let (domestic, foreign) = (agree(host.0, first), agree(host.1, second));
        let balanced = (domestic, foreign) == ('1', '1');
        if !self.closed.iter().any(|closed| closed.tid == tid && closed.batch == batch) {
            // The totals of the next batch show that the one before is over, end record or not.
            let Some(session) = self.sessions.get(&tid) else { return Self::refuse(request, now, "97") };
            if let Some(left) = session.batches.left_balanced().filter(|left| *left != batch) {
                self.close_batch(&tid, &left);
            }
            let Some(session) = self.sessions.get_mut(&tid) else { return Self::refuse(request, now, "97") };
            if let Err(code) = session.batches.begin(&batch, first.plus(second), balanced) {
                return Self::refuse(request, now, code);
            }
        }
        let mut message = Self::reply(request, now);
        let (rrn, _) = self.references(now);
        message.copy(request, &[49]).set(15, now.date.as_str()).set(32, Self::acquirer()).set(37, rrn);
        if let Some((first, second)) = first.to_field().zip(second.to_field()) {
            message.set(48, format!("{first}{domestic}{second}{foreign}"));
        }
        message.set(39, "00");
        Answer { message, mak: None }
    }

    /// This host's count, domestic and foreign cards apart where the configuration asks for it.
    fn totals(&self, tid: &str, batch: &str) -> (Totals, Totals) {
        if self.split_foreign {
            (self.ledger.totals_of(tid, batch, Some(false)), self.ledger.totals_of(tid, batch, Some(true)))
        } else {
            (self.ledger.totals(tid, batch), Totals::default())
        }
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

/// Puts another debit amount into an answer's field 48, for the fault that falsifies amounts.
pub(super) fn falsify(field48: &str, by: Fen) -> Option<String> {
    let debit = Fen::from_field(field48.get(..12)?)?.plus(by).to_field()?;
    Some(format!("{debit}{}", field48.get(12..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_read_from_62_digits_only() {
        let text = format!("000000012850001000000000500001{}{:031}", 0, 0);
        let half = parse_half(&text, 0).unwrap();
        assert_eq!((half.debit, half.debit_count), (Fen::new(12_850), 1));
        assert_eq!((half.credit, half.credit_count), (Fen::new(500), 1));
        assert_eq!(parse_half(&text[..61], 0), None);
        assert_eq!(falsify(&text, Fen::new(1)).unwrap()[..12], *"000000012851");
    }
}
