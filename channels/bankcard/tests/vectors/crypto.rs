//! MACs, PIN key use, working keys.

use super::{bytes, cases, des, family, key, text};
use till_channel_bankcard::dialect::{CUP, Dialect, MacAlgorithm};
use till_channel_bankcard::keys::{MasterKey, WorkingKeys};
use till_channel_bankcard::{mac, tdes};

const FILE: &str = "channels-cup-crypto.json";

#[test]
fn union_pay_ecb_macs() {
    let dialect = Dialect::parse(CUP).unwrap();
    for case in family(FILE, "mac-ecb") {
        let field = mac::field64(&dialect, &key(&case, "mak"), &bytes(&case, "data_hex")).unwrap();
        assert_eq!(std::str::from_utf8(&field).unwrap(), text(&case, "mac_ascii"), "{}", case["id"]);
        assert_eq!(hex::encode_upper(field), text(&case, "field64_hex"), "{}", case["id"]);
    }
}

#[test]
fn other_macs() {
    for case in family(FILE, "mac-cbc").into_iter().chain(family(FILE, "mac-x919")) {
        let key = key(&case, "mak");
        let algorithm = match (text(&case, "algorithm"), key.length()) {
            ("X9.19", _) => MacAlgorithm::X919,
            (_, 8) => MacAlgorithm::X99,
            _ => MacAlgorithm::TdesCbc,
        };
        let block = mac::block(algorithm, &key, &bytes(&case, "data_hex")).unwrap();
        assert_eq!(hex::encode_upper(block), text(&case, "mac_hex"), "{}", case["id"]);
    }
}

#[test]
fn single_blocks_unwrap() {
    for case in family(FILE, "key-unwrap") {
        let clear = des(&case, "kek").decrypt(bytes(&case, "wrapped").try_into().unwrap());
        assert_eq!(hex::encode_upper(clear), text(&case, "clear"), "{}", case["id"]);
    }
}

#[test]
fn working_key_blocks_open_whole_or_not_at_all() {
    let dialect = Dialect::parse(CUP).unwrap();
    for case in family(FILE, "wk-block") {
        let master = MasterKey::from_hex(text(&case, "tmk"), None).unwrap();
        let field62 = bytes(&case, "field62_hex");
        let keys = WorkingKeys::unwrap(&dialect, text(&case, "net_mgmt_code"), &master, &field62);
        if case["accept"] == true {
            let keys = keys.unwrap_or_else(|why| panic!("{}: {why}", case["id"]));
            // The keys themselves do not come out; what they encipher does.
            for (name, own) in [("mak", keys.mak()), ("pik", keys.pik().unwrap())] {
                let expected =
                    tdes::DesKey::new(&hex::decode(case["clear"][name].as_str().unwrap()).unwrap()).unwrap();
                assert_eq!(own.check_value(), expected.check_value(), "{} {name}", case["id"]);
            }
        } else {
            assert!(keys.is_err(), "{}", case["id"]);
        }
    }
}

#[test]
fn pin_blocks_of_a_pad_are_what_the_pin_key_says() {
    // The PIN itself never comes here; this holds the two families of the file together with our triple DES.
    let all = cases(FILE).unwrap_or_default();
    for case in all.iter().filter(|case| case["family"] == "pinenc") {
        let (pin, pan) = (text(case, "pin"), text(case, "pan"));
        let twelve = &pan[pan.len() - 13..pan.len() - 1];
        let left = hex::decode(format!("{:02}{pin:F<14}", pin.len())).unwrap();
        let right = hex::decode(format!("0000{twelve}")).unwrap();
        let clear: [u8; 8] = std::array::from_fn(|at| left[at] ^ right[at]);
        assert_eq!(
            hex::encode_upper(des(case, "pik").encrypt(clear)),
            text(case, "field52_hex"),
            "{}",
            case["id"]
        );
    }
}
