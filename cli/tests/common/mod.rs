//! A till of its own for a test: a private bus, `tilld` as the program it is, cash as its only channel.
#![allow(clippy::unwrap_used, clippy::expect_used, unreachable_pub, dead_code)] // each test file uses its part

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;

use till_simulators::bus::{BusHandle, start_bus};

/// Folder with the built programs; builds what is missing, once.
fn built() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let folder = Path::new(env!("CARGO_BIN_EXE_tillctl")).parent().unwrap().to_path_buf();
        let missing: Vec<&str> = [
            ("tilld", "tilld"),
            ("till-plugin-host", "till-plugin-host"),
            ("libtill_channel_cash.so", "till-channel-cash"),
            ("libtill_channel_prepaid.so", "till-channel-prepaid"),
        ]
        .into_iter()
        .filter(|(file, _)| !folder.join(file).is_file())
        .map(|(_, package)| package)
        .collect();
        if !missing.is_empty() {
            let mut cargo = Command::new(env!("CARGO"));
            cargo.current_dir(workspace()).arg("build").arg("--target-dir").arg(folder.parent().unwrap());
            if folder.ends_with("release") {
                cargo.arg("--release");
            }
            for package in missing {
                cargo.args(["-p", package]);
            }
            assert!(cargo.status().unwrap().success(), "what the test needs does not build");
        }
        folder
    })
}

fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// Puts a channel's plugin where `tilld` looks for it.
fn plugin(dir: &Path, channel: &str) {
    let folder = dir.join(format!("plugins/org.tilld.{channel}"));
    fs::create_dir_all(&folder).unwrap();
    let manifest = workspace().join("channels").join(channel).join("manifest.toml");
    fs::copy(manifest, folder.join("manifest.toml")).unwrap();
    let library = format!("libtill_channel_{channel}.so");
    fs::copy(built().join(&library), folder.join(&library)).unwrap();
    let private = std::os::unix::fs::PermissionsExt::from_mode;
    for (path, mode) in [(folder.join(library), 0o644), (folder.clone(), 0o755), (dir.join("plugins"), 0o755)]
    {
        fs::set_permissions(path, private(mode)).unwrap();
    }
}

/// A till.
pub struct Till {
    pub dir: tempfile::TempDir,
    bus: Option<BusHandle>,
    pub address: String,
    daemon: Option<Child>,
}

impl Till {
    /// A bus without a till on it.
    pub fn absent() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let bus = start_bus(&dir.path().join("run")).unwrap();
        Self { address: bus.address().to_owned(), bus: Some(bus), dir, daemon: None }
    }

    /// A till that serves its bus and is ready.
    pub fn start() -> Self {
        let mut till = Self::absent();
        till.install();
        till.run();
        till
    }

    /// The same with a channel that keeps cards.
    pub fn start_with_cards() -> Self {
        let mut till = Self::absent();
        till.install();
        let dir = till.dir.path();
        plugin(dir, "prepaid");
        fs::create_dir(dir.join("secrets")).unwrap();
        let secret = dir.join("secrets/card-key");
        fs::write(&secret, "a key of thirty-two bytes for tests").unwrap();
        fs::set_permissions(secret, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        let more = format!(
            "[channel.prepaid]\nplugin = \"org.tilld.prepaid\"\nsecrets = {{ card_key = \"card-key\" }}\n\
             settings = {{ prefixes = [\"8600\"] }}\n[secrets]\ndir = \"{}/secrets\"\n",
            dir.display()
        );
        let config = fs::read_to_string(dir.join("tilld.toml")).unwrap();
        fs::write(dir.join("tilld.toml"), config + &more).unwrap();
        till.run();
        till
    }

    /// Puts its plugin and configuration in place.
    pub fn install(&self) {
        let dir = self.dir.path();
        plugin(dir, "cash");
        let config = format!(
            "[terminal]\nid = \"T0000001\"\n[shop]\nname = \"好味小馆\"\n[bus]\naddress = \"{bus}\"\n\
             [journal]\ndir = \"{dir}/state/journal\"\nforce-filesystem = true\nfree-floor-mib = 1\nballast-mib = 1\n\
             [plugins]\ndirs = [\"{dir}/plugins\"]\nhost = \"{host}\"\nstate-dir = \"{dir}/state/plugins\"\n\
             [clock]\ntrust = \"always\"\n\
             [channel.cash]\nplugin = \"org.tilld.cash\"\n",
            bus = self.address,
            dir = dir.display(),
            host = built().join("till-plugin-host").display(),
        );
        fs::write(dir.join("tilld.toml"), config).unwrap();
    }

    /// Starts `tilld` and waits until its cash channel is ready.
    pub fn run(&mut self) {
        let log = fs::File::create(self.dir.path().join("tilld.log")).unwrap();
        let mut monitor = self.command(&["monitor", "--json"]);
        let mut monitor = monitor.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // It says so when it listens: nothing that the till tells from here on is missed.
        let notice = BufReader::new(monitor.stderr.take().unwrap()).lines().next();
        assert!(notice.unwrap().unwrap().contains("Ctrl-C ends"));
        let child = Command::new(built().join("tilld"))
            .arg("--config")
            .arg(self.dir.path().join("tilld.toml"))
            .stdin(Stdio::null())
            .stderr(log)
            .env_remove("JOURNAL_STREAM")
            .spawn()
            .unwrap();
        self.daemon = Some(child);
        // The monitor tells when the channel is ready, in whatever order the two come up.
        let lines = BufReader::new(monitor.stdout.take().unwrap()).lines();
        for line in lines.map_while(Result::ok) {
            if line.contains("NameOwnerChanged") || line.contains("\"State\":\"ready\"") {
                let status = self.ctl(&["status", "--json"]);
                if json(&status)["terminal"]["state"] == "ready" {
                    break;
                }
            }
        }
        let _gone = monitor.kill();
        let _reaped = monitor.wait();
    }

    /// The exit code of a `tilld` that ends by itself.
    pub fn wait_end(&mut self) -> Option<i32> {
        self.daemon.take().unwrap().wait().unwrap().code()
    }

    /// Kills `tilld` without a word.
    pub fn kill(&mut self) {
        if let Some(mut till) = self.daemon.take() {
            till.kill().unwrap();
            till.wait().unwrap();
        }
    }

    /// `tillctl` on this bus, plain and English.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tillctl"));
        command
            .args(args)
            .env("TILLD_BUS", &self.address)
            .env("LANG", "C")
            .env("TZ", "UTC")
            .env_remove("LC_ALL")
            .env_remove("LC_MESSAGES")
            .stdin(Stdio::null());
        command
    }

    /// Runs `tillctl` to its end.
    pub fn ctl(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// Runs `tillctl` with a line on standard input.
    pub fn ctl_with(&self, args: &[&str], input: &str) -> Output {
        let mut child = self
            .command(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    }
}

impl Drop for Till {
    fn drop(&mut self) {
        if let Some(mut till) = self.daemon.take() {
            let _gone = till.kill();
            let _reaped = till.wait();
        }
        drop(self.bus.take());
    }
}

/// Standard output.
pub fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Standard error.
pub fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Standard output as JSON.
pub fn json(output: &Output) -> serde_json::Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {} {}", out(output), err(output)))
}

/// Exit code.
pub fn code(output: &Output) -> i32 {
    output.status.code().unwrap_or(-1)
}
