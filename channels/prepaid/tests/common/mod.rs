//! What the tests of the ledger share.
// Each test uses its part; what fails in a helper fails the test.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use std::sync::{Arc, Mutex};

use till_channel_prepaid::ledger::*;
use till_plugin::{Currency, Money};

pub const NOW: Clock = Clock { wall_ms: 1_767_323_045_000, trusted: true };
pub const YEAR_MS: i64 = 365 * 24 * 3_600_000;
pub const CHECK: Token = [9; 16];

pub const LIMITS: Limits = Limits {
    bearer_cap: 100_000,
    registered_cap: 500_000,
    number_cap: 500_000,
    uid_cap: 20_000,
    redeem_bearer: false,
};

pub fn cny(minor: i64) -> Money {
    Money::new(minor, Currency::CNY)
}

pub fn card(n: u8) -> Token {
    [n; 16]
}

pub const fn class(registered: bool, medium: Medium) -> Class {
    Class { registered, medium }
}

pub fn open<L: Log>(log: L) -> Ledger<L> {
    Ledger::open(log, Currency::CNY, LIMITS, CHECK, NOW).unwrap()
}

pub fn issue(key: &str, n: u8, registered: bool, amount: i64) -> Request {
    let class = class(registered, Medium::Number);
    let expires_ms = (!registered).then_some(NOW.wall_ms + 3 * YEAR_MS);
    let action = Action::Issue { card: card(n), class, last4: *b"0005", expires_ms, amount: cny(amount) };
    Request::new(key, action).by("alice")
}

pub fn load(key: &str, n: u8, amount: i64) -> Request {
    Request::new(key, Action::Load { card: card(n), amount: cny(amount) })
}

pub fn debit(key: &str, n: u8, amount: i64) -> Request {
    Request::new(key, Action::Debit { card: card(n), amount: cny(amount) })
}

pub fn refund(key: &str, of: &str, amount: i64) -> Request {
    Request::new(key, Action::Refund { of: of.into(), amount: cny(amount), card: None })
}

pub fn void(key: &str, of: &str) -> Request {
    Request::new(key, Action::Void { of: of.into(), card: None })
}

pub fn undo(of: &str) -> Request {
    Request::new("", Action::Undo { of: of.into() })
}

/// A ledger with card 1 holding so much.
pub fn with_balance(log: MemoryLog, registered: bool, amount: i64) -> Ledger<MemoryLog> {
    let mut ledger = open(log);
    ledger.submit(&issue("ISSUE1", 1, registered, amount), NOW).unwrap();
    ledger
}

pub fn refused<T: std::fmt::Debug>(result: Result<T, Failure>) -> &'static str {
    match result {
        Err(Failure::Refused(refusal)) => refusal.code(),
        other => panic!("not refused: {other:?}"),
    }
}

pub fn balance<L: Log>(ledger: &mut Ledger<L>, n: u8) -> i64 {
    ledger.card(&card(n)).unwrap().balance
}

/// What an append does.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Fails, and nothing is there.
    Lost,
    /// Fails, and the entry is there.
    Written,
    /// Fails, and the entry comes in after the next append.
    Late,
    /// Certainly nothing was written.
    Refused,
}

/// A log shared by several terminals, whose appends fail as told.
#[derive(Clone, Debug, Default)]
pub struct FaultLog {
    pub inner: MemoryLog,
    plan: Arc<Mutex<Vec<Fault>>>,
    late: Arc<Mutex<Vec<Vec<u8>>>>,
    rival: Arc<Mutex<Vec<Request>>>,
}

impl FaultLog {
    pub fn on(inner: MemoryLog) -> Self {
        Self { inner, ..Self::default() }
    }

    pub fn next_append(&self, fault: Fault) {
        self.plan.lock().unwrap().push(fault);
    }

    /// Before the next append, another terminal books this.
    pub fn rival_first(&self, request: Request) {
        self.rival.lock().unwrap().push(request);
    }

    /// What was cut off comes in.
    pub fn land(&self) {
        let late = std::mem::take(&mut *self.late.lock().unwrap());
        self.inner.tamper(|entries| entries.extend(late));
    }
}

impl Log for FaultLog {
    fn append(&mut self, bytes: &[u8]) -> Result<u64, LogError> {
        let rivals = std::mem::take(&mut *self.rival.lock().unwrap());
        for request in rivals {
            let _its_own_affair = open(self.inner.clone()).submit(&request, NOW);
        }
        let fault = self.plan.lock().unwrap().pop();
        let lost = Err(LogError::Append("test".into()));
        let result = match fault {
            None => self.inner.append(bytes),
            Some(Fault::Refused) => return Err(LogError::NotWritten("test".into())),
            Some(Fault::Lost) => return lost,
            Some(Fault::Written) => {
                self.inner.append(bytes)?;
                return lost;
            }
            Some(Fault::Late) => {
                self.late.lock().unwrap().push(bytes.to_vec());
                return lost;
            }
        };
        self.land();
        result
    }

    fn read(&mut self, after: u64, max: u32) -> Result<Vec<(u64, Vec<u8>)>, LogError> {
        self.inner.read(after, max)
    }
}
