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
    let pin = pin.map(|block| Sensitive::new(block.to_vec()));
    CardData::read(&Dialect::parse(CUP).unwrap(), instrument, pin.as_ref(), no_pin)
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
