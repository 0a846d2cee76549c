//! Nothing that is sensitive is shown by printing a message (channels.md C9). That it cannot be printed or stored by itself does
//! not compile: see the documentation tests of [`till_plugin::Sensitive`].

use till_plugin::channel::{AttemptIds, Authorise, FollowUp, Prepared};
use till_plugin::instrument::{ScannedCode, StripeCard};
use till_plugin::{Currency, Extra, Instrument, Money, Sensitive};

const PAN: &str = "6200000000000005";
const TRACK2: &str = "6200000000000005=29121010000004711";
const CODE: &str = "284613579024000001";
const BLOCK: [u8; 8] = [0x06, 0x12, 0x53, 0xDF, 0xFE, 0xDC, 0xBA, 0x98];

fn ids() -> AttemptIds {
    AttemptIds {
        payment: [7; 16],
        attempt: 1,
        trace: 1,
        batch: 1,
        order: "T0120260901000001".into(),
        wall_ms: 0,
    }
}

fn asked(instrument: Instrument) -> Authorise {
    Authorise {
        ids: ids(),
        hold: false,
        amount: Money::new(12_850, Currency::CNY),
        instrument,
        subject: "tea".into(),
        operator: None,
        pin_block: Some(BLOCK.to_vec().into()),
        extra: Extra::new(),
    }
}

#[test]
fn c09_no_message_shows_a_card_track_pin_block_code_or_recovery_data() {
    let stripe = Instrument::Stripe(StripeCard {
        track1: Some(format!("B{PAN}^A/B^2912101").into()),
        track2: Some(TRACK2.to_owned().into()),
        track3: Some(TRACK2.to_owned().into()),
        pan: PAN.to_owned().into(),
        expiry: Some("2912".to_owned().into()),
        service_code: Some("101".into()),
        masked: "620000******0005".into(),
        luhn: true,
    });
    let code = Instrument::Code(ScannedCode { text: CODE.to_owned().into(), symbology: None });
    let recovery = || Sensitive::new(PAN.as_bytes().to_vec());
    let original = FollowUp {
        ids: ids(),
        amount: Money::new(1, Currency::CNY),
        recovery: recovery(),
        attempt: 1,
        extra: Extra::new(),
    };
    let told = [
        format!("{:?}", asked(stripe.clone())),
        format!("{:#?}", asked(code)),
        format!("{:?}", Prepared { recovery: recovery(), masked: "620000******0005".into() }),
        format!("{original:?} {stripe:?}"),
    ];
    for text in told {
        assert!(text.contains("[redacted]"), "{text}");
        for secret in [
            PAN.into(),
            TRACK2.into(),
            CODE.into(),
            "2912".into(),
            format!("{BLOCK:?}"),
            format!("{:?}", PAN.as_bytes()),
        ] {
            assert!(!text.contains(&secret), "{secret} in {text}");
        }
    }
}
