//! Whatever a host sends, nothing panics, nothing grows beyond the cap, and what is understood is written back the same.

#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use sha1::{Digest, Sha1};
use std::sync::LazyLock;
use till_channel_bankcard::answers::{self, Answer, Verdict};
use till_channel_bankcard::balance;
use till_channel_bankcard::closing;
use till_channel_bankcard::codec;
use till_channel_bankcard::dialect::{CUP, Dialect, Kind, Size};
use till_channel_bankcard::framing::{FrameReader, frame};
use till_channel_bankcard::link_key::LinkKey;
use till_channel_bankcard::message::Message;
use till_channel_bankcard::messages::Terminal;
use till_channel_bankcard::params::job::{self, Job, MOST_ENTRIES, Progress};
use till_channel_bankcard::params::tlv::{MOST_BYTES, MOST_OBJECTS};
use till_channel_bankcard::params::{Content, Download, stored};
use till_channel_bankcard::recovery::Kept;
use till_channel_bankcard::reversal::Armed;
use till_channel_bankcard::tdes::DesKey;
use till_channel_bankcard::tlv;
use till_plugin::Currency;
use till_plugin::channel::SettleOutcome;

/// Read once: most of the time would go into their TOML.
static DIALECTS: LazyLock<[Dialect; 2]> = LazyLock::new(|| {
    [Dialect::parse(CUP).unwrap(), Dialect::parse(include_str!("dialects/ascii.toml")).unwrap()]
});

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
    let [cup, ascii] = &*DIALECTS;
    prop_oneof![
        message(cup).prop_map(|message| (0, message)),
        message(ascii).prop_map(|message| (1, message)),
    ]
}

/// A page of a list, or a body, as a host may write it.
fn page() -> impl Strategy<Value = Vec<u8>> {
    let object =
        |tag: &'static [u8], value: Vec<u8>| [tag, &[u8::try_from(value.len()).unwrap()], &value].concat();
    let key = any::<u8>().prop_map(move |index| {
        let name = object(&[0x9F, 0x06], vec![0xA0, 0, 0, 3, 0x33]);
        [name, object(&[0x9F, 0x22], vec![index]), object(&[0xDF, 0x05], b"20401231".to_vec())].concat()
    });
    let aid = any::<u8>().prop_map(move |last| object(&[0x9F, 0x06], vec![0xA0, 0, 0, 3, 0x33, last]));
    let limits = Just(b"FF80540011FF8058012000000030000".to_vec());
    prop::collection::vec(prop_oneof![key, aid, limits], 0..6).prop_map(|parts| parts.concat())
}

/// What a sound host has of an entry.
fn sound(question: &job::Question) -> Vec<u8> {
    let name = question.field62.as_slice();
    match question.what {
        Download::ContactlessLimits => b"FF80540011FF8058012000000030000".to_vec(),
        Download::Applications => [b"1", name, &[0x9F, 0x09, 2, 0, 0x30]].concat(),
        Download::Keys => {
            let modulus = [0xC5; 64];
            let mut sha = Sha1::new();
            for part in [&name[3..8], &name[11..], &modulus, &[3]] {
                sha.update(part);
            }
            let check = sha.finalize();
            let day: &[u8] = &[0xDF, 0x05, 4, 0x20, 0x40, 0x12, 0x31];
            let head: [&[u8]; 4] = [b"1", name, day, &[0xDF, 0x02, 64]];
            [&head.concat()[..], &modulus, &[0xDF, 0x04, 1, 3, 0xDF, 0x03, 20], &check].concat()
        }
    }
}

proptest! {
    #[test]
    fn what_is_encoded_is_decoded_the_same(
        (choice, message) in either(),
        cuts in prop::collection::vec(1..64_usize, 1..8),
    ) {
        let dialect = &DIALECTS[choice];
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
    fn c15_any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..2100)) {
        for dialect in &*DIALECTS {
            if let Ok(decoded) = codec::decode(dialect, &bytes) {
                let again = codec::encode(dialect, &decoded.message).unwrap();
                let skip = dialect.layout.tpdu_bytes + dialect.layout.header_bytes;
                prop_assert_eq!(&again[skip..], &bytes[skip..]);
            }
            let mut reader = FrameReader::new(dialect);
            let _ = reader.push(&bytes);
            while let Some(payload) = reader.next_payload() {
                prop_assert!(!payload.is_empty() && payload.len() <= dialect.frame.max_bytes);
                let _ = codec::decode(dialect, &payload);
            }
        }
        let _ = balance::read(&bytes, Currency::CNY);
        let _ = tlv::objects(&bytes);
        let _ = Armed::from_bytes(&bytes);
        let _ = Kept::from_bytes(&bytes);
    }

    /// Whatever a host answers in a download, it ends after as many questions as a list may have entries, keeps no more
    /// than it may, and what it took is read the same from the store.
    #[test]
    fn c15_any_answers_end_a_download(
        which in 0..3_usize,
        answers in prop::collection::vec(prop_oneof![
            1 => prop::collection::vec(any::<u8>(), 0..60),
            4 => (prop::sample::select(b"0123".to_vec()), page()).prop_map(|(mark, page)| [&[mark][..], &page].concat()),
            // As a sound host answers, where it is asked for an entry.
            12 => Just(Vec::new()),
        ], 1..40),
    ) {
        let mut download = Job::new(Download::ALL[which], Currency::CNY, true, None);
        let mut lists = 0;
        for answer in answers.iter().cycle().take(3 * MOST_ENTRIES) {
            let question = download.question();
            let sound = match question.kind {
                job::Kind::Item if answer.is_empty() => sound(&question),
                _ => answer.clone(),
            };
            lists += usize::from(download.question().kind == job::Kind::List);
            prop_assert!(lists <= MOST_ENTRIES && download.question().field62.len() < 32);
            match download.answered(Some(&sound)) {
                Ok(Progress::More) => {}
                Ok(Progress::Whole(whole)) => {
                    let what = Download::ALL[which];
                    prop_assert!(whole.parts.iter().all(|part| part.len() <= 999));
                    prop_assert_eq!(Content::read(what, &whole.parts, Currency::CNY), Ok(whole.content.clone()));
                    let terminal = Terminal { id: "12345678".into(), merchant: "123456789012345".into() };
                    let bytes = stored::write(what, 7, &terminal, "host:1", &whole.parts);
                    let again = stored::read(what, &terminal, "host:1", Currency::CNY, &bytes);
                    prop_assert_eq!(again.unwrap().content, whole.content);
                    return Ok(());
                }
                Ok(Progress::Nothing) | Err(_) => return Ok(()),
            }
        }
        prop_assert!(false, "{} questions and no end", 3 * MOST_ENTRIES);
    }

    #[test]
    fn c15_any_bytes_are_objects_of_a_download_or_refused(
        begins in prop_oneof![Just(&[0x5A, 2, 7, 7][..]), Just(&b"FF8054003111"[..])],
        times in 0..700_usize,
        ends in prop_oneof![Just(Vec::new()), prop::collection::vec(any::<u8>(), 0..40)],
    ) {
        let bytes = [begins.repeat(times), ends].concat();
        use till_channel_bankcard::params::tlv;
        for objects in [tlv::ber(&bytes), tlv::text(&bytes)].into_iter().flatten() {
            prop_assert!(objects.len() <= MOST_OBJECTS && bytes.len() <= MOST_BYTES);
            let inside: usize = objects.iter().map(|(_, value)| value.len()).sum();
            prop_assert!(inside <= bytes.len());
        }
        let terminal = Terminal { id: "12345678".into(), merchant: "123456789012345".into() };
        for what in Download::ALL {
            let read = stored::read(what, &terminal, "host:1", Currency::CNY, &bytes);
            prop_assert!(read.is_err(), "nothing random is in force");
        }
    }

    /// What is kept of any request comes back as it was, and never holds a track, PIN block or cryptogram.
    #[test]
    fn what_is_kept_comes_back_and_holds_no_track(mut request in message(&DIALECTS[0]), notice in any::<bool>()) {
        let dialect = &DIALECTS[0];
        let mut of = Message::new(if notice { *b"0220" } else { *b"0200" });
        for (number, value) in request.iter().filter(|(number, _)| *number != 55) {
            of.set(number, value);
        }
        of.set(3, "000000").set(4, "000000001234").set(11, "000002").set(41, "12345678").set(42, "123456789012345");
        of.set(35, "6200000000000005=29129999999").set(52, [0xA7; 8]);
        request = of;
        let kept = Kept::of(dialect, &request).unwrap();
        prop_assert_eq!(matches!(kept, Kept::Notice(_)), notice);
        let bytes = kept.to_bytes().unwrap();
        prop_assert_eq!(&Kept::from_bytes(&bytes).unwrap(), &kept);
        prop_assert!(!bytes.windows(8).any(|window| window == [0xA7; 8] || window == b"=2912999"));
    }

    /// Whatever stands in field 48, only the two digits with our own totals beside them balance.
    #[test]
    fn no_answer_balances_by_accident(text in "[0-9]{0,70}", debit in 0..1_000_000_000_000_u64) {
        let dialect = &DIALECTS[0];
        let mut request = Message::new(*b"0500");
        let ours = format!("{debit:012}001{:015}0{:031}", 0, 0);
        request.set(48, &ours);
        let mut reply = Message::new(*b"0510");
        reply.set(48, &text);
        let answer = Answer { message: reply, code: "00".into(), rule: dialect.answer("00"), header_state: None };
        let balanced = closing::of_settlement(&request, &answer) == SettleOutcome::Balanced;
        let right = text.len() == 62
            && text[..30] == ours[..30]
            && &text[30..31] == "1"
            && ((&text[61..] == "1" && text[31..61] == ours[31..61]) || &text[61..] == "0");
        prop_assert_eq!(balanced, right);
        let mut good = ours.into_bytes();
        (good[30], good[61]) = (b'1', b'1');
        let mut reply = Message::new(*b"0510");
        reply.set(48, &good);
        let answer = Answer { message: reply, code: "00".into(), rule: dialect.answer("00"), header_state: None };
        prop_assert_eq!(closing::of_settlement(&request, &answer), SettleOutcome::Balanced);
    }

    /// Of any row of amounts the one that is told is one of them, available and in our currency.
    #[test]
    fn a_balance_that_is_told_stands_in_field_54(row in "([0-3]0(01|02)(156|840)[CD][0-9]{12}){0,6}", tail in "[0-9C]{0,3}") {
        let text = format!("{row}{tail}");
        let told = balance::read(text.as_bytes(), Currency::CNY).ok().map(till_plugin::Money::minor);
        let available: Vec<i64> = row
            .as_bytes()
            .chunks(20)
            .map(|entry| std::str::from_utf8(entry).unwrap())
            .filter(|entry| &entry[2..7] == "02156")
            .map(|entry| entry[8..].parse::<i64>().unwrap() * if &entry[7..8] == "D" { -1 } else { 1 })
            .collect();
        prop_assert_eq!(told.is_some(), tail.is_empty() && !available.is_empty(), "{}", text);
        prop_assert!(told.is_none_or(|minor| available.contains(&minor)), "{}", text);
    }

    /// Bytes that begin like a message get deep into the fields.
    #[test]
    fn a_real_reply_with_damage_is_never_an_approval(at in 11..120_usize, with in any::<u8>(), cut in 0..140_usize) {
        let dialect = &DIALECTS[0];
        let mak = LinkKey::from(DesKey::new(&[0x31, 0xA2, 0x85, 0xE0, 0xC4, 0xD3, 0x1F, 0x6B]).unwrap());
        let mut request = Message::new(*b"0200");
        request.set(2, "6200000000000005").set(3, "000000").set(4, "000000001234").set(11, "000002");
        request.set(41, "12345678").set(42, "123456789012345").set(49, "156");
        let mut reply = Message::new(*b"0210");
        for (number, value) in request.iter() {
            reply.set(number, value);
        }
        reply.set(37, "090920010002").set(39, "00").set(64, [0; 8]);
        let encoded = codec::encode_checked(dialect, &reply).unwrap();
        let covered = till_channel_bankcard::mac::covered(dialect, &encoded.layout, &encoded.payload);
        reply.set(64, till_channel_bankcard::mac::field64(dialect, &mak, &covered).unwrap());
        let good = codec::encode(dialect, &reply).unwrap().to_vec();
        prop_assert!(matches!(answers::judge(dialect, Some(&mak), &request, &good), Verdict::Answer(_)));
        let mut bent = good.clone();
        if at < bent.len() {
            bent[at] = with;
        }
        bent.truncate(cut.max(11));
        let verdict = answers::judge(dialect, Some(&mak), &request, &bent);
        prop_assert!(bent == good || !matches!(verdict, Verdict::Answer(_)));
    }
}
