//! Is this the answer, may it be believed, and what does it say?
//!
//! In that order: a reply that is not to our request is put aside; then its MAC is checked; only then is any other field
//! looked at (channels.md §1.5, C12). Everything that is not a verified answer is an unknown outcome.

use crate::codec::{self, CodecError};
use crate::dialect::{Action, AnswerRule, Dialect};
use crate::link_key::LinkKey;
use crate::mac;
use crate::message::Message;

/// What one received payload is to our request.
#[derive(Debug)]
pub enum Verdict {
    /// A reply to something else (late, repeated, another terminal): keep waiting. Names the field that differs, 0 for
    /// the message type.
    Stray(u8),
    /// Not a message of this dialect.
    Garbage(CodecError),
    /// Ours by its numbers, but its MAC is wrong or missing: nothing of it is believed.
    BadSeal,
    /// Ours and with a right MAC, but it speaks of another card, amount or business, or has no response code.
    Mismatch(u8),
    /// Ours and to be believed.
    Answer(Answer),
}

/// A reply that may be believed.
#[derive(Debug)]
pub struct Answer {
    /// The reply.
    pub message: Message,
    /// Field 39.
    pub code: String,
    /// What the dialect's table says to that code.
    pub rule: AnswerRule,
    /// The state byte of the header, where the header has six bytes: some hosts ask for work in its low nibble.
    pub header_state: Option<u8>,
}

impl Answer {
    /// A text field without surrounding blanks; `None` when absent or blank.
    pub fn trimmed(&self, number: u8) -> Option<&str> {
        self.message.text(number).map(str::trim).filter(|text| !text.is_empty())
    }
}

/// Judges `payload` as the reply to `request`. `mak` is the key the request was signed with.
pub fn judge(dialect: &Dialect, mak: Option<&LinkKey>, request: &Message, payload: &[u8]) -> Verdict {
    let decoded = match codec::decode(dialect, payload) {
        Ok(decoded) => decoded,
        Err(error) => return Verdict::Garbage(error),
    };
    if decoded.message.mti_bytes() != reply_type(request.mti_bytes()) {
        return Verdict::Stray(0);
    }
    for number in [11, 41, 42] {
        if request.get(number).is_some() && decoded.message.get(number) != request.get(number) {
            return Verdict::Stray(number);
        }
    }
    let code = decoded.message.text(39).map(str::to_owned);
    let rule = code.as_deref().map(|code| dialect.answer(code));
    if dialect.signs_reply(decoded.message.mti()) {
        match decoded.message.get(64) {
            Some(received) => {
                let covered = mac::covered(dialect, &decoded, payload);
                let right =
                    mak.is_some_and(|key| mac::matches(dialect, key, &covered, received).unwrap_or(false));
                if !right {
                    return Verdict::BadSeal;
                }
            }
            None if may_be_unsigned(dialect, code.as_deref(), rule.as_ref()) => {}
            None => return Verdict::BadSeal,
        }
    }
    let (Some(code), Some(rule)) = (code, rule) else { return Verdict::Mismatch(39) };
    // A partial approval names its own amount; every other answer may only repeat ours.
    let repeated: &[u8] = if rule.action == Action::Partial { &[2, 3, 49] } else { &[2, 3, 4, 49] };
    for number in repeated {
        let (ours, theirs) = (request.get(*number), decoded.message.get(*number));
        if ours.is_some() && theirs.is_some() && ours != theirs {
            return Verdict::Mismatch(*number);
        }
    }
    if rule.action == Action::Partial && !is_part(request.text(4), decoded.message.text(4)) {
        return Verdict::Mismatch(4);
    }
    let header_state = (decoded.header.len() == 6).then(|| decoded.header[2]);
    Verdict::Answer(Answer { message: decoded.message, code, rule, header_state })
}

/// The type of the reply to a request: its third digit plus one.
pub fn reply_type(mut mti: [u8; 4]) -> [u8; 4] {
    mti[2] = mti[2].wrapping_add(1);
    mti
}

/// Hosts without our keys cannot sign; what they say then is at most a no.
fn may_be_unsigned(dialect: &Dialect, code: Option<&str>, rule: Option<&AnswerRule>) -> bool {
    let listed = code.is_some_and(|code| dialect.mac.unsigned_declines.iter().any(|known| known == code));
    listed && rule.is_some_and(|rule| !matches!(rule.action, Action::Approved | Action::Partial))
}

/// Twelve digits above zero and below what was asked.
fn is_part(asked: Option<&str>, given: Option<&str>) -> bool {
    matches!((asked, given), (Some(asked), Some(given)) if given < asked && given.bytes().any(|digit| digit != b'0'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::CUP;
    use crate::tdes::DesKey;

    const MAK: &str = "31A285E0C4D31F6B";

    fn mak() -> LinkKey {
        DesKey::new(&hex::decode(MAK).unwrap()).unwrap().into()
    }

    fn sale() -> Message {
        let mut sale = Message::new(*b"0200");
        sale.set(2, "6200000000000005").set(3, "000000").set(4, "000000001234").set(11, "000002");
        sale.set(41, "12345678").set(42, "123456789012345").set(49, "156");
        sale
    }

    /// The host's reply to [`sale`], with changes; signed unless field 64 was already set.
    fn reply(dialect: &Dialect, change: impl FnOnce(&mut Message)) -> Vec<u8> {
        let mut reply = sale();
        let mut message = Message::new(*b"0210");
        for (number, value) in reply.iter() {
            message.set(number, value);
        }
        message.set(39, "00").set(37, "090920010002").set(64, [0; 8]);
        change(&mut message);
        reply = message;
        if reply.get(64) == Some(&[0; 8]) {
            let encoded = codec::encode_checked(dialect, &reply).unwrap();
            let covered = mac::covered(dialect, &encoded.layout, &encoded.payload);
            reply.set(64, mac::field64(dialect, &mak(), &covered).unwrap());
        }
        codec::encode(dialect, &reply).unwrap().to_vec()
    }

    fn judged(change: impl FnOnce(&mut Message)) -> Verdict {
        let dialect = Dialect::parse(CUP).unwrap();
        judge(&dialect, Some(&mak()), &sale(), &reply(&dialect, change))
    }

    #[test]
    fn a_right_answer_is_believed() {
        assert!(matches!(judged(|_| ()), Verdict::Answer(answer) if answer.rule.action == Action::Approved));
    }

    #[test]
    fn replies_to_other_requests_are_put_aside() {
        assert!(matches!(judged(|m| _ = m.set(11, "000003")), Verdict::Stray(11)));
        assert!(matches!(judged(|m| _ = m.set(41, "87654321")), Verdict::Stray(41)));
        assert!(matches!(judged(|m| _ = m.set(42, "999999999999999")), Verdict::Stray(42)));
        assert!(matches!(judged(|m| m.remove(11)), Verdict::Stray(11)));
        let dialect = Dialect::parse(CUP).unwrap();
        let mut void = sale();
        void = {
            let mut m = Message::new(*b"0400");
            void.iter().for_each(|(n, v)| _ = m.set(n, v));
            m
        };
        assert!(matches!(judge(&dialect, Some(&mak()), &void, &reply(&dialect, |_| ())), Verdict::Stray(0)));
    }

    #[test]
    fn another_amount_card_or_business_under_a_right_mac_is_a_mismatch() {
        assert!(matches!(judged(|m| _ = m.set(4, "000000001235")), Verdict::Mismatch(4)));
        assert!(matches!(judged(|m| _ = m.set(3, "200000")), Verdict::Mismatch(3)));
        assert!(matches!(judged(|m| _ = m.set(2, "6200000000000013")), Verdict::Mismatch(2)));
        assert!(matches!(judged(|m| _ = m.set(49, "840")), Verdict::Mismatch(49)));
        assert!(matches!(judged(|m| m.remove(39)), Verdict::Mismatch(39)));
    }

    #[test]
    fn nothing_is_read_before_the_mac_is_right() {
        // Wrong amount and wrong MAC: the MAC counts.
        assert!(matches!(judged(|m| _ = m.set(4, "000000001235").set(64, b"00000000")), Verdict::BadSeal));
        assert!(matches!(judged(|m| _ = m.set(64, b"00000000")), Verdict::BadSeal));
        assert!(matches!(judged(|m| m.remove(64)), Verdict::BadSeal));
        let dialect = Dialect::parse(CUP).unwrap();
        assert!(matches!(judge(&dialect, None, &sale(), &reply(&dialect, |_| ())), Verdict::BadSeal));
    }

    #[test]
    fn c12_no_single_bit_of_an_approval_can_be_changed() {
        let dialect = Dialect::parse(CUP).unwrap();
        let good = reply(&dialect, |_| ());
        // TPDU and header (11 bytes) are outside the MAC and carry nothing that is believed.
        for bit in 11 * 8..good.len() * 8 {
            let mut bent = good.clone();
            bent[bit / 8] ^= 1 << (bit % 8);
            let verdict = judge(&dialect, Some(&mak()), &sale(), &bent);
            assert!(!matches!(verdict, Verdict::Answer(_)), "bit {bit}: {verdict:?}");
        }
    }

    #[test]
    fn an_unsigned_answer_can_only_be_a_listed_decline() {
        for code in ["A0", "99", "97", "77"] {
            let verdict = judged(|m| {
                m.set(39, code).remove(64);
            });
            assert!(
                matches!(verdict, Verdict::Answer(answer) if answer.rule.action != Action::Approved),
                "{code}"
            );
        }
        for code in ["00", "51", "10", "11"] {
            assert!(
                matches!(
                    judged(|m| {
                        m.set(39, code).remove(64);
                    }),
                    Verdict::BadSeal
                ),
                "{code}"
            );
        }
        // Even a dialect that lists an approval there cannot make one unsigned.
        let careless = Dialect::overlaid("[mac]\nunsigned_declines = [\"00\"]").unwrap();
        let payload = reply(&careless, |m| m.remove(64));
        assert!(matches!(judge(&careless, Some(&mak()), &sale(), &payload), Verdict::BadSeal));
    }

    #[test]
    fn a_partial_approval_must_be_a_part() {
        let part = |amount: &'static str| judged(move |m| _ = m.set(39, "10").set(4, amount));
        assert!(
            matches!(part("000000001000"), Verdict::Answer(answer) if answer.rule.action == Action::Partial)
        );
        for amount in ["000000001234", "000000001235", "000000000000", "999999999999"] {
            assert!(matches!(part(amount), Verdict::Mismatch(4)), "{amount}");
        }
        assert!(matches!(
            judged(|m| {
                m.set(39, "10").remove(4);
            }),
            Verdict::Mismatch(4)
        ));
    }
}
