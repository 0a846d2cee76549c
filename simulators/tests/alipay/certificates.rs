//! Certificate mode: requests name the app's certificate and the roots, answers name the gateway's, which can be downloaded.

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use serde_json::json;
use till_simulators::alipay::{Gateway, Settings};
use till_simulators::faults::{Fault, Rule};

use crate::client::{Params, Reply, encode, payment, pem_body, post, public_params, set, signed};

const CODE: &str = "280000000000000001";
const DOWNLOAD: &str = "alipay.open.app.alipaycert.download";

/// The numbers as the platform's rule has them, of names and serial numbers that stand here, not read from anything.
fn number(issuer: &str, serial: u128) -> String {
    use md5::{Digest, Md5};
    hex::encode(Md5::digest(format!("CN={issuer},OU=Certification Authority,O=SIM Alipay,C=CN{serial}")))
}

fn gateway() -> Gateway {
    let mut settings = Settings::default();
    settings.certificates = true;
    settings.https = None;
    Gateway::start(settings).unwrap()
}

/// The numbers a till of this gateway sends.
fn numbers() -> [(&'static str, String); 2] {
    let app = number("SIM Alipay TEST Certification Authority Class 1 R1", 0x2026_0901_u128 << 96);
    let roots = [("SIM Alipay TEST Certification Authority R1", 1), ("SIM neighbour TEST Root CA - G3", 4)];
    let roots = roots.map(|(name, serial)| number(name, serial)).join("_");
    [("app_cert_sn", app), ("alipay_root_cert_sn", roots)]
}

fn named(gateway: &Gateway, method: &str, content: &serde_json::Value) -> Params {
    let mut params = public_params(gateway, method, content);
    for (name, value) in numbers() {
        set(&mut params, name, &value);
    }
    params
}

fn ask(gateway: &Gateway, method: &str, content: &serde_json::Value) -> Reply {
    let params = signed(gateway, named(gateway, method, content));
    Reply::read(gateway, post(gateway, &encode(&params)).body())
}

#[test]
fn a_request_that_names_other_certificates_is_refused_and_nothing_is_booked() {
    let gateway = gateway();
    let pay = payment("A1", CODE, "1.00");
    let fresh = || named(&gateway, "alipay.trade.pay", &pay);
    let without = |name: &str| fresh().into_iter().filter(|(known, _)| known != name).collect::<Params>();
    let with = |name: &str, value: &str| {
        let mut params = fresh();
        set(&mut params, name, value);
        params
    };
    let some = "0123456789abcdef0123456789abcdef";
    for (params, code) in [
        (without("app_cert_sn"), "40002/isv.app-cert-not-exist"),
        (with("app_cert_sn", some), "40002/isv.app-cert-not-exist"),
        (without("alipay_root_cert_sn"), "40002/isv.invalid-alipay-root-cert-sn"),
        (with("alipay_root_cert_sn", some), "40002/isv.invalid-alipay-root-cert-sn"),
    ] {
        let reply = Reply::read(&gateway, post(&gateway, &encode(&signed(&gateway, params))).body());
        assert_eq!((reply.code().as_str(), reply.verified), (code, true));
        assert!(reply.certificate.is_some(), "a refusal names its certificate too");
    }
    assert_eq!(gateway.ledger().trades.len(), 0);
    assert_eq!(ask(&gateway, "alipay.trade.pay", &pay).code(), "10000", "the code was not used up");

    let mut settings = Settings::default();
    settings.https = None;
    let by_key = Gateway::start(settings).unwrap();
    assert!(by_key.certificates().is_none());
    let reply = ask(&by_key, "alipay.trade.pay", &pay);
    assert_eq!((reply.code().as_str(), reply.certificate), ("40002/isv.app-cert-not-exist", None));
    let stolen = by_key.faults().add(Rule::once("*", Fault::ForeignCertificate {}));
    assert!(stolen.is_err(), "a rule that can never fire was taken");
}

#[test]
fn answers_name_the_certificate_of_their_key_and_it_can_be_downloaded() {
    let gateway = gateway();
    let given = gateway.certificates().unwrap().clone();
    let query = json!({"out_trade_no": "A1"});
    let sections = |pem: &str| pem.matches("-----BEGIN CERTIFICATE-----").count();
    assert_eq!([&given.app_pem, &given.gateway_pem, &given.root_pem].map(|pem| sections(pem)), [1, 2, 3]);

    let first = ask(&gateway, "alipay.trade.query", &query);
    let class_two = "SIM Alipay TEST Certification Authority Class 2 R1";
    let own = number(class_two, (0x2026_0901_u128 << 96) + 1);
    assert_eq!((first.verified, first.certificate.as_deref()), (true, Some(own.as_str())));
    let download = |number: &str| ask(&gateway, DOWNLOAD, &json!({"alipay_cert_sn": number}));
    let content = download(&own).get("alipay_cert_content").unwrap().to_owned();
    assert_eq!(String::from_utf8(BASE64.decode(content).unwrap()).unwrap(), given.gateway_pem);
    assert_eq!(download("0123456789abcdef0123456789abcdef").get("code"), Some("40004"));

    // Each of these says something else than the certificate the till was given.
    for (fault, in_key) in [
        (Fault::ForeignCertificate {}, false),
        (Fault::WrongOwner {}, false),
        (Fault::ExpiredCertificate {}, true),
        (Fault::UnknownCertificate {}, true),
        (Fault::WithoutCertificate {}, true),
    ] {
        gateway.faults().add(Rule::once("alipay.trade.query", fault.clone())).unwrap();
        let reply = ask(&gateway, "alipay.trade.query", &query);
        assert_eq!(reply.verified, in_key, "{fault:?}");
        assert_ne!(reply.certificate.as_deref(), Some(own.as_str()), "{fault:?}");
        let to_download = !matches!(fault, Fault::UnknownCertificate {} | Fault::WithoutCertificate {});
        let found = reply.certificate.is_some_and(|number| download(&number).code() == "10000");
        assert_eq!(found, to_download, "{fault:?}");
    }

    gateway.faults().add(Rule::once("alipay.trade.query", Fault::KeyRotated {})).unwrap();
    let rotated = ask(&gateway, "alipay.trade.query", &query);
    let next = ask(&gateway, "alipay.trade.query", &query);
    assert_eq!((rotated.verified, next.verified), (false, false), "the old key still signs");
    assert!(rotated.certificate.is_some() && rotated.certificate == next.certificate);
    let content = download(&next.certificate.unwrap()).get("alipay_cert_content").unwrap().to_owned();
    let fetched = String::from_utf8(BASE64.decode(content).unwrap()).unwrap();
    assert_ne!(pem_body(first_section(&fetched)), pem_body(first_section(&given.gateway_pem)));
    gateway.rotate_certificate().unwrap();
    let again = ask(&gateway, "alipay.trade.query", &query);
    assert_ne!(again.certificate, rotated.certificate);
}

fn first_section(pem: &str) -> &str {
    pem.split_inclusive("-----END CERTIFICATE-----").next().unwrap()
}
