//! The thin shell: the SDK's requests in, single exchanges with the gateway, the SDK's outcomes out.
//!
//! The daemon drives the flow of channels §2.3 (when to query, when to cancel, how long); this side states the rule in
//! [`ResolveProfile`] and performs one call at a time.

use std::time::Duration;

use till_plugin::channel::{
    Approval, Authorise, Channel, ChannelDescription, ChannelEvent, Decline, DeclineClass, Follow, FollowUp,
    LegRule, Operation as Does, Outcome, Prepared, QueryOutcome, QueryRule, ResolveProfile, UndoOutcome,
    UndoReason, UndoRule, Unknown, UnknownReason,
};
use till_plugin::driver::{DeviceState, Health};
use till_plugin::host::Level;
use till_plugin::{Currency, Extra, Family, Host, Instrument, PluginError, Sensitive, Settings};
use till_wallet::counts::Counts;
use till_wallet::{asked, given};
use zeroize::Zeroizing;

use crate::amount::Fen;
use crate::calls::{self, Call, CallError, Merchant, Sale};
use crate::codes::{Action, Codes, Operation};
use crate::exchange::{Exchange, NotMade, time_left};
use crate::link::{LinkError, Target};
use crate::mode::Mode;
use crate::outcome::{self, Answered, Expected, NoNode};
use crate::papers::Papers;
use crate::reply::{Verified, code_of};
use crate::seal::Seal;
use crate::settings::{Config, fit_subject, is_id};
use crate::sign::{AppKey, PlatformKey};

/// What the recovery record says: how the customer was to pay. Order and amount the daemon keeps itself.
const SCANNED: &[u8] = b"alipay 1 scanned";
const SHOWN: &[u8] = b"alipay 1 shown";
/// The same of a refund: everything else is in the request, which the daemon keeps.
const REFUND: &[u8] = b"alipay 1 refund";

/// An order number no sale ever has: the daemon's numbers begin with the terminal's.
const PROBE_ORDER: &str = "TILLPROBE00000000";

/// The wallet's name, for people.
const NAME: &str = "Alipay";

/// A query that found out nothing leaves this much for the cancel behind a close.
const LEAST: Duration = Duration::from_millis(500);

/// The channel.
pub struct Alipay {
    host: Host,
    config: Config,
    gateway: Exchange,
    codes: Codes,
    counts: Counts,
}

impl Alipay {
    /// The request of a sale, or why there is none. Nothing is sent.
    fn sale_call(&self, request: &Authorise) -> Result<(Call, Fen), Decline> {
        let amount = asked::fen(request.amount, NAME)?;
        if request.hold {
            return Err(refuse(
                DeclineClass::Channel,
                "unsupported",
                "Alipay at the till takes money, it does not hold it",
            ));
        }
        let sale = Sale {
            subject: fit_subject(&request.subject)
                .or_else(|| fit_subject(&self.config.subject))
                .unwrap_or_default(),
            timeout: self.config.timeout_express.clone(),
            store_id: self.config.store_id.clone(),
            terminal_id: self.config.terminal_id.clone(),
            operator_id: request.operator.clone().filter(|o| is_id(o, 28)),
        };
        let call = match &request.instrument {
            Instrument::Code(code) => calls::pay(&request.ids.order, amount, code.text.expose(), &sale),
            Instrument::ShowCode => calls::precreate(&request.ids.order, amount, &sale),
            _ => {
                return Err(refuse(
                    DeclineClass::Channel,
                    "wrong-instrument",
                    "Alipay takes a payment code or shows one; use another channel for this card",
                ));
            }
        };
        Ok((call.map_err(|e| NotMade::Call(e).decline())?, amount))
    }

    /// One exchange. `Err` when nothing was sent because nothing could be.
    fn exchange(&mut self, call: &Result<Call, CallError>) -> Result<Answered, NotMade> {
        let call = call.as_ref().map_err(|e| NotMade::Call(e.clone()))?;
        let answered = self.gateway.ask(&self.host, call)?;
        self.tell(call, &answered);
        Ok(answered)
    }

    /// What whoever runs the till must learn from its log: wrong seals, and faults of contract or settings.
    fn tell(&mut self, call: &Call, answered: &Answered) {
        match answered {
            Err(no @ NoNode::Reply(reply)) if reply.is_of_the_seal() => {
                self.counts.bad_seal += 1;
                self.host.log(Level::Error, format!("{}: {no}", call.method));
            }
            Err(no) => self.host.log(Level::Warn, format!("{}: {no}", call.method)),
            Ok(Verified::Answer(node) | Verified::GatewayRefusal(node)) => {
                let code = code_of(node);
                let action = self.codes.action(call.operation, &code);
                if action == Action::ChannelFault {
                    let advice = action.advice().0;
                    self.host.log(Level::Error, format!("{}: Alipay answered {code}: {advice}", call.method));
                } else if code.ends_with("CONTEXT_INCONSISTENT")
                    || code.ends_with("DISCORDANT_REPEAT_REQUEST")
                {
                    self.host.log(
                        Level::Error,
                        format!("{}: Alipay answered {code}: one number was used with two sets of parameters; report this", call.method),
                    );
                } else {
                    self.host.log(Level::Debug, format!("{}: Alipay answered {code}", call.method));
                }
            }
        }
    }

    fn count(&mut self, outcome: Outcome) -> Outcome {
        self.counts.outcome(&outcome);
        outcome
    }
}

fn refuse(class: DeclineClass, code: &str, text: &str) -> Decline {
    Decline::local(class, code, text)
}

/// A certificate whose time is over stops the channel sooner or later: say so before the first customer.
fn tell_ended(host: &Host, papers: &Papers) {
    let now = host.now();
    for setting in papers.ended(now.wall_ms).into_iter().filter(|_| now.trusted) {
        let text = format!(
            "{setting} is not valid now; download the current one from the application's page at open.alipay.com"
        );
        host.log(Level::Error, text);
    }
}

/// The answer of a query that could not be made.
fn not_asked(no: &NotMade) -> QueryOutcome {
    QueryOutcome::Unknown(Unknown::new(UnknownReason::NoAnswer, no.decline().text))
}

impl Channel for Alipay {
    fn open(host: Host, settings: Settings) -> Result<Self, PluginError> {
        let config: Config = settings.parse()?;
        config.check()?;
        let wrong = |e: &dyn std::fmt::Display| PluginError::settings(e.to_string());
        let target = Target::new(
            &config.gateway,
            &config.ca()?,
            config.insecure_http_for_tests,
            Duration::from_millis(config.connect_timeout_ms.into()),
        )
        .map_err(|e| wrong(&e))?;
        if config.insecure_http_for_tests {
            host.log(
                Level::Warn,
                "insecure_http_for_tests is set: this channel may speak to a simulator only",
            );
        }
        let secret = host.secret("app_private_key")?;
        let app = AppKey::from_text(given::secret(&secret, "app_private_key")?).map_err(|e| wrong(&e))?;
        let seal = match config.mode()? {
            Mode::Key(key) => Seal::Key(PlatformKey::from_text(&key).map_err(|e| wrong(&e))?),
            Mode::Certificates { app: certificate, alipay, roots } => {
                let papers =
                    Papers::new(&certificate, &alipay, &roots, &app.public()).map_err(|e| wrong(&e))?;
                tell_ended(&host, &papers);
                Seal::Certificates(Box::new(papers))
            }
        };
        // Optional: only a service provider acting for the merchant has one.
        let token = match host.secret("app_auth_token") {
            Ok(token) => Some(Zeroizing::new(given::secret(&token, "app_auth_token")?.trim().to_owned())),
            Err(_) => None,
        };
        let codes = Codes::built_in()
            .map_err(|e| PluginError::new(till_plugin::ErrorCode::Internal, e.to_string()))?;
        let merchant = Merchant {
            app_id: config.app_id.clone(),
            notify_url: config.notify_url.clone(),
            app_auth_token: token,
            certificate_numbers: seal.numbers().map(|(app, roots)| (app.to_owned(), roots.to_owned())),
        };
        let longest = Duration::from_millis(config.exchange_timeout_ms.into());
        let gateway = Exchange { merchant, app, seal, target, longest, made: 0, fetched_ms: None };
        Ok(Self { host, config, gateway, codes, counts: Counts::default() })
    }

    fn describe(&self) -> ChannelDescription {
        ChannelDescription {
            families: vec![Family::new(Family::QR_ALIPAY), Family::new(Family::QR_SHOWN)],
            operations: vec![Does::Sale, Does::ShowCode, Does::Refund, Does::Query, Does::Undo, Does::Probe],
            currencies: vec![Currency::CNY.code().into()],
            resolve: ResolveProfile {
                query: Some(QueryRule {
                    first_ms: self.config.query_first_ms,
                    every_ms: self.config.query_every_ms,
                    until_ms: self.config.query_until_ms,
                    settle_ms: self.config.query_every_ms.saturating_mul(2),
                }),
                undo: Some(UndoRule {
                    // At once behind the last query: a pause would let the customer pay in between (§2.3).
                    not_before_ms: 0,
                    pause_ms: self.config.cancel_pause_ms,
                    pause_max_ms: self.config.cancel_pause_max_ms,
                    tries: 0,
                }),
                single_slot: false,
            },
            needs_clock: true,
            merchant: None,
            terminal: None,
            authorise_timeout_ms: self.config.exchange_timeout_ms,
            extra: Extra::new(),
        }
    }

    fn prepare(&mut self, request: &Authorise) -> Result<Prepared, Decline> {
        let _ = self.sale_call(request)?;
        if !self.host.now().trusted {
            return Err(NotMade::Clock.decline());
        }
        let shown = matches!(request.instrument, Instrument::ShowCode);
        Ok(Prepared {
            recovery: Sensitive::new(if shown { SHOWN } else { SCANNED }.to_vec()),
            masked: request.instrument.masked(),
        })
    }

    fn authorise(&mut self, request: &Authorise, _prepared: &Prepared) -> Outcome {
        let outcome = match self.sale_call(request) {
            Err(refused) => Outcome::NotSent(refused),
            Ok((call, amount)) => {
                let operation = call.operation;
                let expected = Expected { order: &request.ids.order, amount };
                match self.exchange(&Ok(call)) {
                    Err(no) => Outcome::NotSent(no.decline()),
                    Ok(answered) if operation == Operation::Precreate => {
                        outcome::precreate(&self.codes, &answered, expected)
                    }
                    Ok(answered) => outcome::pay(&self.codes, &answered, expected),
                }
            }
        };
        self.count(outcome)
    }

    fn query(&mut self, original: &FollowUp) -> QueryOutcome {
        let amount = match asked::fen(original.amount, NAME) {
            Ok(amount) => amount,
            Err(no) => return QueryOutcome::Unknown(Unknown::new(UnknownReason::Mismatch, no.text)),
        };
        let expected = Expected { order: &original.ids.order, amount };
        match self.exchange(&calls::query(expected.order)) {
            Err(no) => not_asked(&no),
            Ok(answered) => match outcome::query(&self.codes, &answered, expected) {
                // A shown code makes its trade only when somebody scans it.
                QueryOutcome::NotFound if original.recovery.expose() == SHOWN => QueryOutcome::InProgress,
                outcome => outcome,
            },
        }
    }

    fn undo(&mut self, original: &FollowUp, _reason: UndoReason) -> UndoOutcome {
        let order = &original.ids.order;
        // A shown code that nobody paid is closed; if that fails, somebody may have paid: cancel decides.
        if original.recovery.expose() == SHOWN
            && let Ok(answered) = self.exchange(&calls::close(order))
            && outcome::close(&self.codes, &answered, order)
        {
            return UndoOutcome::Undone { money_moved: false, reference: None };
        }
        if time_left(&self.host) < LEAST {
            let text = "no time was left for the cancel; it is sent again";
            return UndoOutcome::Unknown(Unknown::new(UnknownReason::NoAnswer, text));
        }
        match self.exchange(&calls::cancel(order)) {
            Err(no) => UndoOutcome::NotSent(no.decline()),
            Ok(answered) => outcome::cancel(&self.codes, &answered, order),
        }
    }

    fn leg_rules(&self) -> Vec<LegRule> {
        let query = QueryRule {
            first_ms: self.config.query_first_ms,
            every_ms: self.config.query_every_ms,
            until_ms: self.config.query_until_ms,
            // A refund is not undone, so that it never arrived must stand until the last question.
            settle_ms: self.config.query_until_ms,
        };
        vec![LegRule {
            operation: Does::Refund,
            resolve: ResolveProfile { query: Some(query), undo: None, single_slot: false },
            instrument: false,
            partial: true,
        }]
    }

    fn prepare_follow(&mut self, request: &Follow) -> Result<Prepared, Decline> {
        let _ = refund_call(request)?;
        if !self.host.now().trusted {
            return Err(NotMade::Clock.decline());
        }
        let masked = request.original.approval.account.clone().unwrap_or_default();
        Ok(Prepared { recovery: Sensitive::new(REFUND.to_vec()), masked })
    }

    fn follow(&mut self, request: &Follow, _prepared: &Prepared) -> Outcome {
        let outcome = match refund_call(request) {
            Err(refused) => Outcome::NotSent(refused),
            Ok((call, amount)) => {
                let order = &request.original.ids.order;
                match self.exchange(&Ok(call)) {
                    Err(no) => Outcome::NotSent(no.decline()),
                    Ok(answered) => outcome::refund(&self.codes, &answered, Expected { order, amount }),
                }
            }
        };
        let outcome = match outcome {
            Outcome::Approved(approval) => {
                of_refund(approval, request).map_or_else(Outcome::Unknown, Outcome::Approved)
            }
            other => other,
        };
        self.count(outcome)
    }

    fn query_follow(&mut self, request: &Follow, _original: &FollowUp) -> QueryOutcome {
        let amount = match refund_call(request) {
            Ok((_, amount)) => amount,
            Err(no) => return QueryOutcome::Unknown(Unknown::new(UnknownReason::Mismatch, no.text)),
        };
        let order = &request.original.ids.order;
        let expected = Expected { order, amount };
        match self.exchange(&calls::refund_query(order, &request.ids.order)) {
            Err(no) => not_asked(&no),
            Ok(answered) => match outcome::refund_query(&self.codes, &answered, expected, &request.ids.order)
            {
                QueryOutcome::Paid(approval) => {
                    of_refund(approval, request).map_or_else(QueryOutcome::Unknown, QueryOutcome::Paid)
                }
                other => other,
            },
        }
    }

    fn probe(&mut self) -> Result<Health, PluginError> {
        let health = |state, text: String| Ok(Health { state, text });
        let answered = match self.exchange(&calls::query(PROBE_ORDER)) {
            Ok(answered) => answered,
            Err(no) => return health(DeviceState::Blocked, no.decline().text),
        };
        match &answered {
            Err(no @ NoNode::Link(LinkError::NotSent { .. } | LinkError::NoAnswer { .. })) => {
                health(DeviceState::Offline, no.to_string())
            }
            Err(no) => health(DeviceState::Failed, no.to_string()),
            Ok(Verified::Answer(node) | Verified::GatewayRefusal(node)) => {
                let code = code_of(node);
                match self.codes.action(Operation::Query, &code) {
                    Action::ChannelFault => health(
                        DeviceState::Failed,
                        format!("Alipay answered {code}: {}", Action::ChannelFault.advice().0),
                    ),
                    Action::Cancel => health(DeviceState::Ready, "Alipay answers".into()),
                    _ => health(DeviceState::Attention, format!("Alipay answered {code}")),
                }
            }
        }
    }

    fn poll(&mut self, budget: Duration) -> Result<Vec<ChannelEvent>, PluginError> {
        // Nothing comes by itself: a till behind NAT gets no notifications.
        self.host.sleep(budget);
        Ok(Vec::new())
    }

    fn statistics(&mut self) -> Vec<(String, u64)> {
        self.counts.exchanges = self.gateway.made;
        self.counts.list()
    }
}

/// The request of a refund, or why there is none: refused here, before anything is sent.
fn refund_call(request: &Follow) -> Result<(Call, Fen), Decline> {
    let (part, _) = asked::refund(request, NAME)?;
    let reason = fit_subject(&request.reason);
    let call = calls::refund(&request.original.ids.order, &request.ids.order, part, reason.as_deref())
        .map_err(|e| NotMade::Call(e).decline())?;
    Ok((call, part))
}

/// The refund's own number is what its answer stands for.
fn of_refund(approval: Approval, request: &Follow) -> Result<Approval, Unknown> {
    let mut approval = asked::of_payment(approval, request)?;
    approval.echo.order = Some(request.ids.order.clone());
    Ok(approval)
}

till_plugin::export_channel!(Alipay, id = "org.tilld.alipay");
