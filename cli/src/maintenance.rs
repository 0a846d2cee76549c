//! `maintenance`: what was announced, and announcing.

use std::fs::File;
use std::io::{Read, stdin};
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use till_dbus::Options;
use till_dbus::types::MaintenanceRow;

use crate::args::MaintenanceCommand;
use crate::exit::Failure;
use crate::look::{Look, Tone};
use crate::session::Session;
use crate::table::{Cell, render};

/// Longest file, bytes.
const MAX: u64 = 64 * 1024;

fn bytes(file: &Path) -> Result<Vec<u8>, Failure> {
    let fail = |e: std::io::Error| Failure::usage(format!("{}: {e}", file.display()));
    let mut bytes = Vec::new();
    let read = if file.as_os_str() == "-" {
        stdin().lock().take(MAX + 1).read_to_end(&mut bytes)
    } else {
        File::open(file).and_then(|f| f.take(MAX + 1).read_to_end(&mut bytes))
    };
    let length = read.map_err(fail)?;
    if u64::try_from(length).unwrap_or(u64::MAX) > MAX {
        return Err(Failure::usage(format!("{}: an announcement has at most {MAX} bytes", file.display())));
    }
    Ok(bytes)
}

fn text(file: &Path) -> Result<String, Failure> {
    String::from_utf8(bytes(file)?)
        .map_err(|_| Failure::usage(format!("{}: this is no text", file.display())))
}

/// As base64, whichever way the file has it.
fn signature(bytes: &[u8]) -> String {
    if bytes.len() == 64 {
        return STANDARD.encode(bytes);
    }
    String::from_utf8_lossy(bytes).split_whitespace().collect()
}

/// Runs one of these commands.
pub(crate) async fn run(s: &Session, command: &MaintenanceCommand) -> Result<(), Failure> {
    let till = s.terminal().await?;
    match command {
        MaintenanceCommand::Announce { file } => {
            let id = till.announce_maintenance(&text(file)?, s.options()).await?;
            s.did(&format!("{}: {id}", s.look.say("announced", "已公告")), &json!({ "announced": id }))
        }
        MaintenanceCommand::Withdraw { id } => {
            till.withdraw_maintenance(id, s.options()).await?;
            s.did(&format!("{}: {id}", s.look.say("withdrawn", "已撤回")), &json!({ "withdrawn": id }))
        }
        MaintenanceCommand::Deliver { file, signature: by } => {
            let by = signature(&bytes(by)?);
            let issue = till.deliver_maintenance(&text(file)?, &by, Options::new()).await?;
            let line = s.look.say("the signed plan has the number", "签名公告编号");
            s.did(&format!("{line} {issue}"), &json!({ "issue": issue }))
        }
        MaintenanceCommand::List => {
            let rows = till.list_maintenance(Options::new()).await?;
            s.show(&json!({ "windows": rows }), |look| list(look, &rows))
        }
    }
}

/// Announced windows.
pub fn list(look: &Look, rows: &[MaintenanceRow]) -> String {
    if rows.is_empty() {
        return format!("{}\n", look.say("nothing is announced", "暂无维护公告"));
    }
    let time = |ms: i64| if ms == 0 { look.say("over", "已结束").to_owned() } else { look.time(ms) };
    let rows: Vec<Vec<Cell>> = rows
        .iter()
        .map(|r| {
            let source = if r.issue == 0 { r.source.clone() } else { format!("{} {}", r.source, r.issue) };
            vec![
                Cell::new(&r.id),
                Cell::new(source).tone(Tone::Faint),
                Cell::new(&r.channel),
                Cell::new(time(r.from_ms)),
                Cell::new(time(r.until_ms)),
                Cell::new(&r.kind),
                Cell::new(&r.reason),
            ]
        })
        .collect();
    let head = if look.chinese {
        ["公告", "来源", "通道", "开始", "结束", "类型", "原因"]
    } else {
        ["announcement", "by", "channel", "from", "until", "kind", "reason"]
    };
    render(look, &head, &rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_may_be_bytes_or_base64_with_line_ends() {
        let bytes = [7_u8; 64];
        let text = STANDARD.encode(bytes);
        assert_eq!(signature(&bytes), text);
        assert_eq!(signature(format!("{}\n{}\n", &text[..64], &text[64..]).as_bytes()), text);
    }
}
