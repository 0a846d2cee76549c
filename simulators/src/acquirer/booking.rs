//! Money: who may pay, and what is written down (channels.md §1.3, §1.9); whether it may is in `decide`, what is only asked in `inquiry`.
//!
//! Answer codes given here: 00, 10 · 03 97 (in `host`) · 12 not possible now · 13 amount · 14 card · 22 wrong kind of
//! original · 25 original not found · 30 format · 51 55 61 75 card · 64 amount differs from the original · 77 sign in,
//! or another batch · 90 settlement running · 94 trace number used for something else · 99 PIN block unreadable · A0 MAC.

use super::cards::Instrument;
use super::decide::Verdict;
use super::host::{Answer, Field60, Host, Now};
use super::ledger::{Entry, Key, Kind, State};
use super::message::Message;
use super::money::Fen;

/// A refusal: field 39.
pub(super) type Code = &'static str;

impl Host {
    pub(super) fn money(&mut self, request: &Message, body: &[u8], now: &Now) -> Answer {
        let mak = match self.admit(request, body) {
            Ok(mak) => mak,
            Err(code) => return Self::refuse(request, now, code),
        };
        let field60 = Field60::of(request);
        let key = Key {
            tid: request.text(41).into(),
            batch: field60.batch().into(),
            trace: request.text(11).into(),
        };
        let message = if request.mti() == "0400" {
            self.reverse(request, &key, now)
        } else if (request.mti(), field60.kind()) == ("0200", "01") {
            self.balance(request, &key, now)
        } else {
            self.pay(request, key, now)
        };
        Answer { message, mak: Some(mak) }
    }

    /// A scripted answer code in place of the real one; nothing is booked.
    pub(super) fn forced(&mut self, request: &Message, body: &[u8], now: &Now, code: &str) -> Answer {
        match self.admit(request, body) {
            Ok(mak) => Answer { message: self.coded(request, now, code), mak: Some(mak) },
            Err(_) => Self::refuse(request, now, code),
        }
    }

    /// Signed in, MAC right. Nothing in the message is believed before this.
    fn admit(&mut self, request: &Message, body: &[u8]) -> Result<Vec<u8>, Code> {
        let session = self.sessions.get(request.text(41)).ok_or("97")?;
        let mak = session.keys.as_ref().ok_or("77")?.mak.clone();
        let given = request.get(64).ok_or("A0")?;
        let covered = body.len().checked_sub(8).and_then(|end| body.get(..end)).ok_or("A0")?;
        let right = self.mac.mac(&mak, covered).map_err(|_| "A0")?;
        if given == right { Ok(mak) } else { Err("A0") }
    }

    pub(super) fn coded(&mut self, request: &Message, now: &Now, code: &str) -> Message {
        let mut message = Self::reply(request, now);
        let (rrn, _) = self.references(now);
        message.copy(request, &[2, 3, 4, 14, 23, 25, 49, 53]);
        message.set(32, Self::acquirer()).set(37, rrn).set(39, code);
        message
    }

    fn pay(&mut self, request: &Message, key: Key, now: &Now) -> Message {
        let instrument = instrument(request);
        let parameters = parameters(request, instrument.as_ref().map(|(i, _)| i));
        if let Some(entry) = self.ledger.get_mut(&key) {
            if entry.parameters == parameters {
                entry.times_received += 1;
                return entry.answer.clone();
            }
            return self.coded(request, now, "94");
        }
        let checked = self.check(request, &key);
        let (kind, asked) = match checked {
            Ok(pair) => pair,
            Err(code) => return self.coded(request, now, code),
        };
        let Some((instrument, is_code)) = instrument else {
            return self.coded(request, now, "30");
        };
        let verdict = self
            .decide(request, kind, asked, &instrument, is_code, &key)
            .unwrap_or_else(|code| Verdict::refused(code, asked));
        self.enter(request, key, now, kind, asked, verdict, instrument, parameters)
    }

    /// Writes the entry, moves what it moves, and gives the answer.
    #[expect(clippy::too_many_arguments, reason = "one entry has this many sides")]
    fn enter(
        &mut self,
        request: &Message,
        key: Key,
        now: &Now,
        kind: Kind,
        asked: Fen,
        verdict: Verdict,
        instrument: Instrument,
        parameters: String,
    ) -> Message {
        let approved = matches!(verdict.code.as_str(), "00" | "10");
        let mut answer = self.coded(request, now, &verdict.code);
        let mut auth = String::new();
        if approved {
            auth = self.references(now).1;
            let id = format!("{:<11}", Self::acquirer());
            answer.set(38, auth.as_str()).set(15, now.date.as_str()).set(44, format!("{id}{id}"));
            if let Some(amount) = verdict.amount.to_field() {
                answer.set(4, amount);
            }
            self.profile.put(&mut answer);
            self.apply(kind, &verdict, &instrument);
        }
        let entry = Entry {
            key,
            mid: request.text(42).into(),
            kind,
            state: if approved { State::Approved } else { State::Declined },
            code: verdict.code,
            asked,
            amount: verdict.amount,
            instrument,
            rrn: answer.text(37).into(),
            auth,
            date: now.date.clone(),
            time: now.time.clone(),
            original: verdict.original,
            refunded: Fen::ZERO,
            held: if approved && kind == Kind::PreAuth { asked } else { Fen::ZERO },
            drew: verdict.drew,
            uploaded: request.mti() == "0320",
            reversal_reason: None,
            times_received: 1,
            moved: verdict.moved,
            answer: answer.clone(),
            parameters,
        };
        self.ledger.insert(entry);
        answer
    }

    /// A notice told again in the details of a settlement, which this host never booked. Checked as the notice itself is.
    pub(super) fn book_late_notice(&mut self, request: &Message, kind: Kind, key: Key, now: &Now) -> Code {
        let Some((instrument, is_code)) = instrument(request) else { return "30" };
        let Some(asked) = Fen::from_field(request.text(4)) else { return "30" };
        let parameters = parameters(request, Some(&instrument));
        match self.decide(request, kind, asked, &instrument, is_code, &key) {
            Ok(verdict) => {
                self.enter(request, key, now, kind, asked, verdict, instrument, parameters);
                "00"
            }
            Err(code) => code,
        }
    }

    /// An online payment told in a record of a settlement, which this host never booked: the terminal's word is taken.
    pub(super) fn book_late_sale(
        &mut self,
        request: &Message,
        key: Key,
        card: Instrument,
        asked: Fen,
        now: &Now,
    ) {
        self.enter(request, key, now, Kind::Sale, asked, Verdict::taken(asked), card, String::new());
    }

    /// What can be refused before the card is looked at. A refusal here is not booked.
    fn check(&mut self, request: &Message, key: &Key) -> Result<(Kind, Fen), Code> {
        self.sessions.get_mut(&key.tid).ok_or("97")?.batches.admit(&key.batch)?;
        if self.ledger.was_reversed_early(key) {
            return Err("94");
        }
        let kind = Kind::of(request.mti(), Field60::of(request).kind()).ok_or("12")?;
        if kind.processing() != (request.text(3), request.text(25)) {
            return Err("12");
        }
        if request.text(49) != "156" || request.text(22).len() != 3 || key.trace.len() != 6 {
            return Err("30");
        }
        let amount = Fen::from_field(request.text(4)).ok_or("30")?;
        if amount == Fen::ZERO { Err("13") } else { Ok((kind, amount)) }
    }
}

/// Card number (field 2, or the front of a track) or payment code (field 59, TLV `A3` length3 value); true for a code.
pub(super) fn instrument(request: &Message) -> Option<(Instrument, bool)> {
    let track = |field| request.text(field).split('=').next().filter(|pan| !pan.is_empty());
    if let Some(pan) = Some(request.text(2)).filter(|pan| !pan.is_empty()).or_else(|| track(35)) {
        // Two card numbers in one message are two cards.
        return (track(35).is_none_or(|t| t == pan)).then(|| (Instrument::new(pan), false));
    }
    let tlv = request.text(59);
    let length: usize = tlv.strip_prefix("A3")?.get(..3)?.parse().ok()?;
    tlv.get(5..5 + length).map(|code| (Instrument::new(code), true))
}

/// What a repeat of the same trace number must share with the first request.
fn parameters(request: &Message, instrument: Option<&Instrument>) -> String {
    let kind = Field60::of(request).kind();
    let card = instrument.map_or("", Instrument::clear);
    [request.mti(), request.text(3), request.text(4), request.text(61), request.text(37), kind, card]
        .join("|")
}
