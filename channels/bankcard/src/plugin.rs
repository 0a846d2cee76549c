//! The thin shell: the channel as the SDK knows it.
//!
//! Carried end to end: sign-in, sign-off, sale, reversal and echo. Voids, refunds, balances and settlements are built by
//! [`crate::messages`] but answer "unsupported" here until the daemon arms and repeats them as their rules ask.

use crate::answers::Answer;
use crate::card::CardData;
use crate::dialect::Action;
use crate::exchange::{Exchanged, Way};
use crate::keys::{MasterKey, WorkingKeys};
use crate::link::{Dialer, TcpDialer};
use crate::message::Message;
use crate::messages::{Numbers, Requests};
use crate::outcome;
use crate::reversal::{self, Armed, Finished};
use crate::session::Session;
use crate::settings::{Config, Security};
use crate::tls::{ClientIdentity, TlsDialer};
use std::fmt::Display;
use std::path::Path;
use std::time::{Duration, Instant};
use till_plugin::channel::{
    AttemptIds, Authorise, Channel, ChannelDescription, ChannelEvent, Decline, DeclineClass, FollowUp,
    Operation, Outcome, Prepared, ResolveProfile, SignIn, SignedIn, UndoOutcome, UndoReason, UndoRule,
    Unknown, UnknownReason,
};
use till_plugin::driver::{DeviceState, Health};
use till_plugin::host::Level;
use till_plugin::{ErrorCode, Extra, Family, Host, PluginError, Sensitive, Settings};
use zeroize::Zeroizing;

/// Time kept back from a call's deadline so that its answer still reaches the daemon.
const MARGIN: Duration = Duration::from_millis(250);
/// No exchange takes longer, whatever the call allows.
const LONGEST: Duration = Duration::from_mins(10);

/// Bank cards at one acquirer, for one terminal number.
pub struct Bankcard {
    host: Host,
    config: Config,
    dialer: Box<dyn Dialer>,
    master: MasterKey,
    session: Session,
    told_signed_in: bool,
    last_sent: Option<(u32, u32)>,
    last_batch: u32,
    counts: Counts,
}

#[derive(Default)]
struct Counts {
    sent: u64,
    approved: u64,
    declined: u64,
    unknown: u64,
    reversed: u64,
    bad_macs: u64,
    sign_ins: u64,
}

impl Bankcard {
    fn requests(&self) -> Requests<'_> {
        Requests { dialect: &self.config.dialect, terminal: &self.config.terminal }
    }

    fn now_ms(&self) -> u64 {
        self.host.now().boot_ms
    }

    fn exchange(&self, request: &Message, mak: Option<&WorkingKeys>) -> Exchanged {
        let left = self.host.remaining().min(LONGEST).saturating_sub(MARGIN);
        let way = Way {
            dialect: &self.config.dialect,
            dialer: self.dialer.as_ref(),
            mak: mak.map(WorkingKeys::mak),
            until: Instant::now() + left,
            cancelled: &|| self.host.cancelled(),
        };
        let exchanged = way.exchange(request);
        if let Exchanged::Answer(answer) = &exchanged {
            self.note_header(answer);
        }
        exchanged
    }

    /// Some hosts ask for work (downloads, a sign-in) in the low nibble of the header's third byte. It is outside the MAC,
    /// so it is told, never obeyed.
    fn note_header(&self, answer: &Answer) {
        if let Some(work) = answer.header_state.map(|state| state & 15).filter(|work| *work != 0) {
            self.host.log(Level::Info, format!("the host asks for terminal work {work} in its header"));
        }
    }

    fn lose_keys_trust(&mut self) {
        self.session.must_sign_in();
        self.tell_signed_in(false);
    }

    fn tell_signed_in(&mut self, signed_in: bool) {
        if self.told_signed_in != signed_in {
            self.told_signed_in = signed_in;
            self.host.emit_channel(&ChannelEvent::SignedIn(signed_in));
        }
    }

    /// A sale as card data and request, or why it is refused here.
    fn sale(&self, request: &Authorise) -> Result<(CardData, Message), Decline> {
        if request.hold {
            return Err(unsupported("pre-authorisation"));
        }
        let card = CardData::read(
            &self.config.dialect,
            &request.instrument,
            request.pin_block.as_ref(),
            self.config.no_pin,
        )
        .map_err(outcome::card_refused)?;
        let message = self
            .requests()
            .sale(numbers(&request.ids), request.amount, &card)
            .map_err(|error| outcome::request_refused(&error))?;
        Ok((card, message))
    }

    fn check_sign_in(&mut self, answer: &Answer) -> Result<(WorkingKeys, Option<u32>), PluginError> {
        let dialect = &self.config.dialect;
        if answer.rule.action != Action::Approved {
            let decline = outcome::declined(&answer.code, &answer.rule);
            return Err(PluginError::new(ErrorCode::NotReady, format!("sign-in refused: {}", decline.text)));
        }
        let field62 = answer.message.get(62).unwrap_or_default();
        let keys = WorkingKeys::unwrap(dialect, &dialect.request.sign_in_code, &self.master, field62)
            .map_err(|error| PluginError::new(ErrorCode::Protocol, format!("sign-in: {error}")))?;
        // 60.2 of the reply is the batch the host wants used.
        let batch =
            answer.message.text(60).and_then(|text| text.get(2..8)).and_then(|digits| digits.parse().ok());
        Ok((keys, batch.filter(|batch| *batch > 0)))
    }
}

impl Channel for Bankcard {
    fn open(host: Host, settings: Settings) -> Result<Self, PluginError> {
        let config = Config::read(&settings)?;
        let dialer = dialer(&host, &config)?;
        let secret = host.secret("tmk")?;
        let text = std::str::from_utf8(secret.expose())
            .map_err(|_| PluginError::settings("secret tmk: write the key as hexadecimal digits"))?;
        let master = MasterKey::from_hex(text, config.tmk_check.as_deref())
            .map_err(|error| PluginError::settings(format!("secret tmk: {error}")))?;
        Ok(Self {
            host,
            config,
            dialer,
            master,
            session: Session::default(),
            told_signed_in: false,
            last_sent: None,
            last_batch: 1,
            counts: Counts::default(),
        })
    }

    fn describe(&self) -> ChannelDescription {
        let rules = &self.config.dialect;
        let family = |name: &str| Family::new(name);
        let longest = rules.timing.connect + rules.timing.answer + MARGIN * 4;
        let mut extra = Extra::new();
        extra.insert("dialect".into(), rules.name.clone());
        if let Some(batch) = self.session.batch() {
            extra.insert("host-batch".into(), format!("{batch:06}"));
        }
        ChannelDescription {
            families: vec![
                family(Family::CARD_STRIPE),
                family(Family::CARD_CHIP),
                family(Family::CARD_CONTACTLESS),
            ],
            operations: vec![Operation::Sale, Operation::Undo, Operation::SignIn, Operation::Probe],
            currencies: vec![rules.request.currency.code().to_owned()],
            resolve: ResolveProfile {
                query: None,
                undo: Some(UndoRule {
                    not_before_ms: 0,
                    pause_ms: 5_000,
                    pause_max_ms: 60_000,
                    tries: rules.reversal.max_sends,
                }),
                single_slot: true,
            },
            needs_clock: false,
            merchant: Some(self.config.terminal.merchant.clone()),
            terminal: Some(self.config.terminal.id.clone()),
            authorise_timeout_ms: u32::try_from(longest.as_millis()).unwrap_or(u32::MAX),
            extra,
        }
    }

    fn sign_in(&mut self, request: &SignIn) -> Result<SignedIn, PluginError> {
        let numbers = Numbers { trace: request.trace, batch: request.batch };
        let message = self
            .requests()
            .sign_in(numbers, request.operator.as_deref())
            .map_err(|error| PluginError::new(ErrorCode::BadRequest, error.to_string()))?;
        self.last_batch = request.batch;
        let answer = answered("sign-in", self.exchange(&message, None))?;
        let (keys, batch) = match self.check_sign_in(&answer) {
            Ok(good) => good,
            Err(error) => {
                // The host may have changed its keys already: what we hold is not to be used for a request.
                self.lose_keys_trust();
                return Err(error);
            }
        };
        let life = self.config.dialect.timing.key_life;
        self.session.signed_in(keys, batch, self.now_ms(), life);
        self.counts.sign_ins += 1;
        self.tell_signed_in(true);
        Ok(SignedIn { batch, valid_s: u32::try_from(life.as_secs()).unwrap_or(u32::MAX) })
    }

    fn sign_off(&mut self) -> Result<(), PluginError> {
        let message = self
            .requests()
            .sign_off(self.last_batch)
            .map_err(|error| PluginError::new(ErrorCode::BadRequest, error.to_string()))?;
        let exchanged = self.exchange(&message, None);
        // Whatever the host says, the keys are gone here.
        self.session.forget();
        self.session.must_sign_in();
        self.tell_signed_in(false);
        let answer = answered("sign-off", exchanged)?;
        if answer.rule.action == Action::Approved {
            return Ok(());
        }
        let decline = outcome::declined(&answer.code, &answer.rule);
        Err(PluginError::new(ErrorCode::Protocol, format!("sign-off refused: {}", decline.text)))
    }

    fn prepare(&mut self, request: &Authorise) -> Result<Prepared, Decline> {
        let now = self.now_ms();
        if self.session.for_request(now).is_none() {
            self.tell_signed_in(false);
            return Err(outcome::not_signed_in());
        }
        let (card, message) = self.sale(request)?;
        let recovery = Armed::for_request(&self.config.dialect, &message)
            .and_then(|armed| armed.to_bytes())
            .map_err(|error| outcome::not_sent(error.to_string()))?;
        Ok(Prepared { recovery: Sensitive::new(recovery.to_vec()), masked: card.masked })
    }

    fn authorise(&mut self, request: &Authorise, prepared: &Prepared) -> Outcome {
        let (card, message) = match self.sale(request) {
            Ok(sale) => sale,
            Err(decline) => return Outcome::NotSent(decline),
        };
        // What is in the journal must be the reversal of exactly this request, or nothing leaves.
        let armed = Armed::from_bytes(prepared.recovery.expose());
        if armed.ok() != Armed::for_request(&self.config.dialect, &message).ok() {
            return Outcome::NotSent(outcome::not_sent("the prepared reversal is not of this request"));
        }
        let this = (request.ids.batch, request.ids.trace);
        if self.last_sent == Some(this) {
            let text = "this trace was sent before and is never sent twice";
            return Outcome::Unknown(Unknown::new(UnknownReason::NoAnswer, text));
        }
        let now = self.now_ms();
        let Some(keys) = self.session.for_request(now).cloned() else {
            self.tell_signed_in(false);
            return Outcome::NotSent(outcome::not_signed_in());
        };
        self.last_batch = request.ids.batch;
        let exchanged = self.exchange(&message, Some(&keys));
        if !matches!(exchanged, Exchanged::NotSent(_)) {
            self.last_sent = Some(this);
            self.counts.sent += 1;
        }
        let outcome = match &exchanged {
            Exchanged::NotSent(why) => Outcome::NotSent(outcome::not_sent(why.clone())),
            Exchanged::Answer(answer) => {
                if answer.rule.action == Action::SignInAgain {
                    self.lose_keys_trust();
                }
                outcome::of_sale(answer, &request.ids, request.amount, &card)
            }
            Exchanged::BadSeal => {
                self.counts.bad_macs += 1;
                self.lose_keys_trust();
                unknown_outcome(&exchanged)
            }
            _ => unknown_outcome(&exchanged),
        };
        match &outcome {
            Outcome::Approved(_) => self.counts.approved += 1,
            Outcome::Declined(_) => self.counts.declined += 1,
            Outcome::Unknown(_) => self.counts.unknown += 1,
            Outcome::NotSent(_) => {}
        }
        outcome
    }

    fn undo(&mut self, original: &FollowUp, reason: UndoReason) -> UndoOutcome {
        let undecided = |text: String| UndoOutcome::Unknown(Unknown::new(UnknownReason::Garbage, text));
        let armed = match Armed::from_bytes(original.recovery.expose()) {
            Ok(armed) => armed,
            Err(error) => return undecided(error.to_string()),
        };
        let amount = format!("{:012}", original.amount.minor());
        let trace = format!("{:06}", original.ids.trace);
        if armed.trace() != Some(trace.as_str()) || armed.amount() != Some(amount.as_str()) {
            return undecided(
                "the recovery data is of another payment: settle it with the acquirer by hand".into(),
            );
        }
        let message = match armed.message(&self.config.dialect, reversal::reason_code(reason)) {
            Ok(message) => message,
            Err(error) => return undecided(error.to_string()),
        };
        let now = self.now_ms();
        let Some(keys) = self.session.for_reversal(now).cloned() else {
            self.tell_signed_in(false);
            return UndoOutcome::NotSent(outcome::not_signed_in());
        };
        let exchanged = self.exchange(&message, Some(&keys));
        match &exchanged {
            Exchanged::NotSent(why) => UndoOutcome::NotSent(outcome::not_sent(why.clone())),
            Exchanged::Answer(answer) => {
                match reversal::finished(&self.config.dialect, answer) {
                    Finished::Undone => {
                        self.counts.reversed += 1;
                        let reference = answer.trimmed(37).map(str::to_owned);
                        UndoOutcome::Undone { money_moved: true, reference }
                    }
                    Finished::NeverExisted => UndoOutcome::NeverExisted,
                    Finished::Kept => {
                        if answer.rule.action == Action::SignInAgain {
                            // The host does not take these keys: the next try needs new ones.
                            self.session.forget();
                            self.lose_keys_trust();
                        }
                        let text =
                            format!("the reversal is not finished: {} ({})", answer.rule.text, answer.code);
                        UndoOutcome::Unknown(Unknown::new(UnknownReason::HostFault, text))
                    }
                }
            }
            Exchanged::BadSeal => {
                self.counts.bad_macs += 1;
                self.session.forget();
                self.lose_keys_trust();
                UndoOutcome::Unknown(unknown_of(&exchanged))
            }
            _ => UndoOutcome::Unknown(unknown_of(&exchanged)),
        }
    }

    fn probe(&mut self) -> Result<Health, PluginError> {
        let message = self
            .requests()
            .echo(self.last_batch)
            .map_err(|error| PluginError::new(ErrorCode::BadRequest, error.to_string()))?;
        let health = |state, text: String| Ok(Health { state, text });
        match self.exchange(&message, None) {
            Exchanged::Answer(answer) if answer.rule.action == Action::Approved => {
                health(DeviceState::Ready, "the acquirer answers".into())
            }
            Exchanged::Answer(answer) => {
                let text = format!("the acquirer answers {}: {}", answer.code, answer.rule.text);
                health(DeviceState::Attention, text)
            }
            Exchanged::NotSent(why) => health(DeviceState::Offline, why),
            other => health(DeviceState::Failed, unknown_of(&other).text),
        }
    }

    fn poll(&mut self, budget: Duration) -> Result<Vec<ChannelEvent>, PluginError> {
        let now = self.now_ms();
        if self.told_signed_in && self.session.for_request(now).is_none() {
            self.told_signed_in = false;
            return Ok(vec![ChannelEvent::SignedIn(false)]);
        }
        self.host.sleep(budget);
        Ok(Vec::new())
    }

    fn statistics(&mut self) -> Vec<(String, u64)> {
        let counts = &self.counts;
        [
            ("sent", counts.sent),
            ("approved", counts.approved),
            ("declined", counts.declined),
            ("unknown", counts.unknown),
            ("reversed", counts.reversed),
            ("bad-macs", counts.bad_macs),
            ("sign-ins", counts.sign_ins),
        ]
        .map(|(name, count)| (name.to_owned(), count))
        .to_vec()
    }
}

fn numbers(ids: &AttemptIds) -> Numbers {
    Numbers { trace: ids.trace, batch: ids.batch }
}

fn unsupported(what: &str) -> Decline {
    Decline::local(DeclineClass::Channel, "unsupported", format!("this channel does not do {what} yet"))
}

fn unknown_of(exchanged: &Exchanged) -> Unknown {
    outcome::unknown(exchanged).unwrap_or_else(|| Unknown::new(UnknownReason::NoAnswer, "no usable answer"))
}

fn unknown_outcome(exchanged: &Exchanged) -> Outcome {
    Outcome::Unknown(unknown_of(exchanged))
}

/// The answer to a management request, or why there is none.
fn answered(what: &str, exchanged: Exchanged) -> Result<Answer, PluginError> {
    match exchanged {
        Exchanged::Answer(answer) => Ok(*answer),
        Exchanged::NotSent(why) => {
            Err(PluginError::new(ErrorCode::TransportGone, format!("{what} not sent: {why}")))
        }
        Exchanged::NoAnswer(why) => Err(PluginError::new(ErrorCode::Timeout, format!("{what}: {why}"))),
        other => Err(PluginError::new(ErrorCode::Protocol, format!("{what}: {}", unknown_of(&other).text))),
    }
}

fn dialer(host: &Host, config: &Config) -> Result<Box<dyn Dialer>, PluginError> {
    let Security::Tls { ca, name, client_certificate } = &config.security else {
        return Ok(Box::new(TcpDialer { address: config.address.clone() }));
    };
    let roots = read("tls_ca", ca)?;
    let certificate =
        client_certificate.as_ref().map(|path| read("tls_client_certificate", path)).transpose()?;
    let key = certificate.as_ref().map(|_| host.secret("tls-client-key")).transpose()?;
    let identity = certificate
        .as_ref()
        .zip(key.as_ref())
        .map(|(certificate, key)| ClientIdentity { certificate, key: key.expose() });
    let dialer = TlsDialer::new(config.address.clone(), name, &roots, identity)
        .map_err(|error| PluginError::settings(error.to_string()))?;
    Ok(Box::new(dialer))
}

fn read(setting: &str, path: &Path) -> Result<Zeroizing<Vec<u8>>, PluginError> {
    let told = |error: &dyn Display| {
        PluginError::settings(format!("setting {setting}: {}: {error}", path.display()))
    };
    std::fs::read(path).map(Zeroizing::new).map_err(|error| told(&error))
}

till_plugin::export_channel!(Bankcard, id = "org.tilld.bankcard");
