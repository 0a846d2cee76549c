//! The shared vectors, where they are beside the project.

use super::super::token::{Charset, Token, Tokenizer};
use super::super::{Machine, Model};
use super::{cases, printed};

#[test]
fn every_known_command_is_cut_right() {
    for case in cases("devices-escpos_commands.json") {
        let id = case["id"].as_str().unwrap();
        let bytes = hex::decode(case["bytes"].as_str().unwrap()).unwrap();
        let mut tokenizer = Tokenizer::new(Charset::Gb18030, true);
        let tokens = tokenizer.feed(&bytes);
        if case["expect"] == "negative" {
            assert!(tokenizer.incomplete() > 0, "{id}: the printer waits for more bytes");
            continue;
        }
        assert_eq!(tokenizer.incomplete(), 0, "{id}");
        assert!(!tokens.iter().any(|(t, _)| matches!(t, Token::Unknown(_))), "{id}: {tokens:?}");
    }
}

#[test]
fn whole_jobs_of_other_implementations_hold_nothing_unknown() {
    for case in cases("devices-escpos_streams.json") {
        let bytes = hex::decode(case["hex"].as_str().unwrap()).unwrap();
        // These were made for Western firmware.
        let machine = printed(Model { chinese: false, ..Model::default() }, &bytes);
        let printed =
            machine.receipts().iter().map(|r| r.blocks.len()).sum::<usize>() + machine.uncut().blocks.len();
        println!("{}: {printed} blocks, notes {:?}", case["id"], machine.notes());
        assert!(machine.unknown().is_empty(), "{}: {:02X?}", case["id"], machine.unknown());
        assert!(printed > 5, "{}", case["id"]);
        // Cases without a stated use include one whose picture is shorter than its header says.
        if case["use"].is_string() {
            assert_eq!(machine.status().waiting, 0, "{}: to the last byte", case["id"]);
        }
    }
}

/// The states of the published replies, brought about here, must give those replies.
#[test]
fn status_replies_are_the_published_ones() {
    use super::super::{Command, Fault};
    let state = |id: &str| {
        let (query, commands): (&[u8], Vec<Command>) = match id {
            "online" => (b"\x10\x04\x01", vec![]),
            "online-drawer" => (b"\x10\x04\x01", vec![Command::Drawer { high: true }]),
            "paper-end-stop" => (b"\x10\x04\x02", vec![Command::PaperOut {}]),
            "unrecoverable" => (b"\x10\x04\x03", vec![Command::Fault { fault: Some(Fault::Unrecoverable) }]),
            "overheat" => (b"\x10\x04\x03", vec![Command::Fault { fault: Some(Fault::Overheat) }]),
            "error" => (b"\x10\x04\x02", vec![Command::Fault { fault: Some(Fault::Overheat) }]),
            "paper-near" => (b"\x10\x04\x04", vec![Command::Paper { lines: 1 }]),
            "triple" => (b"\x10\x04\x01\x10\x04\x02\x10\x04\x04", vec![Command::PaperOut {}]),
            "asb-idle" => (b"\x1Da\xFF", vec![Command::Drawer { high: true }]),
            "asb-near" => (b"\x1Da\xFF", vec![Command::Paper { lines: 1 }]),
            _ => return None,
        };
        let mut machine = Machine::new(Model::default());
        for command in &commands {
            machine.command(command);
        }
        machine.receive(query);
        Some(machine.take_replies())
    };
    for case in cases("devices-escpos_status.json") {
        if let Some(replies) = state(case["id"].as_str().unwrap()) {
            assert_eq!(hex::encode_upper(replies), case["reply"].as_str().unwrap(), "{}", case["id"]);
        }
    }
}
