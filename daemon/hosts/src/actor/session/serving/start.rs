//! How a process comes up: its hello, its instance, a channel's rules; then it takes calls.

use till_plugin::host::Level;
use till_plugin::proto::{self, Hello, PROTOCOL, ToHost, method};
use till_plugin::{ErrorCode, PluginError};
use tokio::time::Instant;

use super::{Phase, RULES_CALL, Serving, failure, protocol};
use crate::error::{Failure, FailureKind};
use crate::event::InstanceState;
use crate::instance::HostInfo;
use crate::record::RecordedWhat;

impl Serving<'_> {
    pub(super) fn hello(&mut self, hello: Hello) -> Result<(), Failure> {
        let by = Instant::now() + self.actor.config.timing.create;
        if matches!(self.phase, Phase::Stopping { .. }) {
            return Ok(());
        }
        if hello.protocol != PROTOCOL {
            let reason = format!(
                "the host speaks protocol {}, this daemon {PROTOCOL}: install both from the same package",
                hello.protocol
            );
            return Err(failure(FailureKind::Refused, reason));
        }
        if hello.plugin != self.actor.spec.plugin.id() {
            return Err(protocol("it loaded another plugin than was asked for"));
        }
        match std::mem::replace(&mut self.phase, Phase::Create { by, hello: Box::new(hello) }) {
            Phase::Hello { create, .. } => {
                self.record();
                let sent = self.link.send(&ToHost::Create(*create));
                sent.map_err(|e| {
                    failure(FailureKind::Settings, format!("its settings and stored values: {e}"))
                })
            }
            _ => Err(protocol("it said hello twice")),
        }
    }

    pub(super) fn created(&mut self, description: Vec<u8>) -> Result<(), Failure> {
        let since = Instant::now();
        match std::mem::replace(&mut self.phase, Phase::Ready) {
            Phase::Create { hello, .. } => {
                let info = HostInfo {
                    pid: self.process.pid(),
                    version: hello.version,
                    sdk: hello.sdk,
                    rustc: hello.rustc,
                    sandbox: hello.sandbox,
                    transport: self.actor.attached.clone(),
                    since: since.into_std(),
                    start_took: since - self.began,
                    description,
                    leg_rules: Vec::new(),
                };
                if self.actor.spec.plugin.manifest.channel.is_some() {
                    self.ask_rules(info);
                } else {
                    self.ready(info);
                }
                Ok(())
            }
            Phase::Stopping { by, then } => {
                self.phase = Phase::Stopping { by, then };
                Ok(())
            }
            Phase::Hello { .. } | Phase::Rules { .. } | Phase::Ready => {
                Err(protocol("it made its instance twice"))
            }
        }
    }

    fn ask_rules(&mut self, info: HostInfo) {
        let timeout = self.actor.config.timing.create;
        self.tell(&ToHost::Call {
            id: RULES_CALL,
            method: method::LEG_RULES_1,
            timeout_ms: u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX),
            payload: Vec::new(),
        });
        self.phase = Phase::Rules { by: Instant::now() + timeout, info: Box::new(info) };
    }

    /// The channel's rules have come. One from before there were rules has none; neither has one whose rules this
    /// daemon cannot read: its sales go on, the rest is not offered.
    pub(super) fn rules(&mut self, result: Result<Vec<u8>, PluginError>) {
        let Phase::Rules { by, mut info } = std::mem::replace(&mut self.phase, Phase::Ready) else { return };
        match result.and_then(|bytes| proto::decode(&bytes)) {
            Ok(rules) => info.leg_rules = rules,
            Err(e) if e.code == ErrorCode::Unsupported => {}
            // It ends now, and says so next.
            Err(e) if e.code == ErrorCode::Panicked => {
                self.phase = Phase::Rules { by, info };
                return;
            }
            Err(e) => self.log(
                Level::Warn,
                &format!(
                    "its rules cannot be read, so voids, refunds and captures are not offered: {}",
                    e.message
                ),
            ),
        }
        self.ready(*info);
    }

    fn ready(&mut self, info: HostInfo) {
        self.phase = Phase::Ready;
        self.ready_since = Some(Instant::now());
        let before = self.actor.recording();
        self.actor.set_with(InstanceState::Ready, Some(info.into()));
        // What the device says it is may ask for more to be masked.
        let masking = self.actor.recording();
        if masking != before {
            self.record();
            if let (Some(masking), Some(tap)) = (masking, &self.actor.tap) {
                tap.now(RecordedWhat::Masking(masking));
            }
        }
    }
}
