//! The host's desk: who may speak, sign-in, echo, sign-off; the money is in `booking` and `settlement`.
//!
//! No sockets and no clock here: a message and the time go in, an answer comes out.

use super::batches::Batches;
use super::cards::Cards;
use super::config::{ConfigError, HostConfig, Profile, Terminal};
use super::downloads::{self, Parameters};
use super::fields::FieldTable;
use super::keys::{KeyForm, WorkingKeys};
use super::ledger::Ledger;
use super::mac::MacAlgorithm;
use super::message::Message;
use super::settlement::Closed;
use std::collections::{BTreeMap, BTreeSet};

/// What this host calls itself in field 32 and 44.
const ACQUIRER: &str = "48221234";

/// The host's local time (Asia/Shanghai) as the messages carry it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Now {
    /// MMDD, field 13.
    pub date: String,
    /// hhmmss, field 12.
    pub time: String,
}

impl Now {
    /// The present moment at UTC+8, whatever the machine's zone is.
    pub(super) fn read() -> Self {
        let offset = jiff::tz::Offset::from_seconds(8 * 3600).unwrap_or(jiff::tz::Offset::UTC);
        let now = offset.to_datetime(jiff::Timestamp::now());
        Self {
            date: format!("{:02}{:02}", now.month(), now.day()),
            time: format!("{:02}{:02}{:02}", now.hour(), now.minute(), now.second()),
        }
    }
}

/// What goes back, before field 64.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) message: Message,
    /// The key for field 64; `None` leaves the answer without one.
    pub(super) mak: Option<Vec<u8>>,
}

/// One terminal's session.
pub(super) struct Session {
    pub(super) terminal: Terminal,
    pub(super) keys: Option<WorkingKeys>,
    pub(super) sign_ins: u32,
    pub(super) batches: Batches,
}

/// The host.
pub(super) struct Host {
    pub(super) table: FieldTable,
    pub(super) mac: MacAlgorithm,
    pub(super) split_foreign: bool,
    pub(super) several_completions: bool,
    pub(super) balance_wants_pin: bool,
    pub(super) profile: Profile,
    pub(super) pin_base_key: [u8; 16],
    pub(super) pin_ksn_field: u8,
    /// Serial numbers of pads' keys that were used.
    pub(super) key_serials: BTreeSet<[u8; 10]>,
    pub(super) sessions: BTreeMap<String, Session>,
    pub(super) cards: Cards,
    pub(super) ledger: Ledger,
    pub(super) closed: Vec<Closed>,
    pub(super) parameters: Parameters,
    pub(super) downloaded: Vec<String>,
    sequence: u32,
}

/// Field 60, taken apart.
pub(super) struct Field60<'a>(&'a str);

impl<'a> Field60<'a> {
    pub(super) fn of(message: &'a Message) -> Self {
        Self(message.text(60))
    }
    fn part(&self, from: usize, to: usize) -> &'a str {
        self.0.get(from..to).unwrap_or_default()
    }
    /// 60.1, the kind of message.
    pub(super) fn kind(&self) -> &'a str {
        self.part(0, 2)
    }
    /// 60.2, the batch.
    pub(super) fn batch(&self) -> &'a str {
        self.part(2, 8)
    }
    /// 60.3, the network management code.
    pub(super) fn net(&self) -> &'a str {
        self.part(8, 11)
    }
    /// 60.6, whether the terminal takes a partial approval.
    pub(super) fn partial(&self) -> bool {
        self.part(13, 14) == "1"
    }
}

impl Host {
    pub(super) fn new(config: HostConfig) -> Result<Self, ConfigError> {
        let table = match (config.fields.as_str(), config.mac.is_sm4()) {
            ("", false) => FieldTable::cup()?,
            ("", true) => FieldTable::cup_sm4()?,
            (own, _) => FieldTable::from_toml(own)?,
        };
        let mut sessions = BTreeMap::new();
        for terminal in config.terminals {
            let bad = |what| ConfigError::Terminal { tid: terminal.tid.clone(), what };
            if terminal.tid.len() != 8 || terminal.mid.len() != 15 {
                return Err(bad("the terminal number has 8 and the merchant number 15 characters"));
            }
            if ![8, 16].contains(&terminal.tmk.len()) {
                return Err(bad("the master key has 16 or 32 hex digits"));
            }
            if config.mac.is_sm4() && terminal.tmk.len() != 16 {
                return Err(bad("an SM4 master key has 32 hex digits"));
            }
            if !(1..=999_999).contains(&terminal.batch) {
                return Err(bad("the batch is a number from 1 to 999999"));
            }
            let batches = Batches::new(terminal.batch, config.settle_blocks_sales);
            let session = Session { keys: None, sign_ins: 0, batches, terminal };
            sessions.insert(session.terminal.tid.clone(), session);
        }
        Ok(Self {
            table,
            mac: config.mac,
            split_foreign: config.split_foreign,
            several_completions: config.several_completions,
            balance_wants_pin: config.balance_wants_pin,
            profile: config.profile,
            pin_base_key: config.pin_base_key,
            pin_ksn_field: config.pin_ksn_field,
            key_serials: BTreeSet::new(),
            sessions,
            cards: Cards::default(),
            ledger: Ledger::default(),
            closed: Vec::new(),
            parameters: config.parameters,
            downloaded: Vec::new(),
            sequence: 0,
        })
    }

    /// Answers one request. `body` is the request as received, for its MAC.
    pub(super) fn handle(&mut self, request: &Message, body: &[u8], now: &Now) -> Answer {
        match self.sessions.get(request.text(41)) {
            None => return Self::refuse(request, now, "97"),
            Some(session) if session.terminal.mid != request.text(42) => {
                return Self::refuse(request, now, "03");
            }
            Some(_) => {}
        }
        let net = Field60::of(request).net();
        match (request.mti(), net) {
            ("0800", code) if self.has_keys_of(code) => self.sign_in(request, now),
            ("0820", "301") => Self::echo(request, now),
            ("0820", "002") => self.sign_off(request, now),
            (mti, code) if downloads::is_download(mti, code) => self.download(request, now),
            ("0500", _) => self.settle(request, now),
            ("0320", _) => self.upload(request, now),
            ("0100" | "0200" | "0220" | "0400", _) => self.money(request, body, now),
            // "Function not supported" is a definite answer.
            _ => Self::refuse(request, now, "40"),
        }
    }

    /// An answer that carries only the code, without a MAC: it is a refusal whoever it comes from.
    pub(super) fn refuse(request: &Message, now: &Now, code: &str) -> Answer {
        let mut message = Self::reply(request, now);
        message.copy(request, &[3, 4, 25, 49]).set(39, code);
        Answer { message, mak: None }
    }

    /// The fields every answer has.
    pub(super) fn reply(request: &Message, now: &Now) -> Message {
        let mut message = Message::answering(request);
        message.copy(request, &[11, 41, 42, 60]);
        message.set(12, now.time.as_str()).set(13, now.date.as_str());
        message
    }

    /// A host reference (field 37) and an authorisation code (field 38), new each time.
    pub(super) fn references(&mut self, now: &Now) -> (String, String) {
        self.sequence = (self.sequence + 1) % 1_000_000;
        let auth = self.sequence.wrapping_mul(0x9E_3779) & 0xFF_FFFF;
        (format!("{}{:06}", now.time, self.sequence), format!("{auth:06X}"))
    }

    pub(super) fn acquirer() -> &'static str {
        ACQUIRER
    }

    /// Whether keys of this form are handed out here: one cipher for all of them.
    fn has_keys_of(&self, code: &str) -> bool {
        KeyForm::from_code(code).is_some_and(|form| (form == KeyForm::Sm4) == self.mac.is_sm4())
    }

    fn sign_in(&mut self, request: &Message, now: &Now) -> Answer {
        let code = Field60::of(request).net();
        let mut message = Self::reply(request, now);
        let (rrn, _) = self.references(now);
        message.set(32, ACQUIRER).set(37, rrn);
        let form = KeyForm::from_code(code);
        let issued = self.sessions.get_mut(request.text(41)).zip(form).and_then(|(session, form)| {
            let keys = WorkingKeys::random(form, session.terminal.double_mak).ok()?;
            let sealed = keys.sealed(form, &session.terminal.tmk).ok()?;
            session.keys = Some(keys);
            session.sign_ins += 1;
            Some((sealed, session.batches.newest()))
        });
        match issued {
            Some((sealed, batch)) => {
                message.set(39, "00").set(60, format!("00{batch:06}{code}")).set(62, sealed)
            }
            None => message.set(39, "96"),
        };
        Answer { message, mak: None }
    }

    fn echo(request: &Message, now: &Now) -> Answer {
        let mut message = Self::reply(request, now);
        message.set(39, "00");
        Answer { message, mak: None }
    }

    fn sign_off(&mut self, request: &Message, now: &Now) -> Answer {
        if let Some(session) = self.sessions.get_mut(request.text(41)) {
            session.keys = None;
        }
        Self::echo(request, now)
    }
}
