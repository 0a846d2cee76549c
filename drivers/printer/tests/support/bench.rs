//! The spooler and the printer at one table, with a clock that is a number.

use super::Printer;
use till_driver_printer::encode::{self, Marks};
use till_driver_printer::job::{Event, Input, Job, State, Timing};
use till_driver_printer::profile::{Confirm, Overrides, Profile};
use till_driver_printer::spool::Spooler;
use till_plugin::document::{Block as Part, Document};

pub const STEP: u64 = 10;

pub struct Bench {
    pub now: u64,
    pub spooler: Spooler,
    pub printer: Printer,
    pub profile: Profile,
    pub events: Vec<Event>,
}

impl Bench {
    pub fn new(confirm: Confirm) -> Self {
        Self::with(confirm, false)
    }

    pub fn with(confirm: Confirm, xoff: bool) -> Self {
        let over = Overrides { confirm: Some(confirm), chunk_bytes: Some(100), ..Overrides::default() };
        let profile = Profile::built_in("generic-80").unwrap().with(&over).unwrap();
        let spooler = Spooler::new(profile.clone(), Timing::default(), xoff);
        Self { now: 1_000_000, spooler, printer: Printer::default(), profile, events: Vec::new() }
    }

    pub fn submit(&mut self, id: u64, document: &Document) {
        let atoms = encode::encode(&self.profile, document, Marks::default()).unwrap();
        self.spooler.submit(self.now, Job { id, atoms }).unwrap();
    }

    pub fn input(&mut self, input: Input<'_>) {
        let events = self.spooler.step(self.now, input);
        self.events.extend(events);
    }

    /// 10 ms: the printer prints (a line in 40 ms), its answers come in, bytes go out.
    pub fn step(&mut self) {
        self.now += STEP;
        if self.now.is_multiple_of(4 * STEP) {
            self.printer.work(self.now);
        }
        let replies = std::mem::take(&mut self.printer.replies);
        if !replies.is_empty() {
            self.input(Input::Bytes(&replies));
        }
        self.input(Input::Tick);
        let bytes = self.spooler.to_write().to_vec();
        let count = self.printer.take(&bytes);
        self.input(Input::Wrote(count));
    }

    /// Steps until `stop` holds, at most `ms`; whether it came to hold.
    pub fn until(&mut self, ms: u64, mut stop: impl FnMut(&Self) -> bool) -> bool {
        let end = self.now + ms;
        while self.now < end {
            if stop(self) {
                return true;
            }
            self.step();
        }
        stop(self)
    }

    pub fn states(&self, job: u64) -> Vec<&State> {
        let state = |event| match event {
            &Event::Job { id, ref state } if id == job => Some(state),
            _ => None,
        };
        self.events.iter().filter_map(state).collect()
    }

    pub fn last(&self, job: u64) -> Option<&State> {
        self.states(job).last().copied()
    }

    pub fn ended(&self, job: u64) -> bool {
        matches!(
            self.last(job),
            Some(State::Done(_) | State::Unconfirmed | State::Cancelled(_) | State::Failed { .. })
        )
    }
}

pub fn receipt(lines: usize) -> Document {
    let body = (0..lines).fold(Document::new(), |doc, n| doc.pair(format!("商品{n}"), format!("{n}.00")));
    body.with(Part::Cut)
}

pub fn body(lines: &[&str]) -> Vec<String> {
    lines.iter().filter(|line| line.starts_with("商品")).map(|line| (*line).to_owned()).collect()
}

pub fn whole(count: usize) -> Vec<String> {
    let left = |n: usize| format!("商品{n}");
    let right = |n: usize| format!("{n}.00");
    let columns = |s: &str| s.chars().map(|c| if c.is_ascii() { 1 } else { 2 }).sum::<usize>();
    let gap = |n: usize| " ".repeat(48 - columns(&left(n)) - columns(&right(n)));
    (0..count).map(|n| left(n) + &gap(n) + &right(n)).collect()
}
