//! The same code speaks quite different dialects: one in ASCII, without TPDU, X9.19 over chosen fields, keys behind a type byte;
//! one with SM4 keys.

use crate::acquirer::{Acquirer, MAK, Step, TMK, key};
use std::time::{Duration, Instant};
use till_channel_bankcard::card::{CardData, NoPin, PinBlock};
use till_channel_bankcard::dialect::{Action, Dialect};
use till_channel_bankcard::exchange::{Exchanged, Way};
use till_channel_bankcard::keys::{MasterKey, WorkingKeys};
use till_channel_bankcard::link::TcpDialer;
use till_channel_bankcard::messages::{Numbers, Requests, Terminal};
use till_channel_bankcard::reversal::{self, Armed, Finished};
use till_plugin::Money;

#[test]
fn sign_in_sale_and_reversal_in_another_dialect() {
    let dialect = Dialect::parse(include_str!("../dialects/ascii.toml")).unwrap();
    let sign_in: Step = Box::new(|host| {
        let tmk = key(TMK);
        let clear = hex::decode(MAK).unwrap();
        let mut block = vec![0x1C];
        block.extend(clear.chunks_exact(8).flat_map(|half| tmk.encrypt(half.try_into().unwrap())));
        block.extend(&key(MAK).check_value()[..3]);
        let mut reply = answer(host, "00");
        reply.set(62, block);
        host.reply(reply);
    });
    let approve: Step = Box::new(|host| host.reply(answer(host, "00")));
    let reverse: Step = Box::new(|host| host.reply(answer(host, "25")));
    let acquirer = Acquirer::serve(&dialect, vec![sign_in, approve, reverse]);
    let dialer = TcpDialer { address: acquirer.address.clone() };
    let terminal = Terminal { id: "12345678".into(), merchant: "123456789012345".into() };
    let requests = Requests { dialect: &dialect, terminal: &terminal };
    let run = |keys: Option<&WorkingKeys>, message| {
        let way = Way {
            dialect: &dialect,
            dialer: &dialer,
            mak: keys.map(WorkingKeys::mak),
            until: Instant::now() + Duration::from_secs(5),
            cancelled: &|| false,
        };
        match way.exchange(&message) {
            Exchanged::Answer(answer) => answer,
            other => panic!("{other:?}"),
        }
    };
    let answer = run(None, requests.sign_in(Numbers { trace: 1, batch: 1 }, None).unwrap());
    let master = MasterKey::from_hex(TMK, None).unwrap();
    let keys = WorkingKeys::unwrap(&dialect, "071", &master, answer.message.get(62).unwrap()).unwrap();

    let card = CardData::read(&dialect, &super::swipe("101"), None, NoPin::Refuse).unwrap();
    let dollars = Money::new(1234, "USD".parse().unwrap());
    let sale = requests.sale(Numbers { trace: 2, batch: 1 }, dollars, &card).unwrap();
    assert!(sale.get(2).is_none(), "this acquirer wants the track only");
    let armed = Armed::for_request(&dialect, &sale).unwrap();
    assert_eq!(run(Some(&keys), sale).rule.action, Action::Approved);

    let reversed = run(Some(&keys), armed.message(&dialect, "98").unwrap());
    assert_eq!(reversal::finished(&dialect, &reversed), Finished::NeverExisted);
    let seen = acquirer.done();
    assert!(seen[1].1 && seen[2].1, "both are signed");
    assert_eq!(seen[2].0.text(2), Some(super::PAN));
}

fn answer(host: &crate::acquirer::Connection, code: &str) -> till_channel_bankcard::message::Message {
    let mut reply = host.answer(code);
    // This dialect has no host time fields.
    reply.remove(12);
    reply.remove(13);
    reply
}

#[test]
fn an_sm4_dialect_signs_in_with_005_and_says_so_beside_a_pin_block() {
    let dialect = Dialect::overlaid(include_str!("../dialects/sm4.toml")).unwrap();
    let terminal = Terminal { id: "12345678".into(), merchant: "123456789012345".into() };
    let requests = Requests { dialect: &dialect, terminal: &terminal };
    let sign_in = requests.sign_in(Numbers { trace: 1, batch: 12 }, None).unwrap();
    assert_eq!((sign_in.text(60), sign_in.get(64)), (Some("00000012005"), None));
    let pin = Some(PinBlock { block: [7; 8].into(), ksn: None });
    for (pin, control) in [(pin, "2300000000000000"), (None, "0000000000000000")] {
        let card = CardData::read(&dialect, &super::swipe("101"), pin, NoPin::Refuse).unwrap();
        let amount = Money::new(1234, "CNY".parse().unwrap());
        let sale = requests.sale(Numbers { trace: 2, batch: 12 }, amount, &card).unwrap();
        assert_eq!(sale.text(53), Some(control));
    }
}
