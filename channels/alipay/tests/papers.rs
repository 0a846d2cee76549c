//! Numbers of certificates beside the published ones, and settings that no certificate mode can be made of.
#![allow(clippy::unwrap_used)] // in helpers too: what fails there fails the test

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use till_channel_alipay::papers::{Papers, PapersError, is_number, number};
use till_channel_alipay::reply::{Envelope, ReplyError};
use till_channel_alipay::seal::Seal;
use till_channel_alipay::sign::AppKey;
use till_simulators::alipay::{Certificates, Gateway, Settings};
use till_wallet::chain::{ChainError, sections};

/// A certificate with that issuer (`CN=…,OU=…,O=…,C=…`) and serial number.
fn certificate(issuer: &str, serial: u128) -> Vec<u8> {
    use rcgen::DnType;
    let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    for part in issuer.split(',').rev() {
        let (keyword, text) = part.split_once('=').unwrap();
        let kind = match keyword {
            "C" => DnType::CountryName,
            "O" => DnType::OrganizationName,
            "OU" => DnType::OrganizationalUnitName,
            "CN" => DnType::CommonName,
            other => panic!("{other}"),
        };
        params.distinguished_name.push(kind, text);
    }
    params.serial_number = Some(rcgen::SerialNumber::from_slice(&serial.to_be_bytes()));
    params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap().der().to_vec()
}

#[test]
fn numbers_are_the_published_ones() {
    // Of the platform's own test certificates: alipay-sdk-nodejs-all, test/antcertutil.test.ts.
    let known = certificate(
        "CN=Ant Financial Certification Authority Class 1 R1,OU=Certification Authority,O=Ant Financial,C=CN",
        42_701_552_708_448_241_360_226_107_228_231_049_510,
    );
    assert_eq!(number(&known).unwrap(), "866efef280dec9137a87d047ac446315");
    let root = certificate(
        "CN=Ant Financial Certification Authority R1,OU=Certification Authority,O=Ant Financial,C=CN",
        2_292_228_364_100_439_313,
    );
    assert_eq!(number(&root).unwrap(), "687b59193f3f462dd5336e5abf83c5d8");

    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/vectors/channels-alipay.json");
    let Ok(text) = std::fs::read_to_string(path) else {
        println!("skipped: no shared vectors");
        return;
    };
    let file: serde_json::Value = serde_json::from_str(&text).unwrap();
    let vectors = file["vectors"].as_array().unwrap().iter().filter(|v| v["family"] == "alipay-certsn");
    let mut seen = 0;
    for v in vectors {
        let serial = v["serial_decimal"].as_str().unwrap().parse().unwrap();
        let der = certificate(v["issuer_string"].as_str().unwrap(), serial);
        assert_eq!(number(&der).unwrap(), v["cert_sn"].as_str().unwrap(), "{}", v["id"]);
        seen += 1;
    }
    assert!(seen >= 2, "only {seen} vectors");
}

struct Given {
    gateway: Gateway,
    pems: Certificates,
    key: AppKey,
}

fn given() -> Given {
    let mut settings = Settings::default();
    settings.certificates = true;
    settings.https = None;
    let gateway = Gateway::start(settings).unwrap();
    let key = AppKey::from_text(gateway.app_private_pem()).unwrap();
    let pems = gateway.certificates().unwrap().clone();
    Given { gateway, pems, key }
}

fn pem(der: &[u8]) -> String {
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", STANDARD.encode(der))
}

impl Given {
    fn papers(&self, app: &str, alipay: &str, roots: &str) -> Result<Papers, PapersError> {
        Papers::new(app, alipay, roots, &self.key.public())
    }
}

#[test]
fn only_roots_that_sign_with_rsa_are_numbered_and_text_around_the_sections_is_skipped() {
    let g = given();
    let roots = sections(&g.pems.root_pem).unwrap();
    assert_eq!(roots.len(), 3);
    let numbers: Vec<_> = roots[1..].iter().map(|der| number(der).unwrap()).collect();
    let around = format!("Subject: root\n\n{}\ntail", g.pems.root_pem);
    let papers = g.papers(&g.pems.app_pem, &g.pems.gateway_pem, &around).unwrap();
    assert_eq!(papers.root_numbers(), numbers.join("_"));
    assert!(is_number(papers.app_number()) && !is_number(papers.root_numbers()));
}

#[test]
fn settings_that_cannot_work_are_refused_by_name() {
    let g = given();
    let Certificates { app_pem: app, gateway_pem: alipay, root_pem: roots } = &g.pems;
    let of_setting = |setting: &str, made: Result<Papers, PapersError>| match made {
        Err(PapersError::Setting { setting: named, .. }) => assert_eq!(named, setting),
        other => panic!("{setting}: {other:?}"),
    };
    of_setting("app_certificate", g.papers("", alipay, roots));
    of_setting("alipay_certificate", g.papers(app, g.gateway.public_pem(), roots));
    of_setting("alipay_root", g.papers(app, alipay, ""));
    of_setting("alipay_root", g.papers(app, alipay, &pem(&sections(roots).unwrap()[0])));
    of_setting("alipay_certificate", g.papers(app, &pem(&sections(roots).unwrap()[0]), roots));

    assert!(matches!(g.papers(alipay, app, roots), Err(PapersError::OtherKey)));
    assert!(matches!(g.papers(app, app, roots), Err(PapersError::Own)));
    // The root alone without the authority between, another's root, and the authority in place of its certificate.
    let parts = sections(alipay).unwrap();
    assert!(matches!(g.papers(app, &pem(&parts[0]), roots), Err(PapersError::Chain(ChainError::Chain(_)))));
    let other = pem(&sections(roots).unwrap()[2]);
    assert!(matches!(g.papers(app, alipay, &other), Err(PapersError::Chain(ChainError::Chain(_)))));
    let turned = pem(&parts[1]) + &pem(&parts[0]);
    assert!(matches!(g.papers(app, &turned, roots), Err(PapersError::Chain(_))));
}

#[test]
fn a_certificate_is_taken_in_only_as_the_one_that_was_asked_for() {
    let g = given();
    let mut papers = g.papers(&g.pems.app_pem, &g.pems.gateway_pem, &g.pems.root_pem).unwrap();
    let now = 1_788_192_000_000;
    let parts = sections(&g.pems.gateway_pem).unwrap();
    let own = number(&parts[0]).unwrap();
    let base64 = |text: &str| STANDARD.encode(text);
    // In any order, and without the authority between, which the settings gave.
    for text in [pem(&parts[1]) + &pem(&parts[0]), pem(&parts[0])] {
        papers.take_in(&own, &base64(&text), now).unwrap();
    }
    let app = number(&sections(&g.pems.app_pem).unwrap()[0]).unwrap();
    let authority = number(&parts[1]).unwrap();
    for (asked, text, expected) in [
        (&app, &g.pems.gateway_pem, "the certificate that was asked for is not in it"),
        (&own, &String::new(), "the certificate that was asked for is not in it"),
        // The same roots stand behind the application's own certificate, and behind the authority itself.
        (&app, &(g.pems.app_pem.clone() + &g.pems.gateway_pem), "does not lead to a root"),
        (&authority, &g.pems.gateway_pem, "does not lead to a root"),
        (&own, &g.pems.gateway_pem.repeat(20), "it is not base64 of PEM sections"),
    ] {
        let said = papers.take_in(asked, &base64(text), now).unwrap_err().to_string();
        assert!(said.contains(expected), "{said}");
    }
    assert!(papers.key(&app, now).is_none());
    let too_late = papers.take_in(&own, &base64(&g.pems.gateway_pem), 4_102_444_800_000);
    assert!(matches!(too_late, Err(PapersError::NotBelieved(ChainError::Chain(_)))), "{too_late:?}");
}

#[test]
fn an_answer_is_opened_by_the_certificate_it_names_while_the_clock_is_trusted() {
    let g = given();
    let papers = g.papers(&g.pems.app_pem, &g.pems.gateway_pem, &g.pems.root_pem).unwrap();
    let own = number(&sections(&g.pems.gateway_pem).unwrap()[0]).unwrap();
    let seal = Seal::Certificates(Box::new(papers));
    let key = &till_simulators::wallet::keys::Keys::of_this_process().unwrap().gateway;
    let node = r#"{"code":"10000","msg":"Success"}"#;
    let sign = key.sign(node.as_bytes()).unwrap();
    let open = |body: String, now_ms| {
        Envelope::cut(body.as_bytes(), "alipay_trade_pay_response").and_then(|e| seal.open(e, now_ms))
    };
    let now = Some(1_788_192_000_000);
    let named = |number: &str| {
        format!(r#"{{"alipay_trade_pay_response":{node},"alipay_cert_sn":{number},"sign":"{sign}"}}"#)
    };
    let quoted = format!("\"{own}\"");
    assert!(open(named(&quoted), now).is_ok());
    assert_eq!(open(named(&quoted), None), Err(ReplyError::Clock));
    assert_eq!(open(named("\"\""), now), Err(ReplyError::NoCertificate));
    assert!(matches!(open(named("null"), now), Err(ReplyError::Malformed(_))));
    assert_eq!(open(named("\"<script>\""), now), Err(ReplyError::NoCertificate));
    assert!(matches!(open(named("7"), now), Err(ReplyError::Malformed(_))));
    let twice = named(&quoted).replace(",\"sign\"", &format!(",\"alipay_cert_sn\":{quoted},\"sign\""));
    assert!(matches!(open(twice, now), Err(ReplyError::Malformed(_))));
    let unsigned = named(&quoted).replace(&sign, "");
    assert!(matches!(open(unsigned, now), Err(ReplyError::Unsigned(Some(code))) if code == "10000"));
}
