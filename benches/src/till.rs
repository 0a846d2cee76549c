//! A whole till to measure on: the rig of the end-to-end tests, with a front-end that takes the time of every signal.

use std::path::Path;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use tempfile::TempDir;
use till_tests::{Client, Rig, RigOptions};
use tokio::time::timeout;

use crate::Outcome;

/// Longest that a measurement waits for what must come.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A standing till in a folder of its own, that goes with it.
pub struct Bench {
    /// The till and its surroundings.
    pub rig: Rig,
    /// A front-end.
    pub client: Client,
    /// It has a receipt printer.
    pub prints: bool,
    // After the rig: a till that still writes would bring the folder back.
    dir: TempDir,
}

impl Bench {
    /// Starts everything under `base`: the journal is on that disk.
    pub async fn start(base: &Path) -> Outcome<Self> {
        Self::begin(base, true, |_| Ok(())).await
    }

    /// The same without a printer. A cash receipt opens the drawer, and a printer gives its drawer one pulse a second:
    /// who waits for the paper measures that.
    pub async fn start_without_printer(base: &Path) -> Outcome<Self> {
        Self::start_with(base, |_| Ok(())).await
    }

    /// The same, with what `before` connects and configures before the till starts.
    pub async fn start_with(base: &Path, before: impl FnOnce(&Rig) -> Outcome) -> Outcome<Self> {
        Self::begin(base, false, before).await
    }

    async fn begin(base: &Path, prints: bool, before: impl FnOnce(&Rig) -> Outcome) -> Outcome<Self> {
        let dir = tempfile::tempdir_in(base)?;
        let mut rig = Rig::stand(RigOptions { dir: Some(dir.path().to_owned()), ..RigOptions::default() })?;
        if !prints {
            let off = format!(
                "[device.printer]\nplugin = \"org.tilld.printer\"\nenabled = false\n\
                 transport = {{ kind = \"tcp\", address = \"{}\" }}\n",
                rig.printer.addr()
            );
            rig.drop_in("bench.toml", &off)?;
        }
        before(&rig)?;
        rig.start_till()?;
        let client = rig.wait_ready().await?;
        Ok(Self { rig, client, prints, dir })
    }

    /// The till's folder.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Shows the end of the till's log, where a measurement failed.
    pub fn last_words(&self) {
        eprintln!("The last lines of tilld's log:");
        for line in self.rig.log_lines().iter().rev().take(12).rev() {
            eprintln!("  {line}");
        }
    }
}

/// The signals of all payments.
pub struct Signals(zbus::MessageStream);

/// One signal: when it was in this process, the object, the member, and its first two texts.
pub struct Signal {
    /// When.
    pub at: Instant,
    /// Object.
    pub path: String,
    /// Member.
    pub member: String,
    /// For `StateChanged` the old and the new state.
    pub texts: [String; 2],
}

impl Signals {
    /// From now on.
    pub async fn open(client: &Client) -> Outcome<Self> {
        let rule = zbus::MatchRule::builder()
            .msg_type(zbus::message::Type::Signal)
            .interface("org.tilld.Payment1")
            .build()?;
        let queue = std::num::NonZeroUsize::new(1024);
        Ok(Self(zbus::MessageStream::for_match_rule(rule, client.connection(), queue).await?))
    }

    /// The next one; an error after [`PATIENCE`].
    async fn next(&mut self) -> Outcome<Signal> {
        let message = timeout(PATIENCE, self.0.next())
            .await
            .map_err(|_| format!("no signal of a payment came within {PATIENCE:?}"))?
            .ok_or("the bus has ended")??;
        let at = Instant::now();
        let header = message.header();
        let path = header.path().map(ToString::to_string).unwrap_or_default();
        let member = header.member().map(ToString::to_string).unwrap_or_default();
        let texts = match message.body().deserialize::<(String, String, String, u64)>() {
            Ok((old, new, _, _)) => [old, new],
            Err(_) => Default::default(),
        };
        Ok(Signal { at, path, member, texts })
    }

    /// When a payment's signal came: `StateChanged` to `state`, or `Presented` when `state` is empty.
    pub async fn wait(&mut self, path: &str, state: &str) -> Outcome<Instant> {
        loop {
            let signal = self.next().await.map_err(|e| {
                let wanted = if state.is_empty() { "Presented" } else { state };
                format!("{path}, waiting for {wanted}: {e}")
            })?;
            if signal.path != path {
                continue;
            }
            match signal.member.as_str() {
                "InputRefused" => return Err(format!("{path}: what was presented was refused").into()),
                "Presented" if state.is_empty() => return Ok(signal.at),
                "StateChanged" if signal.texts[1] == state => return Ok(signal.at),
                "StateChanged" if signal.texts[1] == "review" || signal.texts[1] == "cancelled" => {
                    return Err(format!("{path} became {}", signal.texts[1]).into());
                }
                _ => {}
            }
        }
    }
}
