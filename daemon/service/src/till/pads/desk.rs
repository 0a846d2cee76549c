//! Who waits for a PIN at which pad: a book without calls and without time.
//!
//! The contract gives each request exactly one `Pin` event and no number. So a request that was given up leaves its pad in debt:
//! what it says next is nobody's, and until it has said it nobody else is let to it.

use std::collections::BTreeMap;

use till_core::PaymentId;
use till_plugin::Sensitive;
use tokio::sync::oneshot;

/// An enciphered PIN block. Wiped when it is dropped, never shown.
#[derive(Debug)]
pub(crate) struct Entered {
    pub block: Sensitive<Vec<u8>>,
    pub ksn: Vec<u8>,
}

/// Why there is no PIN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NoPin {
    /// No pad works.
    NoPad,
    /// Every pad still owes the end of something earlier.
    Busy,
    /// The customer gave up, or did nothing.
    NotEntered,
    /// The payment was cancelled meanwhile.
    Cancelled,
    /// The pad said nothing in time.
    Silent,
    /// It went away while it was asked.
    Gone,
    /// It could not do it, in its own words.
    Fault(String),
    /// It read something, as a keyboard does: whatever that is, it is no PIN pad.
    Digits,
}

/// What becomes of something that was read.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Read {
    /// No PIN is being entered.
    Passes,
    /// It is nobody's.
    Dropped,
    /// The pad itself read it, and is cut off until its process is a new one.
    FromThePad,
}

/// What a request came to.
pub(super) type End = Result<Entered, NoPin>;

/// One request at a pad.
pub(super) struct Turn<D> {
    /// No other turn has it.
    pub number: u64,
    /// The pad.
    pub id: String,
    pub device: D,
    /// Its end; closed when the pad went away.
    pub end: oneshot::Receiver<End>,
}

struct Open {
    number: u64,
    payment: PaymentId,
    /// The pad was told: it owes an event.
    told: bool,
    trouble: Option<String>,
    end: oneshot::Sender<End>,
}

struct Pad<D> {
    device: D,
    works: bool,
    /// It read something while it was asked: this process is not asked any more.
    cut_off: bool,
    /// The turn that was given up and whose event is still to come.
    owes: Option<u64>,
    open: Option<Open>,
}

impl<D> Pad<D> {
    /// Ends the open request without waiting for the pad.
    fn give_up(&mut self, why: NoPin) {
        if let Some(open) = self.open.take() {
            self.owes = open.told.then_some(open.number);
            // Whoever waited may have left by itself.
            let _left = open.end.send(Err(why));
        }
    }
}

/// The book.
pub(super) struct Desk<D> {
    pads: BTreeMap<String, Pad<D>>,
    turns: u64,
    /// There was one since the start.
    ever: bool,
}

impl<D> Default for Desk<D> {
    fn default() -> Self {
        Self { pads: BTreeMap::new(), turns: 0, ever: false }
    }
}

impl<D: Clone> Desk<D> {
    /// A pad takes calls. One that was there before is another process now and owes nothing.
    pub(super) fn up(&mut self, id: &str, device: D) {
        self.ever = true;
        self.pads.insert(id.to_owned(), Pad { device, works: true, cut_off: false, owes: None, open: None });
    }

    /// It does not any more; whoever waits there hears of it.
    pub(super) fn down(&mut self, id: &str) {
        if let Some(mut pad) = self.pads.remove(id) {
            pad.give_up(NoPin::Gone);
        }
    }

    /// It says whether it works.
    pub(super) fn works(&mut self, id: &str, works: bool) {
        if let Some(pad) = self.pads.get_mut(id) {
            pad.works = works;
        }
    }

    /// Whether one could be asked, now or in a moment.
    pub(super) fn has_pad(&self) -> bool {
        self.pads.values().any(|pad| pad.works && !pad.cut_off)
    }

    /// Whether this till has a pad, be it unplugged now: pulling its cable is no way around a PIN.
    pub(super) fn ever_had(&self) -> bool {
        self.ever
    }

    /// Takes a free pad for a payment.
    pub(super) fn take(&mut self, payment: PaymentId) -> Result<Turn<D>, NoPin> {
        if !self.has_pad() {
            return Err(NoPin::NoPad);
        }
        let free = |pad: &Pad<D>| pad.works && !pad.cut_off && pad.owes.is_none() && pad.open.is_none();
        let (id, pad) = self.pads.iter_mut().find(|(_, pad)| free(pad)).ok_or(NoPin::Busy)?;
        self.turns += 1;
        let (sender, end) = oneshot::channel();
        pad.open = Some(Open { number: self.turns, payment, told: false, trouble: None, end: sender });
        Ok(Turn { number: self.turns, id: id.clone(), device: pad.device.clone(), end })
    }

    /// Those that owe the end of a request.
    pub(super) fn debtors(&self) -> Vec<(String, D)> {
        let owing = self.pads.iter().filter(|(_, pad)| pad.owes.is_some());
        owing.map(|(id, pad)| (id.clone(), pad.device.clone())).collect()
    }

    fn pad_of(&mut self, turn: u64) -> Option<&mut Pad<D>> {
        self.pads.values_mut().find(|pad| pad.open.as_ref().is_some_and(|open| open.number == turn))
    }

    /// The pad is about to be told; false: the turn is over already.
    pub(super) fn tell(&mut self, turn: u64) -> bool {
        let open = self.pad_of(turn).and_then(|pad| pad.open.as_mut());
        open.map(|open| open.told = true).is_some()
    }

    /// The pad's driver refused. `surely`: it has not begun, so it owes nothing.
    pub(super) fn refused(&mut self, turn: u64, surely: bool) {
        if let Some(pad) = self.pad_of(turn) {
            pad.open = None;
            pad.owes = (!surely).then_some(turn);
        } else if let Some(pad) = self.pads.values_mut().find(|pad| surely && pad.owes == Some(turn)) {
            pad.owes = None;
        }
    }

    /// Nobody waits for this turn any more.
    pub(super) fn leave(&mut self, turn: u64, why: NoPin) {
        if let Some(pad) = self.pad_of(turn) {
            pad.give_up(why);
        }
    }

    /// A payment is not wanted any more.
    pub(super) fn stop(&mut self, payment: PaymentId) {
        let ours = |pad: &&mut Pad<D>| pad.open.as_ref().is_some_and(|open| open.payment == payment);
        self.pads.values_mut().filter(ours).for_each(|pad| pad.give_up(NoPin::Cancelled));
    }

    /// A pad's one event of a request.
    pub(super) fn said(&mut self, id: &str, block: Option<Sensitive<Vec<u8>>>, ksn: Vec<u8>) {
        let Some(pad) = self.pads.get_mut(id) else { return };
        if pad.owes.take().is_some() {
            return;
        }
        let Some(open) = pad.open.take_if(|open| open.told) else { return };
        let end = match block {
            // One block of DES or of AES, and a serial number of X9.24.
            Some(block) if matches!(block.expose().len(), 8 | 16) && ksn.len() <= 12 => {
                Ok(Entered { block, ksn })
            }
            Some(_) => Err(NoPin::Fault("it sent no PIN block".into())),
            None => Err(open.trouble.map_or(NoPin::NotEntered, NoPin::Fault)),
        };
        let _left = open.end.send(end);
    }

    /// A pad says what is wrong; the end of its request follows.
    pub(super) fn trouble(&mut self, id: &str, text: String) {
        if let Some(open) = self.pads.get_mut(id).and_then(|pad| pad.open.as_mut()) {
            open.trouble = Some(text);
        }
    }

    /// Some device read something: whether that is nobody's, because a PIN is being entered. A pad that reads then is none.
    pub(super) fn read(&mut self, id: &str) -> Read {
        // What a pad reads while it owes an end, or once it was cut off, is no more a card than what it read while it was asked.
        if let Some(pad) = self.pads.get_mut(id).filter(|pad| pad.cut_off || pad.owes.is_some()) {
            pad.cut_off = true;
            return Read::FromThePad;
        }
        if !self.pads.values().any(|pad| pad.open.is_some()) {
            return Read::Passes;
        }
        match self.pads.get_mut(id).filter(|pad| pad.open.is_some()) {
            Some(pad) => {
                pad.give_up(NoPin::Digits);
                pad.cut_off = true;
                Read::FromThePad
            }
            None => Read::Dropped,
        }
    }
}
