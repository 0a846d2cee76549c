//! Messages of drivers, and the instruments and documents in them.

use till_plugin::document::{Align, Block, Cell, Document, Style};
use till_plugin::driver::{
    Announcement, DeviceState, DriverDescription, DriverEvent, EnableRequest, Health, HealthLevel,
    OpenDrawer, PinRequest, PrintJob, PrintState, ReadFailure, Sentence, ShowContent, Signal, Spoken, Stage,
    StageContent,
};
use till_plugin::instrument::{
    ChipCard, Cvm, EncryptedSwipe, Instrument, ScannedCode, StoredValueCard, StripeCard,
};
use till_plugin::{Currency, Extra, Family, Money, Sensitive};

use crate::Golden;

pub(crate) fn cny(minor: i64) -> Money {
    Money::new(minor, Currency::CNY)
}

pub(crate) fn extra() -> Extra {
    Extra::from([("a".to_owned(), "1".to_owned()), ("b".to_owned(), String::new())])
}

fn secret(text: &str) -> Sensitive<String> {
    Sensitive::new(text.into())
}

pub(crate) fn stripe() -> Instrument {
    Instrument::Stripe(StripeCard {
        track1: None,
        track2: Some(secret("6200000000000005=30122010000012345")),
        track3: None,
        pan: secret("6200000000000005"),
        expiry: Some(secret("3012")),
        service_code: Some("201".into()),
        masked: "620000******0005".into(),
        luhn: true,
    })
}

fn instruments() -> [(&'static str, Instrument); 7] {
    [
        (
            "code",
            Instrument::Code(ScannedCode {
                text: secret("280123456789012345"),
                symbology: Some("Q1".into()),
            }),
        ),
        ("stripe", stripe()),
        (
            "encrypted",
            Instrument::Encrypted(EncryptedSwipe {
                scheme: "dukpt-tdes".into(),
                ksn: vec![0xff; 10],
                tracks: vec![(2, vec![1, 2, 3])],
                masked: "620000******0005".into(),
                expiry: None,
                service_code: None,
            }),
        ),
        (
            "chip",
            Instrument::Chip(ChipCard {
                contactless: true,
                aid: vec![0xa0, 0, 0, 3, 0x33, 1, 1],
                label: "UnionPay".into(),
                tlv: Sensitive::new(vec![0x9f, 0x26, 1, 2]),
                track2: Some(secret("6200000000000005=3012")),
                pan: secret("6200000000000005"),
                pan_sequence: Some(1),
                masked: "620000******0005".into(),
                cvm: Cvm::OnDevice,
            }),
        ),
        (
            "stored-value",
            Instrument::StoredValue(StoredValueCard {
                identifier: Sensitive::new(vec![4, 1, 2, 3]),
                authenticated: false,
                masked: "**23".into(),
                extra: extra(),
            }),
        ),
        ("show-code", Instrument::ShowCode),
        ("cash", Instrument::Cash { tendered: cny(20_000) }),
    ]
}

fn document() -> Document {
    Document {
        blocks: vec![
            Block::Text { text: "收据".into(), align: Align::Centre, style: Style::BIG },
            Block::Pair { label: "Total".into(), value: "128.50".into(), style: Style::BOLD },
            Block::Row(vec![Cell { text: "tea".into(), width: 3, align: Align::Right }]),
            Block::Rule { with: '-' },
            Block::Qr { data: "https://example.org".into(), module_dots: 6 },
            Block::Barcode { data: "T42".into() },
            Block::Feed { lines: 3 },
            Block::Cut,
            Block::DrawerPulse { pin: 0, on_ms: 100 },
        ],
    }
}

pub(crate) fn messages(g: &mut Golden) {
    for (name, instrument) in instruments() {
        g.is(&format!("instrument/{name}"), &instrument);
    }
    let cvms = [
        ("none", Cvm::None),
        ("on-device", Cvm::OnDevice),
        ("online-pin", Cvm::OnlinePin),
        ("signature", Cvm::Signature),
    ];
    for (name, cvm) in cvms {
        g.is(&format!("cvm/{name}"), &cvm);
    }
    calls(g);
    events(g);
}

fn calls(g: &mut Golden) {
    let description = DriverDescription {
        classes: vec!["printer".into(), "drawer".into()],
        model: "X-80".into(),
        capabilities: vec!["cutter".into()],
        certified: false,
        extra: extra(),
    };
    g.is("method/DESCRIBE_1/request", &());
    g.is("method/DESCRIBE_1/reply", &description);
    g.is("method/STATISTICS_1/request", &());
    g.is("method/STATISTICS_1/reply", &vec![(String::from("reads"), 300_u64)]);
    g.is("method/HEALTH_1/request", &HealthLevel::Internal);
    g.is("method/HEALTH_1/request-external", &HealthLevel::External);
    g.is("method/HEALTH_1/request-interactive", &HealthLevel::Interactive);
    g.is("method/HEALTH_1/reply", &Health { state: DeviceState::Attention, text: "paper near end".into() });
    let families = vec![Family::new(Family::CARD_STRIPE), Family::new(Family::QR_ALIPAY)];
    g.is("method/ENABLE_1/request", &EnableRequest { amount: cny(12_850), families, extra: extra() });
    g.is("method/ENABLE_1/reply", &());
    g.is("method/DISABLE_1/request", &());
    g.is("method/DISABLE_1/reply", &());
    let job = PrintJob { job: 7, document: document(), copy: 1, restarted: true, extra: extra() };
    g.is("method/PRINT_1/request", &job);
    g.is("method/PRINT_1/reply", &());
    g.is("method/CANCEL_PRINT_1/request", &7_u64);
    g.is("method/CANCEL_PRINT_1/reply", &());
    g.is(
        "method/OPEN_DRAWER_1/request",
        &OpenDrawer { reason: "no-sale: change".into(), pin: 1, extra: extra() },
    );
    g.is("method/OPEN_DRAWER_1/reply", &());
    g.is("method/SHOW_1/request", &ShowContent::Clear);
    g.is("method/SHOW_1/request-amount", &ShowContent::Amount(cny(1)));
    g.is("method/SHOW_1/request-qr", &ShowContent::Qr { data: "x".into(), amount: cny(1) });
    g.is("method/SHOW_1/request-text", &ShowContent::Text(vec!["a".into(), "b".into()]));
    let stages = [
        Stage::Total,
        Stage::Due,
        Stage::Change,
        Stage::Approved,
        Stage::Declined,
        Stage::Refunded,
        Stage::Receipt,
    ];
    let stage = |stage| StageContent { stage, amount: cny(12_850), extra: extra() };
    for s in stages {
        g.is(&format!("method/SHOW_1/request-stage-{}", s.as_str()), &ShowContent::Stage(stage(s)));
    }
    g.is("method/SHOW_1/reply", &());
    let announcement = |spoken| Announcement {
        key: "due/1".into(),
        language: "zh-CN".into(),
        spoken,
        urgent: true,
        valid_ms: 5_000,
        extra: extra(),
    };
    g.is("method/SAY_2/request", &announcement(Spoken::Stage(stage(Stage::Due))));
    g.is("method/SAY_2/request-text", &announcement(Spoken::Text("请稍候".into())));
    g.is("method/SAY_2/reply", &());
    let signals = [
        ("", Signal::Ready),
        ("-busy", Signal::Busy),
        ("-success", Signal::Success),
        ("-failure", Signal::Failure),
        ("-off", Signal::Off),
        ("-alarm", Signal::Alarm),
    ];
    for (name, signal) in signals {
        g.is(&format!("method/SIGNAL_1/request{name}"), &signal);
    }
    g.is("method/SIGNAL_1/reply", &());
    g.is("method/SAY_1/request", &Sentence { language: "zh-CN".into(), text: "支付成功".into() });
    g.is("method/SAY_1/reply", &());
    g.is(
        "method/ENTER_PIN_1/request",
        &PinRequest {
            pan: secret("6200000000000005"),
            amount: cny(12_850),
            format: 4,
            key: "pin".into(),
            timeout_ms: 30_000,
        },
    );
    g.is("method/ENTER_PIN_1/reply", &());
}

fn events(g: &mut Golden) {
    for (name, instrument) in instruments() {
        g.is(&format!("event/DRIVER_1/read-{name}"), &DriverEvent::Read(instrument));
    }
    let failure = ReadFailure { reason: "bad-lrc".into(), text: "swipe again".into() };
    g.is("event/DRIVER_1/read-failed", &DriverEvent::ReadFailed(failure));
    let states = [
        DeviceState::Unknown,
        DeviceState::Ready,
        DeviceState::Attention,
        DeviceState::Blocked,
        DeviceState::Offline,
        DeviceState::Failed,
    ];
    for state in states {
        let event = DriverEvent::State { state, text: "t".into() };
        g.is(&format!("event/DRIVER_1/state-{}", state.as_str()), &event);
    }
    for (name, state) in print_states() {
        g.is(&format!("event/DRIVER_1/print-{name}"), &DriverEvent::Print { job: 7, state });
    }
    g.is("event/DRIVER_1/drawer", &DriverEvent::Drawer(true));
    let pin = DriverEvent::Pin { block: Some(Sensitive::new(vec![1; 8])), ksn: vec![2; 10] };
    g.is("event/DRIVER_1/pin", &pin);
    g.is("event/DRIVER_1/pin-none", &DriverEvent::Pin { block: None, ksn: Vec::new() });
}

fn print_states() -> [(&'static str, PrintState); 7] {
    [
        ("started", PrintState::Started),
        ("held", PrintState::Held { reason: "paper-out".into() }),
        ("resumed", PrintState::Resumed),
        ("done", PrintState::Done),
        ("unconfirmed", PrintState::Unconfirmed),
        ("cancelled", PrintState::Cancelled),
        ("failed", PrintState::Failed { reason: "cutter".into(), partly: true }),
    ]
}
