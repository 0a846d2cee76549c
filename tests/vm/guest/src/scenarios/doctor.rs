//! `tillctl doctor` and `tillctl bundle` with real systemd, udev and nodes: all is well, three things are broken, it names each with a
//! command, the command mends it.

use std::fs;

use till_simulators::acquirer::Terminal;
use till_tests::search::{self, Needle};

use crate::error::{VmError, claim};
use crate::gadget::{Function, Gadget};
use crate::system;
use crate::till::{CONFIG, Till, site_rules};

const DEVICES: &str = "[device.reader]\nplugin = \"org.tilld.magstripe\"\ntransport = { kind = \"udev\" }\n";

/// What the doctor wants mended: for each its command line, or its words where there is none.
fn to_fix() -> Result<Vec<(String, String)>, VmError> {
    let said = system::said("tillctl", &["doctor", "--json"])?;
    let json: serde_json::Value =
        serde_json::from_str(&said).map_err(|e| VmError::wrong(format!("{e}: {said}")))?;
    let findings = json["findings"].as_array().cloned().unwrap_or_default();
    claim(findings.len() > 4, format!("the doctor says little: {said}"))?;
    let text = |f: &serde_json::Value, key: &str| f[key].as_str().unwrap_or_default().to_owned();
    let bad = findings.iter().filter(|f| f["level"] == "fix");
    Ok(bad.map(|f| (format!("{} {}", text(f, "id"), text(f, "subject")), text(f, "fix"))).collect())
}

/// Breaks something; exactly that is said, and what is said mends it.
async fn broken(till: &Till, how: &str, said: &str) -> Result<(), VmError> {
    system::run("sh", &["-c", how])?;
    let found = to_fix()?;
    // Which file it is may stand in the words or in the command.
    let names = |(what, fix): &&(String, String)| what.contains(said) || fix.contains(said);
    let fix = found.iter().find(names).map(|(_, fix)| fix.clone());
    let fix = fix.ok_or_else(|| VmError::wrong(format!("after `{how}` the doctor says {found:?}")))?;
    let command = fix.split('`').nth(1).unwrap_or_default();
    claim(!command.is_empty(), format!("after `{how}` no command: {fix}"))?;
    system::run("sh", &["-c", command])?;
    till.until(&format!("mended after `{how}`"), || async { to_fix().is_ok_and(|f| f.is_empty()) })
        .await
        .map_err(|e| {
            VmError::wrong(format!("{e}: `{command}` did not mend it: {:?}", to_fix().unwrap_or_default()))
        })
}

pub(super) async fn run(till: &Till) -> Result<String, VmError> {
    site_rules("")?;
    let mut reader = Gadget::new("wedge", (0x0801, 0x0001), "W1", Function::Keyboard)?;
    reader.plug()?;
    till.devices(DEVICES).await?;
    till.device("reader", "ready").await?;
    let found = to_fix()?;
    claim(found.is_empty(), format!("all is well, and the doctor says {found:?}"))?;
    broken(till, &format!("chmod 644 {CONFIG}/secrets/tmk"), "secret").await?;
    broken(till, "systemctl stop tilld.service", "till").await?;
    broken(till, "chmod 666 /usr/lib/tilld/plugins/org.tilld.cash/*.so", "org.tilld.cash").await?;

    let file = "/run/bundle.tar";
    system::run("tillctl", &["bundle", file])?;
    let bytes = fs::read(file).map_err(VmError::file(file))?;
    claim(bytes.len() > 10_000, format!("a bundle of {} bytes", bytes.len()))?;
    let pem = till.gateway.app_private_pem();
    let body: String = pem.lines().filter(|l| !l.starts_with('-')).collect();
    let secrets = [
        Needle::bytes("terminal master key", &Terminal::default().tmk),
        Needle::bytes("private key", body.as_bytes()),
        Needle::digits("card number", "6200000000000005"),
    ];
    let found = search::bytes("bundle", &bytes, &secrets);
    claim(found.is_empty(), format!("the bundle has {found:?}"))?;
    let _gone = fs::remove_file(file);
    Ok(format!("3 broken and mended, a bundle of {} KiB", bytes.len() >> 10))
}
