//! The thin shell: the SDK's requests in, single exchanges with the platform, the SDK's outcomes out.
//!
//! The daemon drives the flow of channels §3.3 (when to query, when to reverse, how long); this side states the rule in
//! [`ResolveProfile`], performs one call at a time, and never reverses a payment that it sent less than 15 s ago.

use std::collections::VecDeque;
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
use till_wallet::asked;
use till_wallet::counts::Counts;
use till_wallet::link::LinkError;

use crate::api::{Api, NotMade};
use crate::ask::{Ask, AskError, Sale};
use crate::codes::{Action, Codes, Operation};
use crate::open::{three, two};
use crate::outcome::{self, Expected};
use crate::reply::{Answered, NoAnswer};
use crate::seal::SealError;
use crate::settings::{Config, Interface, fit_reason, fit_subject};

/// What the recovery record says: how the customer was to pay. Order and amount the daemon keeps itself.
const SCANNED: &[u8] = b"wechatpay 1 scanned";
const SHOWN: &[u8] = b"wechatpay 1 shown";
/// The same of a refund: everything else is in the request, which the daemon keeps.
const REFUND: &[u8] = b"wechatpay 1 refund";

/// An order number no sale ever has: the daemon's numbers begin with the terminal's.
const PROBE_ORDER: &str = "TILLPROBE00000000";

/// The wallet's name, for people.
const NAME: &str = "WeChat Pay";

/// A step of an undo is not begun with less time than this.
const LEAST: Duration = Duration::from_millis(500);

/// How many payments are remembered for the 15 s rule: more than a till makes in that time.
const MOST_SENT: usize = 256;

/// The channel.
pub struct WechatPay {
    host: Host,
    config: Config,
    api: Api,
    codes: Codes,
    /// Orders whose payment was sent by this process, and when by the boot clock.
    sent: VecDeque<(String, u64)>,
    counts: Counts,
    probes: u64,
}

fn not_made(no: &NotMade) -> Decline {
    match no {
        NotMade::Clock => Decline {
            next: NextStep::Later,
            text_zh: "系统时间未同步，微信支付暂不可用".into(),
            ..refuse(DeclineClass::Device, "clock-not-synchronised", &no.to_string())
        },
        NotMade::Ask(AskError::Code) => Decline {
            next: NextStep::PresentAgain,
            text_zh: "不是微信付款码，请重新扫码".into(),
            ..refuse(DeclineClass::Device, "not-a-payment-code", &no.to_string())
        },
        NotMade::Ask(AskError::NoNotifyUrl | AskError::NotInV2) => Decline {
            text_zh: "此商户未开通展示收款码，请扫顾客付款码".into(),
            ..refuse(DeclineClass::Channel, "unsupported", &no.to_string())
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

/// The answer of a query that could not be made.
fn not_asked(no: &NotMade) -> QueryOutcome {
    QueryOutcome::Unknown(Unknown::new(UnknownReason::NoAnswer, not_made(no).text))
}

fn unknown(reason: UnknownReason, text: &str) -> UndoOutcome {
    UndoOutcome::Unknown(Unknown::new(reason, text))
}

impl WechatPay {
    /// The question of a sale, or why there is none. Nothing is sent.
    fn sale<'a>(&self, request: &'a Authorise) -> Result<(Ask<'a>, Fen), Decline> {
        let amount = asked::fen(request.amount, NAME)?;
        if request.hold {
            let text = "WeChat Pay at the till takes money, it does not hold it";
            return Err(refuse(DeclineClass::Channel, "unsupported", text));
        }
        let subject = fit_subject(&request.subject).or_else(|| fit_subject(&self.config.subject));
        let sale = Sale { subject: subject.unwrap_or_default() };
        let order = request.ids.order.as_str();
        let ask = match &request.instrument {
            Instrument::Code(code) => Ask::Pay { order, amount, code: &code.text, sale },
            Instrument::ShowCode => Ask::Native { order, amount, sale },
            _ => {
                let text = "WeChat Pay takes a payment code or shows one; use another channel for this card";
                return Err(refuse(DeclineClass::Channel, "wrong-instrument", text));
            }
        };
        self.api.check(&ask).map_err(|e| not_made(&e))?;
        Ok((ask, amount))
    }

    fn expected<'a>(&'a self, order: &'a str, amount: Fen) -> Expected<'a> {
        Expected { appid: &self.config.appid, mchid: &self.config.mchid, order, amount }
    }

    /// One exchange.
    fn ask(&mut self, ask: &Ask<'_>) -> Result<Answered, NotMade> {
        let answered = self.api.ask(&self.host, ask)?;
        self.counts.exchanges += 1;
        self.tell(ask.operation(), &answered);
        Ok(answered)
    }

    /// What whoever runs the till must learn from its log: wrong seals, and faults of contract or settings.
    fn tell(&mut self, operation: Operation, answered: &Answered) {
        let what = operation.as_str();
        match answered {
            Err(no @ NoAnswer::Seal { seal: SealError::Probe, .. }) => {
                self.probes += 1;
                self.host.log(Level::Info, format!("{what}: {no}"));
            }
            Err(no @ NoAnswer::Seal { status, .. }) if *status < 500 => {
                self.counts.bad_seal += 1;
                self.host.log(Level::Error, format!("{what}: {no}"));
            }
            Err(no) => self.host.log(Level::Warn, format!("{what}: {no}")),
            Ok(node) => {
                let said = outcome::said(node);
                let fault = self.codes.action(operation, &node.key(), node.status) == Action::ChannelFault;
                let (level, advice) = if fault {
                    (Level::Error, format!(": {}", Action::ChannelFault.advice().0))
                } else {
                    (Level::Debug, String::new())
                };
                self.host.log(level, format!("{what}: WeChat Pay answered {said}{advice}"));
            }
        }
    }

    /// A mismatch under a right seal is the platform's fault or somebody's game: it is told loudly.
    fn alarm(&self, what: Operation, unknown: &Unknown) {
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

    fn queried(&self, what: Operation, outcome: QueryOutcome) -> QueryOutcome {
        if let QueryOutcome::Unknown(unknown) = &outcome {
            self.alarm(what, unknown);
        }
        outcome
    }

    fn note_sent(&mut self, order: &str) {
        if self.sent.len() >= MOST_SENT {
            self.sent.pop_front();
        }
        self.sent.push_back((order.to_owned(), self.host.now().boot_ms));
    }

    /// How long a reverse of this order must still wait, milliseconds. After a restart the daemon's own wait counts
    /// ([`UndoRule::not_before_ms`]): this process then does not know when the payment was sent.
    fn too_early(&self, order: &str) -> u64 {
        let sent = self.sent.iter().rev().find(|(sent, _)| sent == order);
        let passed = sent.map(|(_, at)| self.host.now().boot_ms.saturating_sub(*at));
        passed.map_or(0, |passed| u64::from(self.config.reverse_not_before_ms).saturating_sub(passed))
    }

    fn time_for_more(&self) -> bool {
        self.api.time_left(&self.host) >= LEAST
    }

    /// Undoes a code payment. A reverse is believed only if the order is not paid behind it.
    fn reverse(&mut self, order: &str, amount: Fen) -> UndoOutcome {
        let wait = self.too_early(order);
        if wait > 0 {
            let text = format!(
                "WeChat Pay takes no reverse within 15 s of the payment; it is sent in {wait} ms or later"
            );
            return UndoOutcome::NotSent(refuse(DeclineClass::Channel, "too-early", &text));
        }
        let answered = match self.ask(&Ask::Reverse { order }) {
            Ok(answered) => answered,
            Err(no) => return UndoOutcome::NotSent(not_made(&no)),
        };
        let echoes = self.api.reverse_echoes_order();
        let undone = outcome::reverse(&self.codes, &answered, self.expected(order, amount), echoes);
        let UndoOutcome::Undone { reference, .. } = undone else { return undone };
        if !self.time_for_more() {
            return UndoOutcome::Undone { money_moved: false, reference };
        }
        match self.ask(&Ask::Query { order }) {
            Ok(asked) => {
                let expected = self.expected(order, amount);
                if let QueryOutcome::Paid(_) = outcome::query(&self.codes, &asked, expected) {
                    let text = "WeChat Pay says that the payment is reversed, and that it is paid; it is reversed again";
                    self.host.log(Level::Error, text);
                    return unknown(UnknownReason::Mismatch, text);
                }
                let money_moved = outcome::went_back(&self.codes, &asked, expected);
                UndoOutcome::Undone { money_moved, reference }
            }
            Err(_) => UndoOutcome::Undone { money_moved: false, reference },
        }
    }

    /// Closes a shown code. Where somebody paid it in the last moment, the money goes back by a refund under the order's own
    /// number: the same number never moves money twice.
    fn close(&mut self, order: &str, amount: Fen) -> UndoOutcome {
        match self.ask(&Ask::Close { order }) {
            Err(no) => return UndoOutcome::NotSent(not_made(&no)),
            Ok(answered) if outcome::close(&self.codes, &answered) => {
                return UndoOutcome::Undone { money_moved: false, reference: None };
            }
            Ok(_) => {}
        }
        let again = || {
            unknown(
                UnknownReason::NoAnswer,
                "whether the shown code is closed is not known; it is closed again",
            )
        };
        if !self.time_for_more() {
            return again();
        }
        let Ok(asked) = self.ask(&Ask::Query { order }) else { return again() };
        let expected = self.expected(order, amount);
        let moved = match outcome::query(&self.codes, &asked, expected) {
            QueryOutcome::Paid(_) => true,
            QueryOutcome::NotPaid(_) => return UndoOutcome::Undone { money_moved: false, reference: None },
            QueryOutcome::NotFound => return UndoOutcome::NeverExisted,
            _ => outcome::went_back(&self.codes, &asked, expected),
        };
        if !moved || !self.time_for_more() {
            return again();
        }
        let ask = Ask::Refund { order, refund: order, amount, total: amount, reason: None };
        let Ok(answered) = self.ask(&ask) else { return again() };
        let expected = self.expected(order, amount);
        match outcome::refund(&self.codes, &answered, expected, order) {
            Outcome::Approved(a) => UndoOutcome::Undone { money_moved: true, reference: Some(a.reference) },
            _ => again(),
        }
    }
}

/// The question of a refund, or why there is none: refused here, before anything is sent.
fn refund_of(request: &Follow) -> Result<(Ask<'_>, Fen), Decline> {
    let (amount, total) = asked::refund(request, NAME)?;
    let (order, refund) = (request.original.ids.order.as_str(), request.ids.order.as_str());
    let ask = Ask::Refund { order, refund, amount, total, reason: fit_reason(&request.reason) };
    ask.check().map_err(|e| not_made(&NotMade::Ask(e)))?;
    Ok((ask, amount))
}

impl Channel for WechatPay {
    fn open(host: Host, settings: Settings) -> Result<Self, PluginError> {
        let config: Config = settings.parse()?;
        config.check()?;
        if config.insecure_http_for_tests {
            let text = "insecure_http_for_tests is set: this channel may speak to a simulator only";
            host.log(Level::Warn, text);
        }
        let api = match config.api {
            Interface::V3 => Api::Three(Box::new(three(&host, &config)?)),
            Interface::V2 => Api::Two(Box::new(two(&host, &config)?)),
        };
        let codes = Codes::built_in().map_err(|e| PluginError::new(ErrorCode::Internal, e.to_string()))?;
        Ok(Self { host, config, api, codes, sent: VecDeque::new(), counts: Counts::default(), probes: 0 })
    }

    fn describe(&self) -> ChannelDescription {
        let mut families = vec![Family::new(Family::QR_WECHAT)];
        let mut operations = vec![Does::Sale, Does::Refund, Does::Query, Does::Undo, Does::Probe];
        if self.api.shows_codes() {
            families.push(Family::new(Family::QR_SHOWN));
            operations.push(Does::ShowCode);
        }
        ChannelDescription {
            families,
            operations,
            currencies: vec![Currency::CNY.code().into()],
            resolve: ResolveProfile {
                query: Some(QueryRule {
                    first_ms: self.config.query_first_ms,
                    every_ms: self.config.query_every_ms,
                    until_ms: self.config.query_until_ms,
                    settle_ms: self.config.query_every_ms.saturating_mul(2),
                }),
                undo: Some(UndoRule {
                    not_before_ms: self.config.reverse_not_before_ms,
                    pause_ms: self.config.reverse_pause_ms,
                    pause_max_ms: self.config.reverse_pause_max_ms,
                    tries: 0,
                }),
                single_slot: false,
            },
            needs_clock: true,
            merchant: Some(self.config.mchid.clone()),
            terminal: None,
            authorise_timeout_ms: self.config.exchange_timeout_ms,
            extra: Extra::new(),
        }
    }

    fn prepare(&mut self, request: &Authorise) -> Result<Prepared, Decline> {
        let _ = self.sale(request)?;
        if !self.host.now().trusted {
            return Err(not_made(&NotMade::Clock));
        }
        let shown = matches!(request.instrument, Instrument::ShowCode);
        Ok(Prepared {
            recovery: Sensitive::new(if shown { SHOWN } else { SCANNED }.to_vec()),
            masked: request.instrument.masked(),
        })
    }

    fn authorise(&mut self, request: &Authorise, _prepared: &Prepared) -> Outcome {
        let (ask, amount) = match self.sale(request) {
            Ok(sale) => sale,
            Err(refused) => return self.count(Operation::Pay, Outcome::NotSent(refused)),
        };
        let order = request.ids.order.as_str();
        let operation = ask.operation();
        self.note_sent(order);
        let outcome = match self.ask(&ask) {
            Err(no) => Outcome::NotSent(not_made(&no)),
            Ok(answered) if operation == Operation::Native => outcome::native(&self.codes, &answered),
            Ok(answered) => outcome::pay(&self.codes, &answered, self.expected(order, amount)),
        };
        self.count(operation, outcome)
    }

    fn query(&mut self, original: &FollowUp) -> QueryOutcome {
        let amount = match asked::fen(original.amount, NAME) {
            Ok(amount) => amount,
            Err(no) => return QueryOutcome::Unknown(Unknown::new(UnknownReason::Mismatch, no.text)),
        };
        let order = original.ids.order.as_str();
        match self.ask(&Ask::Query { order }) {
            Err(no) => not_asked(&no),
            Ok(answered) => {
                let outcome = outcome::query(&self.codes, &answered, self.expected(order, amount));
                self.queried(Operation::Query, outcome)
            }
        }
    }

    fn undo(&mut self, original: &FollowUp, _reason: UndoReason) -> UndoOutcome {
        let amount = match asked::fen(original.amount, NAME) {
            Ok(amount) => amount,
            Err(no) => return UndoOutcome::NotSent(no),
        };
        let order = original.ids.order.as_str();
        if original.recovery.expose() == SHOWN {
            self.close(order, amount)
        } else {
            self.reverse(order, amount)
        }
    }

    fn leg_rules(&self) -> Vec<LegRule> {
        let query = QueryRule {
            first_ms: self.config.query_first_ms,
            every_ms: self.config.query_every_ms,
            until_ms: self.config.refund_until_ms,
            // A refund is not undone, so that it never arrived must stand until the last question.
            settle_ms: self.config.refund_until_ms,
        };
        vec![LegRule {
            operation: Does::Refund,
            resolve: ResolveProfile { query: Some(query), undo: None, single_slot: false },
            instrument: false,
            partial: true,
        }]
    }

    fn prepare_follow(&mut self, request: &Follow) -> Result<Prepared, Decline> {
        let _ = refund_of(request)?;
        if !self.host.now().trusted {
            return Err(not_made(&NotMade::Clock));
        }
        let masked = request.original.approval.account.clone().unwrap_or_default();
        Ok(Prepared { recovery: Sensitive::new(REFUND.to_vec()), masked })
    }

    fn follow(&mut self, request: &Follow, _prepared: &Prepared) -> Outcome {
        let outcome = match refund_of(request) {
            Err(refused) => Outcome::NotSent(refused),
            Ok((ask, amount)) => match self.ask(&ask) {
                Err(no) => Outcome::NotSent(not_made(&no)),
                Ok(answered) => {
                    let expected = self.expected(&request.original.ids.order, amount);
                    outcome::refund(&self.codes, &answered, expected, &request.ids.order)
                }
            },
        };
        let outcome = match outcome {
            Outcome::Approved(approval) => {
                asked::of_payment(approval, request).map_or_else(Outcome::Unknown, Outcome::Approved)
            }
            other => other,
        };
        self.count(Operation::Refund, outcome)
    }

    fn query_follow(&mut self, request: &Follow, _original: &FollowUp) -> QueryOutcome {
        let amount = match refund_of(request) {
            Ok((_, amount)) => amount,
            Err(no) => return QueryOutcome::Unknown(Unknown::new(UnknownReason::Mismatch, no.text)),
        };
        let refund = request.ids.order.as_str();
        let outcome = match self.ask(&Ask::RefundQuery { refund }) {
            Err(no) => not_asked(&no),
            Ok(answered) => {
                let expected = self.expected(&request.original.ids.order, amount);
                match outcome::refund_query(&self.codes, &answered, expected, refund) {
                    QueryOutcome::Paid(approval) => asked::of_payment(approval, request)
                        .map_or_else(QueryOutcome::Unknown, QueryOutcome::Paid),
                    other => other,
                }
            }
        };
        self.queried(Operation::RefundQuery, outcome)
    }

    fn probe(&mut self) -> Result<Health, PluginError> {
        let health = |state, text: String| Ok(Health { state, text });
        let answered = match self.ask(&Ask::Query { order: PROBE_ORDER }) {
            Ok(answered) => answered,
            Err(no) => return health(DeviceState::Blocked, not_made(&no).text),
        };
        match &answered {
            Err(no @ NoAnswer::Link(LinkError::NotSent { .. } | LinkError::NoAnswer { .. })) => {
                health(DeviceState::Offline, no.to_string())
            }
            Err(no) => health(DeviceState::Failed, no.to_string()),
            Ok(node) => {
                let said = outcome::said(node);
                match self.codes.action(Operation::Query, &node.key(), node.status) {
                    Action::ChannelFault => health(
                        DeviceState::Failed,
                        format!("WeChat Pay answered {said}: {}", Action::ChannelFault.advice().0),
                    ),
                    Action::NotFound => health(DeviceState::Ready, "WeChat Pay answers".into()),
                    _ => health(DeviceState::Attention, format!("WeChat Pay answered {said}")),
                }
            }
        }
    }

    fn poll(&mut self, budget: Duration) -> Result<Vec<ChannelEvent>, PluginError> {
        // Nothing comes by itself: code payments send no notification, and a till behind NAT gets none.
        self.host.sleep(budget);
        Ok(Vec::new())
    }

    fn statistics(&mut self) -> Vec<(String, u64)> {
        let mut counted = self.counts.list();
        counted.push(("signature-probes".into(), self.probes));
        counted
    }
}

till_plugin::export_channel!(WechatPay, id = "org.tilld.wechatpay");
