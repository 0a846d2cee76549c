//! Host bytes: frames off a stream, messages out of frames, judged as the reply to a sale; field 54. The first byte chooses how the
//! stream is cut.

#![cfg_attr(feature = "libfuzzer", no_main)]

use std::sync::LazyLock;
use till_channel_bankcard::answers::{self, Verdict};
use till_channel_bankcard::balance;
use till_channel_bankcard::codec;
use till_channel_bankcard::dialect::{CUP, Dialect};
use till_channel_bankcard::framing::FrameReader;
use till_channel_bankcard::link_key::LinkKey;
use till_channel_bankcard::message::Message;
use till_channel_bankcard::reversal::Armed;
use till_channel_bankcard::tdes::DesKey;
use till_channel_bankcard::tlv;
use till_plugin::Currency;

static DIALECTS: LazyLock<[Dialect; 2]> = LazyLock::new(|| {
    [
        Dialect::parse(CUP).unwrap(),
        Dialect::parse(include_str!("../../../channels/bankcard/tests/dialects/ascii.toml")).unwrap(),
    ]
});

static SALE: LazyLock<Message> = LazyLock::new(|| {
    let mut sale = Message::new(*b"0200");
    sale.set(2, "6200000000000005").set(3, "000000").set(4, "000000001234").set(11, "000002");
    sale.set(41, "12345678").set(42, "123456789012345").set(49, "156");
    sale
});

pub(crate) fn run(data: &[u8]) {
    let Some((cut, stream)) = data.split_first() else { return };
    for dialect in DIALECTS.iter() {
        let mut reader = FrameReader::new(dialect);
        for piece in stream.chunks(usize::from(*cut).max(1)) {
            if reader.push(piece).is_err() {
                break;
            }
            while let Some(payload) = reader.next_payload() {
                message(dialect, &payload);
            }
        }
        message(dialect, stream);
    }
    // Money has one form: what is told is bounded by its twelve digits.
    if let Ok(told) = balance::read(stream, Currency::CNY) {
        assert!(stream.len() >= 20 && told.minor().unsigned_abs() < 1_000_000_000_000);
    }
    let _ = tlv::objects(stream);
    let _ = Armed::from_bytes(stream);
}

fn message(dialect: &Dialect, payload: &[u8]) {
    let Ok(decoded) = codec::decode(dialect, payload) else { return };
    let skip = dialect.layout.tpdu_bytes + dialect.layout.header_bytes;
    let again = codec::encode(dialect, &decoded.message).unwrap();
    assert_eq!(&again[skip..], &payload[skip..], "what was read is not what is written");
    // A key the fuzzer does not know (and no compiler folds away): it cannot find an approval.
    let key = LinkKey::from(DesKey::new(&std::hint::black_box([0x5A; 16])).unwrap());
    let verdict = answers::judge(dialect, Some(&key), &SALE, payload);
    if let Verdict::Answer(answer) = verdict {
        assert!(
            answer.message.get(64).is_some()
                || answer.rule.action != till_channel_bankcard::dialect::Action::Approved
        );
    }
}

#[cfg(feature = "libfuzzer")]
libfuzzer_sys::fuzz_target!(|data: &[u8]| run(data));
