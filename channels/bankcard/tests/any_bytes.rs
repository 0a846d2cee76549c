//! Whatever a host sends, nothing panics, nothing grows beyond the cap, and what is understood is written back the same.

#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use till_channel_bankcard::answers::{self, Verdict};
use till_channel_bankcard::codec;
use till_channel_bankcard::dialect::{CUP, Dialect, Kind, Size};
use till_channel_bankcard::framing::{FrameReader, frame};
use till_channel_bankcard::message::Message;
use till_channel_bankcard::reversal::Armed;
use till_channel_bankcard::tdes::DesKey;
use till_channel_bankcard::tlv;

fn dialects() -> [Dialect; 2] {
    [Dialect::parse(CUP).unwrap(), Dialect::parse(include_str!("dialects/ascii.toml")).unwrap()]
}

/// A message with a random choice of the dialect's fields and random content in them.
fn message(dialect: &Dialect) -> impl Strategy<Value = Message> + use<> {
    let fields: Vec<_> = dialect
        .fields()
        .map(|(number, spec)| {
            let length = match spec.size {
                Size::Fixed(length) => length..=length,
                Size::Var { max, .. } => 0..=max.min(40),
            };
            let byte: BoxedStrategy<u8> = match spec.kind {
                Kind::Digits => (b'0'..=b'9').boxed(),
                Kind::Track => prop_oneof![9 => b'0'..=b'9', 1 => Just(b'=')].boxed(),
                Kind::Alnum => (b' '..=b'~').boxed(),
                Kind::Text | Kind::Binary => any::<u8>().boxed(),
            };
            let value = prop::option::of(prop::collection::vec(byte, length));
            value.prop_map(move |value| value.map(|value| (number, value)))
        })
        .collect();
    (fields, "0[1-9][0-9]{2}").prop_map(|(fields, mti)| {
        let mut message = Message::new(mti.as_bytes().try_into().unwrap());
        for (number, value) in fields.into_iter().flatten() {
            message.set(number, value);
        }
        message
    })
}

/// A message of one of the two dialects, with which one.
fn either() -> impl Strategy<Value = (usize, Message)> {
    let [cup, ascii] = dialects();
    prop_oneof![
        message(&cup).prop_map(|message| (0, message)),
        message(&ascii).prop_map(|message| (1, message)),
    ]
}

proptest! {
    #[test]
    fn what_is_encoded_is_decoded_the_same(
        (choice, message) in either(),
        cuts in prop::collection::vec(1..64_usize, 1..8),
    ) {
        let dialect = &dialects()[choice];
        let payload = codec::encode(dialect, &message).unwrap();
        let decoded = codec::decode(dialect, &payload).unwrap();
        prop_assert_eq!(&decoded.message, &message);
        // And through a stream in pieces of any size.
        let wire = frame(dialect, &payload).unwrap();
        let mut reader = FrameReader::new(dialect);
        let (mut at, mut turn) = (0, 0);
        while at < wire.len() {
            let end = wire.len().min(at + cuts[turn % cuts.len()]);
            reader.push(&wire[at..end]).unwrap();
            (at, turn) = (end, turn + 1);
        }
        prop_assert_eq!(reader.next_payload().unwrap(), payload);
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..2100)) {
        for dialect in dialects() {
            if let Ok(decoded) = codec::decode(&dialect, &bytes) {
                let again = codec::encode(&dialect, &decoded.message).unwrap();
                let skip = dialect.layout.tpdu_bytes + dialect.layout.header_bytes;
                prop_assert_eq!(&again[skip..], &bytes[skip..]);
            }
            let mut reader = FrameReader::new(&dialect);
            let _ = reader.push(&bytes);
            while let Some(payload) = reader.next_payload() {
                prop_assert!(!payload.is_empty() && payload.len() <= dialect.frame.max_bytes);
                let _ = codec::decode(&dialect, &payload);
            }
        }
        let _ = tlv::objects(&bytes);
        let _ = Armed::from_bytes(&bytes);
    }

    /// Bytes that begin like a message get deep into the fields.
    #[test]
    fn a_real_reply_with_damage_is_never_an_approval(at in 11..120_usize, with in any::<u8>(), cut in 0..140_usize) {
        let dialect = Dialect::parse(CUP).unwrap();
        let mak = DesKey::new(&[0x31, 0xA2, 0x85, 0xE0, 0xC4, 0xD3, 0x1F, 0x6B]).unwrap();
        let mut request = Message::new(*b"0200");
        request.set(2, "6200000000000005").set(3, "000000").set(4, "000000001234").set(11, "000002");
        request.set(41, "12345678").set(42, "123456789012345").set(49, "156");
        let mut reply = Message::new(*b"0210");
        for (number, value) in request.iter() {
            reply.set(number, value);
        }
        reply.set(37, "090920010002").set(39, "00").set(64, [0; 8]);
        let encoded = codec::encode_checked(&dialect, &reply).unwrap();
        let covered = till_channel_bankcard::mac::covered(&dialect, &encoded.layout, &encoded.payload);
        reply.set(64, till_channel_bankcard::mac::field64(&dialect, &mak, &covered).unwrap());
        let good = codec::encode(&dialect, &reply).unwrap().to_vec();
        prop_assert!(matches!(answers::judge(&dialect, Some(&mak), &request, &good), Verdict::Answer(_)));
        let mut bent = good.clone();
        if at < bent.len() {
            bent[at] = with;
        }
        bent.truncate(cut.max(11));
        let verdict = answers::judge(&dialect, Some(&mak), &request, &bent);
        prop_assert!(bent == good || !matches!(verdict, Verdict::Answer(_)));
    }
}
