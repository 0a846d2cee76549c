//! How things are shown: language, colours, time zone, amounts.

use std::fmt::Write as _;
use std::io::IsTerminal;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use till_dbus::types::LocalText;
use till_plugin::{Currency, Money};

/// How to show things.
#[derive(Clone, Debug)]
pub struct Look {
    /// Chinese; English otherwise.
    pub chinese: bool,
    /// Colours.
    pub colour: bool,
    /// For times.
    pub zone: TimeZone,
}

/// What a colour says.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Tone {
    /// As any text.
    Plain,
    /// Well.
    Good,
    /// Look at it.
    Warn,
    /// Act.
    Bad,
    /// Not important now.
    Faint,
    /// A heading.
    Strong,
}

impl Look {
    /// As the environment wants it (`LC_ALL`, `LC_MESSAGES`, `LANG`, `NO_COLOR`, `TERM`, `TZ`).
    pub fn from_env() -> Self {
        let set = |name: &str| std::env::var(name).ok().filter(|v| !v.is_empty());
        let language = ["LC_ALL", "LC_MESSAGES", "LANG"].iter().find_map(|n| set(n)).unwrap_or_default();
        let colour = std::io::stdout().is_terminal()
            && set("NO_COLOR").is_none()
            && set("TERM").is_none_or(|t| t != "dumb");
        Self { chinese: language.starts_with("zh"), colour, zone: TimeZone::system() }
    }

    /// English, no colours, UTC: for files and tests.
    pub fn plain() -> Self {
        Self { chinese: false, colour: false, zone: TimeZone::UTC }
    }

    /// One of two texts.
    pub fn say<'t>(&self, en: &'t str, zh: &'t str) -> &'t str {
        if self.chinese && !zh.is_empty() { zh } else { en }
    }

    /// A name of the till in the user's language.
    pub fn name<'t>(&self, name: &'t LocalText) -> &'t str {
        self.say(&name.en, &name.zh)
    }

    /// A text in a tone.
    pub fn paint(&self, text: &str, tone: Tone) -> String {
        let code = match tone {
            Tone::Plain => return text.to_owned(),
            _ if !self.colour || text.is_empty() => return text.to_owned(),
            Tone::Good => "32",
            Tone::Warn => "33",
            Tone::Bad => "31",
            Tone::Faint => "2",
            Tone::Strong => "1",
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }

    /// Local date and time of Unix milliseconds.
    pub fn time(&self, ms: i64) -> String {
        match Timestamp::from_millisecond(ms) {
            Ok(t) => t.to_zoned(self.zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string(),
            Err(_) => ms.to_string(),
        }
    }

    /// An amount: `CNY 128.50`; a currency that is not known here is shown in minor units, and says so.
    pub fn money(&self, minor: i64, currency: &str) -> String {
        match currency.parse::<Currency>() {
            Ok(currency) => Money::new(minor, currency).to_string(),
            Err(_) => format!("{} {minor} {}", clean(currency), self.say("minor units", "（最小单位）")),
        }
    }

    /// A state's tone.
    pub fn tone(state: &str) -> Tone {
        match state {
            "ready" | "paid" | "approved" | "well" | "done" => Tone::Good,
            "degraded" | "starting" | "signed-off" | "attention" | "tendering" | "querying" | "reversing"
            | "held" | "part-paid" | "authorised" | "delivering" | "returning" => Tone::Warn,
            "blocked" | "failed" | "power" | "suspended" | "quarantined" | "offline" | "review"
            | "unknown" => Tone::Bad,
            "disabled" | "cancelled" | "reversed" | "declined" | "not-sent" | "returned" => Tone::Faint,
            _ => Tone::Plain,
        }
    }

    /// A state in the user's language; a state that is not known here stands as it is.
    pub fn state(&self, state: &str) -> String {
        let zh = match state {
            "ready" => "就绪",
            "degraded" => "部分可用",
            "blocked" => "不可用",
            "starting" => "启动中",
            "signed-off" => "未签到",
            "failed" => "故障",
            "disabled" => "停用",
            "power" => "电源异常",
            "suspended" => "已暂停",
            "resumed" => "已恢复",
            "attention" => "注意",
            "offline" => "离线",
            "quarantined" => "隔离",
            "unknown" => "未知",
            "draft" => "待确认",
            "tendering" => "支付中",
            "paid" => "已支付",
            "cancelled" => "已取消",
            "review" => "待人工处理",
            "part-paid" => "部分支付",
            "authorised" => "已预授权",
            "delivering" => "充值中",
            "returning" => "退款中",
            "returned" => "已退款",
            "created" => "准备中",
            "not-sent" => "未发送",
            "sent" => "已发送",
            "approved" => "已批准",
            "declined" => "已拒绝",
            "querying" => "查询中",
            "reversing" => "冲正中",
            "reversed" => "已冲正",
            "well" => "正常",
            _ => "",
        };
        clean(self.say(state, zh))
    }

    /// What an attempt does with money, in the user's language.
    pub fn kind(&self, kind: &str) -> String {
        let zh = match kind {
            "sale" => "消费",
            "hold" => "预授权",
            "void" => "撤销",
            "refund" => "退款",
            "capture" => "预授权完成",
            "release" => "预授权撤销",
            "load" => "充值",
            _ => "",
        };
        clean(self.say(kind, zh))
    }
}

/// Text from elsewhere on one line, without control characters: a plugin must not steer the terminal.
pub fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Adds a line.
pub(crate) fn line(out: &mut String, text: &str) {
    // Writing to a string cannot fail.
    let _infallible = writeln!(out, "{}", text.trim_end());
}
