//! Channels are suspended and resumed (S11).

use till_plugin::channel::{Decline, DeclineClass, NextStep};

use super::Step;
use super::command::known_channel;
use crate::bounds;
use crate::effect::Effect;
use crate::input::Context;
use crate::payment::LegKind;
use crate::record::Record;
use crate::refusal::Refusal;
use crate::suspension::{By, Suspension};
use crate::till::Till;

/// Longest reason, bytes.
pub(crate) const REASON: usize = 160;

fn said(reason: &str, operator: &str) -> Result<(String, String), Refusal> {
    let said = |text: &str, bytes| Some(bounds::cut(text.trim(), bytes)).filter(|t| !t.is_empty());
    let operator = said(operator, bounds::PERSON)
        .ok_or(Refusal::Wanted("a channel is suspended and resumed by somebody: a name is wanted"))?;
    let reason = said(reason, REASON)
        .ok_or(Refusal::Wanted("say why: the reason stands in the journal and is shown to the cashier"))?;
    Ok((reason, operator))
}

/// A person suspends a channel. Customers who are being served by it go on.
pub(super) fn suspend(
    till: &Till,
    ctx: &Context,
    channel: &str,
    reason: &str,
    operator: &str,
) -> Result<Step, Refusal> {
    let (reason, operator) = said(reason, operator)?;
    known_channel(ctx, channel)?;
    refuse(till, channel)?;
    let record = Record::ChannelSuspended { channel: channel.into(), reason, operator };
    Ok(Step::new(record, [Effect::SuspensionChanged { channel: channel.into() }]))
}

/// A supervisor takes a suspension back; also of a channel that has left the configuration meanwhile.
pub(super) fn resume(
    till: &Till,
    ctx: &Context,
    channel: &str,
    reason: &str,
    operator: &str,
) -> Result<Step, Refusal> {
    let (reason, operator) = said(reason, operator)?;
    if till.suspended(channel).is_none() {
        let channel = known_channel(ctx, channel)?.id.clone();
        return Err(Refusal::NotSuspended { channel });
    }
    let record = Record::ChannelResumed { channel: channel.into(), reason, operator };
    Ok(Step::new(record, [Effect::SuspensionChanged { channel: channel.into() }]))
}

/// Refuses what would begin something on a suspended channel.
pub(super) fn refuse(till: &Till, channel: &str) -> Result<(), Refusal> {
    let Some(s) = till.suspended(channel) else { return Ok(()) };
    let (why, why_zh) = s.by.text(&s.reason);
    Err(Refusal::Suspended { channel: channel.into(), why, why_zh })
}

/// Takes or holds money: not begun while its channel is suspended. What gives back, and what delivers a value that is
/// paid already, goes on.
pub(super) const fn begins(kind: LegKind) -> bool {
    matches!(kind, LegKind::Sale | LegKind::Hold | LegKind::Capture)
}

/// The channel was suspended while a request for it was prepared.
pub(super) fn decline(s: &Suspension) -> Decline {
    let (text, text_zh) = s.by.text(&s.reason);
    Decline {
        class: DeclineClass::Channel,
        code: "suspended".into(),
        text: bounds::cut(&format!("not sent: the channel is {text}"), bounds::LINE),
        text_zh: bounds::cut(&format!("未发送：该通道{text_zh}"), bounds::LINE),
        next: NextStep::OtherMethod,
    }
}

/// Channels that a rule suspended still are: whoever starts the till hears of it.
pub(super) fn recover(till: &Till) -> Option<Step> {
    let ruled = till.suspensions().now().iter().filter(|(_, s)| s.by != By::Person);
    let alarms: Vec<Effect> = ruled.map(|(channel, s)| alarm(channel, s)).collect();
    (!alarms.is_empty()).then(|| Step::effects(alarms))
}

/// What people hear of a suspension by a rule, in both languages.
pub(super) fn alarm(channel: &str, s: &Suspension) -> Effect {
    let (en, zh) = s.by.text(&s.reason);
    let text = format!("{channel} is {en}; a supervisor resumes it · {channel} {zh}；须由主管恢复");
    Effect::Alarm { code: s.by.as_str(), payment: s.payment, text }
}
