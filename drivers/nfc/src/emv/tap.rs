//! One tap from the directory to the request for an online answer: a machine that is given the card's answers and says what
//! to send next. It holds no clock and does no I/O; every path ends after a bounded number of commands.

use std::sync::Arc;

use till_plugin::Sensitive;
use till_plugin::instrument::{ChipCard, Cvm};
use zeroize::Zeroizing;

use super::aid::{self, Application, Candidate, Scheme};
use super::apdu::{self, Answer, Exchange, Next};
use super::dol;
use super::holder;
use super::oda::{self, Keys, Oda};
use super::options::{self, Run};
use super::refusal::Refusal;
use super::store::Store;
use super::terminal::{Sale, Terminal, Values};
use super::tlv::{self, Tag};

/// Data objects of field 55, in the order of channels.md §6; what the card or the terminal does not have is left out.
pub const FIELD_55: [u32; 21] = [
    0x9F26, 0x9F27, 0x9F10, 0x9F37, 0x9F36, 0x95, 0x9A, 0x9C, 0x9F02, 0x5F2A, 0x82, 0x9F1A, 0x9F03, 0x9F33,
    0x9F34, 0x9F35, 0x9F1E, 0x84, 0x9F09, 0x9F41, 0x9F63,
];
/// Most commands of one tap: a directory, a few applications, their records.
const COMMANDS: u16 = 160;

/// What to do next.
pub enum Step {
    /// Send this to the card.
    Send(Zeroizing<Vec<u8>>),
    /// The tap is over.
    Done(Box<Read>),
    /// The tap is over, without a payment.
    Refused(Refusal),
}

/// What a tap gave.
pub struct Read {
    /// For the channel.
    pub card: ChipCard,
    /// Whose card it is.
    pub scheme: Option<Scheme>,
    /// What offline data authentication came to.
    pub oda: Oda,
}

enum At {
    Directory,
    Select,
    Options,
    Records { runs: Vec<Run>, run: usize, record: u8 },
    Cryptogram,
    End,
}

/// The machine.
pub struct Tap {
    terminal: Arc<Terminal>,
    keys: Arc<Keys>,
    sale: Sale,
    at: At,
    exchange: Exchange,
    candidates: std::collections::VecDeque<Candidate>,
    listed: Vec<u8>,
    application: Option<Application>,
    values: Values,
    store: Store,
    signed: Zeroizing<Vec<u8>>,
    commands: u16,
    /// What the last application refused with; told if none is left.
    why: Refusal,
}

impl Tap {
    /// Begins: gives the machine and the first command.
    pub fn begin(terminal: Arc<Terminal>, keys: Arc<Keys>, sale: Sale) -> (Self, Step) {
        let values = Values::new(&terminal, &sale, None);
        let mut tap = Self {
            terminal,
            keys,
            sale,
            at: At::Directory,
            exchange: Exchange::default(),
            candidates: std::collections::VecDeque::new(),
            listed: Vec::new(),
            application: None,
            values,
            store: Store::default(),
            signed: Zeroizing::default(),
            commands: 0,
            why: Refusal::NoApplication,
        };
        if tap.terminal.most.is_some_and(|most| tap.sale.amount.minor() > most) {
            let step = tap.refuse(Refusal::OverLimit);
            return (tap, step);
        }
        let step = tap.send(&apdu::select(aid::PPSE));
        (tap, step)
    }

    /// Which command of the tap is under way, for messages.
    pub const fn stage(&self) -> &'static str {
        match self.at {
            At::Directory => "directory",
            At::Select => "select",
            At::Options => "processing options",
            At::Records { .. } => "record",
            At::Cryptogram => "cryptogram",
            At::End => "end",
        }
    }

    /// Takes the card's answer to what was sent last.
    pub fn answer(&mut self, bytes: &[u8]) -> Step {
        match self.exchange.take(bytes) {
            Ok(Next::Send(command)) => self.count(command),
            Ok(Next::Answer(answer)) => self.step(&answer),
            Err(error) => self.refuse(Refusal::Apdu(error)),
        }
    }

    fn step(&mut self, answer: &Answer) -> Step {
        match std::mem::replace(&mut self.at, At::End) {
            At::Directory => self.directory(answer),
            At::Select => self.selected(answer),
            At::Options => self.options(answer),
            At::Records { runs, run, record } => self.record(answer, runs, run, record),
            At::Cryptogram => self.cryptogram(answer),
            At::End => Step::Refused(Refusal::NoApplication),
        }
    }

    fn send(&mut self, command: &[u8]) -> Step {
        self.exchange = Exchange::begin(command);
        self.count(Zeroizing::new(command.to_vec()))
    }

    fn count(&mut self, command: Zeroizing<Vec<u8>>) -> Step {
        self.commands += 1;
        if self.commands > COMMANDS { self.refuse(Refusal::Endless) } else { Step::Send(command) }
    }

    fn refuse(&mut self, why: Refusal) -> Step {
        self.at = At::End;
        self.store = Store::default();
        self.signed = Zeroizing::default();
        Step::Refused(why)
    }

    fn directory(&mut self, answer: &Answer) -> Step {
        let list = match answer.status {
            apdu::OK => match aid::candidates(&answer.data, &self.terminal.aids) {
                Ok(list) if list.is_empty() => return self.refuse(Refusal::NotAccepted),
                Ok(list) => list,
                Err(error) => return self.refuse(Refusal::Directory(error)),
            },
            // Function not supported: the card is blocked (EMV Book 1 §12.3.2).
            0x6A81 => return self.refuse(Refusal::CardBlocked),
            0x6A82 if self.terminal.try_list => {
                let own = |aid: &Vec<u8>| Candidate { aid: aid.clone(), priority: 15, label: Vec::new() };
                self.terminal.aids.iter().map(own).collect()
            }
            _ => return self.refuse(Refusal::NoApplication),
        };
        self.candidates = list.into();
        self.next_application()
    }

    /// Selects the best application that is left.
    fn next_application(&mut self) -> Step {
        let Some(candidate) = self.candidates.pop_front() else {
            let why = self.why;
            return self.refuse(why);
        };
        self.store = Store::default();
        self.signed = Zeroizing::default();
        self.at = At::Select;
        self.listed = candidate.label;
        self.application = None;
        let command = apdu::select(&candidate.aid);
        self.values.set(0x4F, &candidate.aid);
        self.send(&command)
    }

    fn drop_application(&mut self, why: Refusal) -> Step {
        self.why = why;
        self.next_application()
    }

    fn selected(&mut self, answer: &Answer) -> Step {
        match answer.status {
            apdu::OK => {}
            0x6283 => return self.drop_application(Refusal::ApplicationBlocked),
            0x6A82 => return self.next_application(),
            status => return self.drop_application(Refusal::Status(status)),
        }
        let asked = self.values.get(0x4F).unwrap_or_default().to_vec();
        let Some(application) = aid::application(&answer.data, &asked, &self.listed) else {
            return self.drop_application(Refusal::Application);
        };
        let scheme = Scheme::of(&application.aid);
        self.values = Values::new(&self.terminal, &self.sale, scheme);
        self.values.set(0x4F, &asked);
        let data = match dol::build(&application.pdol, |tag| self.values.get(tag)) {
            Ok(data) => data,
            Err(error) => return self.refuse(Refusal::List(error)),
        };
        self.application = Some(application);
        self.at = At::Options;
        self.send(&apdu::processing_options(&data))
    }

    fn options(&mut self, answer: &Answer) -> Step {
        match answer.status {
            apdu::OK => {}
            // Conditions not satisfied: this application is not for this tap.
            0x6985 => return self.drop_application(Refusal::OtherInterface),
            // A phone that wants its owner first (Visa, UnionPay: 6986).
            0x6986 => return self.refuse(Refusal::SeePhone),
            status => return self.refuse(Refusal::Status(status)),
        }
        if let Err(error) = options::options(&answer.data, &mut self.store) {
            return self.refuse(Refusal::Data(error));
        }
        let runs = match options::locator(self.store.get(0x94).unwrap_or_default()) {
            Ok(runs) => runs,
            Err(error) => return self.refuse(Refusal::Data(error)),
        };
        self.read(runs, 0, 0)
    }

    /// Reads the record behind `record` of this run, or the first of the next one.
    fn read(&mut self, runs: Vec<Run>, run: usize, record: u8) -> Step {
        let next = match runs.get(run) {
            Some(this) if record == 0 => Some((run, this.sfi, this.first)),
            Some(this) if record < this.last => Some((run, this.sfi, record + 1)),
            _ => runs.get(run + 1).map(|this| (run + 1, this.sfi, this.first)),
        };
        match next {
            Some((run, sfi, record)) => {
                self.at = At::Records { runs, run, record };
                self.send(&apdu::read_record(sfi, record))
            }
            None => self.records_read(),
        }
    }

    fn record(&mut self, answer: &Answer, runs: Vec<Run>, run: usize, record: u8) -> Step {
        if answer.status != apdu::OK {
            return self.refuse(Refusal::Status(answer.status));
        }
        let Some(this) = runs.get(run).copied() else { return self.refuse(Refusal::Endless) };
        match options::record(this.sfi, &answer.data, &mut self.store) {
            Ok(signed) => {
                if record - this.first < this.signed {
                    let mut whole = Zeroizing::new(Vec::with_capacity(self.signed.len() + signed.len()));
                    whole.extend_from_slice(&self.signed);
                    whole.extend_from_slice(signed);
                    self.signed = whole;
                }
            }
            Err(error) => return self.refuse(Refusal::Data(error)),
        }
        self.read(runs, run, record)
    }

    fn records_read(&mut self) -> Step {
        // Cards that answered the options with a cryptogram (UnionPay, Visa) are done; others are asked for one.
        match self.store.get(0x8C) {
            Some(list) if self.store.get(0x9F26).is_none() => {
                let data = dol::build(list, |tag| self.values.get(tag).or_else(|| self.store.get(tag)));
                match data {
                    Ok(data) => {
                        self.at = At::Cryptogram;
                        self.send(&apdu::generate_arqc(&data))
                    }
                    Err(error) => self.refuse(Refusal::List(error)),
                }
            }
            _ => self.decide(),
        }
    }

    fn cryptogram(&mut self, answer: &Answer) -> Step {
        match answer.status {
            apdu::OK => {}
            0x6985 => return self.refuse(Refusal::OtherInterface),
            0x6986 => return self.refuse(Refusal::SeePhone),
            status => return self.refuse(Refusal::Status(status)),
        }
        match options::cryptogram(&answer.data, &mut self.store) {
            Ok(()) => self.decide(),
            Err(error) => self.refuse(Refusal::Data(error)),
        }
    }

    /// What the card decided: from 9F27, or where Visa and UnionPay leave it out, from the issuer's application data.
    fn decision(&self, scheme: Option<Scheme>) -> Option<u8> {
        match (self.store.get(0x9F27), self.store.get(0x9F10)) {
            (Some([cid]), _) => Some(cid & 0xC0),
            // Length, derivation index, version, then verification results: length 03, and bits 6–5 of their first byte.
            (None, Some([_, _, _, 3, results, ..]))
                if matches!(scheme, Some(Scheme::UnionPay | Scheme::Visa)) =>
            {
                Some(match results >> 4 & 3 {
                    0 => 0x00,
                    1 => 0x40,
                    2 => 0x80,
                    _ => return None,
                })
            }
            _ => None,
        }
    }

    fn decide(&mut self) -> Step {
        let Some(application) = self.application.take() else { return self.refuse(Refusal::NoApplication) };
        let scheme = Scheme::of(&application.aid);
        let decision = match self.decision(scheme) {
            Some(0x80) => 0x80,
            Some(0x00) => return self.refuse(Refusal::DeclinedByCard),
            // Approved by the card alone: nobody here could prove it (channels.md §6).
            Some(0x40) => return self.refuse(Refusal::OfflineApproval),
            _ => return self.refuse(Refusal::NoCryptogram),
        };
        let complete = self.store.exact::<8>(0x9F26).is_some()
            && self.store.exact::<2>(0x9F36).is_some()
            && self.store.get(0x9F10).is_some_and(|iad| !iad.is_empty() && iad.len() <= 32);
        if !complete {
            return self.refuse(Refusal::NoCryptogram);
        }
        let holder = match holder::holder(&self.store) {
            Ok(holder) => holder,
            Err(error) => return self.refuse(Refusal::Holder(error)),
        };
        let oda = oda::authenticate(
            &self.keys,
            &application.aid,
            &self.store,
            &self.signed,
            &self.sale,
            holder.pan.expose(),
        );
        if self.keys.required() && oda != Oda::Proved {
            return self.refuse(Refusal::Authentication(oda));
        }
        let above = self.sale.amount.minor() > self.terminal.small;
        let asked = holder::asked(&self.store, scheme);
        let debit = scheme == Some(Scheme::UnionPay) && holder::debit(&application.aid);
        let cvm = holder::cvm(asked, debit, above);
        let tlv = self.online(&application.aid, decision, cvm);
        let masked = holder.pan.masked_pan();
        let card = ChipCard {
            contactless: true,
            aid: application.aid,
            label: application.label,
            tlv: Sensitive::new(tlv),
            track2: holder.track2,
            pan: holder.pan,
            pan_sequence: holder.sequence,
            masked,
            cvm,
        };
        self.at = At::End;
        self.store = Store::default();
        Step::Done(Box::new(Read { card, scheme, oda }))
    }

    fn online(&self, aid: &[u8], decision: u8, cvm: Cvm) -> Vec<u8> {
        let (results, decision) = (holder::results(cvm), [decision]);
        // Enough for all of it, so that it never moves and leaves a copy behind.
        let mut out = Vec::with_capacity(512);
        for tag in FIELD_55 {
            let value = match tag {
                0x9F27 => Some(decision.as_slice()),
                0x9F34 => Some(results.as_slice()),
                0x84 => Some(aid),
                // What the terminal told the card comes from the terminal, whatever the card says it was told.
                0x9F37 | 0x95 | 0x9A | 0x9C | 0x9F02 | 0x5F2A | 0x9F1A | 0x9F03 | 0x9F33 | 0x9F35
                | 0x9F1E | 0x9F09 | 0x9F41 => self.values.get(tag),
                _ => self.store.get(tag).filter(|v| v.len() <= 252),
            };
            if let Some(value) = value {
                tlv::write(&mut out, Tag(tag), value);
            }
        }
        out
    }
}
