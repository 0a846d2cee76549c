//! The thin shell: the channel as the SDK knows it. Each file has one part of a terminal's day: `signing`, `money` (sales and
//! holds), `follow` (what comes after them), `undo` (reversals), `closing` (the end of a batch), `balance` (inquiries),
//! `downloads` (parameters).

mod balance;
mod closing;
mod dial;
mod downloads;
mod follow;
mod money;
mod signing;
mod undo;

use crate::answers::Answer;
use crate::dialect::Action;
use crate::exchange::{Exchanged, Way};
use crate::keys::{MasterKey, WorkingKeys};
use crate::link::Dialer;
use crate::message::Message;
use crate::messages::{Numbers, Requests};
use crate::outcome;
use crate::session::Session;
use crate::settings::Config;
use crate::slot::Slot;
use std::time::{Duration, Instant};
use till_plugin::channel::{
    AttemptIds, Authorise, Channel, ChannelDescription, ChannelEvent, Decline, Follow, FollowUp, LegRule,
    Operation, Outcome, Prepared, QueryOutcome, ResolveProfile, Settle, SettleOutcome, SignIn, SignedIn,
    UndoOutcome, UndoReason, UndoRule, Unknown, UnknownReason, Upload, pin,
};
use till_plugin::driver::Health;
use till_plugin::host::Level;
use till_plugin::{Extra, Family, Host, Money, PluginError, Settings};

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
    slot: Slot,
    /// Batch of a settlement that is not ended.
    settling: Option<u32>,
    last_batch: u32,
    counts: Counts,
    downloads: downloads::Downloads,
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
    inquiries: u64,
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
    /// so it is told, and heard only where the settings say so.
    fn note_header(&self, answer: &Answer) {
        if let Some(work) = answer.header_state.map(|state| state & 15).filter(|work| *work != 0) {
            self.host.log(Level::Info, format!("the host asks for terminal work {work} in its header"));
            self.downloads.ask(work);
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

    fn undo_rule(&self) -> UndoRule {
        UndoRule {
            not_before_ms: 0,
            pause_ms: 5_000,
            pause_max_ms: 60_000,
            tries: self.config.dialect.reversal.max_sends,
        }
    }
}

impl Channel for Bankcard {
    fn open(host: Host, settings: Settings) -> Result<Self, PluginError> {
        let config = Config::read(&settings)?;
        let dialer = dial::dialer(&host, &config)?;
        let secret = host.secret("tmk")?;
        let text = std::str::from_utf8(secret.expose())
            .map_err(|_| PluginError::settings("secret tmk: write the key as hexadecimal digits"))?;
        let master = MasterKey::read(config.dialect.cipher(), text, config.tmk_check.as_deref())
            .map_err(|error| PluginError::settings(format!("secret tmk: {error}")))?;
        let mut channel = Self {
            host,
            config,
            dialer,
            master,
            session: Session::default(),
            told_signed_in: false,
            last_sent: None,
            slot: Slot::default(),
            settling: None,
            last_batch: 1,
            counts: Counts::default(),
            downloads: downloads::Downloads::default(),
        };
        channel.load_downloads();
        Ok(channel)
    }

    fn describe(&self) -> ChannelDescription {
        let rules = &self.config.dialect;
        let family = |name: &str| Family::new(name);
        let longest = rules.timing.connect + rules.timing.answer + MARGIN * 4;
        let mut extra = Extra::new();
        extra.insert("dialect".into(), rules.name.clone());
        // Field 48 counts the payments of a side with three digits: a batch must be closed before it has more.
        extra.insert("batch-limit".into(), "999".into());
        if rules.request.takes_derived_keys() {
            let wrong: Vec<&str> = rules.codes(Action::PinWrong).collect();
            extra.insert(pin::KEY.into(), self.config.pin_key.clone());
            extra.insert(pin::FORMAT.into(), "0".into());
            extra.insert(pin::WRONG.into(), wrong.join(" "));
        }
        if let Some(batch) = self.session.batch() {
            extra.insert("host-batch".into(), format!("{batch:06}"));
        }
        let mut operations = vec![
            Operation::Sale,
            Operation::PreAuthorisation,
            Operation::Capture,
            Operation::Void,
            Operation::Refund,
            Operation::Undo,
            Operation::Settle,
            Operation::SignIn,
            Operation::Probe,
            Operation::Release,
        ];
        if rules.tells_balances() {
            operations.push(Operation::Balance);
        }
        ChannelDescription {
            families: vec![
                family(Family::CARD_STRIPE),
                family(Family::CARD_CHIP),
                family(Family::CARD_CONTACTLESS),
            ],
            operations,
            currencies: vec![rules.request.currency.code().to_owned()],
            resolve: ResolveProfile { query: None, undo: Some(self.undo_rule()), single_slot: true },
            needs_clock: false,
            merchant: Some(self.config.terminal.merchant.clone()),
            terminal: Some(self.config.terminal.id.clone()),
            authorise_timeout_ms: u32::try_from(longest.as_millis()).unwrap_or(u32::MAX),
            extra,
        }
    }

    fn sign_in(&mut self, request: &SignIn) -> Result<SignedIn, PluginError> {
        self.do_sign_in(request)
    }

    fn sign_off(&mut self) -> Result<(), PluginError> {
        self.do_sign_off()
    }

    fn prepare(&mut self, request: &Authorise) -> Result<Prepared, Decline> {
        self.do_prepare(request)
    }

    fn authorise(&mut self, request: &Authorise, prepared: &Prepared) -> Outcome {
        self.do_authorise(request, prepared)
    }

    fn undo(&mut self, original: &FollowUp, reason: UndoReason) -> UndoOutcome {
        self.do_undo(original, reason)
    }

    fn leg_rules(&self) -> Vec<LegRule> {
        self.rules()
    }

    fn prepare_follow(&mut self, request: &Follow) -> Result<Prepared, Decline> {
        self.do_prepare_follow(request)
    }

    fn follow(&mut self, request: &Follow, prepared: &Prepared) -> Outcome {
        self.do_follow(request, prepared)
    }

    fn query_follow(&mut self, request: &Follow, original: &FollowUp) -> QueryOutcome {
        self.do_query_follow(request, original)
    }

    fn settle(&mut self, request: &Settle) -> SettleOutcome {
        self.do_settle(request)
    }

    fn upload(&mut self, request: &Upload) -> Outcome {
        self.do_upload(request)
    }

    fn balance(&mut self, request: &Authorise) -> Result<Money, Decline> {
        self.do_balance(request)
    }

    fn probe(&mut self) -> Result<Health, PluginError> {
        self.do_probe()
    }

    fn poll(&mut self, budget: Duration) -> Result<Vec<ChannelEvent>, PluginError> {
        let now = self.now_ms();
        if self.told_signed_in && self.session.for_request(now).is_none() {
            self.told_signed_in = false;
            return Ok(vec![ChannelEvent::SignedIn(false)]);
        }
        if let Some(events) = self.download_step() {
            return Ok(events);
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
            ("downloads", self.downloads.done),
            ("downloads-failed", self.downloads.failed),
            ("inquiries", counts.inquiries),
        ]
        .map(|(name, count)| (name.to_owned(), count))
        .to_vec()
    }
}

fn numbers(ids: &AttemptIds) -> Numbers {
    Numbers { trace: ids.trace, batch: ids.batch }
}

fn unknown_of(exchanged: &Exchanged) -> Unknown {
    outcome::unknown(exchanged).unwrap_or_else(|| Unknown::new(UnknownReason::NoAnswer, "no usable answer"))
}

till_plugin::export_channel!(Bankcard, id = "org.tilld.bankcard");
