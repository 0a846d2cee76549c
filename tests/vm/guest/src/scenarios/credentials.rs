//! Secrets as systemd credentials, as install.md says: channels sign in and sell with them, and nobody else reads them.

use std::fs;
use std::path::Path;

use till_tests::search::{self, Needle};

use crate::error::{VmError, claim};
use crate::system;
use crate::till::{CONFIG, Till};

/// Root's own, where a site keeps them.
const KEPT: &str = "/root/till-secrets";

/// The secrets go away from the configuration; back again when dropped.
struct Moved {
    config: String,
}

impl Moved {
    fn away() -> Result<Self, VmError> {
        let file = format!("{CONFIG}/tilld.toml");
        let config = fs::read_to_string(&file).map_err(VmError::file(&file))?;
        let without = config.replace(&format!("[secrets]\ndir = \"{CONFIG}/secrets\"\n"), "");
        claim(without != config, "the configuration names no folder of secrets")?;
        let moved = Self { config };
        system::run(
            "sh",
            &[
                "-c",
                &format!("mv {CONFIG}/secrets {KEPT} && chown -R root:root {KEPT} && chmod -R go= {KEPT}"),
            ],
        )?;
        fs::write(&file, without).map_err(VmError::file(&file))?;
        let lines = ["alipay-key", "tmk"].map(|name| format!("LoadCredential={name}:{KEPT}/{name}\n"));
        system::unit(&format!("[Service]\n{}", lines.concat()))?;
        Ok(moved)
    }
}

impl Drop for Moved {
    fn drop(&mut self) {
        let _back = fs::write(format!("{CONFIG}/tilld.toml"), &self.config);
        let _back = system::run(
            "sh",
            &["-c", &format!("mv {KEPT} {CONFIG}/secrets && chown -R tilld: {CONFIG}/secrets")],
        );
        let _back = system::unit("");
    }
}

pub(super) async fn run(till: &Till) -> Result<String, VmError> {
    let moved = Moved::away()?;
    // Waits until both channels are ready: one has signed in with its key by then.
    till.devices("").await?;
    let booked = till.wallet_booked();
    till.wallet(1_410, 730_001).await?;
    claim(till.wallet_booked() == booked + 1_410, "a request signed with a credential was not booked")?;
    let folder = "/run/credentials/tilld.service";
    let read = |user: &str| {
        system::run("runuser", &["-u", user, "--", "sh", "-c", &format!("cat {folder}/tmk >/dev/null")])
    };
    claim(read("nobody").is_err(), "user nobody reads a credential")?;
    claim(Path::new(folder).join("tmk").exists(), "there is no credential")?;
    let text = fs::read(format!("{KEPT}/tmk")).map_err(VmError::file(KEPT))?;
    let tmk = [Needle::bytes("terminal master key", &text)];
    let mut found = Vec::new();
    for pid in system::processes()? {
        for what in ["environ", "cmdline"] {
            let bytes = fs::read(format!("/proc/{pid}/{what}")).unwrap_or_default();
            found.extend(search::bytes(&format!("{pid} {what}"), &bytes, &tmk));
        }
    }
    let shown = system::run("systemctl", &["show", "tilld.service"])?;
    found.extend(search::bytes("systemctl show", shown.as_bytes(), &tmk));
    claim(found.is_empty(), format!("a credential is where it must not be: {found:?}"))?;
    drop(moved);
    till.devices("").await?;
    Ok(String::new())
}
