//! The thin shell: cash as a channel. It approves at once, talks to nobody, and has no unknown state of its own.
//!
//! What happened is what the daemon's journal says: an approval counts when it is durable there, and only then does the
//! drawer open (channels §5). So an attempt that a crash cut off before that was never booked, and this channel
//! says so when asked: nothing was taken.

use std::time::Duration;

use serde::Deserialize;
use till_plugin::channel::{
    Approval, AttemptIds, Authorise, Channel, ChannelDescription, ChannelEvent, Decline, DeclineClass, Echo,
    Follow, FollowKind, FollowUp, LegRule, NextStep, Operation, Outcome, Prepared, QueryOutcome, QueryRule,
    ResolveProfile, UndoOutcome, UndoReason, UndoRule,
};
use till_plugin::driver::{DeviceState, Health};
use till_plugin::instrument::Cvm;
use till_plugin::{Currency, Extra, Family, Host, Instrument, Money, PluginError, Sensitive, Settings};

use crate::change::{ChangeError, Rounding, Steps, Worked};

/// The `settings` table of this channel. Unknown keys are refused.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Config {
    currency: Currency,
    rounding_step: i64,
    rounding: Rounding,
    largest_change: i64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            currency: Currency::CNY,
            rounding_step: 1,
            rounding: Rounding::Nearest,
            largest_change: 100_000,
        }
    }
}

/// The channel.
#[derive(Debug)]
pub struct Cash {
    host: Host,
    currency: Currency,
    steps: Steps,
    largest_change: i64,
    sales: u64,
    refunds: u64,
}

impl Cash {
    fn owed(&self, amount: Money) -> Result<i64, Decline> {
        if amount.currency() == self.currency {
            Ok(amount.minor())
        } else {
            Err(no(
                "currency",
                format!(
                    "the drawer holds {}, not {}; use another way to pay",
                    self.currency,
                    amount.currency()
                ),
                "钱箱币种不符，请用其他方式付款",
            ))
        }
    }

    fn work_out(&self, request: &Authorise) -> Result<Worked, Decline> {
        let owed = self.owed(request.amount)?;
        if request.hold {
            let text = "cash cannot be held; take it, or use another way to pay";
            return Err(no("unsupported", text.into(), "现金不支持预授权，请直接收款"));
        }
        let Instrument::Cash { tendered } = &request.instrument else {
            return Err(no(
                "wrong-instrument",
                "this channel takes cash only; use the channel of the card or code".into(),
                "此渠道只收现金",
            ));
        };
        let tendered = self.owed(*tendered)?;
        self.steps.work_out(owed, tendered, self.largest_change).map_err(|e| self.refused(&e))
    }

    fn refused(&self, error: &ChangeError) -> Decline {
        let shown = |minor| Money::new(minor, self.currency);
        let (code, text, text_zh) = match *error {
            ChangeError::TooLittle { missing } => (
                "too-little",
                format!(
                    "{} is missing: ask the customer for more, or enter what was really given",
                    shown(missing)
                ),
                format!("还差 {}，请补足或更正实收金额", shown(missing)),
            ),
            ChangeError::TooMuch { change, largest } => (
                "too-much",
                format!(
                    "the change would be {}, more than the {} this till allows; check what was entered as given",
                    shown(change),
                    shown(largest)
                ),
                format!("找零 {} 超过上限 {}，请核对实收金额", shown(change), shown(largest)),
            ),
            _ => ("amount", error.to_string(), "金额不能用现金支付".into()),
        };
        Decline { text_zh, next: NextStep::PresentAgain, ..Decline::local(DeclineClass::Device, code, text) }
    }

    fn booked(&self, ids: &AttemptIds, amount: Money, worked: Worked) -> Approval {
        let shown = |minor| Money::new(minor, self.currency);
        let mut receipt = Vec::new();
        let mut extra = Extra::new();
        if worked.rounded_by != 0 {
            receipt.push(("舍入 Rounding".to_owned(), shown(worked.rounded_by).to_string()));
            receipt.push(("应收现金 Cash due".to_owned(), shown(worked.due).to_string()));
            extra.insert("cash-due-minor".into(), worked.due.to_string());
            extra.insert("rounding-minor".into(), worked.rounded_by.to_string());
        }
        Approval {
            amount,
            echo: Echo { order: Some(ids.order.clone()), merchant: None, terminal: None },
            reference: ids.order.clone(),
            authorisation_code: None,
            account: None,
            scheme: Some("现金 Cash".into()),
            host_time: None,
            cvm: Cvm::None,
            change: None,
            open_drawer: true,
            receipt,
            extra,
        }
    }

    /// Money out of the drawer: an entry of its own against the sale's, never a change to it.
    fn counter_entry(&self, request: &Follow) -> Result<Worked, Decline> {
        let (amount, sold) = (request.amount, request.original.amount);
        match request.kind {
            FollowKind::Void if amount != sold => {
                return Err(no(
                    "void-amount",
                    "a void is for the whole payment; use a refund for a part".into(),
                    "撤销须为全额，部分退款请用退货",
                ));
            }
            FollowKind::Void | FollowKind::Refund => {}
            other => {
                let text = format!("cash is never held, so there is nothing to {}", other.as_str());
                return Err(no("unsupported", text, "现金不支持预授权"));
            }
        }
        let owed = self.owed(amount)?;
        let due = self.steps.due(owed).map_err(|e| self.refused(&e))?;
        if sold.currency() != amount.currency() || amount.minor() > sold.minor() {
            let text = "the refund is larger than the payment; change the amount";
            return Err(no("refund-too-large", text.into(), "退款金额大于原付款，请更改金额"));
        }
        Ok(Worked { due, rounded_by: due - owed, change: 0 })
    }
}

fn no(code: &str, text: String, text_zh: &str) -> Decline {
    Decline { text_zh: text_zh.into(), ..Decline::local(DeclineClass::Device, code, text) }
}

/// There is nothing to remember of cash; the version is for whatever there may be.
const RECOVERY: &[u8] = b"cash 1";

/// Nothing of cash is ever unknown for long: the first question settles it.
const QUERY: QueryRule = QueryRule { first_ms: 0, every_ms: 1_000, until_ms: 0, settle_ms: 0 };

impl Channel for Cash {
    fn open(host: Host, settings: Settings) -> Result<Self, PluginError> {
        let config: Config = settings.parse()?;
        let steps = Steps::new(config.rounding_step, config.rounding)
            .map_err(|e| PluginError::settings(e.to_string()))?;
        if config.largest_change < 0 {
            return Err(PluginError::settings(
                "largest_change is negative; write the most change to give, in minor units",
            ));
        }
        let Config { currency, largest_change, .. } = config;
        Ok(Self { host, currency, steps, largest_change, sales: 0, refunds: 0 })
    }

    fn describe(&self) -> ChannelDescription {
        ChannelDescription {
            families: vec![Family::new(Family::CASH)],
            operations: vec![
                Operation::Sale,
                Operation::Void,
                Operation::Refund,
                Operation::Query,
                Operation::Undo,
                Operation::Probe,
            ],
            currencies: vec![self.currency.code().into()],
            resolve: ResolveProfile {
                query: Some(QUERY),
                undo: Some(UndoRule { not_before_ms: 0, pause_ms: 1_000, pause_max_ms: 1_000, tries: 0 }),
                single_slot: false,
            },
            needs_clock: false,
            merchant: None,
            terminal: None,
            authorise_timeout_ms: 1_000,
            extra: Extra::new(),
        }
    }

    fn prepare(&mut self, request: &Authorise) -> Result<Prepared, Decline> {
        self.work_out(request)?;
        Ok(Prepared { recovery: Sensitive::new(RECOVERY.to_vec()), masked: String::new() })
    }

    fn authorise(&mut self, request: &Authorise, _prepared: &Prepared) -> Outcome {
        match self.work_out(request) {
            Err(refused) => Outcome::NotSent(refused),
            Ok(worked) => {
                self.sales += 1;
                Outcome::Approved(Approval {
                    change: Some(Money::new(worked.change, self.currency)),
                    ..self.booked(&request.ids, request.amount, worked)
                })
            }
        }
    }

    fn query(&mut self, _original: &FollowUp) -> QueryOutcome {
        QueryOutcome::NotPaid(Decline {
            next: NextStep::PresentAgain,
            ..no(
                "interrupted",
                "the till stopped before the cash was booked and the drawer did not open; take the cash again, or hand it back"
                    .into(),
                "现金收款未入账：钱箱未打开，请重新收款或退还顾客",
            )
        })
    }

    fn undo(&mut self, _original: &FollowUp, _reason: UndoReason) -> UndoOutcome {
        UndoOutcome::Undone { money_moved: false, reference: None }
    }

    fn leg_rules(&self) -> Vec<LegRule> {
        let rule = |operation, partial| LegRule {
            operation,
            // Nothing to undo: an entry that was not booked opened no drawer, and one that was is never unknown.
            resolve: ResolveProfile { query: Some(QUERY), undo: None, single_slot: false },
            instrument: false,
            partial,
        };
        vec![rule(Operation::Void, false), rule(Operation::Refund, true)]
    }

    fn prepare_follow(&mut self, request: &Follow) -> Result<Prepared, Decline> {
        self.counter_entry(request)?;
        Ok(Prepared { recovery: Sensitive::new(RECOVERY.to_vec()), masked: String::new() })
    }

    fn follow(&mut self, request: &Follow, _prepared: &Prepared) -> Outcome {
        match self.counter_entry(request) {
            Err(refused) => Outcome::NotSent(refused),
            Ok(worked) => {
                self.refunds += 1;
                Outcome::Approved(self.booked(&request.ids, request.amount, worked))
            }
        }
    }

    fn query_follow(&mut self, _request: &Follow, _original: &FollowUp) -> QueryOutcome {
        QueryOutcome::NotPaid(no(
            "interrupted",
            "the till stopped before the money out was booked and the drawer did not open; start it again"
                .into(),
            "退款未入账：钱箱未打开，请重新操作",
        ))
    }

    fn probe(&mut self) -> Result<Health, PluginError> {
        Ok(Health { state: DeviceState::Ready, text: "cash needs no network".into() })
    }

    fn poll(&mut self, budget: Duration) -> Result<Vec<ChannelEvent>, PluginError> {
        self.host.sleep(budget);
        Ok(Vec::new())
    }

    fn statistics(&mut self) -> Vec<(String, u64)> {
        vec![("sales".into(), self.sales), ("refunds".into(), self.refunds)]
    }
}

till_plugin::export_channel!(Cash, id = "org.tilld.cash");
