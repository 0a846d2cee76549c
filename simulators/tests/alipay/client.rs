//! A client made of nothing but sockets, ring and the signing rule.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use ring::{rand::SystemRandom, rsa::KeyPair, signature};
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};
use till_simulators::alipay::Gateway;

pub(crate) type Params = Vec<(String, String)>;

pub(crate) fn pem_body(pem: &str) -> Vec<u8> {
    let text: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    BASE64.decode(text).unwrap()
}

pub(crate) fn sign(private_pem: &str, text: &str) -> String {
    let key = KeyPair::from_pkcs8(&pem_body(private_pem)).unwrap();
    let mut out = vec![0; key.public().modulus_len()];
    key.sign(&signature::RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut out).unwrap();
    BASE64.encode(out)
}

/// Verifies with ring, which wants the bare RSAPublicKey: in a SubjectPublicKeyInfo of RSA-2048 it starts at byte 24.
pub(crate) fn verifies(public_pem: &str, text: &str, signed: &str) -> bool {
    let der = pem_body(public_pem);
    let key = signature::UnparsedPublicKey::new(&signature::RSA_PKCS1_2048_8192_SHA256, &der[24..]);
    BASE64.decode(signed).is_ok_and(|signed| key.verify(text.as_bytes(), &signed).is_ok())
}

pub(crate) fn sign_string(params: &Params) -> String {
    let mut kept: Vec<_> =
        params.iter().filter(|(name, value)| name != "sign" && !value.is_empty()).collect();
    kept.sort();
    kept.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}

pub(crate) fn beijing(off: SignedDuration) -> String {
    let now = Timestamp::now().checked_add(off).unwrap();
    now.to_zoned(TimeZone::fixed(jiff::tz::offset(8))).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

pub(crate) fn public_params(gateway: &Gateway, method: &str, content: &Value) -> Params {
    [
        ("app_id", gateway.app_id()),
        ("method", method),
        ("format", "JSON"),
        ("charset", "utf-8"),
        ("sign_type", "RSA2"),
        ("timestamp", &beijing(SignedDuration::ZERO)),
        ("version", "1.0"),
        ("biz_content", &content.to_string()),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec()
}

pub(crate) fn signed(gateway: &Gateway, mut params: Params) -> Params {
    let sign = sign(gateway.app_private_pem(), &sign_string(&params));
    params.push(("sign".to_owned(), sign));
    params
}

pub(crate) fn set(params: &mut Params, name: &str, value: &str) {
    params.retain(|(known, _)| known != name);
    params.push((name.to_owned(), value.to_owned()));
}

pub(crate) fn encode(params: &Params) -> String {
    let escape = |text: &str| -> String {
        text.bytes()
            .map(|byte| match byte {
                b' ' => "+".to_owned(),
                byte if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
                byte => format!("%{byte:02X}"),
            })
            .collect()
    };
    params.iter().map(|(n, v)| format!("{}={}", escape(n), escape(v))).collect::<Vec<_>>().join("&")
}

/// What came back on the wire.
#[derive(Debug)]
pub(crate) struct Raw {
    pub(crate) bytes: Vec<u8>,
    pub(crate) error: Option<std::io::ErrorKind>,
}

impl Raw {
    pub(crate) fn status(&self) -> Option<u16> {
        std::str::from_utf8(self.bytes.get(9..12)?).ok()?.parse().ok()
    }

    pub(crate) fn body(&self) -> &[u8] {
        let at = self.bytes.windows(4).position(|window| window == b"\r\n\r\n");
        at.map_or(&[], |at| &self.bytes[at + 4..])
    }

    pub(crate) fn promised(&self) -> usize {
        let head = String::from_utf8_lossy(&self.bytes).to_lowercase();
        let (_, rest) = head.split_once("content-length: ").unwrap();
        rest.split("\r\n").next().unwrap().parse().unwrap()
    }
}

/// Sends bytes and reads until the other side ends the connection.
pub(crate) fn exchange(address: SocketAddr, request: &[u8]) -> Raw {
    let mut stream = TcpStream::connect(address).unwrap();
    // Nothing here may hang a build; no test waits for this limit to pass.
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.write_all(request).unwrap();
    let mut bytes = Vec::new();
    let error = stream.read_to_end(&mut bytes).err().map(|error| error.kind());
    Raw { bytes, error }
}

pub(crate) fn http(method: &str, path: &str, body: &str) -> Vec<u8> {
    format!(
        "{method} {path} HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n\
         Content-Type: application/x-www-form-urlencoded;charset=utf-8\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

pub(crate) fn post(gateway: &Gateway, body: &str) -> Raw {
    exchange(gateway.http_address(), &http("POST", "/gateway.do?charset=utf-8", body))
}

/// A reply taken apart the way a careful client does: the node as raw text, the signature beside it.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) name: String,
    pub(crate) node: Value,
    pub(crate) verified: bool,
    pub(crate) has_sign: bool,
    /// The number of the certificate it says it is signed under.
    pub(crate) certificate: Option<String>,
}

impl Reply {
    pub(crate) fn read(gateway: &Gateway, body: &[u8]) -> Self {
        #[derive(Deserialize)]
        struct Members<'a>(#[serde(borrow)] std::collections::BTreeMap<String, &'a RawValue>);
        let text = std::str::from_utf8(body).unwrap();
        let members: Members<'_> =
            serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
        let (name, node) = members.0.iter().find(|(name, _)| name.ends_with("_response")).unwrap();
        let text = |name| members.0.get(name).map(|raw| serde_json::from_str::<String>(raw.get()).unwrap());
        let sign = text("sign");
        Self {
            name: name.clone(),
            node: serde_json::from_str(node.get()).unwrap(),
            verified: sign.as_deref().is_some_and(|sign| verifies(gateway.public_pem(), node.get(), sign)),
            has_sign: sign.is_some(),
            certificate: text("alipay_cert_sn"),
        }
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.node.get(name).and_then(Value::as_str)
    }

    /// `code`, or `code/sub_code` where there is one.
    pub(crate) fn code(&self) -> String {
        let code = self.get("code").unwrap_or_default();
        self.get("sub_code").map_or_else(|| code.to_owned(), |sub| format!("{code}/{sub}"))
    }
}

/// A well-formed call; the reply must verify.
pub(crate) fn call(gateway: &Gateway, method: &str, content: &Value) -> Reply {
    let reply = call_any(gateway, method, content);
    assert!(reply.verified, "{reply:?}");
    reply
}

/// A well-formed call whose reply may be unsigned or wrongly signed.
pub(crate) fn call_any(gateway: &Gateway, method: &str, content: &Value) -> Reply {
    let raw = raw_call(gateway, method, content);
    assert_eq!(raw.status(), Some(200), "{raw:?}");
    Reply::read(gateway, raw.body())
}

/// A well-formed call; whatever comes back.
pub(crate) fn raw_call(gateway: &Gateway, method: &str, content: &Value) -> Raw {
    post(gateway, &encode(&signed(gateway, public_params(gateway, method, content))))
}

pub(crate) fn payment(order: &str, code: &str, yuan: &str) -> Value {
    json!({
        "out_trade_no": order, "scene": "bar_code", "auth_code": code, "subject": "测试商品 & 100%",
        "total_amount": yuan, "product_code": "FACE_TO_FACE_PAYMENT", "store_id": "S001",
        "terminal_id": "T1", "operator_id": "O1"
    })
}

pub(crate) fn pay(gateway: &Gateway, order: &str, code: &str, yuan: &str) -> Reply {
    call(gateway, "alipay.trade.pay", &payment(order, code, yuan))
}

pub(crate) fn about(gateway: &Gateway, what: &str, order: &str) -> Reply {
    call(gateway, &format!("alipay.trade.{what}"), &json!({"out_trade_no": order}))
}
