//! ../shared/vectors: frames of the reader and data of cards.
#![allow(clippy::unwrap_used)] // a test that cannot go on should stop here

mod common;

use std::time::Duration;

use common::{asked, cases, hex, text};
use serde_json::Value;
use till_driver_nfc::chip::{self, Exchanged, Kind, Status};
use till_driver_nfc::emv::dol;
use till_driver_nfc::emv::tlv::{self, Objects, TlvError, objects};
use till_driver_nfc::link::acr122;
use till_driver_nfc::link::ccid::{self, CcidError};
use till_driver_nfc::link::frame::{Decoder, Frame};
use till_driver_nfc::link::{Event, Link};

fn frames(bytes: &[u8]) -> Vec<Frame> {
    let mut decoder = Decoder::new();
    let mut found = Vec::new();
    decoder.push(bytes, |f| found.push(f));
    found
}

fn data(bytes: &[u8]) -> Option<Vec<u8>> {
    frames(bytes).into_iter().find_map(|f| if let Frame::Data(d) = f { Some(d) } else { None })
}

#[test]
fn pn532_frames() {
    for case in cases("devices-pn532_frames.json") {
        let (id, bytes) = (text(&case, "id"), hex(text(&case, "frame")));
        let found = frames(&bytes);
        let reply = data(&bytes);
        let reply = reply.as_deref().unwrap_or_default();
        match id {
            "rsp-getfw" => {
                let version = chip::firmware(&reply[1..]).unwrap();
                assert_eq!((version.chip, version.version, version.revision), (0x32, 1, 6));
            }
            "rsp-list-none" => assert!(chip::targets(&reply[1..], Kind::A).unwrap().is_empty()),
            "rsp-list-a4" => {
                let target = &chip::targets(&reply[1..], Kind::A).unwrap()[0];
                assert!(target.iso_dep && target.number == 1 && *target.uid == hex("11223344"), "{id}");
            }
            "rsp-xchg-ppse" => match chip::exchanged(&reply[1..]).unwrap() {
                Exchanged::Last(answer) => assert!(answer.ends_with(&[0x90, 0]), "{id}"),
                _ => panic!("{id}"),
            },
            "rsp-xchg-more" => {
                assert!(matches!(chip::exchanged(&reply[1..]).unwrap(), Exchanged::More(_)), "{id}");
            }
            "rsp-xchg-crc" => assert!(
                matches!(chip::exchanged(&reply[1..]).unwrap(), Exchanged::Failed(Status::Lost(2))),
                "{id}"
            ),
            "rsp-xchg-removed" => assert!(
                matches!(chip::exchanged(&reply[1..]).unwrap(), Exchanged::Failed(Status::Lost(0x2B))),
                "{id}"
            ),
            "rsp-ext-262" => assert!(reply.len() > 255, "{id}"),
            "ack" | "abort" => assert_eq!(found, [Frame::Ack], "{id}"),
            "error-frame" => assert_eq!(found, [Frame::Error], "{id}"),
            "ack+rsp-one-read" => {
                assert!(matches!(found.as_slice(), [Frame::Ack, Frame::Data(_)]), "{id}: {found:?}");
            }
            "bad-lcs" | "ext-bad-lcs" => {
                assert!(data(&bytes).is_none() && found.contains(&Frame::Damaged), "{id}: {found:?}");
            }
            "short" => assert!(found.is_empty(), "{id}: {found:?}"),
            "i2c-status" => assert_eq!(frames(&bytes[1..]), [Frame::Ack], "{id}"),
            // Commands, and replies whose data has no rule of its own: the frame is whole.
            _ => assert!(!reply.is_empty(), "{id}: {found:?}"),
        }
        // However the bytes arrive, the same frames come out.
        let mut decoder = Decoder::new();
        let mut single = Vec::new();
        for byte in &bytes {
            decoder.push(&[*byte], |f| single.push(f));
        }
        assert_eq!(single, found, "{id}: byte by byte");
    }
}

#[test]
fn acr122_blocks() {
    for case in cases("devices-acr122_ccid.json") {
        let (id, bytes) = (text(&case, "id"), hex(text(&case, "frame")));
        match id {
            "poweron" => assert_eq!(bytes, *ccid::power_on(0)),
            "getversion" => assert_eq!(bytes, *ccid::transfer(0, &acr122::FIRMWARE)),
            "buzzer-off" => assert_eq!(bytes, *ccid::transfer(0, &acr122::QUIET)),
            "direct-getfw" => {
                assert_eq!(bytes, *ccid::transfer(0, &acr122::direct(chip::FIRMWARE).unwrap()));
            }
            "getversion-old" => assert!(!acr122::usable(&ccid::block(&bytes).unwrap().data), "{id}"),
            "direct-getfw-rsp" | "escape-rsp" | "sam-61" => {
                let block = ccid::block(&bytes).unwrap();
                // The link counts its own numbers; the vector's is put where it belongs.
                let mut link = asked();
                let mut own = bytes.clone();
                own[6] = 4;
                link.push(&own, Duration::ZERO);
                if id == "sam-61" {
                    assert_eq!(link.output().unwrap()[10..], hex("FFC0000008"), "{id}");
                } else {
                    assert!(block.data.ends_with(&[0x90, 0]));
                    let Some(Event::Reply(reply)) = link.event() else { panic!("{id}") };
                    assert_eq!(chip::firmware(&reply).unwrap().chip, 0x32, "{id}");
                }
            }
            "slot-card-in" => assert_eq!(ccid::slot_change(&bytes), Some((true, true))),
            "slot-card-out" => assert_eq!(ccid::slot_change(&bytes), Some((false, true))),
            "time-ext" => assert!(ccid::block(&bytes).unwrap().more_time(), "{id}"),
            "bad-len" => {
                assert_eq!(ccid::block(&bytes).err(), Some(CcidError::Cut { announced: 255, there: 2 }));
            }
            "bad-seq" => {
                let mut link = asked();
                link.push(&bytes, Duration::ZERO);
                assert_eq!(link.event(), None, "{id}");
                assert!(link.deadline().is_some(), "{id}: still waiting");
            }
            // What the vectors may still grow: a whole block, or a typed refusal.
            _ => drop(ccid::block(&bytes)),
        }
    }
}

fn same(id: &str, found: Objects<'_>, expected: &[Value]) {
    let found: Vec<_> = found.collect::<Result<_, TlvError>>().unwrap();
    assert_eq!(found.len(), expected.len(), "{id}");
    for (object, expect) in found.iter().zip(expected) {
        assert_eq!(object.tag.to_string(), text(expect, "tag"), "{id}");
        assert_eq!(Some(object.value.len() as u64), expect["len"].as_u64(), "{id}");
        match expect["children"].as_array() {
            Some(children) => {
                assert!(object.tag.constructed(), "{id}");
                same(id, objects(object.value), children);
            }
            None => assert_eq!(::hex::encode_upper(object.value), text(expect, "value"), "{id}"),
        }
    }
}

#[test]
fn tlv_blobs() {
    for case in cases("devices-emv_tlv.json") {
        let (id, bytes) = (text(&case, "id"), hex(text(&case, "hex")));
        match case["expect"].as_array() {
            Some(expected) => {
                tlv::check(&bytes).unwrap_or_else(|e| panic!("{id}: {e}"));
                same(id, objects(&bytes), expected);
            }
            None => assert!(tlv::check(&bytes).is_err(), "{id}"),
        }
    }
    for case in cases("channels-emv.json") {
        let (id, bytes) = (text(&case, "id"), hex(text(&case, "hex")));
        match text(&case, "family") {
            "emv-tlv" => tlv::check(&bytes).unwrap_or_else(|e| panic!("{id}: {e}")),
            // Twice the same tag is no error of form; the card's data store refuses it (`tests/card.rs`).
            "emv-tlv-bad" if id != "tlv-bad-dup" => assert!(tlv::check(&bytes).is_err(), "{id}"),
            _ => {}
        }
    }
}

#[test]
fn data_object_lists() {
    for case in cases("devices-emv_dol_cvm.json") {
        let id = text(&case, "id");
        if case.get("dol").is_none() {
            continue;
        }
        let list = hex(text(&case, "dol"));
        if let Some(expected) = case["entries"].as_array() {
            let found = dol::entries(&list).unwrap();
            assert_eq!(found.len(), expected.len(), "{id}");
            for ((tag, length), expect) in found.iter().zip(expected) {
                assert_eq!(format!("{tag:X}"), expect[0].as_str().unwrap(), "{id}");
                assert_eq!(Some(*length as u64), expect[1].as_u64(), "{id}");
            }
        } else if let Some(expected) = case["data"].as_str() {
            let values: Vec<(String, Vec<u8>)> = case["source"]
                .as_object()
                .unwrap()
                .iter()
                .map(|(tag, value)| (tag.clone(), hex(value.as_str().unwrap())))
                .collect();
            let value = |tag: u32| {
                values.iter().find(|(name, _)| *name == format!("{tag:X}")).map(|(_, v)| v.as_slice())
            };
            assert_eq!(::hex::encode_upper(dol::build(&list, value).unwrap().as_slice()), expected, "{id}");
        } else {
            assert!(dol::build(&list, |_| None).is_err(), "{id}");
        }
    }
    for case in cases("channels-emv.json") {
        if text(&case, "family") != "emv-pdol" {
            continue;
        }
        let values: Vec<(String, Vec<u8>)> = case["values"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(tag, value)| (tag.clone(), hex(value.as_str().unwrap())))
            .collect();
        let value =
            |tag: u32| values.iter().find(|(name, _)| *name == format!("{tag:X}")).map(|(_, v)| v.as_slice());
        let data = dol::build(&hex(text(&case, "pdol")), value).unwrap();
        let command = till_driver_nfc::emv::apdu::processing_options(&data);
        assert_eq!(::hex::encode_upper(command.as_slice()), text(&case, "gpo_apdu"), "{}", text(&case, "id"));
    }
}
