//! From the body of an HTTP answer to a node that Alipay demonstrably signed (channels §2.1).
//!
//! The body is `{"<method>_response":{…},"sign":"…"}`, or `error_response` in place of the node. The signature
//! is over the node's bytes exactly as received: re-serialising would undo `\/` escapes and spacing, and cutting
//! the text by searching for `"sign"` breaks on a key of that name inside the node. So the node is kept as
//! [`RawValue`], verified as bytes, and only then read (C12).
//!
//! In certificate mode a third member, `alipay_cert_sn`, says under which certificate; it is not signed and only finds it.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use thiserror::Error;
use till_wallet::chain::ChainError;

use crate::sign::PlatformKey;

/// The name of the node a gateway sends when it refused the request before any business was done.
pub const ERROR_NODE: &str = "error_response";

/// The member that names a certificate.
const CERTIFICATE: &str = "alipay_cert_sn";

/// Why a body is no answer. Every one of these leaves the trade unknown.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ReplyError {
    /// Not JSON, or not of the envelope's form.
    #[error("the gateway's answer is not the expected JSON envelope ({0})")]
    Malformed(String),
    /// Neither the expected node nor `error_response`, or both.
    #[error("the gateway's answer does not hold exactly one of {0} and {ERROR_NODE}")]
    Node(String),
    /// There is no signature to check.
    #[error("the gateway's answer is not signed{}", claim(.0.as_deref()))]
    Unsigned(Option<String>),
    /// The signature is not Alipay's over these bytes.
    #[error(
        "the signature on the gateway's answer is wrong; check the Alipay public key in the settings, or who is answering"
    )]
    BadSignature,
    /// In certificate mode: no certificate is named, as in key mode.
    #[error(
        "the gateway's answer names no certificate (alipay_cert_sn); check at open.alipay.com that the application signs with \
         certificates, or set alipay_public_key in their place"
    )]
    NoCertificate,
    /// In certificate mode: another certificate than the till has, by its number.
    #[error(
        "the gateway's answer is signed under certificate {0}, which the till does not have and could not fetch; download \
         Alipay's certificate again from the application's page and set alipay_certificate"
    )]
    UnknownCertificate(String),
    /// In certificate mode: the certificate is there and not believed.
    #[error("certificate {number}: {why}; check alipay_certificate and alipay_root, or who is answering")]
    Certificate {
        /// Its number.
        number: String,
        /// Why not.
        why: ChainError,
    },
    /// In certificate mode: nobody knows whether the certificate is valid.
    #[error("the clock is not synchronised any more, so the answer's certificate cannot be checked")]
    Clock,
}

impl ReplyError {
    /// Whether the body has an answer's form, and it is the seal that is wrong.
    pub const fn is_of_the_seal(&self) -> bool {
        !matches!(self, Self::Malformed(_) | Self::Node(_))
    }
}

/// An unsigned claim is worth showing to whoever repairs the settings, and worth nothing else.
fn claim(code: Option<&str>) -> String {
    code.map(|code| format!("; it claims {code}, which proves nothing about the trade")).unwrap_or_default()
}

/// The fields this channel reads from any node. All are text in Alipay's answers; unknown ones are skipped.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Node {
    /// Gateway result, `10000` is success.
    pub code: String,
    /// The gateway's words for `code`.
    pub msg: Option<String>,
    /// Business result behind `40004` and the like.
    pub sub_code: Option<String>,
    /// The gateway's words for `sub_code`, usually Chinese.
    pub sub_msg: Option<String>,
    /// Our order number, echoed.
    pub out_trade_no: Option<String>,
    /// Alipay's trade number.
    pub trade_no: Option<String>,
    /// The order's amount in yuan, echoed.
    pub total_amount: Option<String>,
    /// State of the trade in a query's answer.
    pub trade_status: Option<String>,
    /// When the buyer paid, `yyyy-MM-dd HH:mm:ss` in Asia/Shanghai.
    pub gmt_payment: Option<String>,
    /// The same in a query's answer.
    pub send_pay_date: Option<String>,
    /// The buyer's login, masked by Alipay.
    pub buyer_logon_id: Option<String>,
    /// Name of the shop that was paid.
    pub store_name: Option<String>,
    /// What the payment costs the merchant, in yuan.
    pub charge_amount: Option<String>,
    /// Cancel: `Y` asks to call again.
    pub retry_flag: Option<String>,
    /// Cancel: `close` or `refund`.
    pub action: Option<String>,
    /// Refund: whether this call moved money.
    pub fund_change: Option<String>,
    /// Refund: the trade's refunded total in yuan.
    pub refund_fee: Option<String>,
    /// Refund query: `REFUND_SUCCESS` or something that is not proof.
    pub refund_status: Option<String>,
    /// Refund query: the refund's number, echoed.
    pub out_request_no: Option<String>,
    /// Refund query: this refund's amount in yuan, echoed.
    pub refund_amount: Option<String>,
    /// Precreate: what the customer scans.
    pub qr_code: Option<String>,
}

/// A node whose signature was right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verified {
    /// The answer to the call.
    Answer(Node),
    /// The gateway refused the request itself.
    GatewayRefusal(Node),
}

/// The envelope, cut but not yet believed.
#[derive(Clone, Copy, Debug)]
pub struct Envelope<'a> {
    /// The node's bytes as received.
    pub node: &'a str,
    /// Whether it stood under `error_response`.
    pub refusal: bool,
    /// The base64 signature, where there is one.
    sign: Option<&'a RawValue>,
    /// The number of the certificate it is under, where one is named.
    number: Option<&'a RawValue>,
}

impl<'a> Envelope<'a> {
    /// Cuts a body. `key` is the node's expected name, such as `alipay_trade_pay_response`.
    pub fn cut(body: &'a [u8], key: &str) -> Result<Self, ReplyError> {
        let top: Top<'a> = serde_json::from_slice(body).map_err(|e| ReplyError::Malformed(syntax(&e)))?;
        let mut node = None;
        let mut sign = None;
        let mut number = None;
        for (name, value) in top.0 {
            let slot = if name == "sign" {
                &mut sign
            } else if name == CERTIFICATE {
                &mut number
            } else if name == key || name == ERROR_NODE {
                &mut node
            } else {
                continue;
            };
            let refusal = name == ERROR_NODE;
            if slot.replace((refusal, value)).is_some() {
                return Err(match &*name {
                    "sign" => ReplyError::Malformed("two signatures".into()),
                    CERTIFICATE => ReplyError::Malformed("two certificates".into()),
                    _ => ReplyError::Node(key.into()),
                });
            }
        }
        let (refusal, node) = node.ok_or_else(|| ReplyError::Node(key.into()))?;
        let member = |found: Option<(bool, &'a RawValue)>| found.map(|(_, value)| value);
        Ok(Self { node: node.get(), refusal, sign: member(sign), number: member(number) })
    }

    /// The signature, base64; nothing is checked.
    pub fn signature(&self) -> Result<String, ReplyError> {
        match self.sign.map(|raw| serde_json::from_str::<String>(raw.get())) {
            Some(Ok(text)) if !text.is_empty() => Ok(text),
            Some(Err(_)) => Err(ReplyError::Malformed("the signature is not text".into())),
            // A wrong app_id is answered unsigned; the code helps whoever repairs it and decides nothing.
            _ => Err(ReplyError::Unsigned(self.read().ok().map(|node| code_of(&node)))),
        }
    }

    /// The number of the certificate it is said to be signed under; not signed itself.
    pub fn certificate(&self) -> Result<String, ReplyError> {
        match self.number.map(|raw| serde_json::from_str::<String>(raw.get())) {
            Some(Ok(text)) if !text.is_empty() => Ok(text),
            Some(Err(_)) => Err(ReplyError::Malformed("the certificate's number is not text".into())),
            _ => Err(ReplyError::NoCertificate),
        }
    }

    /// The node, believed or not.
    fn read(&self) -> Result<Node, ReplyError> {
        serde_json::from_str::<Node>(self.node).map_err(|e| ReplyError::Malformed(syntax(&e)))
    }

    /// The certificate that the answer to a download brings (base64 of PEM), unverified: its own chain decides. `Err` is the
    /// code of an answer that brings none.
    pub fn brought(&self) -> Result<String, String> {
        #[derive(Deserialize)]
        struct Brought {
            #[serde(flatten)]
            node: Node,
            alipay_cert_content: Option<String>,
        }
        let brought: Brought = serde_json::from_str(self.node).map_err(|e| syntax(&e))?;
        let taken = brought.node.code == "10000" && !self.refusal;
        brought.alipay_cert_content.filter(|_| taken).ok_or_else(|| code_of(&brought.node))
    }

    /// Checks the signature, and only then reads the node.
    pub fn verify(self, platform: &PlatformKey) -> Result<Verified, ReplyError> {
        if !platform.verifies(self.node.as_bytes(), &self.signature()?) {
            return Err(ReplyError::BadSignature);
        }
        let node = self.read()?;
        Ok(if self.refusal { Verified::GatewayRefusal(node) } else { Verified::Answer(node) })
    }
}

/// `code/sub_code` with nothing but harmless characters, at most 64 of them.
pub fn code_of(node: &Node) -> String {
    let tame = |t: &str| -> String {
        t.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-')).take(64).collect()
    };
    match node.sub_code.as_deref().filter(|s| !s.is_empty()) {
        Some(sub) => format!("{}/{}", tame(&node.code), tame(sub)),
        None => tame(&node.code),
    }
}

/// A JSON error without the text it found: that text is the host's.
fn syntax(error: &serde_json::Error) -> String {
    let what = if error.is_eof() { "it ends early" } else { "syntax or type" };
    format!("{what}, line {} column {}", error.line(), error.column())
}

/// The top-level object in order, duplicates kept so that they can be refused.
struct Top<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

/// More members than any answer has; keeps a hostile body from growing the list.
const MOST_MEMBERS: usize = 16;

impl<'de> Deserialize<'de> for Top<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Top<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object with a response node and a signature")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(Name(name)) = map.next_key::<Name<'de>>()? {
                    if members.len() == MOST_MEMBERS {
                        return Err(A::Error::custom("too many members"));
                    }
                    members.push((name, map.next_value::<&'de RawValue>()?));
                }
                Ok(Top(members))
            }
        }
        deserializer.deserialize_map(Members)
    }
}

/// A member's name, borrowed where it has no escapes (serde copies `Cow` otherwise).
#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);
