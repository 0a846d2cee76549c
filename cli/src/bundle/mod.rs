//! `bundle`: diagnostics in one tar file, for a bug report. Without secrets, card data and journal records.
//!
//! Everything is gathered first, cleaned ([`scrub`]) and packed in memory; a file appears only when all of it is there.

pub mod archive;
mod contents;
pub mod scrub;
pub mod settings;

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use serde_json::json;
use till_dbus::Bus;

use crate::args::Bundle;
use crate::doctor;
use crate::exit::Failure;
use crate::look::Look;
use crate::record::Target;
use crate::session::write_out;
use archive::Archive;

/// Makes it.
pub(crate) async fn run(look: &Look, as_json: bool, bus: &Bus, args: &Bundle) -> Result<(), Failure> {
    let now = Timestamp::now();
    let name = format!("tilld-bundle-{}", now.strftime("%Y%m%dT%H%M%SZ"));
    let file = args.file.clone().unwrap_or_else(|| PathBuf::from(format!("{name}.tar")));
    // Refused before anything is asked.
    Target::refuse_existing(&file)?;
    let (link, facts, findings) = doctor::look_at(bus, args.doctor.config.as_deref()).await;
    let mtime_s = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
    let mut archive = Archive::new(&name, mtime_s);
    archive.without(contents::words(&facts));
    archive.json("doctor.json", &doctor::report(&facts, &findings));
    archive.text("doctor.txt", &crate::view::doctor(&Look::plain(), &findings));
    contents::till(&mut archive, &link, &facts).await;
    contents::files(&mut archive, &facts);
    contents::system(&mut archive, &facts).await;
    let about = json!({
        "made": now.to_string(),
        "tillctl": env!("CARGO_PKG_VERSION"),
        "tilld": facts.till.as_ref().map(|t| t.tree.terminal.version.clone()),
        "cleaned": "card numbers, codes, keys, tokens, hashes and unknown settings are replaced by their length",
    });
    let (bytes, contents) = archive.end(&about)?;
    let mut target = Target::new(file)?;
    if let Err(e) = target.write(&bytes) {
        target.give_up();
        return Err(e.into());
    }
    let shown = target.finish()?.map_or_else(|| "-".into(), |file| file.display().to_string());
    if shown == "-" {
        return Ok(());
    }
    if as_json {
        let said = json!({
            "file": shown, "bytes": bytes.len(), "files": contents["files"], "left-out": contents["left-out"],
        });
        return write_out(&format!("{said:#}\n"));
    }
    let count = contents["files"].as_array().map_or(0, Vec::len);
    let mut text = format!("{shown}: {count} {}, {} KiB\n", look.say("files", "个文件"), bytes.len() / 1024);
    for one in contents["left-out"].as_array().into_iter().flatten() {
        let (file, why) = (one["file"].as_str().unwrap_or_default(), one["why"].as_str().unwrap_or_default());
        crate::look::line(&mut text, &format!("  {} {file}: {why}", look.say("without", "缺少")));
    }
    text += look.say(
        "Card numbers, codes, keys and settings that may be secret are taken out.\nRead it before you send it.\n",
        "卡号、付款码、密钥及可能敏感的设置均已去除；发送前请自行查看。\n",
    );
    write_out(&text)
}
