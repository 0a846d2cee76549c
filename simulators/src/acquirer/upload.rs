//! Details of a batch whose totals differ, and the end of a batch (0320, channels.md §1.7).
//!
//! 60.3 = 201 carries up to eight records of online payments in field 48, or one notice (refund, completion) with its own
//! fields and kind (60.1). What this host had not booked is booked now; what it has booked otherwise is written down as a
//! difference and left alone. 202 and 207 end the batch: 202 after totals that agreed, 207 with the number of details in
//! field 48. Otherwise, or while some of the details are missing here, they are refused with 95.

use super::batches::Detail;
use super::booking::instrument;
use super::cards::Instrument;
use super::host::{Answer, Field60, Host, Now};
use super::ledger::{Key, Kind};
use super::message::Message;
use super::money::Fen;
use super::settlement::Closed;

/// Most records in one message.
const RECORDS: usize = 8;

/// One record of field 48.
#[derive(Debug, PartialEq, Eq)]
struct Record {
    trace: String,
    pan: Instrument,
    amount: Fen,
}

impl Host {
    /// 0320.
    pub(super) fn upload(&mut self, request: &Message, now: &Now) -> Answer {
        let code = self.take_upload(request, now);
        let mut message = Self::reply(request, now);
        let (rrn, _) = self.references(now);
        message.copy(request, &[4, 48]).set(37, rrn).set(39, code);
        Answer { message, mak: None }
    }

    fn take_upload(&mut self, request: &Message, now: &Now) -> &'static str {
        let field60 = Field60::of(request);
        let (tid, batch, net) = (request.text(41).to_owned(), field60.batch().to_owned(), field60.net());
        let end = matches!(net, "202" | "207");
        let Some(session) = self.sessions.get_mut(&tid) else { return "97" };
        let Some(settling) = session.batches.settling(&batch) else {
            // The end record of a batch just closed, sent again because its answer was lost.
            let repeated = end && self.closed.iter().any(|c| c.tid == tid && c.batch == batch);
            return if repeated { "00" } else { "12" };
        };
        match net {
            "201" if field60.kind() != "00" => self.take_notice(request, &batch, now),
            "201" => {
                let Some(records) = parse_records(request.text(48)) else { return "30" };
                for record in records {
                    self.take_record(request, &batch, &record, now);
                }
                "00"
            }
            "203" | "204" | "205" | "206" => "00",
            // Only totals that agreed end without their details.
            "202" if !settling.balanced => "95",
            "207" if request.text(48).parse() != Ok(settling.uploaded.len()) => "95",
            "202" | "207" => {
                self.close_batch(&tid, &batch);
                "00"
            }
            _ => "40",
        }
    }

    fn take_record(&mut self, request: &Message, batch: &str, record: &Record, now: &Now) {
        let key = Key { tid: request.text(41).into(), batch: batch.into(), trace: record.trace.clone() };
        let detail = if let Some(entry) = self.ledger.get(&key) {
            let same = entry.instrument == record.pan && entry.amount == record.amount && entry.counts();
            if same { Detail::Known } else { Detail::Differs }
        } else {
            self.book_late_sale(request, key, record.pan.clone(), record.amount, now);
            Detail::Booked
        };
        self.note(request.text(41), batch, &record.trace, detail);
    }

    fn take_notice(&mut self, request: &Message, batch: &str, now: &Now) -> &'static str {
        let kind = Kind::of("0220", Field60::of(request).kind());
        let Some(kind) = kind.filter(|kind| kind.processing() == (request.text(3), request.text(25))) else {
            return "12";
        };
        let (tid, trace) = (request.text(41).to_owned(), request.text(11).to_owned());
        let key = Key { tid: tid.clone(), batch: batch.into(), trace: trace.clone() };
        let detail = match self.ledger.get(&key) {
            Some(entry) => {
                let card = instrument(request).is_some_and(|(card, _)| card == entry.instrument);
                let amount = Fen::from_field(request.text(4)) == Some(entry.amount);
                let same = card && amount && entry.kind == kind && entry.counts();
                if same { Detail::Known } else { Detail::Differs }
            }
            None => match self.book_late_notice(request, kind, key, now) {
                "00" => Detail::Booked,
                code => return code,
            },
        };
        self.note(&tid, batch, &trace, detail);
        "00"
    }

    fn note(&mut self, tid: &str, batch: &str, trace: &str, detail: Detail) {
        let settling = self.sessions.get_mut(tid).and_then(|session| session.batches.settling(batch));
        if let Some(settling) = settling {
            // Sent again because its answer was lost: what it was the first time counts.
            settling.uploaded.entry(trace.to_owned()).or_insert(detail);
        }
    }

    pub(super) fn close_batch(&mut self, tid: &str, batch: &str) {
        let settling = self.sessions.get_mut(tid).and_then(|session| session.batches.close(batch));
        let Some(settling) = settling else { return };
        let traces = |wanted: Detail| {
            let these = settling.uploaded.iter().filter(|(_, detail)| **detail == wanted);
            these.map(|(trace, _)| trace.clone()).collect()
        };
        let mine = self.ledger.entries().filter(|e| e.key.tid == tid && e.key.batch == batch && e.counts());
        let unnamed = mine.map(|e| &e.key.trace).filter(|trace| !settling.uploaded.contains_key(*trace));
        self.closed.push(Closed {
            tid: tid.into(),
            batch: batch.into(),
            host: self.ledger.totals(tid, batch),
            terminal: settling.terminal,
            balanced: settling.balanced,
            differences: traces(Detail::Differs),
            booked: traces(Detail::Booked),
            surplus: if settling.balanced { Vec::new() } else { unnamed.cloned().collect() },
            uploaded: settling.uploaded.len(),
        });
    }
}

/// Records of online payments: count n2, then card class2 trace6 PAN20 amount12 each; the PAN with zeros before it.
fn parse_records(text: &str) -> Option<Vec<Record>> {
    let count: usize = text.get(..2)?.parse().ok()?;
    let records = text.get(2..)?;
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits || !(1..=RECORDS).contains(&count) || records.len() != count * 40 {
        return None;
    }
    let record = |at: usize| {
        Some(Record {
            trace: records.get(at + 2..at + 8)?.to_owned(),
            pan: Instrument::new(records.get(at + 8..at + 28)?.trim_start_matches('0')),
            amount: Fen::from_field(records.get(at + 28..at + 40)?)?,
        })
    };
    (0..count).map(|i| record(i * 40)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn upload_records_must_be_whole_and_at_most_eight() {
        let record = ["00", "000002", "00006200000000000005", "000000012850"].concat();
        let one = format!("01{record}");
        let pan = Instrument::new("6200000000000005");
        let expected = Record { trace: "000002".into(), pan, amount: Fen::new(12_850) };
        assert_eq!(parse_records(&one), Some(vec![expected]));
        assert_eq!(parse_records(&format!("08{}", record.repeat(8))).unwrap().len(), 8);
        for bad in [&one[..41], "02", "00", &format!("09{}", record.repeat(9)), &one.replace('6', "x")] {
            assert_eq!(parse_records(bad), None, "{bad}");
        }
    }
}
