//! What the daemon and its plugin hosts tell the world, read from their own system calls: D-Bus messages to clients,
//! requests to networks.
//!
//! Each promise is numbered; [`Promises::told`] says what it was. A promise counts from the moment the call that sends
//! it began: stricter than any client could be.

use std::collections::HashMap;

use till_powercut::recorder::{Sent, Witness};

/// One thing that was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// A client: payment (hex) changed its state, by record `seq`.
    State {
        /// Payment, hex.
        payment: String,
        /// The state it was told.
        state: String,
        /// The record.
        seq: u64,
    },
    /// A client: this payment was opened.
    Opened(String),
    /// The wallet's gateway: this order number.
    Order(String),
    /// The acquirer: a request that moves or settles money, with this trace number.
    Trace(u32),
    /// A client: a batch is in this state (open, frozen, closed).
    Batch {
        /// Its number.
        number: u32,
        /// State.
        state: String,
    },
}

/// Who counts records: [`Ack::thread`](till_powercut::Ack) of a promise that is one of [`Promises::told`].
pub const RECORDS: u64 = 0;
/// Who counts epochs of the keyring: everything below the count was told to be destroyed.
pub const SHREDDED: u64 = 1;

#[derive(Default)]
enum Stream {
    #[default]
    Fresh,
    /// D-Bus before `BEGIN`.
    Greeting(Vec<u8>),
    Bus(Vec<u8>),
    Other,
}

/// Collects promises.
#[derive(Default)]
pub struct Promises {
    streams: HashMap<String, Stream>,
    /// In order; promise `n` of the recording is `told[n - 1]`.
    pub told: Vec<Told>,
}

impl Witness for Promises {
    fn heard(&mut self, sent: &Sent<'_>) -> Vec<(u64, u64)> {
        if sent.fd == 2 && sent.target.starts_with("pipe:") {
            return shredded(sent.bytes).map(|below| (SHREDDED, below)).collect();
        }
        if !sent.target.starts_with("socket:") {
            return Vec::new();
        }
        let before = self.told.len();
        let stream = self.streams.entry(sent.target.to_owned()).or_default();
        match stream {
            Stream::Fresh if sent.bytes.starts_with(b"\0AUTH") || sent.bytes == b"\0" => {
                *stream = Stream::Greeting(sent.bytes.to_vec());
            }
            Stream::Fresh | Stream::Other => {
                *stream = Stream::Other;
                self.told.extend(order(sent.bytes));
                self.told.extend(trace(sent.bytes));
            }
            Stream::Greeting(bytes) | Stream::Bus(bytes) => bytes.extend_from_slice(sent.bytes),
        }
        if let Stream::Greeting(bytes) = stream
            && let Some(at) = find(bytes, b"BEGIN\r\n")
        {
            *stream = Stream::Bus(bytes.split_off(at + 7));
        }
        if let Stream::Bus(bytes) = stream {
            while let Some(len) = message_len(bytes) {
                let rest = bytes.split_off(len);
                self.told.extend(read(bytes));
                *bytes = rest;
            }
        }
        (before..self.told.len()).map(|at| (RECORDS, at as u64 + 1)).collect()
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|w| w == what)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<usize> {
    let four: [u8; 4] = bytes.get(at..at + 4)?.try_into().ok()?;
    usize::try_from(u32::from_le_bytes(four)).ok()
}

const fn align(at: usize, to: usize) -> usize {
    at.next_multiple_of(to)
}

/// Length of the first whole message (D-Bus specification, "Message Format"); ours are little endian.
fn message_len(bytes: &[u8]) -> Option<usize> {
    let len = align(16 + u32_at(bytes, 12)?, 8) + u32_at(bytes, 4)?;
    (bytes.len() >= len).then_some(len)
}

/// A text at `at` and the offset behind it.
fn text(bytes: &[u8], at: usize) -> Option<(String, usize)> {
    let at = align(at, 4);
    let end = at + 4 + u32_at(bytes, at)?;
    Some((String::from_utf8_lossy(bytes.get(at + 4..end)?).into_owned(), end + 1))
}

fn read(message: &[u8]) -> Option<Told> {
    const SIGNAL: u8 = 4;
    const RETURN: u8 = 2;
    let fields_end = 16 + u32_at(message, 12)?;
    let mut fields: HashMap<u8, String> = HashMap::new();
    let mut at = 16;
    while at < fields_end {
        at = align(at, 8);
        let (code, signature) = (*message.get(at)?, *message.get(at + 2)?);
        at = match signature {
            b's' | b'o' => {
                let (value, end) = text(message, at + 4)?;
                fields.insert(code, value);
                end
            }
            b'g' => {
                let len = usize::from(*message.get(at + 4)?);
                let value = message.get(at + 5..at + 5 + len)?;
                fields.insert(code, String::from_utf8_lossy(value).into_owned());
                at + 6 + len
            }
            _ => align(at + 4, 4) + 4,
        };
    }
    let body = message.get(align(fields_end, 8)..)?;
    let field = |code| fields.get(&code).map(String::as_str);
    let payment = |path: &str| path.rsplit_once("/payment/p").map(|(_, id)| id.to_owned());
    match (*message.get(1)?, field(2), field(3), field(8)) {
        (SIGNAL, Some("org.tilld.Payment1"), Some("StateChanged"), Some("ssst")) => {
            let (_old, at) = text(body, 0)?;
            let (state, at) = text(body, at)?;
            let (_reason, at) = text(body, at)?;
            let at = align(at, 8);
            let seq = u64::from_le_bytes(body.get(at..at + 8)?.try_into().ok()?);
            Some(Told::State { payment: payment(field(1)?)?, state, seq })
        }
        (SIGNAL, Some("org.tilld.Settlement1"), Some("BatchChanged"), Some("us")) => {
            let number = u32::try_from(u32_at(body, 0)?).ok()?;
            Some(Told::Batch { number, state: text(body, 4)?.0 })
        }
        // What was paid and given back, and the record that makes it true.
        (SIGNAL, Some("org.freedesktop.DBus.Properties"), Some("PropertiesChanged"), _) => {
            let payment = payment(field(1)?)?;
            let key = b"\x03\0\0\0Seq\0\x01t\0";
            let at = align(find(body, key)? + key.len(), 8);
            let seq = u64::from_le_bytes(body.get(at..at + 8)?.try_into().ok()?);
            (seq > 0).then_some(Told::State { payment, state: "properties".into(), seq })
        }
        (RETURN, _, _, Some("o")) => Some(Told::Opened(payment(&text(body, 0)?.0)?)),
        _ => None,
    }
}

/// Log lines that tell of destroyed keys: the epoch below which nothing opens any more.
fn shredded(bytes: &[u8]) -> impl Iterator<Item = u64> {
    let text = String::from_utf8_lossy(bytes).into_owned();
    let below = |line: &str| {
        let fields = line.split_once("of closed batches is destroyed")?.1;
        fields.split_whitespace().find_map(|f| f.strip_prefix("epoch=")?.parse().ok())
    };
    text.lines().filter_map(below).collect::<Vec<u64>>().into_iter()
}

/// An order number in a wallet's HTTP request, whatever its encoding; of a refund its own, not that of the payment.
fn order(bytes: &[u8]) -> Option<Told> {
    if !bytes.starts_with(b"POST ") && !bytes.starts_with(b"GET ") && find(bytes, b"biz_content").is_none() {
        return None;
    }
    let after = [b"out_request_no".as_slice(), b"out_trade_no"]
        .into_iter()
        .find_map(|name| bytes.get(find(bytes, name)? + name.len()..))?;
    // Quotes and the colon, plain or percent-encoded, stand before the number.
    let mut at = 0;
    loop {
        match after.get(at)? {
            b'%' => at += 3,
            b'"' | b':' | b' ' | b'=' | b'\\' => at += 1,
            _ => break,
        }
    }
    let number: Vec<u8> = after[at..].iter().copied().take_while(u8::is_ascii_alphanumeric).collect();
    (number.len() >= 8).then(|| Told::Order(String::from_utf8_lossy(&number).into_owned()))
}

/// The trace number of a request to an acquirer: length, TPDU, header, MTI 0200 (sale, void), 0220 (refund) or 0500
/// (settlement), bitmap, fields 2, 3, 4, 11 in BCD (ISO 8583:1987; Q/CUP 009.1).
fn trace(bytes: &[u8]) -> Option<Told> {
    let mti = [[0x02, 0x00], [0x02, 0x20], [0x05, 0x00]];
    if bytes.get(2) != Some(&0x60) || !mti.iter().any(|mti| bytes.get(13..15) == Some(mti)) {
        return None;
    }
    let has =
        |field: usize| bytes.get(15 + (field - 1) / 8).is_some_and(|b| b & (0x80 >> ((field - 1) % 8)) != 0);
    let mut at = 23;
    if has(2) {
        let digits = bytes.get(at)?;
        at += 1 + usize::from((digits >> 4) * 10 + (digits & 15)).div_ceil(2);
    }
    for (field, len) in [(3, 3), (4, 6), (7, 5), (5, 6), (6, 6)] {
        if has(field) {
            at += len;
        }
    }
    let digits = has(11).then(|| bytes.get(at..at + 3))??;
    let number = digits.iter().fold(0, |n, b| n * 100 + u32::from(b >> 4) * 10 + u32::from(b & 15));
    Some(Told::Trace(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_number_is_found_plain_and_percent_encoded() {
        let plain = br#"POST /gateway.do HTTP/1.1 biz_content={"out_trade_no":"T100000012345678"}"#;
        assert_eq!(order(plain), Some(Told::Order("T100000012345678".into())));
        let refund = br#"POST / biz_content={"out_request_no":"T200000012345678","out_trade_no":"T1"}"#;
        assert_eq!(order(refund), Some(Told::Order("T200000012345678".into())));
        let encoded = b"POST / biz_content=%7B%22out_trade_no%22%3A%22T100000012345678%22%7D";
        assert_eq!(order(encoded), Some(Told::Order("T100000012345678".into())));
    }

    #[test]
    fn what_the_log_says_of_destroyed_keys_is_a_promise() {
        let lines =
            b"2026-11-22T05:00:00Z  INFO sealed data of closed batches is destroyed below=2 epoch=3\n\
                      2026-11-22T05:00:00Z  WARN nothing is destroyed: epoch=9\n";
        assert_eq!(shredded(lines).collect::<Vec<_>>(), [3]);
    }
}
