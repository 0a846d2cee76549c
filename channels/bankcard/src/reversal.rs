//! Reversals (冲正, channels.md §1.6): built before the request leaves, sent when its outcome stays unknown.
//!
//! [`Armed`] is the complete 0400 but for its reason and MAC, which can only be known later. It holds the account number,
//! never a track or PIN block; the daemon seals its bytes before they reach the disk. Bounding the tries and parking what
//! stays open is the daemon's ([`till_plugin::channel::UndoRule`]); a reversal is never dropped here.

use crate::answers::Answer;
use crate::dialect::Dialect;
use crate::message::Message;
use crate::recovery::{self, RecoveryError};
use crate::tlv;
use till_plugin::channel::UndoReason;
use zeroize::Zeroizing;

/// Fields a reversal repeats from its original, when the original had them.
const REPEATED: [u8; 14] = [2, 3, 4, 11, 14, 22, 23, 25, 38, 41, 42, 49, 60, 61];
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

    /// As bytes for the journal ([`recovery`]).
    pub fn to_bytes(&self) -> Result<Zeroizing<Vec<u8>>, RecoveryError> {
        recovery::to_bytes(&self.0)
    }

    /// Reads what [`Armed::to_bytes`] wrote.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, RecoveryError> {
        recovery::from_bytes(bytes).and_then(Self::try_from)
    }

    /// What it is the reversal of, field by field.
    pub fn original(&self) -> &Message {
        &self.0
    }
}

impl TryFrom<Message> for Armed {
    type Error = RecoveryError;

    fn try_from(message: Message) -> Result<Self, RecoveryError> {
        let own = message.iter().all(|(number, _)| REPEATED.contains(&number) || number == 55);
        if message.mti_bytes() == *b"0400" && own { Ok(Self(message)) } else { Err(RecoveryError::Damaged) }
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
    fn c03_neither_track_nor_pin_block_nor_cryptogram_is_kept_for_later() {
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
