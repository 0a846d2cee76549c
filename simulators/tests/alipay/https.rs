//! HTTPS: only a client that trusts the simulator's own authority gets in, and only when the certificate is in order.

use std::{
    io::{Read, Write},
    net::TcpStream,
    process::{Command, Stdio},
    sync::Arc,
};

use base64::Engine;
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    crypto::ring,
    pki_types::{CertificateDer, ServerName},
};
use serde_json::json;
use till_simulators::alipay::{Certificate, Gateway, Settings};

use crate::client::{Reply, encode, http, public_params, signed};

fn speak(gateway: &Gateway, authority_pem: &str, host: &str, request: &[u8]) -> std::io::Result<Vec<u8>> {
    let text: String = authority_pem.lines().filter(|line| !line.starts_with('-')).collect();
    let der = base64::engine::general_purpose::STANDARD.decode(text).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(der)).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(host.to_owned()).unwrap();
    let connection = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut stream = StreamOwned::new(connection, TcpStream::connect(gateway.https_address().unwrap())?);
    stream.write_all(request)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(answer)
}

fn query(gateway: &Gateway) -> Vec<u8> {
    let params = public_params(gateway, "alipay.trade.query", &json!({"out_trade_no": "A1"}));
    http("POST", "/gateway.do", &encode(&signed(gateway, params)))
}

#[test]
fn its_own_authority_opens_it_under_each_of_its_names() {
    let gateway = Gateway::start(Settings::default()).unwrap();
    for host in ["127.0.0.1", "localhost"] {
        let answer = speak(&gateway, gateway.authority_pem(), host, &query(&gateway)).unwrap();
        let at = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
        let reply = Reply::read(&gateway, &answer[at + 4..]);
        assert!(reply.verified);
        assert_eq!(reply.code(), "40004/ACQ.TRADE_NOT_EXIST");
    }
}

#[test]
fn every_bad_certificate_is_one_that_a_client_refuses() {
    for certificate in [Certificate::Expired, Certificate::WrongHost, Certificate::SelfSigned] {
        let mut settings = Settings::default();
        settings.certificate = certificate;
        let gateway = Gateway::start(settings).unwrap();
        let refused = speak(&gateway, gateway.authority_pem(), "127.0.0.1", &query(&gateway));
        assert!(refused.is_err(), "{certificate:?}");
        assert!(gateway.ledger().requests.is_empty(), "nothing was said over it");
    }
    let (one, other) = (
        Gateway::start(Settings::default()).unwrap(),
        Gateway::start({
            let mut settings = Settings::default();
            settings.keys = Some(till_simulators::wallet::keys::Keys::generate().unwrap());
            settings
        })
        .unwrap(),
    );
    assert!(speak(&one, other.authority_pem(), "127.0.0.1", &query(&one)).is_err(), "another's authority");
}

#[test]
fn the_command_writes_what_a_till_needs_and_is_the_same_gateway_after_a_restart() {
    use std::io::{BufRead, BufReader};
    let dir = tempfile::tempdir().unwrap();
    let mut seen = Vec::new();
    for _ in 0..2 {
        let mut process = Command::new(env!("CARGO_BIN_EXE_till-sim"))
            .args(["alipay", "--keys"])
            .arg(dir.path().join("keys"))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines().map_while(Result::ok);
        let told: Vec<_> = lines.take_while(|line| line != "ready").collect();
        let value = |name: &str| {
            told.iter().find_map(|line| line.strip_prefix(&format!("{name} "))).map(str::to_owned).unwrap()
        };
        assert!(value("http").ends_with("/gateway.do") && value("https").starts_with("https://"));
        let read = |name: &str| std::fs::read_to_string(value(name)).unwrap();
        assert!(read("ca").contains("BEGIN CERTIFICATE"));
        seen.push((read("app-private-key"), read("gateway-public-key")));
        let pid = rustix::process::Pid::from_child(&process);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        assert!(process.wait().unwrap().success());
    }
    assert_eq!(seen[0], seen[1]);
}

#[test]
fn an_authority_that_was_trusted_once_is_trusted_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let start = || {
        let mut settings = Settings::default();
        settings.keys = Some(till_simulators::wallet::keys::Keys::in_directory(dir.path()).unwrap());
        Gateway::start(settings).unwrap()
    };
    let trusted = start().authority_pem().to_owned();
    let again = start();
    assert!(speak(&again, &trusted, "localhost", &query(&again)).is_ok());
}
