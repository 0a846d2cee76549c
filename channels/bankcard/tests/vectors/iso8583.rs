//! Whole messages: read, written back byte for byte, MAC, and what must be refused.

use super::{bytes, cases, family, key, text};
use serde_json::Value;
use till_channel_bankcard::balance;
use till_channel_bankcard::codec::{self, CodecError};
use till_channel_bankcard::dialect::{CUP, Dialect, Kind};
use till_channel_bankcard::framing::{FrameReader, frame};
use till_channel_bankcard::mac;
use till_channel_bankcard::message::Message;

const FILE: &str = "channels-iso8583.json";

/// The shipped dialect with the envelope of a case.
fn dialect(case: &Value) -> Dialect {
    let envelope =
        format!("[envelope]\ntpdu = \"{}\"\nheader = \"{}\"\n", text(case, "tpdu"), text(case, "header"));
    Dialect::overlaid(&envelope).unwrap()
}

/// A field of a case as our message holds it.
fn value(dialect: &Dialect, number: u8, written: &str) -> Vec<u8> {
    let kind = dialect.field(number).unwrap_or_else(|| panic!("field {number} is not in the table")).kind;
    match (written.strip_prefix("hex:"), kind, number) {
        (Some(hex_text), _, _) => hex::decode(hex_text).unwrap(),
        (None, Kind::Binary, _) | (None, _, 63) => hex::decode(written).unwrap(),
        (None, _, _) => written.as_bytes().to_vec(),
    }
}

fn same_fields(dialect: &Dialect, message: &Message, fields: &Value, id: &Value) {
    let fields = fields.as_object().unwrap();
    assert_eq!(message.iter().count(), fields.len(), "{id}: number of fields");
    for (number, written) in fields {
        let number: u8 = number.parse().unwrap();
        let wanted = value(dialect, number, written.as_str().unwrap());
        assert_eq!(message.get(number), Some(&wanted[..]), "{id}: field {number}");
    }
}

/// The payload of a case that is written with or without its length prefix.
fn payload(dialect: &Dialect, case: &Value) -> Vec<u8> {
    let whole = bytes(case, "hex");
    if case["framing"].as_str().is_some_and(|framing| framing.starts_with("no length")) {
        return whole;
    }
    let mut reader = FrameReader::new(dialect);
    reader.push(&whole).unwrap();
    let payload = reader.next_payload().unwrap_or_else(|| panic!("{}: no whole frame", case["id"]));
    assert!(reader.next_payload().is_none());
    assert_eq!(frame(dialect, &payload).unwrap().as_slice(), whole);
    payload.to_vec()
}

#[test]
fn the_balance_of_an_answer_is_read() {
    for case in family(FILE, "cup").into_iter().filter(|case| case["id"] == "balance-rsp") {
        let dialect = dialect(&case);
        let decoded = codec::decode(&dialect, &payload(&dialect, &case)).unwrap();
        let told = balance::read(decoded.message.get(54).unwrap(), dialect.request.currency).unwrap();
        assert_eq!(told.minor(), 567_890);
    }
}

#[test]
fn messages_are_read_and_written_back_byte_for_byte() {
    for case in family(FILE, "public-cup").into_iter().chain(family(FILE, "cup")) {
        let dialect = dialect(&case);
        let payload = payload(&dialect, &case);
        let decoded = codec::decode(&dialect, &payload).unwrap_or_else(|why| panic!("{}: {why}", case["id"]));
        assert_eq!(decoded.message.mti(), text(&case, "mti"));
        same_fields(&dialect, &decoded.message, &case["fields"], &case["id"]);
        assert_eq!(codec::encode(&dialect, &decoded.message).unwrap().as_slice(), payload, "{}", case["id"]);
    }
}

#[test]
fn macs_of_whole_messages() {
    let mut seen = 0;
    for case in family(FILE, "cup") {
        let dialect = dialect(&case);
        let payload = payload(&dialect, &case);
        let decoded = codec::decode(&dialect, &payload).unwrap();
        let signed = decoded.message.get(64).is_some();
        let expected =
            dialect.signs_request(decoded.message.mti()) || dialect.signs_reply(decoded.message.mti());
        assert_eq!(signed, expected, "{}: which types carry a MAC", case["id"]);
        if !signed {
            continue;
        }
        let covered = mac::covered(&dialect, &decoded, &payload);
        if case["mac_input_hex"].is_string() {
            assert_eq!(covered.as_slice(), bytes(&case, "mac_input_hex"), "{}", case["id"]);
        }
        if case["mak"].is_string() {
            let field = mac::field64(&dialect, &key(&case, "mak"), &covered).unwrap();
            assert_eq!(decoded.message.get(64), Some(&field[..]), "{}", case["id"]);
            seen += 1;
        }
    }
    assert!(seen > 10 || cases(FILE).is_none(), "only {seen} messages had a key");
}

#[test]
fn bad_messages_are_refused() {
    let dialect = Dialect::parse(CUP).unwrap();
    for case in family(FILE, "cup-bad") {
        let mut reader = FrameReader::new(&dialect);
        let pushed = reader.push(&bytes(&case, "hex"));
        match text(&case, "id") {
            "bad-length-prefix" => {
                assert!(pushed.is_ok() && reader.next_payload().is_none(), "must wait for more");
            }
            "bad-huge" => assert!(pushed.is_err(), "must be refused from the prefix"),
            id => {
                pushed.unwrap();
                // A prefix that tells the truth about a message that lies, or trailing bytes beyond the frame.
                let payload = reader.next_payload().unwrap_or_else(|| panic!("{id}: no frame"));
                assert!(codec::decode(&dialect, &payload).is_err(), "{id}");
            }
        }
    }
}

#[test]
fn every_bad_message_names_its_reason() {
    let dialect = Dialect::parse(CUP).unwrap();
    for case in family(FILE, "cup-bad") {
        let payload = bytes(&case, "hex").split_off(2);
        let error = codec::decode(&dialect, &payload).map(|decoded| decoded.message);
        let expected = match text(&case, "id") {
            "bad-truncated" => CodecError::Truncated(64),
            "bad-bcd-length" => CodecError::Length(2),
            "bad-mti" => CodecError::Mti,
            "bad-bcd-amount" => CodecError::Content(4),
            "bad-trailing" => CodecError::Trailing(3),
            "bad-tiny" => CodecError::Short,
            _ => continue,
        };
        assert_eq!(error, Err(expected), "{}", case["id"]);
    }
}

/// An ASCII dialect with the fields that the generic examples use; only its layout matters here.
fn ascii(overlay: &str) -> Dialect {
    let text = "[layout]\ntpdu_bytes = 0\nheader_bytes = 0\nmti = \"ascii\"\nbitmap = \"hex\"\nlengths = \"ascii\"\n\
                digits = \"ascii\"\ntrack_separator = \"=\"\n[envelope]\ntpdu = \"\"\nheader = \"\"\n[fields]\n21 = \"n3\"\n";
    Dialect::overlaid(&text.replace("[envelope]", &format!("{overlay}[envelope]"))).unwrap()
}

#[test]
fn the_same_codec_speaks_ascii_when_the_dialect_says_so() {
    let dialect = ascii("");
    for case in family(FILE, "ascii1987") {
        let payload = bytes(&case, "hex");
        let decoded = codec::decode(&dialect, &payload).unwrap();
        same_fields(&dialect, &decoded.message, &case["fields"], &case["id"]);
        assert_eq!(codec::encode(&dialect, &decoded.message).unwrap().as_slice(), payload);
    }
}

#[test]
fn device_side_cases() {
    let (cup, ascii) = (Dialect::parse(CUP).unwrap(), ascii(""));
    for case in cases("devices-iso8583.json").unwrap_or_default() {
        let id = text(&case, "id");
        let expect = &case["expect"];
        if expect.is_null() {
            assert!(codec::decode(&ascii, text(&case, "ascii").as_bytes()).is_err(), "{id}");
        } else if id.starts_with("cup-pos") {
            let decoded = codec::decode(&cup, &bytes(&case, "hex")).unwrap();
            assert_eq!(decoded.message.mti(), text(expect, "mti"), "{id}");
            let fields = expect["fields"].as_object().unwrap();
            assert_eq!(decoded.message.iter().count(), fields.len(), "{id}");
            for (number, written) in
                fields.iter().filter(|(number, _)| !matches!(number.as_str(), "43" | "56" | "63"))
            {
                let number: u8 = number.parse().unwrap();
                let wanted = value(&cup, number, written.as_str().unwrap());
                assert_eq!(decoded.message.get(number), Some(&wanted[..]), "{id}: field {number}");
            }
        } else if matches!(id, "py-02100000000002" | "py-02000000080000") {
            let decoded = codec::decode(&ascii, text(&case, "ascii").as_bytes()).unwrap();
            same_fields(&ascii, &decoded.message, &expect["fields"], &case["id"]);
        }
        // The remaining public cases are bank-to-switch messages with other field tables or a second bitmap, which this
        // channel refuses on purpose.
    }
}
