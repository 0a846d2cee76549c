//! One request and its reply on one short connection.

use crate::answers::{self, Answer, Verdict};
use crate::codec;
use crate::dialect::Dialect;
use crate::framing::{self, FrameReader};
use crate::link::{Dialer, Received};
use crate::link_key::LinkKey;
use crate::mac;
use crate::message::Message;
use std::time::{Duration, Instant};
use zeroize::{Zeroize, Zeroizing};

/// How often a waiting exchange looks whether its call was cancelled.
const SLICE: Duration = Duration::from_millis(100);

/// What became of a request. Texts are for people and hold no card data.
#[derive(Debug)]
pub enum Exchanged {
    /// No byte of it left this machine.
    NotSent(String),
    /// It may have left, and no reply that counts came before the deadline.
    NoAnswer(String),
    /// The connection broke after the first byte.
    Broken(String),
    /// Something came that is not a message of this dialect.
    Garbage(String),
    /// A reply to it came with a wrong or missing MAC.
    BadSeal,
    /// A reply to it came, with a right MAC, that speaks of something else in this field.
    Mismatch(u8),
    /// A reply that may be believed.
    Answer(Box<Answer>),
}

/// What an exchange needs beside its request.
pub struct Way<'a> {
    /// How the acquirer speaks.
    pub dialect: &'a Dialect,
    /// How to connect.
    pub dialer: &'a dyn Dialer,
    /// The key requests of a signed type are signed with.
    pub mak: Option<&'a LinkKey>,
    /// When the whole exchange must be over.
    pub until: Instant,
    /// Whether the caller gave up.
    pub cancelled: &'a dyn Fn() -> bool,
}

impl Way<'_> {
    /// Signs `request` where its type asks for it, sends it, and waits for its reply.
    pub fn exchange(&self, request: &Message) -> Exchanged {
        let frame = match self.sealed(request) {
            Ok(frame) => frame,
            Err(why) => return Exchanged::NotSent(why),
        };
        if (self.cancelled)() {
            return Exchanged::NotSent("the call was cancelled before anything was sent".into());
        }
        let timing = self.dialect.timing;
        let connect_by = self.until.min(Instant::now() + timing.connect);
        let mut line = match self.dialer.dial(connect_by) {
            Ok(line) => line,
            Err(error) => return Exchanged::NotSent(error.to_string()),
        };
        if (self.cancelled)() {
            return Exchanged::NotSent("the call was cancelled before anything was sent".into());
        }
        let answer_by = self.until.min(Instant::now() + timing.answer);
        if let Err(error) = line.send(&frame, answer_by) {
            return match error.written {
                0 => Exchanged::NotSent(error.to_string()),
                _ => Exchanged::Broken(error.to_string()),
            };
        }
        let mut reader = FrameReader::new(self.dialect);
        let mut buffer = Zeroizing::new([0; 1024]);
        let mut aside = Aside::default();
        loop {
            let now = Instant::now();
            if now >= answer_by {
                return Exchanged::NoAnswer(aside.told("no answer in time"));
            }
            if (self.cancelled)() {
                return Exchanged::NoAnswer(aside.told("cancelled while waiting for the answer"));
            }
            let broken = match line.receive(buffer.as_mut_slice(), answer_by.min(now + SLICE)) {
                Received::Nothing => continue,
                Received::Bytes(count) => {
                    let pushed = reader.push(buffer.get(..count).unwrap_or_default());
                    buffer.zeroize();
                    pushed.err().map(|error| Exchanged::Garbage(error.to_string()))
                }
                Received::Closed(what) => Some(Exchanged::Broken(aside.told(&what))),
            };
            // Whole frames that came before a broken end still count.
            while let Some(payload) = reader.next_payload() {
                match answers::judge(self.dialect, self.mak, request, &payload) {
                    Verdict::Stray(field) => aside.note(field),
                    Verdict::Garbage(error) => return Exchanged::Garbage(error.to_string()),
                    Verdict::BadSeal => return Exchanged::BadSeal,
                    Verdict::Mismatch(field) => return Exchanged::Mismatch(field),
                    Verdict::Answer(answer) => return Exchanged::Answer(Box::new(answer)),
                }
            }
            if let Some(end) = broken {
                return end;
            }
        }
    }

    fn sealed(&self, request: &Message) -> Result<Zeroizing<Vec<u8>>, String> {
        let mut message = request.clone();
        if self.dialect.signs_request(message.mti()) {
            let key = self.mak.ok_or("the terminal is not signed in")?;
            message.set(64, [0; 8]);
            let encoded = codec::encode_checked(self.dialect, &message).map_err(|error| error.to_string())?;
            let covered = mac::covered(self.dialect, &encoded.layout, &encoded.payload);
            let seal = mac::field64(self.dialect, key, &covered).map_err(|error| error.to_string())?;
            message.set(64, seal);
        }
        let payload = codec::encode(self.dialect, &message).map_err(|error| error.to_string())?;
        framing::frame(self.dialect, &payload).map_err(|error| error.to_string())
    }
}

/// Replies to other requests that were put aside.
#[derive(Default)]
struct Aside {
    count: u32,
    field: u8,
}

impl Aside {
    fn note(&mut self, field: u8) {
        self.count = self.count.saturating_add(1);
        self.field = field;
    }

    fn told(&self, what: &str) -> String {
        match self.count {
            0 => what.to_owned(),
            count => {
                format!("{what} ({count} replies to other requests were put aside, by field {})", self.field)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::CUP;
    use crate::link::{DialError, Line, SendError};
    use crate::tdes::DesKey;

    /// A line that takes this many bytes and then breaks.
    #[derive(Clone, Copy)]
    struct Takes(usize);

    impl Dialer for Takes {
        fn dial(&self, _: Instant) -> Result<Box<dyn Line>, DialError> {
            Ok(Box::new(*self))
        }
    }

    impl Line for Takes {
        fn send(&mut self, bytes: &[u8], _: Instant) -> Result<(), SendError> {
            if self.0 >= bytes.len() {
                Ok(())
            } else {
                Err(SendError { written: self.0, what: "it broke".into() })
            }
        }
        fn receive(&mut self, _: &mut [u8], _: Instant) -> Received {
            Received::Closed("it broke".into())
        }
    }

    fn sent_over(line: Takes) -> Exchanged {
        let dialect = Dialect::parse(CUP).unwrap();
        let mak = LinkKey::from(DesKey::new(&[7; 8]).unwrap());
        let way = Way {
            dialect: &dialect,
            dialer: &line,
            mak: Some(&mak),
            until: Instant::now() + Duration::from_mins(1),
            cancelled: &|| false,
        };
        let mut request = Message::new(*b"0200");
        request.set(11, "000002");
        way.exchange(&request)
    }

    /// Policy case rev-partial-write: one byte out is as unknown as all of them.
    #[test]
    fn only_a_send_that_took_no_byte_at_all_is_not_sent() {
        assert!(matches!(sent_over(Takes(0)), Exchanged::NotSent(_)));
        assert!(matches!(sent_over(Takes(1)), Exchanged::Broken(_)));
        assert!(matches!(sent_over(Takes(30)), Exchanged::Broken(_)));
        assert!(matches!(sent_over(Takes(1000)), Exchanged::Broken(_)));
    }
}
