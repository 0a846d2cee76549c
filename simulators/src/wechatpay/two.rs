//! Interface v2: flat XML, read and written in the plainest way (channels.md §3.2).

use super::books::{Input, Refusal, Said};
use super::sealing::seal_two;
use super::three::beijing;

/// Fields in the order of the document.
pub(crate) type Fields = Vec<(String, String)>;

/// Which operation an address is.
pub(crate) fn route(path: &str) -> Option<&'static str> {
    Some(match path {
        "/pay/micropay" => "codepay",
        "/pay/orderquery" => "query",
        "/secapi/pay/reverse" => "reverse",
        "/secapi/pay/refund" => "refund",
        "/pay/refundquery" => "refund-query",
        _ => return None,
    })
}

/// Reads `<xml><a>1</a>…</xml>`.
pub(crate) fn parse(body: &[u8]) -> Option<Fields> {
    let mut rest =
        std::str::from_utf8(body).ok()?.trim().strip_prefix("<xml>")?.strip_suffix("</xml>")?.trim();
    let mut fields = Fields::new();
    while !rest.is_empty() {
        let (name, after) = rest.strip_prefix('<')?.split_once('>')?;
        let (value, after) = after.split_once(&format!("</{name}>"))?;
        let value = match value.strip_prefix("<![CDATA[") {
            Some(data) => data.strip_suffix("]]>")?.to_owned(),
            None => value.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"),
        };
        fields.push((name.to_owned(), value));
        rest = after.trim_start();
    }
    Some(fields)
}

fn get<'a>(fields: &'a Fields, name: &str) -> &'a str {
    fields.iter().find(|(k, _)| k == name).map_or("", |(_, v)| v)
}

/// The merchant as this interface knows it.
pub(crate) struct Merchant {
    pub(crate) appid: String,
    pub(crate) mchid: String,
    pub(crate) key: String,
}

impl Merchant {
    /// Whether the request is sealed by the merchant it names.
    pub(crate) fn verify(&self, fields: &Fields) -> Result<bool, Refusal> {
        let hmac = match get(fields, "sign_type") {
            "HMAC-SHA256" => true,
            "" | "MD5" => false,
            _ => return Err(Refusal::SIGN),
        };
        let known = get(fields, "mch_id") == self.mchid && get(fields, "appid") == self.appid;
        if known && seal_two(fields, hmac, &self.key) == get(fields, "sign") {
            Ok(hmac)
        } else {
            Err(Refusal::SIGN)
        }
    }

    /// Reads a verified request.
    pub(crate) fn read(operation: &str, fields: &Fields) -> Result<Input, Refusal> {
        let required = |name| Some(get(fields, name)).filter(|v| !v.is_empty()).ok_or(Refusal::PARAM);
        let fen = |name| required(name)?.parse::<i64>().ok().filter(|n| *n > 0).ok_or(Refusal::PARAM);
        let mut input = Input { order: get(fields, "out_trade_no").into(), ..Input::default() };
        match operation {
            "codepay" => {
                required("body")?;
                required("spbill_create_ip")?;
                required("out_trade_no")?;
                input.total = fen("total_fee")?;
                required("auth_code")?.clone_into(&mut input.code);
            }
            "refund" => {
                input.total = fen("total_fee")?;
                input.back = fen("refund_fee")?;
                required("out_refund_no")?.clone_into(&mut input.refund);
            }
            "refund-query" => required("out_refund_no")?.clone_into(&mut input.refund),
            _ => drop(required("out_trade_no")?),
        }
        Ok(input)
    }

    /// The fields of an answer, unsealed.
    pub(crate) fn write(&self, said: Result<&Said, Refusal>, nonce: &str) -> Fields {
        let mut fields: Fields = Vec::new();
        let mut put = |name: &str, value: &str| fields.push((name.to_owned(), value.to_owned()));
        put("return_code", "SUCCESS");
        put("return_msg", "OK");
        put("appid", &self.appid);
        put("mch_id", &self.mchid);
        put("nonce_str", nonce);
        match said {
            Err(Refusal(_, code, words)) => {
                put("result_code", "FAIL");
                put(
                    "err_code",
                    &code.replace("NOT_ENOUGH", "NOTENOUGH").replace("ORDER_NOT_EXIST", "ORDERNOTEXIST"),
                );
                put("err_code_des", words);
            }
            Ok(said) => {
                put("result_code", "SUCCESS");
                match said {
                    Said::Order(trade) => {
                        put("out_trade_no", &trade.out_trade_no);
                        put("trade_state", trade.state.word());
                        put("total_fee", &trade.total.to_string());
                        put("fee_type", "CNY");
                        if let Some(at) = trade.paid_at {
                            put("transaction_id", &trade.transaction_id);
                            put("time_end", &beijing(at, "%Y%m%d%H%M%S"));
                        }
                    }
                    Said::Reversed(_) => put("recall", "N"),
                    Said::Refund(trade, refund) => {
                        put("out_trade_no", &trade.out_trade_no);
                        put("transaction_id", &trade.transaction_id);
                        put("total_fee", &trade.total.to_string());
                        put("out_refund_no", &refund.out_refund_no);
                        put("refund_fee", &refund.amount.to_string());
                        put("refund_count", "1");
                        put("out_refund_no_0", &refund.out_refund_no);
                        put("refund_fee_0", &refund.amount.to_string());
                        put("refund_status_0", "SUCCESS");
                    }
                    Said::CodeUrl(_) | Said::Closed => {}
                }
            }
        }
        fields
    }
}

/// Writes a document.
pub(crate) fn document(fields: &Fields) -> Vec<u8> {
    let mut out = String::from("<xml>");
    for (k, v) in fields {
        for part in ["<", k, "><![CDATA[", v, "]]></", k, ">\n"] {
            out.push_str(part);
        }
    }
    out.push_str("</xml>");
    out.into_bytes()
}
