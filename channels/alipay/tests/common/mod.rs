//! A gateway in a thread: real sockets, scripted answers, signed by a second cryptographic library. Written from
//! channels.md §2.1, with none of the channel's own code in it.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::expect_used)] // shared by tests; what fails here fails the test

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use till_channel_alipay::plugin::Alipay;
use till_plugin::channel::*;
use till_plugin::instrument::ScannedCode;
use till_plugin::testing::TestHost;
use till_plugin::{Channel, Currency, Extra, Instrument, Money, PluginError, Sensitive, Settings};

pub const ORDER: &str = "T0120260901000001";
pub const REFUND: &str = "T0120260901000002";
pub const CODE: &str = "280000000000000001";
pub const TRADE: &str = "2026090122001400000000000001";

/// Key pairs of the till's application and of the platform, made afresh in every run.
pub static APP: LazyLock<KeyPair> = LazyLock::new(|| KeyPair::generate(KeySize::Rsa2048).unwrap());
pub static PLATFORM: LazyLock<KeyPair> = LazyLock::new(|| KeyPair::generate(KeySize::Rsa2048).unwrap());

pub fn private_pem(key: &KeyPair) -> String {
    let der = aws_lc_rs::encoding::AsDer::<aws_lc_rs::encoding::Pkcs8V1Der<'_>>::as_der(key).unwrap();
    format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", STANDARD.encode(der.as_ref()))
}

pub fn public_pem(key: &KeyPair) -> String {
    let der =
        aws_lc_rs::encoding::AsDer::<aws_lc_rs::encoding::PublicKeyX509Der<'_>>::as_der(key.public_key())
            .unwrap();
    format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(der.as_ref()))
}

pub fn sign(key: &KeyPair, bytes: &[u8]) -> String {
    let mut out = vec![0; key.public_modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), bytes, &mut out).unwrap();
    STANDARD.encode(out)
}

/// An envelope around a node, signed.
pub fn signed(name: &str, node: &str) -> Vec<u8> {
    format!("{{\"{name}\" :\n {node} , \"sign\":\"{}\"}}", sign(&PLATFORM, node.as_bytes())).into_bytes()
}

/// The node a pay of 128.50 is approved with.
pub fn paid(order: &str, yuan: &str) -> String {
    format!(
        "{{\"code\":\"10000\",\"msg\":\"Success\",\"trade_no\":\"{TRADE}\",\"out_trade_no\":\"{order}\",\"buyer_logon_id\":\"159****5620\",\
         \"total_amount\":\"{yuan}\",\"receipt_amount\":\"{yuan}\",\"gmt_payment\":\"2026-09-01 09:20:03\",\"sign\":\"inner\",\"url\":\"a\\/b\"}}"
    )
}

pub fn http(body: &[u8]) -> Vec<u8> {
    let mut bytes = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()).into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

/// What the gateway does with one connection.
pub enum Act {
    /// Reads the request, sends these bytes, closes.
    Send(Vec<u8>),
    /// The same, one byte a write, each after a pause.
    Slow(Vec<u8>, Duration),
    /// Reads the request, closes without a word.
    Hang,
    /// Reads the request, says nothing until the till gives up.
    Silent,
    /// Closes at once without reading.
    Slam,
}

/// A request as it arrived.
pub struct Seen {
    pub head: String,
    pub form: BTreeMap<String, String>,
}

impl Seen {
    /// A member of `biz_content`.
    pub fn content(&self) -> serde_json::Value {
        serde_json::from_str(&self.form["biz_content"]).unwrap()
    }

    pub fn method(&self) -> &str {
        &self.form["method"]
    }
}

pub struct Gateway {
    pub url: String,
    seen: Receiver<Seen>,
}

impl Gateway {
    /// Serves one connection an act, in order.
    pub fn new(acts: impl IntoIterator<Item = Act>) -> Self {
        let acts: Vec<Act> = acts.into_iter().collect();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/gateway.do", listener.local_addr().unwrap());
        let (tell, seen) = channel();
        std::thread::spawn(move || {
            for act in acts {
                let (mut stream, _) = listener.accept().unwrap();
                if matches!(act, Act::Slam) {
                    continue;
                }
                let Some(request) = read_request(&mut stream) else { continue };
                tell.send(request).unwrap();
                // The till may have gone by now: that is what some tests are about.
                match act {
                    Act::Send(bytes) => drop(stream.write_all(&bytes)),
                    Act::Slow(bytes, pause) => {
                        for byte in bytes {
                            std::thread::sleep(pause); // the slowness itself is what is tested
                            if stream.write_all(&[byte]).is_err() {
                                break;
                            }
                        }
                    }
                    Act::Silent => drop(stream.read(&mut [0])),
                    Act::Hang | Act::Slam => {}
                }
            }
        });
        Self { url, seen }
    }

    /// Answers every call in order with these nodes under its own name.
    pub fn answering<const N: usize>(nodes: [(&str, String); N]) -> Self {
        Self::new(nodes.map(|(name, node)| Act::Send(http(&signed(name, &node)))))
    }

    pub fn seen(&self) -> Seen {
        self.seen.recv_timeout(Duration::from_secs(20)).unwrap()
    }

    /// Whether nothing more was asked.
    pub fn quiet(&self) -> bool {
        self.seen.try_recv().is_err()
    }

    /// Where nobody listens.
    pub fn down() -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}/gateway.do", listener.local_addr().unwrap())
    }
}

pub fn read_request(stream: &mut impl Read) -> Option<Seen> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        if let Some(at) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
            let head = String::from_utf8(bytes[..at].to_vec()).unwrap();
            let length = head
                .lines()
                .find_map(|l| l.strip_prefix("Content-Length: "))
                .unwrap()
                .parse::<usize>()
                .unwrap();
            if bytes.len() >= at + 4 + length {
                let form = decode(std::str::from_utf8(&bytes[at + 4..]).unwrap());
                check_signature(&form);
                return Some(Seen { head, form });
            }
        }
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return None,
            Ok(n) => bytes.extend_from_slice(&buffer[..n]),
        }
    }
}

fn decode(form: &str) -> BTreeMap<String, String> {
    let plain = |text: &str| {
        let mut out = Vec::new();
        let mut rest = text.as_bytes();
        while let Some((&first, after)) = rest.split_first() {
            if first == b'%' {
                out.push(u8::from_str_radix(std::str::from_utf8(&after[..2]).unwrap(), 16).unwrap());
                rest = &after[2..];
            } else {
                assert_ne!(first, b'+', "a plus would be a space");
                out.push(first);
                rest = after;
            }
        }
        String::from_utf8(out).unwrap()
    };
    form.split('&').map(|pair| pair.split_once('=').unwrap()).map(|(k, v)| (plain(k), plain(v))).collect()
}

/// The rule of §2.1, over the parameters as received.
fn check_signature(form: &BTreeMap<String, String>) {
    let text: Vec<String> =
        form.iter().filter(|(k, v)| *k != "sign" && !v.is_empty()).map(|(k, v)| format!("{k}={v}")).collect();
    let key =
        aws_lc_rs::encoding::AsDer::<aws_lc_rs::encoding::PublicKeyX509Der<'_>>::as_der(APP.public_key())
            .unwrap();
    UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key.as_ref())
        .verify(text.join("&").as_bytes(), &STANDARD.decode(&form["sign"]).unwrap())
        .expect("our signature");
}

pub fn bench() -> TestHost {
    TestHost::new().with_secret("app_private_key", private_pem(&APP).as_bytes())
}

/// Settings as JSON, with more keys added.
pub fn settings(url: &str, more: &[(&str, serde_json::Value)]) -> Settings {
    let mut json = serde_json::json!({
        "app_id": "2021000000000001", "alipay_public_key": public_pem(&PLATFORM), "gateway": url,
        "insecure_http_for_tests": url.starts_with("http://"), "store_id": "S001",
    });
    for (key, value) in more {
        json[key] = value.clone();
    }
    Settings::from_json(json.to_string())
}

pub fn try_open(bench: &TestHost, settings: Settings) -> Result<Alipay, PluginError> {
    Alipay::open(bench.host(), settings)
}

pub fn open(url: &str) -> (TestHost, Alipay) {
    let bench = bench();
    let channel = try_open(&bench, settings(url, &[])).unwrap();
    (bench, channel)
}

pub fn cny(minor: i64) -> Money {
    Money::new(minor, Currency::CNY)
}

pub fn ids(order: &str) -> AttemptIds {
    AttemptIds {
        payment: [7; 16],
        attempt: 1,
        trace: 1,
        batch: 1,
        order: order.into(),
        wall_ms: 1_767_323_045_000,
    }
}

pub fn scan(code: &str) -> Instrument {
    Instrument::Code(ScannedCode { text: Sensitive::new(code.to_owned()), symbology: None })
}

pub fn sale(instrument: Instrument) -> Authorise {
    Authorise {
        ids: ids(ORDER),
        hold: false,
        amount: cny(12_850),
        instrument,
        subject: "茶 & 点心".into(),
        operator: Some("op1".into()),
        pin_block: None,
        extra: Extra::new(),
    }
}

/// Prepares and authorises, as the daemon does.
pub fn pay(channel: &mut Alipay, request: &Authorise) -> Outcome {
    let prepared = channel.prepare(request).unwrap();
    channel.authorise(request, &prepared)
}

pub fn follow_up(channel: &mut Alipay, request: &Authorise) -> FollowUp {
    let recovery = channel.prepare(request).unwrap().recovery;
    FollowUp { ids: request.ids.clone(), amount: request.amount, recovery, attempt: 1, extra: Extra::new() }
}

pub fn unknown(outcome: Outcome) -> Unknown {
    match outcome {
        Outcome::Unknown(u) => u,
        other => panic!("not unknown: {other:?}"),
    }
}

/// A TLS server with this certificate; `None` where no request came through.
pub fn tls_gateway(
    config: rustls::ServerConfig,
    answer: Vec<u8>,
    goodbye: bool,
) -> (u16, Receiver<Option<Seen>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (tell, seen) = channel();
    std::thread::spawn(move || {
        let (mut stream, _): (TcpStream, _) = listener.accept().unwrap();
        let mut tls = rustls::ServerConnection::new(Arc::new(config)).unwrap();
        let request = read_request(&mut rustls::Stream::new(&mut tls, &mut stream));
        if request.is_some() {
            tls.writer().write_all(&answer).unwrap();
            if goodbye {
                tls.send_close_notify();
            }
            while tls.wants_write() && tls.write_tls(&mut stream).is_ok() {}
        }
        tell.send(request).unwrap();
    });
    (port, seen)
}
