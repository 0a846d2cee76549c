//! ../shared/vectors: serial scanners, AIM and GS1, payment codes, EMVCo codes.
#![allow(clippy::unwrap_used)] // a test that cannot go on should stop here

use std::time::Duration;

use serde_json::Value;
use till_driver_scanner::aim::{self, Identified, Symbology};
use till_driver_scanner::assemble::{Assembler, Framing, Suffix};
use till_driver_scanner::code::{self, AimPolicy, Charset, CodeFault};
use till_driver_scanner::gs1;

fn cases(file: &str) -> Vec<Value> {
    let path = format!("{}/../../../shared/vectors/{file}", env!("CARGO_MANIFEST_DIR"));
    let Ok(text) = std::fs::read_to_string(path) else {
        println!("skipped: no shared vectors");
        return Vec::new();
    };
    let whole: Value = serde_json::from_str(&text).unwrap();
    let cases = whole["cases"].as_array().unwrap().clone();
    assert!(!cases.is_empty());
    cases
}

fn scans(framing: Framing, chunks: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut assembler = Assembler::new(framing);
    let mut found = Vec::new();
    for chunk in chunks {
        assembler.push(chunk, Duration::ZERO, |scan| found.push(scan.unwrap().to_vec()));
    }
    assert!(!assembler.pending());
    found
}

#[test]
fn serial_scanners() {
    for case in cases("devices-serial_misc.json") {
        let id = case["id"].as_str().unwrap();
        let chunks: Vec<Vec<u8>> = match (case["bytes"].as_str(), case["chunks"].as_array()) {
            (Some(bytes), _) => vec![hex::decode(bytes).unwrap()],
            (_, Some(chunks)) => chunks.iter().map(|c| hex::decode(c.as_str().unwrap()).unwrap()).collect(),
            // Displays, and the hang-up that tests/plugin.rs plays.
            _ => continue,
        };
        let mut framing = Framing::default();
        let mut charset = Charset::Utf8;
        match case["cfg"].as_str() {
            Some("prefix 02 suffix 03") => {
                framing.prefix = vec![2];
                framing.suffix = Suffix::Bytes(vec![3]);
            }
            Some("charset gb18030") => charset = Charset::Gb18030,
            Some(other) => panic!("{id}: unknown configuration {other}"),
            None => {}
        }
        let found = scans(framing, &chunks);
        let codes: Vec<_> = found.iter().map(|scan| code::read(scan, AimPolicy::Auto, charset)).collect();
        let expect = &case["expect"];
        if id.contains("invalid-utf8") {
            assert_eq!(codes, [Err(CodeFault::NotText(Charset::Utf8))], "{id}");
        } else if let Some(aim) = expect["aim"].as_str() {
            let code = codes[0].as_ref().unwrap();
            assert_eq!(format!("{:?}", code.aim.unwrap()), aim, "{id}");
            assert_eq!(code.text.as_str(), expect["data"].as_str().unwrap(), "{id}");
        } else {
            assert_eq!(codes.len(), 1, "{id}");
            assert_eq!(codes[0].as_ref().unwrap().text.as_str(), expect.as_str().unwrap(), "{id}");
        }
    }
}

/// The notation of the case file: `^` for FNC1, and a leading `^` of plain data escaped.
fn notation(found: &Identified<'_>) -> String {
    let gs1 = |data: &[u8]| format!("^{}", String::from_utf8_lossy(data).replace('\u{1d}', "^"));
    let plain = String::from_utf8_lossy(found.data).into_owned();
    let mut out = if found.symbology.is_gs1() {
        gs1(found.data)
    } else if plain.trim_start_matches('\\').starts_with('^') {
        format!("\\{plain}")
    } else {
        plain
    };
    if let Some(second) = found.composite {
        out.push('|');
        out.push_str(&gs1(second));
    }
    out
}

#[test]
fn aim_and_gs1() {
    for case in cases("devices-gs1_aim.json") {
        let (id, scan) = (case["id"].as_str().unwrap(), case["scan"].as_str().unwrap());
        let valid = case["valid"].as_bool().unwrap();
        if let Some(elements) = case["elements"].as_array() {
            let found = gs1::elements(scan.as_bytes()).unwrap_or_else(|fault| panic!("{id}: {fault}"));
            let found: Vec<Vec<&str>> = found
                .iter()
                .map(|e| vec![std::str::from_utf8(e.ai).unwrap(), std::str::from_utf8(e.value).unwrap()])
                .collect();
            let wanted: Vec<Vec<&str>> = elements
                .iter()
                .map(|e| e.as_array().unwrap().iter().map(|t| t.as_str().unwrap()).collect())
                .collect();
            assert_eq!(found, wanted, "{id}");
            continue;
        }
        let found = aim::identify(scan.as_bytes());
        assert_eq!(found.is_ok(), valid, "{id}: {:?}", found.err());
        let Ok(found) = found else { continue };
        let wanted = match case["symbology"].as_str() {
            Some("QR" | "QR with ECI") => &[Symbology::Qr, Symbology::Gs1Qr][..],
            Some("DM") => &[Symbology::DataMatrix, Symbology::Gs1DataMatrix],
            Some("DataBarExpanded") => &[Symbology::Gs1DataBar],
            Some("GS1_128_CCA") => &[Symbology::Gs1128],
            Some("EAN13") => &[Symbology::Ean13],
            Some("EAN8") => &[Symbology::Ean8],
            other => panic!("{id}: unknown symbology {other:?}"),
        };
        assert!(wanted.contains(&found.symbology), "{id}: {:?}", found.symbology);
        if let Some(internal) = case["internal_data"].as_str() {
            assert_eq!(notation(&found), internal, "{id}");
        }
        if let Some(data) = case["data"].as_str() {
            let code = code::read(scan.as_bytes(), AimPolicy::Auto, Charset::Utf8).unwrap();
            assert_eq!(code.text.as_str(), data, "{id}");
        }
    }
}

#[test]
fn payment_codes_and_emvco_codes_arrive_character_for_character() {
    let mut seen = 0;
    for (file, key) in [("devices-payment_codes.json", "code"), ("devices-emvco_qr.json", "payload")] {
        for case in cases(file) {
            let (id, text) = (case["id"].as_str().unwrap(), case[key].as_str().unwrap());
            let mut bytes = text.as_bytes().to_vec();
            bytes.extend(b"\r\n");
            let chunks: Vec<Vec<u8>> = bytes.chunks(7).map(<[u8]>::to_vec).collect();
            let mut assembler = Assembler::new(Framing::default());
            let mut found = Vec::new();
            for chunk in &chunks {
                assembler.push(chunk, Duration::ZERO, |scan| found.extend(scan.map(<[u8]>::to_vec)));
            }
            assert_eq!(found.len(), 1, "{id}");
            let code = code::read(&found[0], AimPolicy::Auto, Charset::Utf8).unwrap();
            assert!(code.text.as_str() == text.trim_end_matches(['\r', '\n']), "{id}");
            seen += 1;
        }
    }
    println!("{seen} codes");
}
