//! What is kept of a request until its batch is closed: to reverse it, to repeat it, to tell it again at settlement.
//!
//! For a request that can be reversed it is the complete 0400 but for reason and MAC ([`Armed`]); for a notice (refund,
//! completion by notice) the notice itself. Both hold the account number and expiry, never a track, PIN block or
//! cryptogram, and the daemon seals their bytes.

use crate::dialect::Dialect;
use crate::message::Message;
use crate::reversal::Armed;
use till_plugin::Sensitive;
use zeroize::Zeroizing;

const VERSION: u8 = 1;
const MAX_BYTES: usize = 2048;
/// Fields kept of a notice.
const NOTICE: [u8; 16] = [2, 3, 4, 11, 14, 22, 23, 25, 37, 38, 41, 42, 49, 60, 61, 63];

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

/// What is kept of one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kept {
    /// Its reversal.
    Reversal(Armed),
    /// The notice itself: it is never reversed.
    Notice(Message),
}

impl Kept {
    /// Of a request that is about to leave.
    pub fn of(dialect: &Dialect, request: &Message) -> Result<Self, RecoveryError> {
        if request.mti_bytes() != *b"0220" {
            return Armed::for_request(dialect, request).map(Self::Reversal);
        }
        let mut notice = Message::new(*b"0220");
        for number in NOTICE {
            if let Some(value) = request.get(number) {
                notice.set(number, value);
            }
        }
        if notice.get(2).is_none()
            && let Some(pan) = request.text(35).and_then(|track| track.split('=').next())
        {
            notice.set(2, pan);
        }
        // Told again it comes without a track: the number stands for the card.
        let pin = request.text(22).and_then(|mode| mode.get(2..)).filter(|_| request.get(52).is_none());
        notice.set(22, format!("01{}", pin.unwrap_or("2")));
        Ok(Self::Notice(notice))
    }

    /// Its bytes for the journal.
    pub fn to_bytes(&self) -> Result<Zeroizing<Vec<u8>>, RecoveryError> {
        to_bytes(self.message())
    }

    /// Reads what [`Kept::to_bytes`] wrote.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, RecoveryError> {
        let message = from_bytes(bytes)?;
        if message.mti_bytes() != *b"0220" {
            return Armed::try_from(message).map(Self::Reversal);
        }
        let own = message.iter().all(|(number, _)| NOTICE.contains(&number));
        if own { Ok(Self::Notice(message)) } else { Err(RecoveryError::Damaged) }
    }

    fn message(&self) -> &Message {
        match self {
            Self::Reversal(armed) => armed.original(),
            Self::Notice(notice) => notice,
        }
    }

    /// Whether it is this request: trace and batch, as the daemon gives them.
    pub fn is_of(&self, trace: u32, batch: u32) -> bool {
        let field60 = self.message().text(60).unwrap_or_default();
        self.message().text(11) == Some(format!("{trace:06}").as_str())
            && field60.get(2..8) == Some(format!("{batch:06}").as_str())
    }

    /// 60.1: which business it was.
    pub fn business(&self) -> &str {
        self.message().text(60).and_then(|text| text.get(..2)).unwrap_or_default()
    }

    /// Account number.
    pub fn pan(&self) -> Option<Sensitive<String>> {
        self.message().text(2).map(|pan| Sensitive::new(pan.to_owned()))
    }

    /// Expiry `YYMM`.
    pub fn expiry(&self) -> Option<Sensitive<String>> {
        self.message().text(14).map(|expiry| Sensitive::new(expiry.to_owned()))
    }

    /// Card sequence, three digits.
    pub fn sequence(&self) -> Option<String> {
        self.message().text(23).map(str::to_owned)
    }
}

/// Version, type, field count, then number, length (two bytes, big-endian) and value of each field. Independent of the
/// dialect, so that a changed setting cannot orphan a reversal.
pub(crate) fn to_bytes(message: &Message) -> Result<Zeroizing<Vec<u8>>, RecoveryError> {
    let mut out = Zeroizing::new(Vec::with_capacity(MAX_BYTES));
    out.push(VERSION);
    out.extend_from_slice(&message.mti_bytes());
    out.push(u8::try_from(message.iter().count()).map_err(|_| RecoveryError::TooLong)?);
    for (number, value) in message.iter() {
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

/// Reads what [`to_bytes`] wrote of a 0400 or 0220.
pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Message, RecoveryError> {
    let damaged = RecoveryError::Damaged;
    let (head, mut rest) = bytes.split_at_checked(6).ok_or(damaged)?;
    let mti: [u8; 4] = head[1..5].try_into().map_err(|_| damaged)?;
    if head[0] != VERSION || ![*b"0400", *b"0220"].contains(&mti) {
        return Err(damaged);
    }
    let mut message = Message::new(mti);
    while !rest.is_empty() {
        let (head, after) = rest.split_at_checked(3).ok_or(damaged)?;
        let length = usize::from(u16::from_be_bytes([head[1], head[2]]));
        let (value, after) = after.split_at_checked(length).ok_or(damaged)?;
        if message.get(head[0]).is_some() {
            return Err(damaged);
        }
        message.set(head[0], value);
        rest = after;
    }
    let counted = message.iter().count() == usize::from(head[5]);
    let whole = [3, 4, 11, 41, 42].iter().all(|number| message.get(*number).is_some());
    if counted && whole { Ok(message) } else { Err(damaged) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::CUP;

    fn refund() -> Message {
        let mut refund = Message::new(*b"0220");
        refund.set(2, "6200000000000005").set(3, "200000").set(4, "000000000500").set(11, "000016");
        refund.set(14, "2912").set(22, "022").set(25, "00").set(35, "6200000000000005=29122010000000000");
        refund.set(37, "083009200102").set(41, "12345678").set(42, "123456789012345").set(49, "156");
        refund
            .set(53, "0000000000000000")
            .set(60, "2500001200060")
            .set(61, "0000000000000830")
            .set(63, "000");
        refund
    }

    #[test]
    fn a_notice_is_kept_whole_but_without_its_track_and_comes_back_as_it_was() {
        let dialect = Dialect::parse(CUP).unwrap();
        let kept = Kept::of(&dialect, &refund()).unwrap();
        let bytes = kept.to_bytes().unwrap();
        assert!(!bytes.windows(6).any(|window| window == b"=29122"));
        assert_eq!(Kept::from_bytes(&bytes).unwrap(), kept);
        let Kept::Notice(notice) = &kept else { panic!("{kept:?}") };
        assert_eq!(
            (notice.text(22), notice.text(37), notice.get(35)),
            (Some("012"), Some("083009200102"), None)
        );
        assert!(kept.is_of(16, 12) && !kept.is_of(17, 12) && !kept.is_of(16, 13));
        assert_eq!((kept.business(), kept.pan().unwrap().expose().as_str()), ("25", "6200000000000005"));
    }

    #[test]
    fn a_notice_can_never_be_taken_for_a_reversal() {
        let dialect = Dialect::parse(CUP).unwrap();
        let bytes = Kept::of(&dialect, &refund()).unwrap().to_bytes().unwrap();
        assert_eq!(Armed::from_bytes(&bytes), Err(RecoveryError::Damaged));
        let mut sale = refund();
        sale.remove(63);
        let mut forged = Kept::of(&dialect, &sale).unwrap().to_bytes().unwrap();
        // Even with its type changed: field 37 is in no reversal.
        forged[1..5].copy_from_slice(b"0400");
        assert_eq!(Kept::from_bytes(&forged), Err(RecoveryError::Damaged));
    }

    #[test]
    fn damaged_bytes_are_refused_at_every_cut() {
        let dialect = Dialect::parse(CUP).unwrap();
        let bytes = Kept::of(&dialect, &refund()).unwrap().to_bytes().unwrap();
        for cut in 0..bytes.len() {
            assert_eq!(Kept::from_bytes(&bytes[..cut]), Err(RecoveryError::Damaged), "cut at {cut}");
        }
    }
}
