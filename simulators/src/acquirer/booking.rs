//! Money: payments, their undoing, and reversals (channels.md §1.3, §1.6, §1.9).
//!
//! Answer codes given here: 00, 10 · 03 97 (in `host`) · 12 not possible now · 13 amount · 14 card · 22 wrong kind of
//! original · 25 original not found · 30 format · 51 55 61 75 card · 64 amount differs from the original · 77 sign in,
//! or another batch · 90 settlement running · 94 trace number used for something else · 99 PIN block unreadable · A0 MAC.

use super::cards::Instrument;
use super::host::{Answer, Field60, Host, Now};
use super::keys::{PinCheck, check_pin};
use super::ledger::{Entry, Key, Kind, State};
use super::message::Message;
use super::money::Fen;

/// A refusal: field 39.
pub(super) type Code = &'static str;

/// What a payment comes to.
struct Verdict {
    code: String,
    amount: Fen,
    /// What the card's balance gains.
    moved: Fen,
    original: Option<Key>,
}

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
            self.balance(request, now)
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

    fn coded(&mut self, request: &Message, now: &Now, code: &str) -> Message {
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
        let verdict = self.decide(request, kind, asked, &instrument, is_code, &key).unwrap_or_else(|code| {
            Verdict { code: code.into(), amount: asked, moved: Fen::ZERO, original: None }
        });
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
            reversal_reason: None,
            times_received: 1,
            moved: verdict.moved,
            answer: answer.clone(),
            parameters,
        };
        self.ledger.insert(entry);
        answer
    }

    /// What can be refused before the card is looked at. A refusal here is not booked.
    fn check(&mut self, request: &Message, key: &Key) -> Result<(Kind, Fen), Code> {
        self.check_batch(key)?;
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

    fn check_batch(&mut self, key: &Key) -> Result<(), Code> {
        let session = self.sessions.get_mut(&key.tid).ok_or("97")?;
        if let Some((_, balanced)) = session.settling {
            // A terminal that skips the end record after a balanced settlement has simply begun its next batch.
            if balanced && key.batch == format!("{:06}", super::settlement::next_batch(session.batch)) {
                self.close_batch(&key.tid);
                return Ok(());
            }
            return Err("90");
        }
        if key.batch == format!("{:06}", session.batch) { Ok(()) } else { Err("77") }
    }

    fn decide(
        &mut self,
        request: &Message,
        kind: Kind,
        asked: Fen,
        instrument: &Instrument,
        is_code: bool,
        key: &Key,
    ) -> Result<Verdict, Code> {
        let plain = |moved: Fen, original: Option<Key>| {
            Ok(Verdict { code: "00".into(), amount: asked, moved, original })
        };
        let owed = Fen::ZERO.minus(asked);
        if matches!(kind, Kind::Sale | Kind::PreAuth) {
            self.check_pin(request, instrument, is_code)?;
            let card = self.cards.find(instrument, is_code).ok_or("14")?;
            if card.answer != "00" {
                let code = card.answer.clone();
                return Ok(Verdict { code, amount: asked, moved: Fen::ZERO, original: None });
            }
            if card.limit.is_some_and(|limit| asked > limit) {
                return Err("61");
            }
            if asked > card.balance {
                if card.partial
                    && card.balance > Fen::ZERO
                    && Field60::of(request).partial()
                    && kind == Kind::Sale
                {
                    let moved = Fen::ZERO.minus(card.balance);
                    return Ok(Verdict { code: "10".into(), amount: card.balance, moved, original: None });
                }
                return Err("51");
            }
            return plain(owed, None);
        }
        self.check_pin(request, instrument, is_code)?;
        let original = self.original(request, kind, instrument, key)?;
        if original.state != State::Approved {
            return Err("12");
        }
        let original_key = Some(original.key.clone());
        let still = original.amount.minus(original.refunded);
        match kind {
            Kind::Void | Kind::CompletionVoid => {
                if original.key.batch != key.batch || original.refunded != Fen::ZERO {
                    return Err("12");
                }
                if asked != original.amount {
                    return Err("64");
                }
                plain(Fen::ZERO.minus(original.moved), original_key)
            }
            Kind::PreAuthVoid if asked != original.amount => Err("64"),
            Kind::Refund if asked > still => Err("64"),
            Kind::Completion | Kind::CompletionNotice if !asked.within_percent(original.amount, 115) => {
                Err("64")
            }
            // The hold is given back and the real amount taken.
            Kind::Completion | Kind::CompletionNotice => plain(original.amount.minus(asked), original_key),
            _ => plain(asked, original_key),
        }
    }

    fn original(
        &self,
        request: &Message,
        kind: Kind,
        instrument: &Instrument,
        key: &Key,
    ) -> Result<&Entry, Code> {
        let field61 = request.text(61);
        let part = |from: usize, to: usize| field61.get(from..to).unwrap_or_default();
        let same_text = |field: u8, have: &str| request.get(field).is_none() || request.text(field) == have;
        let entry = match kind {
            Kind::Void | Kind::CompletionVoid => {
                let named = Key { tid: key.tid.clone(), batch: part(0, 6).into(), trace: part(6, 12).into() };
                self.ledger.get(&named).ok_or("25")?
            }
            Kind::Refund => {
                let rrn = request.text(37);
                let sale = |e: &&Entry| {
                    e.rrn == rrn
                        && e.mid == request.text(42)
                        && e.date == part(12, 16)
                        && matches!(e.kind, Kind::Sale | Kind::Completion | Kind::CompletionNotice)
                };
                self.ledger.entries().find(sale).ok_or("25")?
            }
            _ => {
                let auth = request.text(38);
                let hold = |e: &&Entry| e.kind == Kind::PreAuth && e.auth == auth && e.date == part(12, 16);
                self.ledger.entries().find(hold).ok_or("25")?
            }
        };
        let wanted = match kind {
            Kind::Void => &[Kind::Sale][..],
            Kind::CompletionVoid => &[Kind::Completion][..],
            _ => &[entry.kind][..],
        };
        if !wanted.contains(&entry.kind) {
            return Err("22");
        }
        let same = entry.instrument == *instrument && same_text(37, &entry.rrn) && same_text(38, &entry.auth);
        if same { Ok(entry) } else { Err("25") }
    }

    fn check_pin(&mut self, request: &Message, instrument: &Instrument, is_code: bool) -> Result<(), Code> {
        let Some(card) = self.cards.find(instrument, is_code) else {
            return Ok(());
        };
        if card.wrong_pins >= 3 {
            return Err("75");
        }
        let Some(block) = request.get(52) else {
            return if request.text(22).ends_with('1') { Err("30") } else { Ok(()) };
        };
        let (Some(expected), Ok(block)) = (card.pin.as_deref(), <[u8; 8]>::try_from(block)) else {
            return Ok(());
        };
        let pan = match request.text(53).get(..1) {
            Some("2") => instrument.clear(),
            Some("1") => "",
            _ => return Err("30"),
        };
        let session = self.sessions.get(request.text(41)).ok_or("97")?;
        let pik = &session.keys.as_ref().ok_or("77")?.pik;
        match check_pin(pik, block, pan, expected).map_err(|_| "99")? {
            PinCheck::Right => {
                card.wrong_pins = 0;
                Ok(())
            }
            PinCheck::Wrong => {
                card.wrong_pins += 1;
                Err(if card.wrong_pins >= 3 { "75" } else { "55" })
            }
            PinCheck::Unreadable => Err("99"),
        }
    }

    fn apply(&mut self, kind: Kind, verdict: &Verdict, instrument: &Instrument) {
        if let Some(card) = self.cards.find(instrument, false) {
            card.balance = card.balance.plus(verdict.moved);
        }
        let Some(original) = verdict.original.as_ref().and_then(|key| self.ledger.get_mut(key)) else {
            return;
        };
        match kind {
            Kind::Refund => original.refunded = original.refunded.plus(verdict.amount),
            Kind::Completion | Kind::CompletionNotice => original.state = State::Completed,
            _ => original.state = State::Voided,
        }
        // Undoing a completion puts the hold back in force.
        if kind == Kind::CompletionVoid
            && let Some(hold) = original.original.clone()
            && let Some(hold) = self.ledger.get_mut(&hold)
        {
            hold.state = State::Approved;
        }
    }

    /// 0400. Done: 00 (undone, or already undone), 12 (there is nothing to undo), 25 (never arrived). 64: other amount.
    fn reverse(&mut self, request: &Message, key: &Key, now: &Now) -> Message {
        let code = self.reversal_code(request, key);
        let mut message = Self::reply(request, now);
        let (rrn, _) = self.references(now);
        message.copy(request, &[2, 3, 4, 25, 49]).set(32, Self::acquirer()).set(37, rrn).set(39, code);
        message
    }

    fn reversal_code(&mut self, request: &Message, key: &Key) -> Code {
        let batch = self.sessions.get(&key.tid).map(|s| format!("{:06}", s.batch)).unwrap_or_default();
        let Some(entry) = self.ledger.get_mut(key) else {
            self.ledger.remember_early_reversal(key.clone());
            return "25";
        };
        let amount = Fen::from_field(request.text(4));
        if amount != Some(entry.asked) && amount != Some(entry.amount) {
            return "64";
        }
        match entry.state {
            State::Reversed => return "00",
            State::Declined | State::Voided | State::Completed => return "12",
            State::Approved => {}
        }
        let kept = entry.refunded != Fen::ZERO || entry.key.batch != batch;
        if entry.kind.is_notice() || kept {
            return "12";
        }
        entry.state = State::Reversed;
        entry.reversal_reason = Some(request.text(39).to_owned());
        let (moved, kind, instrument) = (entry.moved, entry.kind, entry.instrument.clone());
        let original = entry.original.clone();
        if let Some(card) = self.cards.find(&instrument, false) {
            card.balance = card.balance.minus(moved);
        }
        if let Some(original) = original.and_then(|key| self.ledger.get_mut(&key)) {
            original.state = State::Approved;
            if kind == Kind::CompletionVoid
                && let Some(hold) = original.original.clone()
                && let Some(hold) = self.ledger.get_mut(&hold)
            {
                hold.state = State::Completed;
            }
        }
        "00"
    }

    fn balance(&mut self, request: &Message, now: &Now) -> Message {
        let found = instrument(request).ok_or("30").and_then(|(instrument, is_code)| {
            self.check_pin(request, &instrument, is_code)?;
            let card = self.cards.find(&instrument, is_code).ok_or("14")?;
            if request.text(3) == "310000" { Ok((card.answer.clone(), card.balance)) } else { Err("12") }
        });
        let code = found.as_ref().map_or_else(|code| (*code).to_owned(), |(code, _)| code.clone());
        let mut message = self.coded(request, now, &code);
        if let Ok((code, balance)) = found
            && code == "00"
            && let Some(amount) = balance.to_field()
        {
            message.set(54, format!("1002156C{amount}"));
        }
        message
    }
}

/// Card number (field 2, or the front of a track) or payment code (field 59, TLV `A3` length3 value); true for a code.
fn instrument(request: &Message) -> Option<(Instrument, bool)> {
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
