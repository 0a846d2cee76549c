//! Which inquiry is under way: one at a time, and how far it is. A book without calls.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use till_core::PaymentId;
use till_core::routing::{RouteHealth, RouteView};

/// Why an inquiry is given up before its request has left.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum GivenUp {
    /// Somebody stopped it.
    Stopped,
    /// A payment began: it comes first.
    PaymentBegan,
}

/// Numbers under which a request may leave: trace and batch.
pub(super) type Numbers = (u32, u32);

struct Open {
    number: u64,
    channel: String,
    owner: PaymentId,
    numbers: Option<Numbers>,
    given_up: Option<GivenUp>,
}

#[derive(Default)]
struct Book {
    last: u64,
    open: Option<Open>,
}

/// The book. What is in it is no payment, and nothing of it is kept.
#[derive(Clone, Default)]
pub(crate) struct Inquiries(Arc<Mutex<Book>>);

impl Inquiries {
    fn lock(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins one, under a number and a name that PIN pads know it by. None: another one is under way.
    pub(super) fn begin(&self, channel: &str) -> Option<Turn> {
        let mut book = self.lock();
        if book.open.is_some() {
            return None;
        }
        book.last += 1;
        let (number, owner) = (book.last, PaymentId(*uuid::Uuid::now_v7().as_bytes()));
        let channel = channel.to_owned();
        book.open = Some(Open { number, channel, owner, numbers: None, given_up: None });
        drop(book);
        Some(Turn { book: self.clone(), number, owner })
    }

    /// Whether one is under way.
    pub(crate) fn is_open(&self) -> bool {
        self.lock().open.is_some()
    }

    /// The journal has its trace number: it may leave. False: nobody waits for that any more.
    pub(crate) fn granted(&self, number: u64, numbers: Numbers) -> bool {
        let mut book = self.lock();
        let open = book.open.as_mut().filter(|open| open.number == number);
        open.map(|open| open.numbers = Some(numbers)).is_some()
    }

    /// The channels as they are while one of them is asked: nothing else begins on that one.
    pub(crate) fn asked(&self, mut routes: Vec<RouteView>) -> Vec<RouteView> {
        let book = self.lock();
        let open = book.open.as_ref().filter(|open| open.numbers.is_some());
        if let Some(view) = open.and_then(|open| routes.iter_mut().find(|r| r.id == open.channel)) {
            let reason =
                "a balance is being asked for, try again in a moment 正在查询余额，请稍后重试".into();
            view.health = RouteHealth::Failed { reason };
        }
        routes
    }

    /// Gives up what has not left yet. Its name at the pads; None: there is nothing to give up.
    pub(crate) fn give_up(&self, why: GivenUp) -> Option<PaymentId> {
        let mut book = self.lock();
        let open = book.open.as_mut().filter(|open| open.numbers.is_none())?;
        open.given_up.get_or_insert(why);
        Some(open.owner)
    }
}

/// One inquiry under way; dropping it ends it.
pub(super) struct Turn {
    book: Inquiries,
    pub(super) number: u64,
    pub(super) owner: PaymentId,
}

impl Turn {
    fn with<T>(&self, f: impl FnOnce(&mut Open) -> T) -> Option<T> {
        let mut book = self.book.lock();
        book.open.as_mut().filter(|open| open.number == self.number).map(f)
    }

    /// The numbers it was given.
    pub(super) fn numbers(&self) -> Option<Numbers> {
        self.with(|open| open.numbers).flatten()
    }

    /// Nothing has left under its numbers, and nothing will: they are not used again.
    pub(super) fn rest(&self) {
        self.with(|open| open.numbers = None);
    }

    /// Why it is not wanted any more.
    pub(super) fn given_up(&self) -> Option<GivenUp> {
        self.with(|open| open.given_up).flatten()
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut book = self.book.lock();
        book.open.take_if(|open| open.number == self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_one_at_a_time_and_only_it_hears_of_its_numbers() {
        let book = Inquiries::default();
        let first = book.begin("bank").unwrap();
        assert!(book.begin("bank").is_none());
        assert!(!book.granted(first.number + 1, (9, 1)) && first.numbers().is_none());
        assert!(book.granted(first.number, (7, 1)));
        assert_eq!(first.numbers(), Some((7, 1)));
        let late = first.number;
        drop(first);
        assert!(!book.is_open() && !book.granted(late, (8, 1)), "nobody waits for it");
        assert!(book.begin("bank").unwrap().number > late);
    }

    #[test]
    fn what_has_not_left_is_given_up_and_what_has_is_not() {
        let book = Inquiries::default();
        assert_eq!(book.give_up(GivenUp::Stopped), None);
        let turn = book.begin("bank").unwrap();
        assert_eq!(book.give_up(GivenUp::PaymentBegan), Some(turn.owner));
        book.give_up(GivenUp::Stopped);
        assert_eq!(turn.given_up(), Some(GivenUp::PaymentBegan), "the first word counts");
        drop(turn);
        let turn = book.begin("bank").unwrap();
        assert!(book.granted(turn.number, (7, 1)));
        assert_eq!((book.give_up(GivenUp::Stopped), turn.given_up()), (None, None));
        // Its card owes the PIN: it rests until that is typed.
        turn.rest();
        assert_eq!(book.give_up(GivenUp::Stopped), Some(turn.owner));
    }
}
