//! The shared vectors, where they are beside the project.

use super::super::fields::FieldTable;
use super::super::framing::{Frame, announced};
use super::super::keys::{KeyForm, PinCheck, WorkingKeys, check_pin, pin_block};
use super::super::mac::MacAlgorithm;
use super::super::message::Message;
use crate::vectors::cases;
use serde_json::Value;

fn unhex(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().unwrap()).unwrap()
}

fn payload(case: &Value) -> Vec<u8> {
    let bytes = unhex(&case["hex"]);
    if case["framing"].as_str().is_some_and(|f| f.starts_with("no length")) {
        bytes
    } else {
        bytes[2..].to_vec()
    }
}

#[test]
fn messages_decode_to_their_fields_and_encode_to_the_same_bytes() {
    let table = FieldTable::cup().unwrap();
    let mut seen = 0;
    for case in cases("channels-iso8583.json") {
        let family = case["family"].as_str().unwrap();
        if family != "cup" && family != "public-cup" {
            continue;
        }
        let id = case["id"].as_str().unwrap();
        let frame = Frame::parse(&payload(&case)).unwrap();
        assert_eq!(hex::encode_upper(frame.tpdu), case["tpdu"], "{id}");
        assert_eq!(hex::encode_upper(frame.header), case["header"], "{id}");
        let message = Message::decode(&table, &frame.body).unwrap_or_else(|e| panic!("{id}: {e}"));
        assert_eq!(message.mti(), case["mti"], "{id}");
        let fields = case["fields"].as_object().unwrap();
        for (field, value) in fields {
            let field: u8 = field.parse().unwrap();
            let value = value.as_str().unwrap();
            let expected = match (field, value.strip_prefix("hex:")) {
                (_, Some(digits)) => hex::decode(digits).unwrap(),
                (52 | 55 | 59 | 62 | 63 | 64, None) => hex::decode(value).unwrap(),
                _ => value.as_bytes().to_vec(),
            };
            assert_eq!(message.get(field), Some(&expected[..]), "{id} field {field}");
        }
        assert_eq!((2..=64).filter(|f| message.get(*f).is_some()).count(), fields.len(), "{id}");
        assert_eq!(message.encode(&table).unwrap(), frame.body, "{id}");
        if let (Some(mak), Some(input)) = (case["mak"].as_str(), case["mac_input_hex"].as_str()) {
            let mac =
                MacAlgorithm::CupEcb.mac(&hex::decode(mak).unwrap(), &hex::decode(input).unwrap()).unwrap();
            assert_eq!(message.get(64), Some(&mac[..]), "{id}");
            assert_eq!(hex::decode(input).unwrap(), frame.body[..frame.body.len() - 8], "{id}");
        }
        seen += 1;
    }
    println!("{seen} messages");
}

#[test]
fn malformed_messages_are_refused() {
    let table = FieldTable::cup().unwrap();
    for case in cases("channels-iso8583.json").iter().filter(|c| c["family"] == "cup-bad") {
        let bytes = unhex(&case["hex"]);
        let length = announced([bytes[0], bytes[1]]);
        let whole = length.as_ref().is_ok_and(|l| *l == bytes.len() - 2);
        let decoded = Frame::parse(&bytes[2..]).ok().map(|f| Message::decode(&table, &f.body));
        assert!(!whole || !matches!(decoded, Some(Ok(_))), "{}", case["id"]);
    }
}

#[test]
fn macs_keys_and_pin_blocks() {
    for case in cases("channels-cup-crypto.json") {
        let id = case["id"].as_str().unwrap();
        let algorithm = match case["algorithm"].as_str() {
            Some("CUP-ECB") => Some(MacAlgorithm::CupEcb),
            Some("X9.9 DES-CBC") => Some(MacAlgorithm::X99),
            Some("X9.19") => Some(MacAlgorithm::X919),
            _ => None,
        };
        if let Some(algorithm) = algorithm {
            let mac = algorithm.mac(&unhex(&case["mak"]), &unhex(&case["data_hex"])).unwrap();
            let expected = case["field64_hex"].as_str().or(case["mac_hex"].as_str()).unwrap();
            assert_eq!(hex::encode_upper(mac), expected, "{id}");
        }
        match case["family"].as_str().unwrap() {
            "wk-block" if case["accept"] == true => {
                let form = KeyForm::from_code(case["net_mgmt_code"].as_str().unwrap()).unwrap();
                let clear = &case["clear"];
                let keys =
                    WorkingKeys { pik: unhex(&clear["pik"]), mak: unhex(&clear["mak"]), tdk: Vec::new() };
                let sealed = keys.sealed(form, &unhex(&case["tmk"])).unwrap();
                assert_eq!(hex::encode_upper(sealed), case["field62_hex"], "{id}");
            }
            "pinenc" => {
                let (pin, pan) = (case["pin"].as_str().unwrap(), case["pan"].as_str().unwrap());
                let pik = unhex(&case["pik"]);
                let block: [u8; 8] = unhex(&case["field52_hex"]).try_into().unwrap();
                assert_eq!(pin_block(&pik, pin, pan), block, "{id}");
                assert_eq!(check_pin(&pik, block, pan, pin), Ok(PinCheck::Right), "{id}");
            }
            _ => {}
        }
    }
}
