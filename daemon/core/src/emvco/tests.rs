//! The shared vectors' codes, each bad input by name, and that no bytes make trouble.

use super::*;
use proptest::prelude::*;

const UNIONPAY: &str = "hQVDUFYwMWETTwigAAADMwEBAlcHEjRWeJASNA==";

fn vectors() -> Option<serde_json::Value> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/vectors/devices-emvco_qr.json");
    let Ok(text) = std::fs::read_to_string(path) else {
        println!("skipped: no shared vectors");
        return None;
    };
    serde_json::from_str(&text).ok()
}

/// A code with a right checksum.
fn sealed(body: &str) -> String {
    let open = [body, "6304"].concat();
    format!("{open}{:04X}", crc16(open.as_bytes()))
}

fn fault(text: &str) -> EmvcoFault {
    MerchantCode::parse(text).err().unwrap()
}

#[test]
fn the_vectors_codes_are_read_as_they_say() {
    let Some(all) = vectors() else { return };
    let mut merchant = 0;
    for case in all["cases"].as_array().unwrap() {
        let (id, payload) = (case["id"].as_str().unwrap(), case["payload"].as_str().unwrap());
        let expect = &case["expect"];
        if case["mode"] == "MPM" {
            merchant += 1;
            let read = MerchantCode::parse(payload);
            assert_eq!(read.is_ok(), expect["valid"] == true, "{id}: {:?}", read.as_ref().err());
            let Ok(read) = read else { continue };
            for (found, said) in read.fields().iter().zip(expect["fields"].as_array().unwrap()) {
                assert_eq!(
                    (format!("{:02}", found.0).as_str(), found.1),
                    (said[0].as_str().unwrap(), said[1].as_str().unwrap()),
                    "{id}"
                );
            }
            assert_eq!(read.fields().len(), expect["fields"].as_array().unwrap().len());
        } else {
            let read = CustomerCode::parse(payload);
            let Some(aids) = expect["aids"].as_array() else {
                assert!(read.is_err(), "{id}");
                continue;
            };
            let found: Vec<String> = read.ok().unwrap().aids.iter().map(hex::encode_upper).collect();
            assert_eq!(found, aids.iter().map(|aid| aid.as_str().unwrap()).collect::<Vec<_>>(), "{id}");
        }
    }
    assert!(merchant >= 6);
}

#[test]
fn the_checksum_is_the_one_of_the_catalogue() {
    // CRC-16/CCITT-FALSE of "123456789" in every catalogue.
    assert_eq!(crc16(b"123456789"), 0x29B1);
}

#[test]
fn mpm_with_a_wrong_crc_and_with_a_lower_case_one() {
    let good = sealed("0002015303156");
    assert!(MerchantCode::parse(&good).is_ok_and(|code| code.get(53) == Some("156")));
    assert!(
        MerchantCode::parse(&(good[..good.len() - 4].to_owned() + &good[good.len() - 4..].to_lowercase()))
            .is_ok()
    );
    let other = good.replace("156", "157");
    assert_eq!(fault(&other), EmvcoFault::Crc);
    assert_eq!(fault(&(good[..good.len() - 4].to_owned() + "WXYZ")), EmvcoFault::Crc);
}

#[test]
fn mpm_with_len_beyond_the_end_or_no_number() {
    assert_eq!(fault("0002015399156"), EmvcoFault::Truncated);
    assert_eq!(fault("00020153x3156"), EmvcoFault::NotANumber);
    assert_eq!(fault("000201+303156"), EmvcoFault::NotANumber);
    assert_eq!(fault("0002015"), EmvcoFault::Truncated);
    assert_eq!(fault("000201佳运"), EmvcoFault::NotANumber);
}

#[test]
fn mpm_whose_63_is_not_last_or_whose_00_is_not_first() {
    let early = sealed("000201");
    assert_eq!(fault(&[&early, "5303156"].concat()), EmvcoFault::CrcPlace);
    assert_eq!(fault("0002015303156"), EmvcoFault::CrcPlace);
    assert_eq!(fault(&sealed("5303156000201")), EmvcoFault::Format);
    assert_eq!(fault(&sealed("000202")), EmvcoFault::Format);
    assert_eq!(fault(&sealed("00020153031565303156")), EmvcoFault::Format, "a field twice");
    assert_eq!(fault(""), EmvcoFault::Format);
}

#[test]
fn mpm_of_ten_megabytes_is_refused_at_once() {
    assert_eq!(fault(&"000201".repeat((10 << 20) / 6)), EmvcoFault::TooLong);
    assert_eq!(fault(&"佳".repeat(MAX_MERCHANT + 1)), EmvcoFault::TooLong);
}

#[test]
fn lengths_count_characters_and_the_checksum_counts_bytes() {
    let code = sealed("00020164140002ZH0104最佳运输");
    assert_eq!(
        MerchantCode::parse(&code).ok().and_then(|code| code.get(64).map(str::to_owned)).as_deref(),
        Some("0002ZH0104最佳运输")
    );
}

#[test]
fn cpm_names_its_applications_and_junk_is_refused() {
    let aids = |text: &str| CustomerCode::parse(text).map(|code| code.aids);
    assert_eq!(aids(UNIONPAY), Ok(vec![hex::decode("a000000333010102").unwrap()]));
    assert_eq!(aids(UNIONPAY.trim_end_matches('=')), Ok(vec![hex::decode("a000000333010102").unwrap()]));
    assert_eq!(aids("hQVDUFYwMWETTwig"), Err(EmvcoFault::Truncated));
    assert_eq!(aids("hQVDUFYwMQ=="), Err(EmvcoFault::NoApplication));
    assert_eq!(aids("hQVDUFYwM!=="), Err(EmvcoFault::NotBase64));
    assert_eq!(aids("hQVDUFYwM==="), Err(EmvcoFault::NotBase64));
    assert_eq!(aids("hQVDUFYwMg=="), Err(EmvcoFault::Format), "CPV02");
    assert_eq!(aids(&"A".repeat(MAX_CONSUMER + 1)), Err(EmvcoFault::TooLong));
    assert_eq!(aids(""), Err(EmvcoFault::Format));
}

proptest! {
    #[test]
    fn any_text_gives_an_answer(text in "\\PC{0,80}") {
        let _ = MerchantCode::parse(&text);
        let _ = CustomerCode::parse(&text);
        let _ = MerchantCode::parse(&["000201", &text].concat());
        let _ = CustomerCode::parse(&["hQVDUFYwM", &text].concat());
    }

    #[test]
    fn one_misread_character_is_always_noticed(at in 0_usize..40, to in prop::char::range('0', '9')) {
        let good = sealed("0002010102115303156540523.725802CN");
        let mut bytes = good.clone().into_bytes();
        let at = at % bytes.len();
        bytes[at] = to as u8;
        let changed = String::from_utf8(bytes).unwrap();
        prop_assert!(changed == good || MerchantCode::parse(&changed).is_err());
    }
}
