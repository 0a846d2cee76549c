//! Parameter downloads in the till's day: one question between two calls, never in one. A payment that waits comes first: the
//! question is given up at once and asked again later. What fails is told and leaves what is in force as it is.

mod ahead;
mod force;

use super::{Bankcard, unknown_of};
use crate::card::CardData;
use crate::dialect::Action;
use crate::exchange::{Exchanged, Way};
use crate::hosttime;
use crate::params::job::{Job, Kind, Progress, Whole};
use crate::params::{Content, Download, stored};
use force::InForce;
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};
use till_plugin::channel::{Authorise, ChannelEvent};
use till_plugin::driver::{DeviceState, Health};
use till_plugin::host::Level;
use till_plugin::instrument::{Cvm, Instrument};

/// Longest for one question: a poll must return well before the daemon takes the plugin for hung (15 s).
const QUESTION: Duration = Duration::from_secs(10);
/// Longest for looking a name up, and for a connection: nothing can wake those.
const CONNECT: Duration = Duration::from_secs(2);
/// Pause before a question without a usable answer is tried again; doubles.
const AGAIN_MS: u64 = 600_000;
/// Tries in a row before the next sign-in or interval is waited for.
const TRIES: u32 = 4;
/// A host's wish in its header is heard this often at most: the header is outside the MAC.
const ASKED_MS: u64 = 600_000;

/// Where the downloads of a terminal stand.
#[derive(Default)]
pub(super) struct Downloads {
    force: InForce,
    due: VecDeque<Download>,
    job: Option<Job>,
    next_ms: Option<u64>,
    /// What the host has asked for in its header.
    asked: Cell<Option<Download>>,
    asked_from_ms: u64,
    /// When something that failed is tried again, and how often it was.
    again: BTreeMap<Download, (u64, u32)>,
    troubled: BTreeSet<Download>,
    told: Vec<ChannelEvent>,
    pub(super) done: u64,
    pub(super) failed: u64,
    ahead: ahead::Ahead,
}

impl Downloads {
    /// The host asks for work in its header.
    pub(super) fn ask(&self, nibble: u8) {
        if let Some(what) = Download::asked_by(nibble) {
            self.asked.set(Some(what));
        }
    }

    fn want(&mut self, what: Download) {
        if !self.due.contains(&what) && self.job.as_ref().is_none_or(|job| job.what() != what) {
            self.due.push_back(what);
        }
    }
}

/// Why a download was given up, and whether the same is worth another try soon.
struct Failed {
    why: String,
    soon: bool,
}

impl Bankcard {
    /// What an earlier run has left, if it is sound and ours.
    pub(super) fn load_downloads(&mut self) {
        for what in self.config.downloads.wanted.clone() {
            let Some(bytes) = self.host.load(&key(what)) else { continue };
            let (terminal, address) = (&self.config.terminal, &self.config.address);
            let currency = self.config.dialect.request.currency;
            match stored::read(what, terminal, address, currency, &bytes) {
                Ok(stored) => self.downloads.force.put(what, stored),
                Err(error) => {
                    let text = format!("the stored {what} are not used: {error}; they are downloaded again");
                    self.trouble(what, &text);
                }
            }
        }
    }

    /// Signed in: everything is downloaded anew.
    pub(super) fn downloads_due(&mut self) {
        let now = self.now_ms();
        let settings = &self.config.downloads;
        self.downloads.job = None;
        self.downloads.asked.set(None);
        self.downloads.again.clear();
        self.downloads.due = settings.wanted.iter().copied().collect();
        self.downloads.next_ms = settings.every_ms.map(|every| now.saturating_add(every));
    }

    /// One question, if there is one and nothing else to do. `None`: there was none.
    pub(super) fn download_step(&mut self) -> Option<Vec<ChannelEvent>> {
        if !self.downloads.told.is_empty() {
            return Some(std::mem::take(&mut self.downloads.told));
        }
        let now = self.now_ms();
        self.mark_due(now);
        if self.downloads.job.is_none() && self.downloads.due.is_empty() {
            return None;
        }
        let closed =
            self.session.for_request(now).is_none() || self.slot.is_taken(now) || self.settling.is_some();
        if closed || self.awaited() {
            return None;
        }
        let mut job = self.downloads.job.take().or_else(|| self.begin())?;
        match self.ask(&mut job) {
            None | Some(Ok(Progress::More)) => self.downloads.job = Some(job),
            Some(Ok(Progress::Nothing)) => {
                let what = job.what();
                self.host.log(
                    Level::Info,
                    format!("the acquirer has no {what} for this terminal: what is in force stays"),
                );
                self.well(what);
            }
            Some(Ok(Progress::Whole(whole))) => match self.put_in_force(job.what(), whole) {
                Ok(()) => self.well(job.what()),
                Err(failed) => self.failed(job.what(), &failed),
            },
            Some(Err(failed)) => self.failed(job.what(), &failed),
        }
        Some(std::mem::take(&mut self.downloads.told))
    }

    /// A call waits: a payment comes before a download.
    fn awaited(&self) -> bool {
        !self.host.sleep(Duration::ZERO)
    }

    fn mark_due(&mut self, now: u64) {
        let settings = &self.config.downloads;
        let downloads = &mut self.downloads;
        if let Some(what) = downloads.asked.take()
            && settings.when_asked
            && settings.wanted.contains(&what)
            && now >= downloads.asked_from_ms
        {
            downloads.asked_from_ms = now.saturating_add(ASKED_MS);
            downloads.want(what);
        }
        if let (Some(next), Some(every)) = (downloads.next_ms, settings.every_ms)
            && now >= next
        {
            downloads.next_ms = Some(now.saturating_add(every));
            downloads.again.clear();
            settings.wanted.iter().for_each(|what| downloads.want(*what));
        }
        let ready: Vec<Download> =
            downloads.again.iter().filter(|(_, (at, _))| now >= *at).map(|(what, _)| *what).collect();
        for what in ready {
            if let Some(entry) = downloads.again.get_mut(&what) {
                entry.0 = u64::MAX;
            }
            downloads.want(what);
        }
    }

    fn begin(&mut self) -> Option<Job> {
        let what = self.downloads.due.pop_front()?;
        let ends = !self.requests().download_code(what, Kind::End).is_empty();
        let now = self.host.now();
        let today = if now.trusted { hosttime::date(now.wall_ms) } else { None };
        Some(Job::new(what, self.config.dialect.request.currency, ends, today))
    }

    /// Asks the job's next question. `None`: a payment came in between, ask again.
    fn ask(&mut self, job: &mut Job) -> Option<Result<Progress, Failed>> {
        let question = job.question();
        let failed = |why: String, soon| Some(Err(Failed { why, soon }));
        let message = match self.requests().download(self.last_batch, &question) {
            Ok(message) => message,
            Err(error) => return failed(error.to_string(), false),
        };
        // A name server that is away would hold a poll longer than the daemon lets it be.
        if !self.downloads.ahead.is_known(&self.config.address, CONNECT) {
            return failed(format!("not sent: {} cannot be looked up", self.config.address), true);
        }
        let hurried = ahead::Hurried { dialer: self.dialer.as_ref(), within: CONNECT };
        let way = Way {
            dialect: &self.config.dialect,
            dialer: &hurried,
            mak: None,
            until: Instant::now() + QUESTION,
            cancelled: &|| self.awaited(),
        };
        let exchanged = way.exchange(&message);
        let requests = self.requests();
        let code = requests.download_code(question.what, question.kind);
        match exchanged {
            Exchanged::Answer(answer) if answer.rule.action == Action::Approved => {
                let echoed = answer.message.text(60).and_then(|text| text.get(8..11));
                if echoed.is_some_and(|echoed| echoed != code) {
                    let got = echoed.unwrap_or_default();
                    return failed(format!("asked under {code}, answered under {got}"), false);
                }
                let took = job.answered(answer.message.get(62));
                Some(took.map_err(|error| Failed { why: error.to_string(), soon: false }))
            }
            Exchanged::Answer(answer) => {
                failed(format!("refused: {} ({})", answer.rule.text, answer.code), false)
            }
            _ if self.awaited() => None,
            Exchanged::NotSent(why) => failed(format!("not sent: {why}"), true),
            other => failed(unknown_of(&other).text, true),
        }
    }

    /// All at once: durable first, then used.
    fn put_in_force(&mut self, what: Download, whole: Whole) -> Result<(), Failed> {
        let wall_ms = self.host.now().wall_ms;
        let (terminal, address) = (&self.config.terminal, &self.config.address);
        let bytes = stored::write(what, wall_ms, terminal, address, &whole.parts);
        self.host.store(&key(what), &bytes).map_err(|error| Failed { why: error.to_string(), soon: true })?;
        let left_out = match whole.left_out {
            0 => String::new(),
            some => format!("; {some} left out (ended, or of another algorithm)"),
        };
        self.host.log(Level::Info, format!("downloaded {what}: {}{left_out}", whole.content.told()));
        if let Content::Keys(keys) = &whole.content {
            for key in keys {
                let (bits, last) = (key.modulus.len() * 8, key.last_day);
                self.host.log(Level::Info, format!("scheme key {}: {bits} bits, until {last}", key.name));
            }
        }
        self.downloads.force.put(what, stored::Stored { wall_ms, content: whole.content });
        Ok(())
    }

    fn well(&mut self, what: Download) {
        self.downloads.done += 1;
        self.downloads.again.remove(&what);
        if self.downloads.troubled.remove(&what) {
            let text = format!("the download of {what} works again");
            self.downloads.told.push(ChannelEvent::Health(Health { state: DeviceState::Ready, text }));
        }
    }

    fn failed(&mut self, what: Download, failed: &Failed) {
        self.downloads.failed += 1;
        let tries = self.downloads.again.remove(&what).map_or(1, |(_, tries)| tries + 1);
        let next = if failed.soon && tries < TRIES {
            let pause = AGAIN_MS << tries.min(8).saturating_sub(1);
            let at = self.now_ms().saturating_add(pause);
            self.downloads.again.insert(what, (at, tries));
            format!("tried again in {} minutes", pause / 60_000)
        } else {
            "tried again at the next sign-in or interval".to_owned()
        };
        let Failed { why, .. } = failed;
        let text = format!("the download of {what} failed: {why}; what was in force stays, {next}");
        self.trouble(what, &text);
    }

    /// Told to people once, until it works again; the log has it each time.
    fn trouble(&mut self, what: Download, text: &str) {
        self.host.log(Level::Warn, text);
        if self.downloads.troubled.insert(what) {
            let health = Health { state: DeviceState::Attention, text: text.to_owned() };
            self.downloads.told.push(ChannelEvent::Health(health));
        }
    }

    /// What is in force, for people.
    pub(super) fn downloads_told(&self) -> String {
        self.downloads.force.told(&self.config.downloads.wanted, &self.downloads.troubled)
    }

    /// Whether a sale is small enough to owe no PIN by tap: by the acquirer's word, and the settings' at most.
    pub(super) fn is_small(&self, request: &Authorise) -> bool {
        let bound = self.config.no_pin_limit;
        match (self.downloads.force.limits(), &request.instrument) {
            (Some(limits), Instrument::Chip(card)) => {
                limits.frees_pin(request.amount, bound, Some(&card.aid))
            }
            _ => request.amount.minor() <= bound,
        }
    }

    /// What the receipt of a tap says, where the acquirer says up to which amount it is not signed.
    pub(super) fn receipt_cvm(&self, request: &Authorise, card: &CardData) -> Cvm {
        match (self.downloads.force.limits(), &request.instrument) {
            (Some(limits), Instrument::Chip(chip)) if chip.contactless => {
                limits.receipt(request.amount, self.config.no_pin_limit, chip.cvm, card.cvm)
            }
            _ => card.cvm,
        }
    }
}

/// Its name in the store.
fn key(what: Download) -> String {
    format!("download.{what}")
}
