//! The rig: simulators in this process, `tilld` as a program.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use till_simulators::acquirer::{Acquirer, AcquirerConfig, Terminal};
use till_simulators::alipay::{Gateway, Settings};
use till_simulators::bus::{BusHandle, start_bus};
use till_simulators::players::{ReaderSocket, ScannerPty};
use till_simulators::printer::{PrinterConfig, VirtualPrinter};

use crate::client::Client;
use crate::staging;

/// Why the rig does not stand.
#[derive(Debug, thiserror::Error)]
pub enum RigError {
    /// Something is not built.
    #[error("{what} is not built: run `cargo build --workspace` first (./test and ./demo do)")]
    NotBuilt {
        /// What.
        what: String,
    },
    /// A simulator.
    #[error("simulator: {0}")]
    Simulator(String),
    /// `tilld` ended or did not get ready.
    #[error("tilld: {0}")]
    Till(String),
    /// Bus.
    #[error("bus: {0}")]
    Bus(#[from] zbus::Error),
    /// Anything of the system.
    #[error("{0}")]
    System(String),
}

/// How the rig is made.
#[derive(Clone)]
pub struct RigOptions {
    /// Directory; None: a temporary one.
    pub dir: Option<PathBuf>,
    /// Use HTTPS to the wallet's gateway.
    pub https: bool,
    /// The wallet's gateway and its channel name certificates, which the channel reads from files, in place of keys.
    pub wallet_certificates: bool,
    /// Appended to `tilld.toml`.
    pub extra_config: String,
    /// Further settings of the bank card channel, lines of TOML.
    pub bankcard: String,
    /// Query and undo pauses of the wallet, ms: first query, every, until, undo pause. Real ones are seconds.
    pub wallet_ms: [u32; 4],
    /// Longest exchange with the wallet's gateway, ms.
    pub wallet_exchange_ms: u32,
    /// Longest the till waits for the acquirer, ms.
    pub acquirer_ms: u32,
    /// Show `tilld`'s log as it comes.
    pub show_log: bool,
    /// Printer model and paper.
    pub printer: PrinterConfig,
    /// Environment of `tilld` beyond this process's own.
    pub env: Vec<(String, String)>,
    /// What is started as the plugins' process; None: the one beside `tilld`.
    pub plugin_host: Option<PathBuf>,
    /// `clock.trust`.
    pub clock_trust: &'static str,
    /// `[routing]`. The usual one has breakers that never open: tests that break networks on purpose want the next sale to go
    /// there all the same.
    pub routing: String,
}

impl Default for RigOptions {
    fn default() -> Self {
        Self {
            dir: None,
            https: true,
            wallet_certificates: false,
            extra_config: String::new(),
            bankcard: String::new(),
            wallet_ms: [150, 200, 900, 300],
            wallet_exchange_ms: 1500,
            acquirer_ms: 1500,
            show_log: false,
            printer: PrinterConfig::default(),
            env: Vec::new(),
            plugin_host: None,
            clock_trust: "always",
            routing: "[routing.breaker]\nin-a-row = 1000\nfaults = 0\n".into(),
        }
    }
}

/// A standing till.
pub struct Rig {
    /// Where everything lies.
    pub dir: PathBuf,
    _temporary: Option<tempfile::TempDir>,
    /// Options it was made with.
    pub options: RigOptions,
    /// The private bus.
    pub bus: BusHandle,
    /// The wallet's gateway.
    pub gateway: Gateway,
    /// The acquirer.
    pub acquirer: Acquirer,
    /// The receipt printer.
    pub printer: VirtualPrinter,
    /// The code scanner.
    pub scanner: ScannerPty,
    /// The card reader.
    pub reader: ReaderSocket,
    till: Option<Child>,
    cards: Mutex<BTreeSet<String>>,
    log: Arc<Mutex<Vec<String>>>,
}

impl Rig {
    /// Starts simulators and `tilld`, waits until it serves its name.
    pub async fn start(options: RigOptions) -> Result<Self, RigError> {
        let mut rig = Self::stand(options)?;
        rig.start_till()?;
        rig.wait_ready().await?;
        Ok(rig)
    }

    /// Starts everything but `tilld`.
    pub fn stand(options: RigOptions) -> Result<Self, RigError> {
        let sim = |e: &dyn std::fmt::Display| RigError::Simulator(e.to_string());
        let io = |e: std::io::Error| RigError::System(e.to_string());
        let temporary = match &options.dir {
            Some(_) => None,
            None => Some(tempfile::tempdir().map_err(io)?),
        };
        let dir = options
            .dir
            .clone()
            .or_else(|| temporary.as_ref().map(|t| t.path().to_path_buf()))
            .unwrap_or_default();
        for part in ["run", "secrets", "state", "plugins"] {
            fs::create_dir_all(dir.join(part)).map_err(io)?;
        }
        staging::plugins(&dir.join("plugins"))?;
        let bus = start_bus(&dir.join("run")).map_err(|e| sim(&e))?;
        let mut settings = Settings::default();
        settings.https = options.https.then(|| ([127, 0, 0, 1], 0).into());
        settings.certificates = options.wallet_certificates;
        let gateway = Gateway::start(settings).map_err(|e| sim(&e))?;
        let acquirer = Acquirer::start(AcquirerConfig::default()).map_err(|e| sim(&e))?;
        let printer = VirtualPrinter::start(options.printer.clone()).map_err(|e| sim(&e))?;
        let scanner = ScannerPty::open(Some(&dir.join("run/scanner"))).map_err(|e| sim(&e))?;
        let reader = ReaderSocket::listen(&dir.join("run/reader.sock")).map_err(|e| sim(&e))?;
        let rig = Self {
            dir,
            _temporary: temporary,
            options,
            bus,
            gateway,
            acquirer,
            printer,
            scanner,
            reader,
            till: None,
            cards: Mutex::default(),
            log: Arc::default(),
        };
        rig.write_config()?;
        Ok(rig)
    }

    /// The configuration file.
    pub fn config_file(&self) -> PathBuf {
        self.dir.join("tilld.toml")
    }

    /// Another file of configuration, which counts from the next start on.
    pub fn drop_in(&self, name: &str, text: &str) -> Result<(), RigError> {
        let io = |e: std::io::Error| RigError::System(e.to_string());
        let folder = self.dir.join("tilld.toml.d");
        fs::create_dir_all(&folder).map_err(io)?;
        fs::write(folder.join(name), text).map_err(io)
    }

    fn write_config(&self) -> Result<(), RigError> {
        let io = |e: std::io::Error| RigError::System(e.to_string());
        let secret = |name: &str, value: &str| -> Result<(), RigError> {
            let path = self.dir.join("secrets").join(name);
            fs::write(&path, value).map_err(io)?;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).map_err(io)
        };
        let terminal = Terminal::default();
        secret("alipay-key", self.gateway.app_private_pem())?;
        secret("tmk", &crate::search::lower_hex(&terminal.tmk).to_ascii_uppercase())?;
        // For tests that add the channel to `extra_config`.
        secret("prepaid-card-key", "a key of thirty-two bytes for tests")?;
        if let Some(given) = self.gateway.certificates() {
            for (name, pem) in
                [("app", &given.app_pem), ("alipay", &given.gateway_pem), ("root", &given.root_pem)]
            {
                fs::write(self.dir.join(format!("{name}.crt")), pem).map_err(io)?;
            }
        }
        let ca = self.dir.join("gateway-ca.pem");
        fs::write(&ca, self.gateway.authority_pem()).map_err(io)?;
        fs::write(self.config_file(), self.config_text(&terminal, &ca)).map_err(io)
    }

    fn config_text(&self, terminal: &Terminal, ca: &Path) -> String {
        let dir = self.dir.display();
        let [first, every, until, pause] = self.options.wallet_ms;
        let gateway = self.gateway.https_url().unwrap_or_else(|| self.gateway.url());
        let insecure = !self.options.https;
        let host = self.options.plugin_host.as_ref().map(|host| format!("host = \"{}\"\n", host.display()));
        format!(
            r#"# Written by the rig: simulated devices and networks, test keys.
[terminal]
id = "{tid}"

[shop]
name = "好味小馆"
lines = ["上海市黄浦区示例路 1 号", "电话 021-5555-0100"]
footer = ["谢谢惠顾，欢迎再来"]

[bus]
address = "{bus}"

[journal]
dir = "{dir}/state/journal"
force-filesystem = true
free-floor-mib = 16

[plugins]
dirs = ["{dir}/plugins"]
state-dir = "{dir}/state/plugins"
{host}
[secrets]
dir = "{dir}/secrets"

[clock]
trust = "{trust}"
{routing}

[device.scanner]
plugin = "org.tilld.scanner"
transport = {{ kind = "serial", path = "{dir}/run/scanner", baud = 115200 }}
settings = {{ duplicate-ms = 0 }}

[device.cardreader]
plugin = "org.tilld.magstripe"
transport = {{ kind = "unix", path = "{dir}/run/reader.sock", as = "evdev" }}

[device.printer]
plugin = "org.tilld.printer"
transport = {{ kind = "tcp", address = "{printer}" }}

[channel.alipay]
plugin = "org.tilld.alipay"
name = "支付宝"
priority = 10
secrets = {{ app_private_key = "alipay-key" }}
[channel.alipay.settings]
app_id = "{app}"
gateway = "{gateway}"
ca_file = "{ca}"
insecure_http_for_tests = {insecure}
{seal}
query_first_ms = {first}
query_every_ms = {every}
query_until_ms = {until}
cancel_pause_ms = {pause}
cancel_pause_max_ms = 2000
exchange_timeout_ms = {exchange}

[channel.bankcard]
plugin = "org.tilld.bankcard"
name = "银行卡"
priority = 20
secrets = {{ tmk = "tmk" }}
[channel.bankcard.settings]
address = "{acquirer}"
terminal = "{tid}"
merchant = "{mid}"
no_pin = "accept"
tls = false
{bankcard}
[channel.bankcard.settings.dialect.timing]
answer = {acquirer_ms}

[channel.cash]
plugin = "org.tilld.cash"
name = "现金"
priority = 30
{extra}"#,
            host = host.as_deref().unwrap_or_default(),
            trust = self.options.clock_trust,
            routing = self.options.routing,
            tid = terminal.tid,
            mid = terminal.mid,
            bus = self.bus.address(),
            printer = self.printer.addr(),
            app = self.gateway.app_id(),
            ca = ca.display(),
            seal = self.wallet_seal(),
            exchange = self.options.wallet_exchange_ms,
            acquirer = self.acquirer.addr(),
            bankcard = self.options.bankcard,
            acquirer_ms = self.options.acquirer_ms,
            extra = self.options.extra_config,
        )
    }

    /// What the wallet's channel believes answers by.
    fn wallet_seal(&self) -> String {
        if self.gateway.certificates().is_none() {
            return format!("alipay_public_key = \"\"\"{}\"\"\"", self.gateway.public_pem());
        }
        let file = |setting: &str, name: &str| {
            format!("{setting}_file = \"{}\"", self.dir.join(format!("{name}.crt")).display())
        };
        [file("app_certificate", "app"), file("alipay_certificate", "alipay"), file("alipay_root", "root")]
            .join("\n")
    }

    /// What starts `tilld`; its log goes to a pipe.
    pub fn till_command(&self) -> Result<Command, RigError> {
        // Another build, or the installed one, can be put to the same tests.
        let other = std::env::var_os("TILL_TEST_TILLD").map(PathBuf::from);
        let program = other.map_or_else(|| staging::built().map(|b| b.join("tilld")), Ok)?;
        let mut command = Command::new(&program);
        command
            .arg("--config")
            .arg(self.config_file())
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .env_remove("JOURNAL_STREAM")
            .envs(self.options.env.iter().map(|(k, v)| (k, v)));
        crate::mortal::mortal(&mut command);
        Ok(command)
    }

    /// Starts `tilld`.
    pub fn start_till(&mut self) -> Result<(), RigError> {
        let mut command = self.till_command()?;
        let mut child = command
            .spawn()
            .map_err(|e| RigError::Till(format!("{}: {e}", command.get_program().display())))?;
        if let Some(stderr) = child.stderr.take() {
            let (log, show) = (self.log.clone(), self.options.show_log);
            std::thread::spawn(move || {
                for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                    if show {
                        eprintln!("{line}");
                    }
                    log.lock().unwrap_or_else(PoisonError::into_inner).push(line);
                }
            });
        }
        self.till = Some(child);
        Ok(())
    }

    /// Waits until `tilld` serves its name, and its channels and devices stand.
    pub async fn wait_ready(&mut self) -> Result<Client, RigError> {
        let deadline = Instant::now() + Duration::from_secs(30);
        let client = Client::connect(self.bus.address()).await?;
        loop {
            if let Some(status) = self.till.as_mut().and_then(|c| c.try_wait().ok().flatten()) {
                let log = self.log_lines();
                return Err(RigError::Till(format!(
                    "ended with {status}: {}",
                    log.last().cloned().unwrap_or_default()
                )));
            }
            if client.is_up().await && client.state().await.is_ok_and(|s| s == "ready") {
                return Ok(client);
            }
            if Instant::now() > deadline {
                let blockers = client.blockers().await.unwrap_or_default();
                return Err(RigError::Till(format!(
                    "not ready after 30 s: {blockers:?}\n{}",
                    self.log_lines().join("\n")
                )));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until `tilld` serves its name, whatever works or does not.
    pub async fn wait_up(&mut self) -> Result<Client, RigError> {
        let deadline = Instant::now() + Duration::from_secs(30);
        let client = Client::connect(self.bus.address()).await?;
        loop {
            if let Some(status) = self.till.as_mut().and_then(|c| c.try_wait().ok().flatten()) {
                return Err(RigError::Till(format!("ended with {status}\n{}", self.log_lines().join("\n"))));
            }
            if client.is_up().await && client.state().await.is_ok() {
                return Ok(client);
            }
            if Instant::now() > deadline {
                return Err(RigError::Till(format!("not there after 30 s\n{}", self.log_lines().join("\n"))));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until `tilld` has ended by itself; gives its exit code.
    pub fn wait_end(&mut self) -> Option<i32> {
        self.till.take().and_then(|mut child| child.wait().ok()).and_then(|status| status.code())
    }

    /// A new front-end.
    pub async fn client(&self) -> Result<Client, RigError> {
        Ok(Client::connect(self.bus.address()).await?)
    }

    /// A card of the shop's own that is used in this test: the books then look at its ledger too.
    pub fn know_card(&self, number: &str) {
        self.cards.lock().unwrap_or_else(PoisonError::into_inner).insert(number.to_owned());
    }

    /// The shop's own cards of this test.
    pub fn known_cards(&self) -> Vec<String> {
        self.cards.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// Process id of `tilld`.
    pub fn pid(&self) -> Option<u32> {
        self.till.as_ref().map(Child::id)
    }

    /// Kills `tilld` without a word (`kill -9`) and waits until it is gone.
    pub fn kill_till(&mut self) {
        if let Some(mut child) = self.till.take() {
            let _gone = child.kill();
            let _reaped = child.wait();
        }
    }

    /// Stops `tilld` in order; gives whether it ended well.
    pub fn stop_till(&mut self) -> bool {
        let Some(mut child) = self.till.take() else { return true };
        if let Some(pid) = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw) {
            let _gone = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        child.wait().is_ok_and(|status| status.success())
    }

    /// Process ids of the plugin hosts, by the plugin's file name.
    pub fn hosts(&self) -> Vec<(u32, String)> {
        let Some(parent) = self.pid() else { return Vec::new() };
        let Ok(processes) = fs::read_dir("/proc") else { return Vec::new() };
        let mut hosts = Vec::new();
        for pid in processes.filter_map(|p| p.ok()?.file_name().to_str()?.parse::<u32>().ok()) {
            let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            if !status.lines().any(|l| l == format!("PPid:\t{parent}")) {
                continue;
            }
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&line).replace('\0', " ");
            if line.contains("till-plugin-host") {
                hosts.push((pid, line));
            }
        }
        hosts
    }

    /// Process ids of all plugin hosts on this rig's plugins, whoever their parent is now.
    pub fn hosts_anywhere(&self) -> Vec<u32> {
        let ours = self.dir.join("plugins").display().to_string();
        let Ok(processes) = fs::read_dir("/proc") else { return Vec::new() };
        let pids = processes.filter_map(|p| p.ok()?.file_name().to_str()?.parse::<u32>().ok());
        pids.filter(|pid| {
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&line);
            line.contains("till-plugin-host") && line.contains(&ours)
        })
        .collect()
    }

    /// Kills the host of one plugin; gives whether there was one.
    pub fn kill_host(&self, library: &str) -> bool {
        let found = self.hosts().into_iter().find(|(_, line)| line.contains(library));
        let pid = found.and_then(|(pid, _)| rustix::process::Pid::from_raw(i32::try_from(pid).ok()?));
        pid.is_some_and(|pid| rustix::process::kill_process(pid, rustix::process::Signal::KILL).is_ok())
    }

    /// What `tilld` has logged so far, over all its runs.
    pub fn log_lines(&self) -> Vec<String> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.kill_till();
    }
}
