//! A decision said to people: English, Chinese.

use till_plugin::Money;

use super::ask::Suggestion;
use super::decision::{Decision, Exclusion, Verdict, Weights};
use crate::merchant::Bar;
use crate::windows::local_text;

/// A line in both languages.
type Pair = (String, String);

fn pair(en: &str, zh: &str) -> Pair {
    (en.to_owned(), zh.to_owned())
}

impl Exclusion {
    /// One line for people: English, Chinese.
    pub fn text(&self) -> (String, String) {
        match self {
            Self::Disabled => pair("switched off in the configuration", "配置中已停用"),
            Self::Family => pair("does not take what was presented", "不支持所出示的支付方式"),
            Self::Operation => pair("does not do this operation", "不支持该交易类型"),
            Self::Currency => pair("does not take this currency", "不支持该币种"),
            Self::NotTheCurrentChannel => pair("the operator chose another channel", "操作员已选择其他通道"),
            Self::Starting => pair("still starting", "正在启动"),
            Self::SignedOff => pair("not signed in", "尚未签到"),
            Self::Failed(reason) => (format!("not working: {reason}"), format!("故障：{reason}")),
            Self::Clock => {
                pair("the clock is not set, and this channel signs with it", "时钟未校准，该通道需要可信时间")
            }
            Self::Unresolved => {
                pair("an earlier payment on it is not resolved yet", "上一笔交易尚未处理完毕")
            }
            Self::Limit(hit) => {
                let (en, zh) = hit.scope.text();
                (
                    format!("above the limit {en}, {} are left", hit.left),
                    format!("超过{zh}限额，剩余 {}", hit.left),
                )
            }
            Self::Window(hit) => {
                let until = local_text(hit.until_ms, hit.utc_offset_min);
                match hit.from_ms.map(|from| local_text(from, hit.utc_offset_min)) {
                    None => (format!("closed for maintenance until {until}"), format!("维护中，至 {until}")),
                    Some(from) => (
                        format!("closes for maintenance from {from} until {until}, no new sales before it"),
                        format!("即将维护（{from} 至 {until}），暂停受理新交易"),
                    ),
                }
            }
            Self::Breaker(tripped) if tripped.on_trial => pair(
                "it failed, answers again, and one sale is under way that shows whether it works",
                "曾连续失败，现已应答，正以一笔交易试行",
            ),
            Self::Breaker(tripped) => (
                format!("it failed {} times in a row and is being asked without money", tripped.in_a_row),
                format!("连续失败 {} 次，正以不涉资金的方式探测", tripped.in_a_row),
            ),
            Self::Rule(id) => (format!("the rule {id} keeps it out"), format!("被规则 {id} 排除")),
            Self::Merchant(Bar::Required) => {
                pair("it asks for the merchant's number and password first", "该通道须先验证商户号与密码")
            }
            Self::Merchant(Bar::OtherOperator) => pair(
                "the merchant's password was given for another operator: give it for this one",
                "商户验证属于其他操作员，须由本操作员重新验证",
            ),
            Self::Merchant(Bar::Locked) => pair(
                "too many wrong passwords of the merchant locked it: a supervisor unlocks it",
                "商户密码错误次数过多，通道已锁定，须由主管解锁",
            ),
            Self::Profile(id) if id.is_empty() => {
                pair("it is offered only while a profile says so", "仅在指定时段方案内受理")
            }
            Self::Profile(id) => {
                (format!("the profile {id} does not offer it"), format!("时段方案 {id} 不提供该通道"))
            }
            Self::Suspended(by, reason) => by.text(reason),
            Self::Tried(attempt) => (
                format!("attempt {attempt} with the same card or code was not taken there"),
                format!("同一卡或码的第 {attempt} 次尝试未被其受理"),
            ),
        }
    }
}

impl Decision {
    /// Why nothing was chosen, one line for people: English, Chinese.
    pub fn no_channel_text(&self) -> (String, String) {
        let reasons: Vec<(&str, Pair)> = self
            .candidates
            .iter()
            .filter_map(|c| match &c.verdict {
                Verdict::Excluded(Exclusion::Family) => None,
                Verdict::Excluded(e) => Some((c.channel.as_str(), e.text())),
                _ => None,
            })
            .collect();
        if reasons.is_empty() {
            return (
                format!("no channel of this till takes {}", self.family),
                format!("本机没有支持 {} 的通道", self.family),
            );
        }
        let join = |pick: fn(&Pair) -> &String| {
            reasons.iter().map(|(id, t)| format!("{id}: {}", pick(t))).collect::<Vec<_>>().join("; ")
        };
        (join(|t| &t.0), join(|t| &t.1))
    }

    /// The whole decision in lines for people, from the record alone: English, Chinese. `amount`: what it was about.
    pub fn explain(&self, amount: Money) -> (String, String) {
        let mut lines = vec![(
            format!("{amount} with {} (known by {})", self.family, self.evidence),
            format!("{amount}，支付方式 {}（依据 {}）", self.family, self.evidence),
        )];
        if let Some(pinned) = &self.pinned {
            lines.push((format!("the operator chose {pinned}"), format!("操作员选择了 {pinned}")));
        }
        lines.push(match &self.chosen {
            None => pair("no channel could take it", "没有可用通道"),
            Some(chosen) => {
                let (en, zh) = self.because(amount);
                (format!("{chosen} takes it: {en}"), format!("由 {chosen} 受理：{zh}"))
            }
        });
        for c in &self.candidates {
            let (en, zh) = match &c.verdict {
                Verdict::Excluded(e) => {
                    let (en, zh) = e.text();
                    (format!("not: {en}"), format!("排除：{zh}"))
                }
                Verdict::Chosen => pair("takes it", "受理"),
                Verdict::Eligible => pair("could take it too", "也可受理"),
                Verdict::Best(w) => weighed("takes it", "受理", w, amount),
                Verdict::Fits(w) => weighed("could take it too", "也可受理", w, amount),
            };
            lines.push((format!("  {}: {en}", c.channel), format!("  {}：{zh}", c.channel)));
        }
        let version = self.config.split('+').next().unwrap_or_default();
        let profile = self.profile().map(|id| (format!(", profile {id}"), format!("，时段方案 {id}")));
        let (en, zh) = profile.unwrap_or_default();
        lines.push((format!("configuration {version}{en}"), format!("配置版本 {version}{zh}")));
        let join = |pick: fn(&Pair) -> &str| lines.iter().map(pick).collect::<Vec<_>>().join("\n");
        (join(|l| &l.0), join(|l| &l.1))
    }

    /// Why the chosen one and not the next.
    fn because(&self, amount: Money) -> Pair {
        let money = |minor: i64| Money::new(minor, amount.currency());
        match self.decided_by() {
            "only" => pair("no other channel can", "其他通道均不可用"),
            "maintenance" => pair("the next works badly, as was announced", "次选通道已公告服务不稳定"),
            "rule" => {
                let best = self.candidates.iter().find_map(|c| c.verdict.weights());
                let id = best.and_then(|w| w.rule.as_ref()).map(|r| r.id.clone()).unwrap_or_default();
                (format!("the rule {id} puts it first"), format!("规则 {id} 指定优先"))
            }
            "sticky" => pair("the same card went there before in this batch", "同一卡在本批次已由其受理"),
            "cost" => {
                let more = money(self.margin().unwrap_or(0));
                (format!("it is the cheapest, by {more}"), format!("费用最低，省 {more}"))
            }
            "share" => pair("it is its turn by the agreed shares", "按约定比例轮到该通道"),
            "priority" => pair("its priority is the highest", "优先级最高"),
            _ => pair("all else is alike, and its id comes first", "其余相同，按编号排序"),
        }
    }
}

/// A channel's verdict with what it was weighed by.
fn weighed(en: &str, zh: &str, w: &Weights, amount: Money) -> Pair {
    let (mut e, mut z) = (vec![en.to_owned()], vec![zh.to_owned()]);
    let mut say = |en: String, zh: String| {
        e.push(en);
        z.push(zh);
    };
    if w.degraded_until_ms.is_some() {
        say("works badly, as was announced".into(), "已公告服务不稳定".into());
    }
    if let Some(rule) = w.rule.as_ref().filter(|r| r.place.is_some()) {
        say(format!("named by the rule {}", rule.id), format!("规则 {} 指定", rule.id));
    }
    if w.sticky {
        say("the same card went there before".into(), "同一卡曾由其受理".into());
    }
    if let Some(fee) = w.fee {
        let fee = Money::new(fee, amount.currency());
        say(format!("fee {fee}"), format!("费用 {fee}"));
    }
    if let Some(s) = w.share {
        say(
            format!("share {} of {}, {} of {} sales so far", s.share, s.of, s.taken, s.all),
            format!("约定比例 {}/{}，已受理 {}/{} 笔", s.share, s.of, s.taken, s.all),
        );
    }
    say(format!("priority {}", w.priority), format!("优先级 {}", w.priority));
    (e.join(", "), z.join("，"))
}

/// What could be taken instead, one line for people; None: nothing.
pub fn instead(suggestions: &[Suggestion]) -> Option<(String, String)> {
    let join = |between: &str| {
        let one = |s: &Suggestion| format!("{} ({})", s.family, s.channel);
        suggestions.iter().map(one).collect::<Vec<_>>().join(between)
    };
    (!suggestions.is_empty())
        .then(|| (format!("this till takes now: {}", join(", ")), format!("目前可用：{}", join("、"))))
}
