//! Reversals (冲正, channels.md §1.6): built before the request leaves, sent when its outcome stays unknown.
//!
//! [`Armed`] is the complete 0400 but for its reason and MAC, which can only be known later. It holds the account number,
//! never a track or PIN block; the daemon seals its bytes before they reach the disk. Bounding the tries and parking what
//! stays open is the daemon's ([`till_plugin::channel::UndoRule`]); a reversal is never dropped here.

use crate::answers::Answer;
use crate::dialect::Dialect;
use crate::message::Message;
use crate::tlv;
use till_plugin::channel::UndoReason;
use zeroize::Zeroizing;

/// Fields a reversal repeats from its original, when the original had them.
const REPEATED: [u8; 14] = [2, 3, 4, 11, 14, 22, 23, 25, 38, 41, 42, 49, 60, 61];
const VERSION: u8 = 1;
const MAX_BYTES: usize = 2048;

/// Why stored recovery data is not usable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RecoveryError {
    /// Not written by this channel, or damaged.
    #[error("the recovery data of this payment is not readable: settle it with the acquirer by hand")]
    Damaged,
    /// The original's chip data is not TLV.
    #[error("the chip data of the request is not readable")]
    Chip,
    /// Longer than the daemon stores.
    #[error("the reversal would be longer than can be stored")]
    TooLong,
}

/// A reversal that is ready to be sent but for reason and MAC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Armed(Message);

impl Armed {
    /// From the request whose outcome may become unknown.
    pub fn for_request(dialect: &Dialect, request: &Message) -> Result<Self, RecoveryError> {
        let mut message = Message::new(*b"0400");
        for number in REPEATED {
            if let Some(value) = request.get(number) {
                message.set(number, value);
            }
        }
        // A request that names the card by its track alone still needs the number in its reversal.
        if message.get(2).is_none() {
            let pan = request.text(35).and_then(|track| track.split('=').next());
            if let Some(pan) = pan {
                message.set(2, pan);
            }
        }
        if let Some(chip) = request.get(55) {
            let kept = tlv::choose(chip, &dialect.reversal.keep_emv_tags).ok_or(RecoveryError::Chip)?;
            message.set_unless_empty(55, kept);
        }
        Ok(Self(message))
    }

    /// The trace of the original.
    pub fn trace(&self) -> Option<&str> {
        self.0.text(11)
    }

    /// The amount of the original, twelve digits.
    pub fn amount(&self) -> Option<&str> {
        self.0.text(4)
    }

    /// The 0400 for a reason, without MAC.
    pub fn message(&self, dialect: &Dialect, reason: &str) -> Result<Message, RecoveryError> {
        let mut message = self.0.clone();
        message.set(39, reason);
        if let Some(chip) = self.0.get(55) {
            let counter = !dialect.reversal.drop_counter_for.iter().any(|known| known == reason);
            let tags: Vec<String> = dialect
                .reversal
                .keep_emv_tags
                .iter()
                .filter(|tag| counter || *tag != "9F36")
                .cloned()
                .collect();
            let kept = tlv::choose(chip, &tags).ok_or(RecoveryError::Damaged)?;
            message.remove(55);
            message.set_unless_empty(55, kept);
        }
        Ok(message)
    }

    /// As bytes for the journal: version, type, field count, then number, length (two bytes, big-endian) and value of each field.
    /// Independent of the dialect, so that a changed setting cannot orphan a reversal.
    pub fn to_bytes(&self) -> Result<Zeroizing<Vec<u8>>, RecoveryError> {
        let mut out = Zeroizing::new(Vec::with_capacity(MAX_BYTES));
        out.push(VERSION);
        out.extend_from_slice(&self.0.mti_bytes());
        out.push(u8::try_from(self.0.iter().count()).map_err(|_| RecoveryError::TooLong)?);
        for (number, value) in self.0.iter() {
            let length = u16::try_from(value.len()).map_err(|_| RecoveryError::TooLong)?;
            if out.len() + 3 + value.len() > MAX_BYTES {
                return Err(RecoveryError::TooLong);
            }
            out.push(number);
            out.extend_from_slice(&length.to_be_bytes());
            out.extend_from_slice(value);
        }
        Ok(out)
    }

    /// Reads what [`Armed::to_bytes`] wrote.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, RecoveryError> {
        let damaged = RecoveryError::Damaged;
        let (head, mut rest) = bytes.split_at_checked(6).ok_or(damaged)?;
        let mti: [u8; 4] = head[1..5].try_into().map_err(|_| damaged)?;
        if head[0] != VERSION || mti != *b"0400" {
            return Err(damaged);
        }
        let mut message = Message::new(mti);
        while !rest.is_empty() {
            let (head, after) = rest.split_at_checked(3).ok_or(damaged)?;
            let length = usize::from(u16::from_be_bytes([head[1], head[2]]));
            let (value, after) = after.split_at_checked(length).ok_or(damaged)?;
            let known = REPEATED.contains(&head[0]) || head[0] == 55;
            if !known || message.get(head[0]).is_some() {
                return Err(damaged);
            }
            message.set(head[0], value);
            rest = after;
        }
        let counted = message.iter().count() == usize::from(head[5]);
        let whole = [3, 4, 11, 41, 42].iter().all(|number| message.get(*number).is_some());
        if counted && whole { Ok(Self(message)) } else { Err(damaged) }
    }
}

/// Field 39 of a 0400.
pub fn reason_code(reason: UndoReason) -> &'static str {
    match reason {
        UndoReason::NoAnswer => "98",
        UndoReason::BadSeal => "A0",
        // The reply came, but the terminal could not, or was told not to, finish.
        _ => "06",
    }
}

/// What a verified 0410 says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finished {
    /// The original was booked and is undone.
    Undone,
    /// The host had nothing to undo.
    NeverExisted,
    /// Not finished: keep the reversal and send it again.
    Kept,
}

/// Whether a verified answer finishes the reversal.
pub fn finished(dialect: &Dialect, answer: &Answer) -> Finished {
    match answer.code.as_str() {
        code if !dialect.reversal.done.iter().any(|done| done == code) => Finished::Kept,
        "00" => Finished::Undone,
        _ => Finished::NeverExisted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::CUP;

    fn request() -> Message {
        let mut request = Message::new(*b"0200");
        let chip = "9F260811223344556677889F101307010103A0A802010A010000000000D1B2C3D49F3602001295050000000000\
                    9F1E083132333435363738";
        request
            .set(2, "6200000000000005")
            .set(3, "000000")
            .set(4, "000000001234")
            .set(11, "000002")
            .set(22, "072");
        request.set(25, "00").set(35, "6200000000000005=29122010000000000").set(41, "12345678");
        request.set(42, "123456789012345").set(49, "156").set(52, [9; 8]).set(53, "2600000000000000");
        request.set(60, "2200001200060").set(55, hex::decode(chip).unwrap());
        request
    }

    #[test]
    fn neither_track_nor_pin_block_nor_cryptogram_is_kept_for_later() {
        let dialect = Dialect::parse(CUP).unwrap();
        let bytes = Armed::for_request(&dialect, &request()).unwrap().to_bytes().unwrap();
        let found = |needle: &[u8]| bytes.windows(needle.len()).any(|window| window == needle);
        assert!(found(b"6200000000000005") && !found(b"=2912") && !found(b"29122010000000000"));
        assert!(!found(&[9; 8]) && !found(&hex::decode("1122334455667788").unwrap()));
    }

    #[test]
    fn it_comes_back_from_the_journal_as_it_was() {
        let dialect = Dialect::parse(CUP).unwrap();
        let armed = Armed::for_request(&dialect, &request()).unwrap();
        assert_eq!(Armed::from_bytes(&armed.to_bytes().unwrap()).unwrap(), armed);
    }

    #[test]
    fn the_counter_is_left_out_when_nothing_or_a_bad_mac_came_back() {
        let dialect = Dialect::parse(CUP).unwrap();
        let armed = Armed::for_request(&dialect, &request()).unwrap();
        for (reason, counter) in [("98", false), ("A0", false), ("06", true)] {
            let message = armed.message(&dialect, reason).unwrap();
            assert_eq!(message.text(39), Some(reason));
            assert_eq!(tlv::find(message.get(55).unwrap(), &[0x9F, 0x36]).is_some(), counter, "{reason}");
        }
    }

    #[test]
    fn the_account_number_is_there_even_if_the_request_sent_the_track_only() {
        let dialect = Dialect::parse(CUP).unwrap();
        let mut bare = request();
        bare.remove(2);
        let armed = Armed::for_request(&dialect, &bare).unwrap();
        assert_eq!(armed.message(&dialect, "98").unwrap().text(2), Some("6200000000000005"));
    }

    #[test]
    fn damaged_bytes_are_refused_at_every_cut_and_never_half_read() {
        let dialect = Dialect::parse(CUP).unwrap();
        let bytes = Armed::for_request(&dialect, &request()).unwrap().to_bytes().unwrap();
        for cut in 0..bytes.len() {
            assert_eq!(Armed::from_bytes(&bytes[..cut]), Err(RecoveryError::Damaged), "cut at {cut}");
        }
        let mut newer = bytes.to_vec();
        newer[0] = 2;
        assert_eq!(Armed::from_bytes(&newer), Err(RecoveryError::Damaged));
        let mut sneaked = bytes.to_vec();
        sneaked[5] += 1;
        sneaked.extend_from_slice(&[35, 0, 1, b'6']);
        assert_eq!(Armed::from_bytes(&sneaked), Err(RecoveryError::Damaged));
        assert_eq!(Armed::from_bytes(&[]), Err(RecoveryError::Damaged));
    }
}
