//! What the customer reads: the driver's bytes through an emulator that knows nothing of this crate.

#![allow(clippy::unwrap_used)] // helpers of tests

use proptest::prelude::*;
use till_driver_display::layout::{self, Frame};
use till_driver_display::profile::{Charset, Profile, Protocol};
use till_driver_display::settings::Words;
use till_driver_display::{encode, text};
use till_plugin::driver::{ShowContent, Stage, StageContent};
use till_plugin::{Currency, Extra, Money};
use till_simulators::counter::Machine;
use till_simulators::counter::display::{Commands, Display};

fn emulator(profile: &Profile) -> Display {
    let commands = match profile.protocol {
        Protocol::Cd5220 => Commands::Cd5220,
        Protocol::Epson => Commands::Epson,
        Protocol::Led8n => Commands::Led8n,
    };
    Display::new(commands, profile.charset == Charset::Gb18030)
}

fn words(profile: &Profile) -> Words {
    Words::new(profile.charset == Charset::Gb18030, vec!["WELCOME 欢迎光临".into(), "谢谢 thanks".into()])
}

fn bytes(profile: &Profile, frame: &Frame) -> Vec<u8> {
    let mut bytes = encode::reset(profile, profile.brightness);
    bytes.extend(encode::frame(profile, frame, [0, 0]));
    bytes
}

fn content(stage: Stage, amount: Money) -> ShowContent {
    ShowContent::Stage(StageContent { stage, amount, extra: Extra::new() })
}

const STAGES: [Stage; 7] = [
    Stage::Total,
    Stage::Due,
    Stage::Change,
    Stage::Approved,
    Stage::Declined,
    Stage::Refunded,
    Stage::Receipt,
];

fn profile() -> impl Strategy<Value = Profile> {
    (0..Profile::names().len()).prop_map(|n| Profile::built_in(Profile::names()[n]).unwrap())
}

fn money() -> impl Strategy<Value = Money> {
    let minor = prop_oneof![0..1_000_000_i64, any::<i64>(), Just(i64::MAX), Just(i64::MIN), Just(0)];
    (minor, prop_oneof![Just("CNY"), Just("JPY"), Just("KWD"), Just("USD")])
        .prop_map(|(minor, code)| Money::new(minor, code.parse::<Currency>().unwrap()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn the_amount_the_customer_reads_is_the_payments(profile in profile(), money in money(), stage in 0..7_usize) {
        let words = words(&profile);
        for content in [content(STAGES[stage], money), ShowContent::Amount(money),
                        ShowContent::Qr { data: "https://x".into(), amount: money }] {
            match layout::lay(&profile, &words, &content) {
                Ok(frame) => {
                    let mut display = emulator(&profile);
                    display.receive(&bytes(&profile, &frame));
                    prop_assert_eq!(display.amount(), Some(money.decimal()));
                    prop_assert!(display.unknown().is_empty(), "{:02x?}", display.unknown());
                }
                Err(e) => {
                    let places = money.decimal().chars().filter(|c| profile.lines == 2 || *c != '.').count();
                    prop_assert!(places > profile.columns, "{e}");
                }
            }
        }
    }

    #[test]
    fn no_field_can_command_the_display(profile in profile(), lines in prop::collection::vec(any::<String>(), 0..4),
                                        raw in prop::collection::vec(0_u8..0x30, 0..40)) {
        let mut all = lines;
        all.insert(0, raw.iter().map(|b| char::from(*b)).collect());
        let frame = layout::lay(&profile, &words(&profile), &ShowContent::Text(all)).unwrap();
        if profile.charset == Charset::Digits {
            // Its one field takes eight digits; text is for text displays, its window is checked there.
            return Ok(());
        }
        let mut display = emulator(&profile);
        display.receive(&bytes(&profile, &frame));
        prop_assert!(display.unknown().is_empty(), "{:02x?}", display.unknown());
        prop_assert_eq!((display.resets(), display.brightness(), display.cursor()), (1, profile.brightness, false));
        for (shown, line) in display.lines().iter().zip(&frame.lines) {
            let window = text::window(profile.charset, line, 0, profile.columns);
            prop_assert_eq!(shown, window.trim_end());
        }
    }

    #[test]
    fn cut_off_at_any_byte_the_next_write_shows_the_whole_amount(profile in profile(), minor in 0..99_999_999_i64,
                                                                  cut in 0..120_usize) {
        let (old, new) = (Money::new(99_999_999 - minor, Currency::CNY), Money::new(minor, Currency::CNY));
        let write = |money| bytes(&profile, &layout::lay(&profile, &words(&profile), &ShowContent::Amount(money)).unwrap());
        let mut display = emulator(&profile);
        let first = write(old);
        display.receive(&first[..cut.min(first.len())]);
        display.receive(&write(new));
        prop_assert_eq!(display.amount(), Some(new.decimal()));
    }
}

#[test]
fn each_stage_says_what_it_is_in_the_language_of_the_display() {
    let amount = Money::new(12_850, Currency::CNY);
    let shown = |name: &str, stage| {
        let profile = Profile::built_in(name).unwrap();
        let mut display = emulator(&profile);
        display.receive(&bytes(
            &profile,
            &layout::lay(&profile, &words(&profile), &content(stage, amount)).unwrap(),
        ));
        (display.lines(), display.lamp())
    };
    let two = |a: &str| [a.to_owned(), format!("{:>20}", "CNY 128.50")];
    assert_eq!(shown("cd5220", Stage::Due).0, two("TO PAY"));
    assert_eq!(shown("cd5220-gb", Stage::Due).0, two("应付"));
    assert_eq!(shown("epson-gb", Stage::Approved).0, two("支付成功"));
    assert_eq!(shown("epson-gb", Stage::Declined).0, two("未成功 请换方式付款"));
    assert_eq!(shown("epson-dm", Stage::Change).0, two("CHANGE"));
    let lamps = [Stage::Total, Stage::Due, Stage::Change].map(|stage| shown("led8n", stage).1);
    assert_eq!(lamps, ['2', '3', '4']);
}
