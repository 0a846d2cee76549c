use super::*;
use crate::dialect::CUP;

fn swiped(service: &str) -> Instrument {
    Instrument::Stripe(StripeCard {
        track1: None,
        track2: Some(format!("6200000000000005=2912{service}0000000000").into()),
        track3: None,
        pan: String::from("6200000000000005").into(),
        expiry: None,
        service_code: None,
        masked: "620000******0005".into(),
        luhn: true,
    })
}

fn tapped(information: &str) -> Instrument {
    let tlv = format!("9F26081122334455667788{information}57116200000000000005D291220100000000009F36020012");
    Instrument::Chip(ChipCard {
        contactless: true,
        aid: hex::decode("A000000333010101").unwrap(),
        label: "UnionPay Debit".into(),
        tlv: hex::decode(tlv).unwrap().into(),
        track2: Some(String::from("6200000000000005=29122010000000000").into()),
        pan: String::from("6200000000000005").into(),
        pan_sequence: Some(1),
        masked: "620000******0005".into(),
        cvm: Cvm::None,
    })
}

fn read(instrument: &Instrument, pin: Option<&[u8]>, no_pin: NoPin) -> Result<CardData, CardError> {
    let dialect = Dialect::parse(CUP).unwrap();
    let pin = pin.map(|block| PinBlock::read(&dialect, &Sensitive::new(block.to_vec()), None)).transpose()?;
    CardData::read(&dialect, instrument, pin, no_pin)
}

fn under(rule: PinRule, instrument: &Instrument) -> Result<CardData, CardError> {
    CardData::read(&Dialect::parse(CUP).unwrap(), instrument, None, rule)
}

fn owing_pin(mut instrument: Instrument) -> Instrument {
    if let Instrument::Chip(card) = &mut instrument {
        card.cvm = Cvm::OnlinePin;
    }
    instrument
}

#[test]
fn with_a_pad_the_pin_is_asked_for_whatever_the_setting_for_tills_without_one() {
    let rule = PinRule { no_pin: NoPin::Accept, pad: true, small: false };
    // 6 and 7: where there is a pad.
    for service in ["120", "103", "105", "126", "107"] {
        assert_eq!(under(rule, &swiped(service)).unwrap_err(), CardError::NeedsPin, "{service}");
    }
    for service in ["101", "102", "104"] {
        assert_eq!(under(rule, &swiped(service)).unwrap().entry_mode(), "022", "{service}");
    }
    assert_eq!(under(rule, &owing_pin(tapped("9F270180"))).unwrap_err(), CardError::NeedsPin);
    assert_eq!(under(rule, &tapped("9F270180")).unwrap().entry_mode(), "072");
}

#[test]
fn s38_a_small_amount_by_tap_owes_no_pin_and_no_signature_and_a_stripe_or_chip_does() {
    for pad in [true, false] {
        let rule = PinRule { no_pin: NoPin::Refuse, pad, small: true };
        let card = under(rule, &owing_pin(tapped("9F270180"))).unwrap();
        assert_eq!((card.entry_mode().as_str(), card.cvm), ("072", Cvm::None));
        assert_eq!(under(rule, &swiped("120")).unwrap_err(), CardError::NeedsPin);
        let mut inserted = owing_pin(tapped("9F270180"));
        if let Instrument::Chip(card) = &mut inserted {
            card.contactless = false;
        }
        assert_eq!(under(rule, &inserted).unwrap_err(), CardError::NeedsPin);
        let over = PinRule { small: false, ..rule };
        assert_eq!(under(over, &owing_pin(tapped("9F270180"))).unwrap_err(), CardError::NeedsPin);
    }
}

#[test]
fn a_block_under_a_key_that_the_acquirer_does_not_take_never_goes_out() {
    let block = Sensitive::new(vec![7; 8]);
    let pik = Dialect::parse(CUP).unwrap();
    let derived = Dialect::overlaid("[request]\npin_ksn_field = 62").unwrap();
    let ksn = "FFFF9876543210E00001";
    assert_eq!(PinBlock::read(&derived, &block, Some(ksn)).unwrap().ksn.unwrap()[9], 1);
    for (dialect, ksn) in
        [(&pik, Some(ksn)), (&derived, None), (&derived, Some("FFFF")), (&derived, Some("no"))]
    {
        assert!(matches!(PinBlock::read(dialect, &block, ksn), Err(CardError::PinBlock)), "{ksn:?}");
    }
    let aes = Sensitive::new(vec![7; 16]);
    assert!(matches!(PinBlock::read(&derived, &aes, Some(ksn)), Err(CardError::PinBlock)));
}

#[test]
fn a_swiped_chip_card_is_sent_to_its_chip_whatever_the_setting() {
    for service in ["201", "221", "601", "620"] {
        assert_eq!(read(&swiped(service), None, NoPin::Accept).unwrap_err(), CardError::UseChip, "{service}");
    }
    let mut card = swiped("101");
    if let Instrument::Stripe(stripe) = &mut card {
        stripe.service_code = Some("201".into());
    }
    assert_eq!(read(&card, None, NoPin::Accept).unwrap_err(), CardError::UseChip);
}

#[test]
fn c10_a_card_that_wants_a_pin_is_refused_without_a_pad_unless_the_setting_says_otherwise() {
    for service in ["120", "103", "105"] {
        assert_eq!(
            read(&swiped(service), None, NoPin::Refuse).unwrap_err(),
            CardError::NeedsPin,
            "{service}"
        );
        assert_eq!(read(&swiped(service), None, NoPin::Accept).unwrap().entry_mode(), "022");
        assert_eq!(read(&swiped(service), Some(&[7; 8]), NoPin::Refuse).unwrap().entry_mode(), "021");
    }
    for service in ["101", "126", "107"] {
        assert_eq!(read(&swiped(service), None, NoPin::Refuse).unwrap().entry_mode(), "022", "{service}");
    }
}

#[test]
fn the_expiry_comes_from_the_track_when_the_reader_gives_none() {
    assert_eq!(read(&swiped("101"), None, NoPin::Refuse).unwrap().expiry.unwrap().expose(), "2912");
}

#[test]
fn a_track_of_another_card_or_with_foreign_characters_is_refused() {
    for track in
        ["6200000000000013=29121010000000000", "6200000000000005=2912A01", "6200000000000005D29121010"]
    {
        let mut card = swiped("101");
        if let Instrument::Stripe(stripe) = &mut card {
            stripe.track2 = Some(String::from(track).into());
        }
        assert_eq!(read(&card, None, NoPin::Accept).unwrap_err(), CardError::Track);
    }
    let mut card = swiped("101");
    if let Instrument::Stripe(stripe) = &mut card {
        stripe.pan = String::from("62000000005").into();
    }
    assert_eq!(read(&card, None, NoPin::Accept).unwrap_err(), CardError::Pan);
}

#[test]
fn a_tap_goes_online_with_the_listed_objects_only() {
    let card = read(&tapped("9F270180"), None, NoPin::Refuse).unwrap();
    assert_eq!(card.entry_mode(), "072");
    assert_eq!(card.sequence.as_deref(), Some("001"));
    // Tag 57 (track 2) was in the reader's data and must not be in field 55.
    let emv = hex::encode_upper(card.emv.unwrap().as_slice());
    assert_eq!(emv, "9F260811223344556677889F2701809F36020012");
}

#[test]
fn a_chip_that_decided_by_itself_is_not_sent_online() {
    assert_eq!(read(&tapped("9F270140"), None, NoPin::Refuse).unwrap_err(), CardError::NotOnline);
    assert_eq!(read(&tapped("9F270100"), None, NoPin::Refuse).unwrap_err(), CardError::NotOnline);
    assert_eq!(read(&tapped(""), None, NoPin::Refuse).unwrap_err(), CardError::Chip);
}

#[test]
fn codes_and_cash_are_not_for_this_channel() {
    assert_eq!(read(&Instrument::ShowCode, None, NoPin::Accept).unwrap_err(), CardError::Instrument);
}

#[test]
fn a_pin_block_of_another_length_is_refused_and_nothing_is_printed() {
    assert_eq!(read(&swiped("101"), Some(&[1; 16]), NoPin::Accept).unwrap_err(), CardError::PinBlock);
    let text = format!("{:?}", read(&swiped("101"), Some(&[1; 8]), NoPin::Accept).unwrap());
    assert_eq!(text, "CardData(620000******0005)");
}

#[test]
fn the_card_presented_again_only_names_its_account() {
    // Asked for a PIN when it paid, and its chip now says no: both are nothing to a void.
    assert_eq!(CardData::again(&swiped("120")).unwrap().entry_mode(), "022");
    assert_eq!(CardData::again(&swiped("201")).unwrap_err(), CardError::UseChip);
    for information in ["9F270180", "9F270100", ""] {
        let card = CardData::again(&tapped(information)).unwrap();
        assert_eq!((card.entry_mode().as_str(), card.sequence.as_deref()), ("072", Some("001")));
        assert!(card.emv.is_none() && card.pin_block.is_none());
    }
    assert_eq!(CardData::again(&Instrument::ShowCode).unwrap_err(), CardError::Instrument);
}
