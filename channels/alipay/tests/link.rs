//! The connection: whom it trusts, and how honestly it reports how far it got.
#![allow(clippy::unwrap_used, clippy::expect_used)] // in helpers too: what fails there fails the test

mod common;

use std::sync::Arc;
use std::time::{Duration, Instant};

use common::*;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use till_channel_alipay::http::HttpError;
use till_channel_alipay::link::{LinkError, Target, TargetError};

type Ca = CertifiedIssuer<'static, KeyPair>;

fn ca() -> Ca {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A server with a certificate for `name`, signed by `ca` (by itself without one).
fn server(name: &str, ca: Option<&Ca>, expired: bool) -> rustls::ServerConfig {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    if expired {
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2021, 1, 1);
    }
    let certificate = match ca {
        Some(ca) => params.signed_by(&key, ca).unwrap(),
        None => params.self_signed(&key).unwrap(),
    };
    let key = rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap()
}

/// A form the test gateway accepts: with a signature.
fn form() -> Vec<u8> {
    let sign = sign(&APP, b"a=1");
    format!("a=1&sign={}", sign.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D")).into_bytes()
}

fn post(port: u16, ca_pem: &str) -> Result<Vec<u8>, LinkError> {
    let url = format!("https://localhost:{port}/gateway.do");
    let target = Target::new(&url, ca_pem, false, Duration::from_secs(5)).unwrap();
    target.post(&form(), Instant::now() + Duration::from_secs(10))
}

#[test]
fn a_gateway_signed_by_the_configured_ca_is_spoken_to() {
    let ca = ca();
    let (port, seen) = tls_gateway(server("localhost", Some(&ca), false), http(b"{}"), true);
    assert_eq!(post(port, &ca.pem()).unwrap(), b"{}");
    let seen = seen.recv().unwrap().unwrap();
    assert!(seen.head.contains(&format!("Host: localhost:{port}\r\n")), "{}", seen.head);
}

#[test]
fn no_other_gateway_sees_a_byte_of_the_request() {
    let (ours, other) = (ca(), ca());
    for (config, what) in [
        (server("localhost", Some(&other), false), "unknown CA"),
        (server("localhost", None, false), "self-signed"),
        (server("elsewhere.example", Some(&ours), false), "wrong host"),
        (server("localhost", Some(&ours), true), "expired"),
    ] {
        let (port, seen) = tls_gateway(config, http(b"{}"), true);
        let got = post(port, &ours.pem());
        assert!(
            matches!(&got, Err(LinkError::NotSent { why, .. }) if why.contains("handshake")),
            "{what}: {got:?}"
        );
        assert!(seen.recv().unwrap().is_none(), "{what}: the request was seen");
    }
}

#[test]
fn an_answer_cut_by_anybody_on_the_way_is_no_answer() {
    let ca = ca();
    // No length: only a proper end of TLS says that it is whole.
    let answer = b"HTTP/1.1 200 OK\r\n\r\n{}".to_vec();
    let (port, _seen) = tls_gateway(server("localhost", Some(&ca), false), answer.clone(), false);
    assert!(matches!(post(port, &ca.pem()), Err(LinkError::Broken { .. })));
    let (port, _seen) = tls_gateway(server("localhost", Some(&ca), false), answer, true);
    assert_eq!(post(port, &ca.pem()).unwrap(), b"{}");
}

#[test]
fn a_plain_server_on_the_secure_port_gets_nothing() {
    let gateway = Gateway::new([Act::Slam]);
    let port: u16 = gateway.url.rsplit(':').next().unwrap().split('/').next().unwrap().parse().unwrap();
    assert!(matches!(post(port, &ca().pem()), Err(LinkError::NotSent { .. })));
}

#[test]
fn a_flood_is_refused_without_being_kept() {
    let flood = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", u64::MAX).into_bytes();
    let gateway = Gateway::new([Act::Send(flood), Act::Send(http(&vec![b' '; 70_000]))]);
    let target = Target::new(&gateway.url, "", true, Duration::from_secs(5)).unwrap();
    let post = || target.post(&form(), Instant::now() + Duration::from_secs(10)).unwrap_err();
    assert!(matches!(post(), LinkError::Answer(HttpError::Protocol(_) | HttpError::TooLarge)));
    assert_eq!(post(), LinkError::Answer(HttpError::TooLarge));
}

#[test]
fn a_request_that_left_in_part_is_not_called_unsent() {
    // Connected by the kernel, read by nobody: the buffers fill up, then time runs out.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/gateway.do", listener.local_addr().unwrap());
    let target = Target::new(&url, "", true, Duration::from_secs(5)).unwrap();
    let got = target.post(&vec![b'a'; 64 << 20], Instant::now() + Duration::from_millis(400));
    assert!(matches!(got, Err(LinkError::NoAnswer { .. })), "{got:?}");
}

#[test]
fn a_name_that_does_not_resolve_is_not_sent() {
    let target = Target::new("http://gateway.invalid/x", "", true, Duration::from_secs(5)).unwrap();
    let got = target.post(&form(), Instant::now() + Duration::from_secs(20));
    assert!(matches!(got, Err(LinkError::NotSent { .. })), "{got:?}");
}

#[test]
fn settings_that_describe_no_trustworthy_gateway_are_refused() {
    let new = |url: &str, pem: &str, insecure| Target::new(url, pem, insecure, Duration::from_secs(1));
    let pem = ca().pem();
    assert!(matches!(new("http://openapi.alipay.com/gateway.do", "", false), Err(TargetError::Insecure(_))));
    assert!(matches!(new("https://openapi.alipay.com/gateway.do", "", true), Err(TargetError::Ca(_))));
    assert!(matches!(
        new("https://openapi.alipay.com/gateway.do", "not pem", false),
        Err(TargetError::Ca(_))
    ));
    for bad in [
        "openapi.alipay.com",
        "ftp://x/",
        "https://",
        "https:///gateway.do",
        "https://user@host/",
        "https://host:0/",
        "https://host:99999/",
        "https://host/a b",
        "https://host/\r\nX: y",
        "https://[::1/",
        "https://host/#x",
        "https://主机/",
    ] {
        assert!(matches!(new(bad, &pem, false), Err(TargetError::Url(_))), "{bad:?}");
    }
    assert_eq!(new("https://[::1]:8443/g", &pem, false).unwrap().host(), "::1");
}

#[test]
fn a_channel_with_wrong_keys_or_secrets_does_not_open() {
    let https = "https://openapi.alipay.com/gateway.do";
    let message =
        |bench: &till_plugin::testing::TestHost, s| try_open(bench, s).map(drop).unwrap_err().message;
    assert!(
        message(&bench(), settings("http://x/", &[("insecure_http_for_tests", false.into())]))
            .contains("not encrypted")
    );
    assert!(message(&bench(), settings(https, &[])).contains("ca_file"));
    assert!(
        message(&bench(), settings(https, &[("ca_file", "/nonexistent/ca.pem".into())]))
            .contains("/nonexistent/ca.pem")
    );
    let private = private_pem(&APP);
    let swapped = settings("http://x/", &[("alipay_public_key", private.clone().into())]);
    let text = message(&bench(), swapped);
    assert!(text.contains("public key") && !text.contains(&private[40..80]), "{text}");
    assert!(
        message(&till_plugin::testing::TestHost::new(), settings("http://x/", &[]))
            .contains("app_private_key")
    );
    let garbage = till_plugin::testing::TestHost::new().with_secret("app_private_key", b"c2VjcmV0");
    let text = message(&garbage, settings("http://x/", &[]));
    assert!(text.contains("PKCS#8") && !text.contains("c2VjcmV0"), "{text}");
}
