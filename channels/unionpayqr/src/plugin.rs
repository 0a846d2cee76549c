//! The thin shell: the SDK's requests in, single exchanges with UnionPay, the SDK's outcomes out.
//!
//! The daemon drives the flow of channels §4.3 (when to query, when to reverse, how long); this side states the rule in
//! [`ResolveProfile`]. UnionPay's `00` to a payment says "taken", so the payment is asked about at once, in the same call.

use std::time::Duration;

use till_plugin::channel::{
    Authorise, Channel, ChannelDescription, ChannelEvent, Decline, DeclineClass, Follow, FollowUp, LegRule,
    NextStep, Operation as Does, Outcome, Prepared, QueryOutcome, QueryRule, ResolveProfile, UndoOutcome,
    UndoReason, UndoRule, Unknown, UnknownReason,
};
use till_plugin::driver::{DeviceState, Health};
use till_plugin::host::Level;
use till_plugin::{Currency, ErrorCode, Extra, Family, Host, Instrument, PluginError, Sensitive, Settings};
use till_wallet::amount::Fen;
use till_wallet::certificate::Certificate;
use till_wallet::chain::Trust;
use till_wallet::counts::Counts;
use till_wallet::keys::SigningKey;
use till_wallet::link::{LinkError, Target};
use till_wallet::{asked, given};

use crate::api::{Api, NotMade};
use crate::ask::{Ask, AskError, Merchant, Number};
use crate::codes::{Action, Codes, Operation};
use crate::legs::{self, HELD, Leg, SCANNED, SHOWN};
use crate::message::Environment;
use crate::outcome::{self, First, Standing};
use crate::reply::{Answered, NoAnswer};
use crate::settings::Config;

/// The wallet's name, for people.
const NAME: &str = "UnionPay QR";

/// An order number no sale ever has: the daemon's numbers begin with the terminal's.
const PROBE_ORDER: &str = "TILLPROBE00000000";

/// A step behind the first is not begun with less time than this.
const LEAST: Duration = Duration::from_millis(500);

/// A payment whose numbers were given longer ago than this, or later than now, is not sent: its time is part of its name.
const OFF_MS: i64 = 600_000;

/// The channel.
pub struct UnionPayQr {
    pub(crate) host: Host,
    pub(crate) config: Config,
    api: Api,
    pub(crate) codes: Codes,
    counts: Counts,
}

/// Why a call was not made, in the operator's words.
pub(crate) fn not_made(no: &NotMade) -> Decline {
    match no {
        NotMade::Clock => Decline {
            next: NextStep::Later,
            text_zh: "系统时间未同步，银联二维码暂不可用".into(),
            ..refuse(DeclineClass::Device, "clock-not-synchronised", &no.to_string())
        },
        NotMade::Ask(AskError::Code) => Decline {
            next: NextStep::PresentAgain,
            text_zh: "不是银联付款码，请重新扫码".into(),
            ..refuse(DeclineClass::Device, "not-a-payment-code", &no.to_string())
        },
        NotMade::Ask(_) => Decline {
            next: NextStep::CallSupport,
            ..refuse(DeclineClass::Merchant, "request-not-built", &no.to_string())
        },
    }
}

fn refuse(class: DeclineClass, code: &str, text: &str) -> Decline {
    Decline::local(class, code, text)
}

fn not_built(e: AskError) -> Decline {
    not_made(&NotMade::Ask(e))
}

/// A sale or hold in UnionPay's terms.
struct Sale<'a> {
    number: Number,
    amount: Fen,
    /// None: the till shows a code.
    code: Option<&'a Sensitive<String>>,
    hold: bool,
    until: String,
}

impl Sale<'_> {
    fn ask(&self) -> Ask<'_> {
        let Self { number, amount, hold, .. } = self;
        match self.code {
            Some(code) => Ask::Pay { number, amount: *amount, code, hold: *hold },
            None => Ask::Show { number, amount: *amount, until: Some(&self.until) },
        }
    }

    const fn kinds(&self) -> &'static [&'static str] {
        if self.hold { &["02"] } else { &["01"] }
    }

    const fn recovery(&self) -> &'static [u8] {
        match (self.code, self.hold) {
            (None, _) => SHOWN,
            (Some(_), true) => HELD,
            (Some(_), false) => SCANNED,
        }
    }
}

/// What kinds a query about an attempt may be answered with.
fn kinds_of(recovery: &[u8]) -> &'static [&'static str] {
    if recovery == HELD { &["02"] } else { &["01"] }
}

impl UnionPayQr {
    /// A sale's question, or why there is none. Nothing is sent.
    fn sale<'a>(&self, request: &'a Authorise) -> Result<Sale<'a>, Decline> {
        let amount = asked::fen(request.amount, NAME)?;
        let code = match &request.instrument {
            Instrument::Code(code) => Some(&code.text),
            Instrument::ShowCode if request.hold => {
                let text = "UnionPay holds money by the customer's code only; scan it";
                return Err(refuse(DeclineClass::Channel, "unsupported", text));
            }
            Instrument::ShowCode => None,
            _ => {
                let text = "UnionPay QR takes a payment code or shows one; use another channel for this card";
                return Err(refuse(DeclineClass::Channel, "wrong-instrument", text));
            }
        };
        let number = Number::of(&request.ids).map_err(not_built)?;
        let until =
            Number::new(&number.order, self.shown_until_ms(request.ids.wall_ms)).map_err(not_built)?.time;
        let sale = Sale { number, amount, code, hold: request.hold, until };
        sale.ask().fields(&self.api.merchant).map_err(not_built)?;
        self.on_time(request.ids.wall_ms)?;
        Ok(sale)
    }

    /// The clock is trusted, and the numbers were given by it.
    fn on_time(&self, wall_ms: i64) -> Result<(), Decline> {
        let now = self.host.now();
        if !now.trusted {
            return Err(not_made(&NotMade::Clock));
        }
        if now.wall_ms.saturating_sub(wall_ms).saturating_abs() > OFF_MS {
            return Err(Decline {
                next: NextStep::PresentAgain,
                text_zh: "系统时间已更改，请重新发起支付".into(),
                ..refuse(
                    DeclineClass::Device,
                    "clock-changed",
                    "the clock was changed since this payment got its numbers; start it again",
                )
            });
        }
        Ok(())
    }

    /// One exchange.
    pub(crate) fn ask(&mut self, ask: &Ask<'_>) -> Result<Answered, NotMade> {
        let answered = self.api.ask(&self.host, ask)?;
        self.counts.exchanges += 1;
        self.tell(ask.operation(), &answered);
        Ok(answered)
    }

    /// What whoever runs the till must learn from its log: wrong seals, and faults of contract or settings.
    fn tell(&mut self, operation: Operation, answered: &Answered) {
        let what = operation.as_str();
        match answered {
            Err(no @ NoAnswer::Seal(_)) => {
                self.counts.bad_seal += 1;
                self.host.log(Level::Error, format!("{what}: {no}"));
            }
            Err(no) => self.host.log(Level::Warn, format!("{what}: {no}")),
            Ok(node) => {
                let said = outcome::said(&node.resp_code);
                let fault = self.codes.action(operation, &node.resp_code) == Action::ChannelFault;
                let (level, advice) = if fault {
                    (Level::Error, format!(": {}", Action::ChannelFault.advice().0))
                } else {
                    (Level::Debug, String::new())
                };
                self.host.log(level, format!("{what}: UnionPay answered {said}{advice}"));
            }
        }
    }

    /// A mismatch under a right seal is UnionPay's fault or somebody's game: it is told loudly.
    pub(crate) fn alarm(&self, what: Operation, unknown: &Unknown) {
        if unknown.reason == UnknownReason::Mismatch {
            self.host.log(Level::Error, format!("{}: {}", what.as_str(), unknown.text));
        }
    }

    fn count(&mut self, what: Operation, outcome: Outcome) -> Outcome {
        self.counts.outcome(&outcome);
        if let Outcome::Unknown(unknown) = &outcome {
            self.alarm(what, unknown);
        }
        outcome
    }

    pub(crate) fn time_for_more(&self) -> bool {
        self.api.time_left(&self.host) >= LEAST
    }

    /// Sends what moves money, and asks what became of it once UnionPay has taken it.
    fn run(&mut self, ask: &Ask<'_>, amount: Fen, kinds: &[&str]) -> Outcome {
        let answered = match self.ask(ask) {
            Ok(answered) => answered,
            Err(no) => return Outcome::NotSent(not_made(&no)),
        };
        let expected = self.expected(ask.number(), amount, kinds);
        match outcome::first(&self.codes, ask.operation(), &answered, expected) {
            First::Ended(outcome) => outcome,
            First::Accepted => self.stands(ask.number(), amount, kinds).outcome(),
        }
    }

    /// UnionPay's number of what a request follows. Where people decided that it was paid it is not known, and asked for.
    fn original(&mut self, request: &Follow) -> Result<String, Decline> {
        let known = &request.original.approval.reference;
        if !known.is_empty() {
            return Ok(known.clone());
        }
        let number = Number::of(&request.original.ids).map_err(not_built)?;
        let amount = asked::fen(request.original.amount, NAME)?;
        match self.stands(&number, amount, &["01", "02", "03"]) {
            Standing::Done(approval) => Ok(approval.reference),
            _ => Err(not_built(AskError::Original)),
        }
    }

    fn leg(&mut self, request: &Follow) -> Result<Leg, Decline> {
        let leg = legs::leg(request, NAME)?;
        self.on_time(request.ids.wall_ms)?;
        legs::in_time(&leg, request, self.host.now().wall_ms)?;
        Ok(leg)
    }
}

fn open_api(host: &Host, config: &Config) -> Result<Api, PluginError> {
    let wrong = |e: &dyn std::fmt::Display| PluginError::settings(e.to_string());
    let certificate = Certificate::from_pem(&config.merchant_certificate()?).map_err(|e| wrong(&e))?;
    let secret = host.secret("merchant_private_key")?;
    let key =
        SigningKey::from_text(given::secret(&secret, "merchant_private_key")?).map_err(|e| wrong(&e))?;
    if certificate.key != key.public() {
        return Err(PluginError::settings(
            "the secret merchant_private_key is not the key of the merchant certificate; export both from the same file",
        ));
    }
    let (roots, middle) = config.authorities()?;
    let target = Target::new(
        config.gateway(),
        &config.ca()?,
        config.insecure_http_for_tests,
        Duration::from_millis(config.connect_timeout_ms.into()),
    );
    Ok(Api {
        merchant: Merchant {
            mer_id: config.mer_id.clone(),
            cert_id: certificate.decimal_serial(),
            term_id: config.term_id.clone(),
            back_url: config.notify_url.clone(),
        },
        key,
        trust: Trust::new(&roots, &middle).map_err(|e| wrong(&e))?,
        environment: config.environment,
        target: target.map_err(|e| wrong(&e))?,
        patience: Duration::from_millis(config.exchange_timeout_ms.into()),
    })
}

impl Channel for UnionPayQr {
    fn open(host: Host, settings: Settings) -> Result<Self, PluginError> {
        let config: Config = settings.parse()?;
        config.check()?;
        if config.insecure_http_for_tests || config.environment == Environment::Test {
            let text = "this channel is set up for UnionPay's test environment or a simulator; no real money is taken";
            host.log(Level::Warn, text);
        }
        let api = open_api(&host, &config)?;
        let codes = Codes::built_in().map_err(|e| PluginError::new(ErrorCode::Internal, e.to_string()))?;
        Ok(Self { host, config, api, codes, counts: Counts::default() })
    }

    fn describe(&self) -> ChannelDescription {
        ChannelDescription {
            families: vec![Family::new(Family::QR_UNIONPAY), Family::new(Family::QR_SHOWN)],
            operations: vec![
                Does::Sale,
                Does::ShowCode,
                Does::PreAuthorisation,
                Does::Capture,
                Does::Release,
                Does::Void,
                Does::Refund,
                Does::Query,
                Does::Undo,
                Does::Probe,
            ],
            currencies: vec![Currency::CNY.code().into()],
            resolve: ResolveProfile {
                query: Some(QueryRule {
                    first_ms: self.config.query_first_ms,
                    every_ms: self.config.query_every_ms,
                    until_ms: self.config.query_until_ms,
                    settle_ms: self.config.query_every_ms.saturating_mul(2),
                }),
                undo: Some(UndoRule {
                    not_before_ms: 0,
                    pause_ms: self.config.reverse_pause_ms,
                    pause_max_ms: self.config.reverse_pause_max_ms,
                    tries: 0,
                }),
                single_slot: false,
            },
            needs_clock: true,
            merchant: Some(self.config.mer_id.clone()),
            terminal: None,
            authorise_timeout_ms: self.config.exchange_timeout_ms.saturating_mul(2),
            extra: Extra::new(),
        }
    }

    fn prepare(&mut self, request: &Authorise) -> Result<Prepared, Decline> {
        let sale = self.sale(request)?;
        Ok(Prepared {
            recovery: Sensitive::new(sale.recovery().to_vec()),
            masked: request.instrument.masked(),
        })
    }

    fn authorise(&mut self, request: &Authorise, _prepared: &Prepared) -> Outcome {
        let sale = match self.sale(request) {
            Ok(sale) => sale,
            Err(refused) => return self.count(Operation::Pay, Outcome::NotSent(refused)),
        };
        let (ask, amount, kinds) = (sale.ask(), sale.amount, sale.kinds());
        if sale.code.is_some() {
            let outcome = self.run(&ask, amount, kinds);
            return self.count(Operation::Pay, outcome);
        }
        let outcome = match self.ask(&ask) {
            Err(no) => Outcome::NotSent(not_made(&no)),
            Ok(answered) => {
                outcome::shown(&self.codes, &answered, self.expected(&sale.number, amount, kinds))
            }
        };
        self.count(Operation::Show, outcome)
    }

    fn query(&mut self, original: &FollowUp) -> QueryOutcome {
        let asked = Number::of(&original.ids).map_err(not_built).and_then(|number| {
            let amount = asked::fen(original.amount, NAME)?;
            Ok((number, amount))
        });
        let (number, amount) = match asked {
            Ok(asked) => asked,
            Err(no) => return QueryOutcome::Unknown(Unknown::new(UnknownReason::Mismatch, no.text)),
        };
        let recovery = original.recovery.expose().as_slice();
        let standing = self.stands(&number, amount, kinds_of(recovery));
        // There is nothing under a shown code's number before somebody scans it.
        let waiting =
            recovery == SHOWN && self.host.now().wall_ms <= self.shown_until_ms(original.ids.wall_ms);
        match standing {
            Standing::NotFound if waiting => QueryOutcome::InProgress,
            standing => standing.queried(),
        }
    }

    fn undo(&mut self, original: &FollowUp, _reason: UndoReason) -> UndoOutcome {
        let number = match Number::of(&original.ids) {
            Ok(number) => number,
            Err(e) => return UndoOutcome::NotSent(not_built(e)),
        };
        match asked::fen(original.amount, NAME) {
            Ok(amount) => self.undo_of(original, &number, amount),
            Err(no) => UndoOutcome::NotSent(no),
        }
    }

    fn leg_rules(&self) -> Vec<LegRule> {
        let query = QueryRule {
            first_ms: self.config.query_first_ms,
            every_ms: self.config.query_every_ms,
            until_ms: self.config.follow_until_ms,
            // It is not undone, so that it never arrived must stand until the last question.
            settle_ms: self.config.follow_until_ms,
        };
        let rule = |operation, partial| LegRule {
            operation,
            resolve: ResolveProfile { query: Some(query.clone()), undo: None, single_slot: false },
            instrument: false,
            partial,
        };
        vec![
            rule(Does::Void, false),
            rule(Does::Refund, true),
            rule(Does::Capture, true),
            rule(Does::Release, false),
        ]
    }

    fn prepare_follow(&mut self, request: &Follow) -> Result<Prepared, Decline> {
        let leg = self.leg(request)?;
        Ok(Prepared { recovery: Sensitive::new(leg.recovery().to_vec()), masked: String::new() })
    }

    fn follow(&mut self, request: &Follow, _prepared: &Prepared) -> Outcome {
        let asked = self.leg(request).and_then(|leg| Ok((self.original(request)?, leg)));
        let outcome = match asked {
            Err(refused) => Outcome::NotSent(refused),
            Ok((of, leg)) => {
                let ask = Ask::Follow { after: leg.after, number: &leg.number, amount: leg.amount, of: &of };
                self.run(&ask, leg.amount, leg.kinds())
            }
        };
        self.count(Operation::Follow, outcome)
    }

    fn query_follow(&mut self, request: &Follow, _original: &FollowUp) -> QueryOutcome {
        match legs::leg(request, NAME) {
            Ok(leg) => self.stands(&leg.number, leg.amount, leg.kinds()).queried(),
            Err(no) => QueryOutcome::Unknown(Unknown::new(UnknownReason::Mismatch, no.text)),
        }
    }

    fn probe(&mut self) -> Result<Health, PluginError> {
        let health = |state, text: String| Ok(Health { state, text });
        let number = Number::new(PROBE_ORDER, self.host.now().wall_ms);
        let number = number.map_err(|e| PluginError::new(ErrorCode::Internal, e.to_string()))?;
        let answered = match self.ask(&Ask::Query { number: &number }) {
            Ok(answered) => answered,
            Err(no) => return health(DeviceState::Blocked, not_made(&no).text),
        };
        match &answered {
            Err(no @ NoAnswer::Link(LinkError::NotSent { .. } | LinkError::NoAnswer { .. })) => {
                health(DeviceState::Offline, no.to_string())
            }
            Err(no) => health(DeviceState::Failed, no.to_string()),
            Ok(node) => {
                let said = outcome::said(&node.resp_code);
                match self.codes.action(Operation::Query, &node.resp_code) {
                    Action::ChannelFault => health(
                        DeviceState::Failed,
                        format!("UnionPay answered {said}: {}", Action::ChannelFault.advice().0),
                    ),
                    Action::NotFound => health(DeviceState::Ready, "UnionPay answers".into()),
                    _ => health(DeviceState::Attention, format!("UnionPay answered {said}")),
                }
            }
        }
    }

    fn poll(&mut self, budget: Duration) -> Result<Vec<ChannelEvent>, PluginError> {
        // Nothing comes by itself: a till behind NAT gets no notification, and a query is final without one.
        self.host.sleep(budget);
        Ok(Vec::new())
    }

    fn statistics(&mut self) -> Vec<(String, u64)> {
        self.counts.list()
    }
}

till_plugin::export_channel!(UnionPayQr, id = "org.tilld.unionpayqr");
