//! The sentence of a stage.

use till_plugin::Money;
use till_plugin::driver::{Stage, StageContent};

use crate::words::{chinese, english};

/// Languages that this driver has words for.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Language {
    /// Mandarin.
    Chinese,
    /// English.
    English,
}

impl Language {
    /// From a BCP 47 tag: its primary subtag decides.
    pub fn from_tag(tag: &str) -> Option<Self> {
        match tag.split(['-', '_']).next().unwrap_or_default().to_ascii_lowercase().as_str() {
            "zh" | "cmn" => Some(Self::Chinese),
            "en" => Some(Self::English),
            _ => None,
        }
    }
}

/// What is said of a stage; `None`: nothing (stages of later daemons).
pub fn stage(language: Language, content: &StageContent) -> Option<String> {
    let StageContent { stage, amount, .. } = content;
    Some(match language {
        Language::Chinese => in_chinese(*stage, *amount)?,
        Language::English => in_english(*stage, *amount)?,
    })
}

fn in_chinese(stage: Stage, amount: Money) -> Option<String> {
    let words = chinese::money(amount);
    Some(match stage {
        Stage::Total => format!("合计{words}"),
        Stage::Due => format!("请支付{words}"),
        Stage::Change => format!("找零{words}"),
        Stage::Approved => format!("支付成功{words}"),
        Stage::Declined => "支付未成功请换方式付款".into(),
        Stage::Refunded => format!("已退款{words}"),
        Stage::Receipt => "请取走小票".into(),
        _ => return None,
    })
}

fn in_english(stage: Stage, amount: Money) -> Option<String> {
    let words = english::money(amount);
    Some(match stage {
        Stage::Total => format!("total {words}"),
        Stage::Due => format!("please pay {words}"),
        Stage::Change => format!("your change {words}"),
        Stage::Approved => format!("paid {words}"),
        Stage::Declined => "not paid, please pay another way".into(),
        Stage::Refunded => format!("refunded {words}"),
        Stage::Receipt => "please take your receipt".into(),
        _ => return None,
    })
}
