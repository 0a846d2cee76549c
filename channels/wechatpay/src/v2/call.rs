//! Requests of interface v2: path and fields of each question (channels §3.2).

use std::collections::BTreeMap;

use zeroize::Zeroizing;

use super::sign::{Method, sign};
use super::xml;
use crate::ask::{Ask, AskError};
use crate::v3::Merchant;

/// One request before it is sealed. Has no `Debug`: a payment holds the customer's code.
pub struct Call {
    /// Its path.
    pub path: &'static str,
    /// Its fields, wiped when dropped.
    pub fields: BTreeMap<&'static str, Zeroizing<String>>,
}

/// Writes a question. `device_ip` is the till's address as the merchant states it.
pub fn call(
    ask: &Ask<'_>,
    merchant: &Merchant,
    method: Method,
    device_ip: &str,
    nonce: &str,
) -> Result<Call, AskError> {
    ask.check()?;
    let plain = |text: &str| Zeroizing::new(text.to_owned());
    let number = |fen: i64| Zeroizing::new(fen.to_string());
    let mut fields = BTreeMap::from([
        ("appid", plain(&merchant.appid)),
        ("mch_id", plain(&merchant.mchid)),
        ("nonce_str", plain(nonce)),
        ("sign_type", plain(method.as_str())),
    ]);
    let path = match ask {
        Ask::Pay { order, amount, code, sale } => {
            fields.extend([
                ("out_trade_no", plain(order)),
                ("total_fee", number(amount.fen())),
                ("body", plain(&sale.subject)),
                ("auth_code", plain(code.expose())),
                ("spbill_create_ip", plain(device_ip)),
            ]);
            if let Some(terminal) = &merchant.terminal_id {
                fields.insert("device_info", plain(terminal));
            }
            "/pay/micropay"
        }
        Ask::Query { order } => {
            fields.insert("out_trade_no", plain(order));
            "/pay/orderquery"
        }
        Ask::Reverse { order } => {
            fields.insert("out_trade_no", plain(order));
            "/secapi/pay/reverse"
        }
        Ask::Refund { order, refund, amount, total, reason } => {
            fields.extend([
                ("out_trade_no", plain(order)),
                ("out_refund_no", plain(refund)),
                ("refund_fee", number(amount.fen())),
                ("total_fee", number(total.fen())),
            ]);
            if let Some(reason) = reason {
                fields.insert("refund_desc", plain(reason));
            }
            "/secapi/pay/refund"
        }
        Ask::RefundQuery { refund } => {
            fields.insert("out_refund_no", plain(refund));
            "/pay/refundquery"
        }
        Ask::Native { .. } | Ask::Close { .. } => return Err(AskError::NotInV2),
    };
    Ok(Call { path, fields })
}

impl Call {
    fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.fields.iter().map(|(k, v)| (*k, v.as_str()))
    }

    /// The sealed document.
    pub fn sealed(mut self, method: Method, key: &str) -> Zeroizing<Vec<u8>> {
        let seal = sign(self.pairs(), method, key);
        self.fields.insert("sign", Zeroizing::new(seal));
        xml::write(self.pairs())
    }
}
