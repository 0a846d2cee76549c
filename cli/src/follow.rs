//! Follows one payment: signals in, plain lines out, until it ends. Pure; the shell is in `pay`.

use till_dbus::events::{Change, Event, Properties};
use till_dbus::tree;
use till_dbus::types::Prompt;
use zbus::{ObjectPath, OwnedObjectPath};

use crate::look::{Look, clean};

/// How a payment ended for the person at the till.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// Paid.
    Paid,
    /// No money.
    Cancelled,
    /// People decide.
    Review,
    /// Held, not taken.
    Held,
    /// Everything went back.
    Returned,
}

/// What a signal meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A line for people.
    Line(String),
    /// A code for the customer's phone.
    Show(String),
    /// The attempt is over, the payment waits for another one.
    BackToReady,
    /// A part is paid, or an attempt at a further part ended.
    PartPaid,
    /// The daemon came back: read the payment again.
    ReadAgain,
    /// Over.
    End(End),
}

/// A payment being followed.
#[derive(Debug)]
pub struct Follower {
    look: Look,
    path: OwnedObjectPath,
    currency: String,
    state: String,
    channel: String,
    attempt_state: String,
    /// An attempt ended without money; its reason is still to come.
    came_back: bool,
    /// What was presented last is a code that the till shows: the customer reads, and takes the time for it.
    shows_code: bool,
    /// Who follows brings what pays: see [`Follower::with_brought`].
    brought: bool,
}

impl Follower {
    /// Follows the payment at a path.
    pub fn new(look: &Look, path: OwnedObjectPath, currency: &str) -> Self {
        Self {
            look: look.clone(),
            path,
            currency: currency.into(),
            state: String::new(),
            channel: String::new(),
            attempt_state: String::new(),
            came_back: false,
            shows_code: false,
            brought: false,
        }
    }

    /// What pays is brought by who follows, not by the customer: nobody is asked to present anything.
    #[must_use]
    pub fn with_brought(mut self, brought: bool) -> Self {
        self.brought = brought;
        self
    }

    /// The state that was heard of last.
    pub fn state(&self) -> &str {
        &self.state
    }

    /// Takes over a state that was read, not heard.
    pub fn read(&mut self, state: &str) -> Option<End> {
        state.clone_into(&mut self.state);
        end(state)
    }

    /// A signal; those of other payments mean nothing here.
    pub fn hear(&mut self, event: &Event) -> Vec<Step> {
        let mine = event.path == self.path;
        let about_me = |path: &ObjectPath<'_>| *path == *self.path;
        let say = |en: &str, zh: &str| self.look.say(en, zh).to_owned();
        match &event.change {
            Change::PaymentState { old, new, reason, .. } if mine => self.moved(old, new, reason),
            Change::Properties { interface, changed, .. } if mine && interface == "org.tilld.Payment1" => {
                self.properties(changed)
            }
            Change::Presented { device, family, masked } if mine => {
                self.shows_code = family == "qr-shown";
                if self.shows_code {
                    return Vec::new();
                }
                let device = if device.is_empty() { say("tillctl", "tillctl") } else { clean(device) };
                let read = say("read", "读到");
                vec![Step::Line(format!("{device}: {read} {} {}", clean(family), clean(masked)))]
            }
            Change::InputRefused { device, text, text_zh, families, .. } if mine => {
                let device = if device.is_empty() { "tillctl".into() } else { clean(device) };
                let text = clean(self.look.say(text, text_zh));
                let choose = if families.is_empty() {
                    String::new()
                } else {
                    format!(" ({} --family {})", say("say what it is:", "请指定："), families.join(" | "))
                };
                vec![Step::Line(format!("{device}: {text}{choose}"))]
            }
            Change::ShowCode { code } if mine => {
                vec![
                    Step::Line(say("show this code to the customer", "请向顾客出示此二维码")),
                    Step::Show(code.clone()),
                ]
            }
            Change::Alarm { level, payment, text, .. } if about_me(payment) => {
                vec![Step::Line(format!("{}: {}", clean(level), clean(text)))]
            }
            Change::Job { payment, state, reason, .. } if about_me(payment) => {
                let text =
                    format!("{} {} {}", say("receipt:", "小票："), self.look.state(state), clean(reason));
                vec![Step::Line(text.trim_end().into())]
            }
            Change::DaemonGone => vec![Step::Line(say(
                "tilld left the bus; what is on disk is safe, waiting for it to come back",
                "tilld 已离开总线；已落盘的数据安全，等待其恢复",
            ))],
            Change::DaemonCame => {
                vec![Step::Line(say("tilld is back", "tilld 已恢复")), Step::ReadAgain]
            }
            _ => Vec::new(),
        }
    }

    fn moved(&mut self, old: &str, new: &str, reason: &str) -> Vec<Step> {
        new.clone_into(&mut self.state);
        let reason = if reason.is_empty() { String::new() } else { format!(" ({})", clean(reason)) };
        let line = |en: &str, zh: &str| Step::Line(format!("{}{reason}", self.look.say(en, zh)));
        match new {
            "ready" if old == "draft" && self.brought => Vec::new(),
            "ready" if old == "draft" => vec![line(
                "ready: ask the customer for card, code or cash",
                "就绪：请顾客刷卡、出示付款码或付现金",
            )],
            // Why it was refused comes with the properties of the same change.
            "ready" => {
                self.came_back = true;
                Vec::new()
            }
            "paid" => vec![line("paid", "已支付"), Step::End(End::Paid)],
            "cancelled" => {
                vec![line("cancelled: no money was taken", "已取消：未收款"), Step::End(End::Cancelled)]
            }
            "part-paid" => {
                let text = line("part-paid: the rest is still owed", "部分支付：仍有余款待付");
                vec![text, Step::PartPaid]
            }
            "authorised" => vec![
                line("held, not taken: capture or release it", "已预授权：请完成或撤销"),
                Step::End(End::Held),
            ],
            "delivering" => vec![line("paid; putting the value on the card", "已支付；正在充值")],
            "returning" => vec![line("giving back what was taken", "正在退回已收款项")],
            "returned" => {
                vec![line("everything went back", "已全部退回"), Step::End(End::Returned)]
            }
            "review" => vec![
                line(
                    "nobody knows whether money moved: call a supervisor, take no other money for it",
                    "收款结果未知：请联系主管，勿重复收款",
                ),
                Step::End(End::Review),
            ],
            _ => Vec::new(),
        }
    }

    fn properties(&mut self, changed: &Properties) -> Vec<Step> {
        let text = |name: &str| changed.get(name).and_then(|v| tree::decode::<String>(v).ok());
        let mut steps = Vec::new();
        let (channel, attempt) = (text("Channel"), text("AttemptState"));
        let before = (self.channel.clone(), self.attempt_state.clone());
        if let Some(channel) = channel {
            self.channel = channel;
        }
        if let Some(attempt) = attempt {
            self.attempt_state = attempt;
        }
        if before != (self.channel.clone(), self.attempt_state.clone())
            && let Some(line) = self.attempt_line()
        {
            steps.push(Step::Line(line));
        }
        let refused = matches!(self.attempt_state.as_str(), "declined" | "not-sent");
        if refused
            && let Some(prompt) = changed.get("Prompt").and_then(|v| tree::prompt(v).ok())
            && let Some(why) = why(&self.look, &prompt)
        {
            steps.push(Step::Line(format!("{}: {why}", clean(&self.channel))));
        }
        // A client that came late, or missed StateChanged, still learns the end.
        if let Some(state) = text("State") {
            if std::mem::take(&mut self.came_back) && state == "ready" {
                let text = self.look.say("not paid; the customer may try again", "未支付；顾客可重试");
                steps.extend([Step::Line(text.into()), Step::BackToReady]);
            }
            if state != self.state {
                steps.extend(self.read(&state).map(Step::End));
            }
        }
        steps
    }

    fn attempt_line(&self) -> Option<String> {
        let (en, zh) = match self.attempt_state.as_str() {
            "created" => ("preparing", "准备中"),
            "sent" => ("sent, waiting for the answer", "已发送，等待应答"),
            "approved" => ("approved", "已批准"),
            "declined" => ("declined", "已拒绝"),
            "not-sent" => ("not sent: nothing left the till", "未发送"),
            "querying" if self.shows_code => (
                "waiting until the customer has scanned the code and paid; take no other money for this payment",
                "等待顾客扫码付款；请勿重复收款",
            ),
            "querying" => (
                "no sure answer: asking the network; take no other money for this payment",
                "结果未知：正在查询；请勿重复收款",
            ),
            "reversing" => ("undoing it at the network", "正在冲正"),
            "reversed" => ("undone: no money was taken", "已冲正：未收款"),
            "review" => ("not resolved: people decide", "未决：待人工处理"),
            _ => return None,
        };
        Some(format!("{}: {}", clean(&self.channel), self.look.say(en, zh)))
    }

    /// The currency of the payment.
    pub fn currency(&self) -> &str {
        &self.currency
    }
}

/// Why the last attempt was refused.
fn why(look: &Look, prompt: &Prompt) -> Option<String> {
    let a = &prompt.arguments;
    let text = look.say(a.text.as_deref().unwrap_or_default(), a.text_zh.as_deref().unwrap_or_default());
    (!text.is_empty()).then(|| clean(text))
}

fn end(state: &str) -> Option<End> {
    match state {
        "paid" => Some(End::Paid),
        "cancelled" => Some(End::Cancelled),
        "review" => Some(End::Review),
        "authorised" => Some(End::Held),
        "returned" => Some(End::Returned),
        _ => None,
    }
}

/// What the person at the till is to do now.
pub fn prompt(look: &Look, prompt: &Prompt, currency: &str) -> String {
    let a = &prompt.arguments;
    let text = match prompt.id.as_str() {
        "confirm-amount" => look.say("confirm the amount", "请确认金额"),
        "present-card-again" => look.say("present the card that paid once more", "请再次出示付款的原卡"),
        "complete-or-release" => look.say("capture or release the hold", "请完成或撤销预授权"),
        "present-instrument" => {
            look.say("ask the customer for card, code or cash", "请顾客刷卡、出示付款码或付现金")
        }
        "wait" if a.background == Some(true) => {
            look.say("being resolved in the background", "后台处理中，收银机可继续使用")
        }
        "wait" => look.say("wait for the network", "等待网络应答"),
        "enter-pin" => look.say("the customer enters the PIN at the pad", "请顾客在密码键盘输入密码"),
        "show-code" => look.say("show the code to the customer", "请向顾客出示二维码"),
        "done" => look.say("done", "完成"),
        "call-supervisor" => look.say("call a supervisor", "请联系主管"),
        other => return clean(other),
    };
    match a.change {
        Some(change) if change > 0 => {
            format!("{text}; {} {}", look.say("change", "找零"), look.money(change, currency))
        }
        _ => text.to_owned(),
    }
}
