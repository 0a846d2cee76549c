//! `tillctl evidence verify`: an evidence file checked without a till.

use std::fmt::Write as _;
use std::io::Read;
use std::path::Path;

use serde_json::{Value, json};
use till_evidence::{PublicKey, Report, verify_evidence};

use crate::exit::{DONE, FAILED, Failure, UNKNOWN};
use crate::look::{Look, Tone, clean};
use crate::session::write_out;

/// Reads the file and the key, checks, prints; gives the exit code.
pub(crate) fn verify(look: &Look, as_json: bool, file: &Path, key: Option<&Path>) -> Result<u8, Failure> {
    let key = match key {
        Some(path) => {
            let text = String::from_utf8(read(path)?).unwrap_or_default();
            Some(PublicKey::from_pem(&text).map_err(|e| Failure::usage(format!("{}: {e}", path.display())))?)
        }
        None => None,
    };
    let report = verify_evidence(&read(file)?, key.as_ref()).map_err(|e| Failure {
        exit: FAILED,
        code: "Evidence".into(),
        text: format!("{}: {e}", file.display()),
        hint: None,
    })?;
    let text = if as_json {
        let json = json!({ "holds": true, "evidence": report });
        serde_json::to_string_pretty(&json).map_err(std::io::Error::other)? + "\n"
    } else {
        told(look, &report)
    };
    write_out(&text)?;
    Ok(if report.key_was_given { DONE } else { UNKNOWN })
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let mut out = Vec::new();
    let done = if path.as_os_str() == "-" {
        std::io::stdin().read_to_end(&mut out).map(|_| out)
    } else {
        std::fs::read(path)
    };
    done.map_err(|e| Failure {
        exit: FAILED,
        code: "Io".into(),
        text: format!("{}: {e}", path.display()),
        hint: Some("name the file that `tillctl evidence export` or `tillctl evidence key` wrote".into()),
    })
}

/// The report for people.
pub fn told(look: &Look, report: &Report) -> String {
    let mut out = String::new();
    let mut line = |text: &str| {
        let _infallible = writeln!(out, "{text}");
    };
    if report.key_was_given {
        line(&look.paint(
            look.say("holds: signed by this till, nothing altered", "有效：由该终端签名，未被改动"),
            Tone::Good,
        ));
    } else {
        line(&look.paint(
            look.say(
                "nothing was altered, but whose it is nobody says: give the till's public key with --key, or compare the \
                 fingerprint",
                "未被改动，但无法确认出自哪台终端：请用 --key 指定终端公钥，或核对指纹",
            ),
            Tone::Warn,
        ));
    }
    line(&format!("{}  {}", look.say("payment ", "交易"), report.payment));
    line(&format!(
        "{}  {}  ({})",
        look.say("terminal", "终端"),
        clean(&report.terminal),
        clean(&report.software)
    ));
    line(&format!("{}  {}", look.say("key     ", "指纹"), report.key));
    line(&format!("{}  {}", look.say("made    ", "导出"), time(report.exported_ms)));
    line(&format!(
        "{}  {} {} {}",
        look.say("journal ", "流水"),
        look.say("stood at record", "当时最新记录"),
        report.journal.head,
        clean(&report.journal.head_hash)
    ));
    for stretch in &report.stretches {
        line(&format!("          {}–{}  {}", stretch.first, stretch.last, clean(&stretch.root)));
    }
    line("");
    for record in &report.records {
        let doubt =
            if record.clock_ok { "" } else { look.say("  (clock not trusted)", "（时钟不可信）") };
        line(&format!("{:>8}  {}  {}{doubt}", record.seq, time(record.wall_ms), clean(&record.kind)));
        if record.says != Value::Null {
            line(&format!("          {}", clean(&record.says.to_string())));
        }
    }
    if let Some(receipt) = &report.receipt {
        line("");
        for text in receipt.lines() {
            line(&format!("  | {}", clean(text)));
        }
    }
    out
}

/// In UTC: whoever reads it may be anywhere.
fn time(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms)
        .map_or_else(|_| ms.to_string(), |t| t.strftime("%Y-%m-%d %H:%M:%SZ").to_string())
}
