//! What the customer sees and hears of a payment: a function of the payment alone.

use till_core::receipt::Language;
use till_core::{AttemptState, Payment, PaymentState};
use till_plugin::driver::{ShowContent, Signal, Spoken, Stage, StageContent};
use till_plugin::{Extra, Money};

use super::view::PaymentView;

/// An amount to be paid is worth saying for so long, ms.
const SOON: u32 = 8_000;
/// A result for so long.
const RESULT: u32 = 20_000;

/// What stands on the counter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Scene {
    /// For displays.
    pub show: ShowContent,
    /// For lamps.
    pub signal: Signal,
    /// For voices: under a key that is said once.
    pub say: Option<(String, Spoken)>,
    /// How long that is worth hearing, ms.
    pub say_valid_ms: u32,
    /// Nothing follows by itself: after a while the counter is idle.
    pub ends: bool,
}

/// For people who wait and cannot help it.
pub(super) const fn staff(language: Language) -> &'static str {
    match language {
        Language::Chinese => "请店员到收银台",
        Language::English => "staff to the till, please",
    }
}

/// The scene of a payment as it stands.
pub(super) fn of(view: &PaymentView, language: Language) -> Scene {
    let p = &view.payment;
    let scene = as_real(view, language);
    if !p.training {
        return scene;
    }
    // Nobody may see or hear that money came: it did not.
    let training = || ShowContent::Text(vec!["培训 TRAINING".into(), p.amount.to_string()]);
    let show = if scene.show == ShowContent::Clear { scene.show } else { training() };
    Scene { ends: scene.ends, ..quiet(show, Signal::Off) }
}

fn as_real(view: &PaymentView, language: Language) -> Scene {
    let p = &view.payment;
    let owed = p.remaining();
    match p.state {
        PaymentState::Draft => quiet(stage(Stage::Total, p.amount), Signal::Off),
        PaymentState::Ready | PaymentState::PartPaid => match declined(p) {
            Some(attempt) => {
                let key = format!("declined/{}/{attempt}", p.id);
                Scene { signal: Signal::Failure, ..told(Stage::Declined, owed, key, RESULT) }
            }
            // Said once for each amount that is owed, however often it is asked for.
            None => Scene {
                signal: Signal::Ready,
                ..told(Stage::Due, owed, format!("due/{}/{}", p.id, owed.minor()), SOON)
            },
        },
        PaymentState::Tendering => match &view.show_code {
            Some(code) => quiet(ShowContent::Qr { data: code.clone(), amount: owed }, Signal::Ready),
            // It is the customer's turn, at the pad.
            None if view.pad.is_some() => quiet(stage(Stage::Due, owed), Signal::Ready),
            None => quiet(stage(Stage::Due, owed), Signal::Busy),
        },
        PaymentState::Delivering | PaymentState::Returning => {
            quiet(stage(Stage::Total, p.amount), Signal::Busy)
        }
        PaymentState::Paid | PaymentState::Authorised => {
            let (what, amount) = match change(p) {
                Some(change) => (Stage::Change, change),
                None => (Stage::Approved, p.amount),
            };
            Scene {
                signal: Signal::Success,
                ends: true,
                ..told(what, amount, format!("paid/{}", p.id), RESULT)
            }
        }
        PaymentState::Returned => {
            let key = format!("returned/{}", p.id);
            Scene { signal: Signal::Success, ends: true, ..told(Stage::Refunded, p.returned(), key, RESULT) }
        }
        PaymentState::Cancelled => Scene { ends: true, ..quiet(ShowContent::Clear, Signal::Off) },
        PaymentState::Review => {
            let wait = match language {
                Language::Chinese => "请稍候，等候店员",
                Language::English => "PLEASE WAIT",
            };
            quiet(ShowContent::Text(vec![wait.into()]), Signal::Alarm)
        }
    }
}

fn stage(stage: Stage, amount: Money) -> ShowContent {
    ShowContent::Stage(StageContent { stage, amount, extra: Extra::new() })
}

fn quiet(show: ShowContent, signal: Signal) -> Scene {
    Scene { show, signal, say: None, say_valid_ms: 0, ends: false }
}

fn told(what: Stage, amount: Money, key: String, say_valid_ms: u32) -> Scene {
    let content = StageContent { stage: what, amount, extra: Extra::new() };
    let say = Some((key, Spoken::Stage(content)));
    Scene { say, say_valid_ms, ..quiet(stage(what, amount), Signal::Off) }
}

/// The attempt that was just refused, if the customer is asked again because of it.
fn declined(p: &Payment) -> Option<u32> {
    let last = p.attempts.last()?;
    (last.kind.is_tender() && matches!(last.state, AttemptState::Declined)).then_some(last.ids.attempt)
}

/// What goes back to a customer who paid in cash.
fn change(p: &Payment) -> Option<Money> {
    p.approved()?.approval.as_ref()?.change.filter(|c| c.is_positive())
}
