//! What people see: whole screens, in both languages. The texts are of our own making.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use till_dbus::tree::{Channel, Device, JournalState, Payment, Terminal, Tree};
use till_dbus::types::{
    AttemptDetails, Blocker, LocalText, Maintenance, MerchantState, PaymentDetails, PaymentRow, PluginRow,
    Prompt, PromptArguments,
};
use tillctl::look::Look;
use tillctl::table::{Cell, render, width};
use tillctl::view;

fn plain() -> Look {
    Look::plain()
}

fn chinese() -> Look {
    Look { chinese: true, ..Look::plain() }
}

fn name(en: &str, zh: &str) -> LocalText {
    LocalText { en: en.into(), zh: zh.into() }
}

fn tree() -> Tree {
    let channel = |id: &str, names, state: &str, reason: &str, priority, families: &[&str]| Channel {
        id: id.into(),
        name: names,
        plugin: format!("org.tilld.{id}"),
        families: families.iter().map(|f| (*f).into()).collect(),
        operations: vec!["sale".into()],
        state: state.into(),
        reason: reason.into(),
        unresolved: u32::from(id == "bankcard"),
        priority,
        maintenance: Maintenance::default(),
        breakers: Vec::new(),
        merchant: MerchantState { state: "not-required".into(), ..MerchantState::default() },
    };
    Tree {
        terminal: Terminal {
            training: false,
            profile: till_dbus::types::ProfileState::default(),
            version: "0.1.0".into(),
            terminal: "T0000001".into(),
            current_channel: "cash".into(),
            active_payment: "/org/tilld/Till1/payment/p00000000000000000000000000000001".into(),
            state: "degraded".into(),
            blockers: vec![
                Blocker {
                    subject: "bankcard".into(),
                    code: "channel-signed-off".into(),
                    text: "channel Bank card is signed-off: ".into(),
                    text_zh: "银行卡：signed-off ".into(),
                },
                Blocker {
                    subject: "printer".into(),
                    code: "device-blocked".into(),
                    text: "device Receipt printer is blocked: paper out".into(),
                    text_zh: "小票打印机：blocked 缺纸".into(),
                },
            ],
        },
        journal: JournalState { head_seq: 1234, head_hash: "ab".into(), state: "well".into() },
        channels: vec![
            channel(
                "bankcard",
                name("Bank card", "银行卡"),
                "signed-off",
                "",
                20,
                &["card-magstripe", "card-chip"],
            ),
            channel("cash", name("Cash", "现金"), "ready", "", 50, &["cash"]),
        ],
        devices: vec![Device {
            id: "printer".into(),
            name: name("Receipt printer", "小票打印机"),
            plugin: "org.tilld.printer".into(),
            classes: vec!["printer".into(), "drawer".into()],
            transport: "tcp 192.0.2.9:9100".into(),
            state: "blocked".into(),
            reason: "paper out".into(),
            sandbox: Vec::new(),
            jobs: Some(Vec::new()),
        }],
        payments: vec![Payment {
            path: "/org/tilld/Till1/payment/p00000000000000000000000000000001".into(),
            id: "00000000000000000000000000000001".into(),
            amount: 12_850,
            currency: "CNY".into(),
            state: "ready".into(),
            prompt: Prompt { id: "present-instrument".into(), arguments: PromptArguments::default() },
            ..Payment::default()
        }],
    }
}

#[test]
fn status_names_what_stands_in_the_way_and_its_fix() {
    assert_eq!(
        view::status(&plain(), &tree()),
        "\
till      T0000001  degraded  (tilld 0.1.0)
channel   cash  Cash
payment   CNY 128.50  ask the customer for card, code or cash  00000000000000000000000000000001
journal   well  1234 records

in the way
  channel Bank card is signed-off
    → sign in: `tillctl sign-in bankcard`
  device Receipt printer is blocked: paper out
    → put paper in, close the cover, or clear the jam; the job goes on by itself

   channel   name       state       priority  takes                     remark
   bankcard  Bank card  signed-off        20  card-magstripe card-chip  1 unresolved
*  cash      Cash       ready             50  cash

device   name             class           state    at                  remark
printer  Receipt printer  printer drawer  blocked  tcp 192.0.2.9:9100  paper out
"
    );
}

#[test]
fn chinese_stands_straight() {
    assert_eq!(
        view::channels(&chinese(), &tree().channels, "cash"),
        "   通道      名称    状态    优先  支付方式                  说明
   bankcard  银行卡  未签到    20  card-magstripe card-chip  1 笔未决
*  cash      现金    就绪      50  cash
"
    );
    assert!(view::status(&chinese(), &tree()).contains("→ 签到：`tillctl sign-in bankcard`"));
}

#[test]
fn payments_are_dated_and_their_amounts_end_below_each_other() {
    let row = |id: char, state: &str, amount, currency: &str, opened_ms| PaymentRow {
        id: id.to_string().repeat(32),
        state: state.into(),
        amount,
        currency: currency.into(),
        channel: "cash".into(),
        opened_ms,
    };
    let rows = [
        row('a', "paid", 12_850, "CNY", 1_700_000_000_000),
        row('b', "cancelled", 5, "CNY", 1_600_000_000_000),
    ];
    assert_eq!(
        view::payments(&plain(), &rows),
        "\
opened                   amount  state      channel  payment
2023-11-14 22:13:20  CNY 128.50  paid       cash     aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
2020-09-13 12:26:40    CNY 0.05  cancelled  cash     bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb
"
    );
}

fn details() -> PaymentDetails {
    PaymentDetails {
        id: "0".repeat(31) + "1",
        amount: 12_850,
        currency: "CNY".into(),
        state: "paid".into(),
        subject: Some("午餐".into()),
        paid: 12_850,
        receipt: Some(7),
        receipt_printed: Some(true),
        seq: 42,
        opened_ms: 1_700_000_000_000,
        changed_ms: 1_700_000_003_000,
        attempts: vec![AttemptDetails {
            attempt: 1,
            channel: "bankcard".into(),
            family: Some("card-magstripe".into()),
            state: "approved".into(),
            account: Some("620000******0005".into()),
            trace: Some(17),
            batch: Some(1),
            reference: Some("123456789012".into()),
            decision: Some(
                r#"{"family":"card-magstripe","evidence":"track 2","pinned":null,"candidates":[
                    {"channel":"bankcard","verdict":"Chosen"},
                    {"channel":"cash","verdict":{"Excluded":"Family"}},
                    {"channel":"spare","verdict":{"Excluded":{"Failed":"no answer"}}}],
                    "chosen":"bankcard","config":"c"}"#
                    .into(),
            ),
            ..AttemptDetails::default()
        }],
        ..PaymentDetails::default()
    }
}

#[test]
fn a_payment_tells_why_its_channel_was_chosen() {
    assert_eq!(
        view::payment(&plain(), &details()),
        "  payment     00000000000000000000000000000001
  state       paid
  amount      CNY 128.50
  subject     午餐
  opened      2023-11-14 22:13:20
  changed     2023-11-14 22:13:23
  receipt     7  printed

attempt 1: bankcard  approved
  with        card-magstripe  620000******0005
  numbers     STAN 000017, batch 000001, reference 123456789012
  chosen by   card-magstripe (track 2); bankcard chosen; cash not: family; spare not: failed no answer
"
    );
}

#[test]
fn a_refused_plugin_is_shown_with_its_reason() {
    let row = |id: &str, problem: &str| PluginRow {
        id: id.into(),
        kind: "channel".into(),
        name: "Cash".into(),
        version: String::new(),
        instances: Vec::new(),
        problem: problem.into(),
        trust: "unsigned".into(),
    };
    let text = view::plugins(&plain(), &[row("org.tilld.cash", ""), row("", "/x/y: world writable")]);
    assert!(text.ends_with("refused: /x/y: world writable\n"), "{text}");
}

#[test]
fn json_keys_are_stable() {
    let keys = |value: &serde_json::Value| {
        let mut keys: Vec<String> = value.as_object().unwrap().keys().cloned().collect();
        keys.sort();
        keys.join(" ")
    };
    let tree = serde_json::to_value(tree()).unwrap();
    assert_eq!(keys(&tree), "channels devices journal payments terminal");
    assert_eq!(
        keys(&tree["terminal"]),
        "active-payment blockers current-channel profile state terminal training version"
    );
    assert_eq!(keys(&tree["terminal"]["blockers"][0]), "code subject text text-zh");
    assert_eq!(keys(&tree["journal"]), "head-hash head-seq state");
    assert_eq!(
        keys(&tree["channels"][0]),
        "breakers families id maintenance merchant name operations plugin priority reason state unresolved"
    );
    assert_eq!(keys(&tree["devices"][0]), "classes id jobs name plugin reason sandbox state transport");
    assert_eq!(
        keys(&tree["payments"][0]),
        "amount attempt-state channel currency id paid path prompt reason receipt seq state"
    );
    let details = serde_json::to_value(details()).unwrap();
    assert_eq!(
        keys(&details),
        "amount attempts cancel-requested changed-ms currency held id key opened-ms operator paid purpose reason receipt \
         receipt-printed recovered remaining returned seq state subject top-up-account training"
    );
    assert_eq!(
        keys(&details["attempts"][0]),
        "account amount attempt authorisation-code batch change channel code decision family kind next of operator order \
         queries reason receipt reference state text text-zh trace undos unknown-reason wants-card"
    );
    assert_eq!(details["amount"], 12_850, "amounts are whole minor units");
}

#[test]
fn nothing_from_outside_steers_the_terminal() {
    let mut tree = tree();
    tree.terminal.blockers[0].text = "bad\x1b[2Jplugin".into();
    tree.devices[0].reason = "line\nbreak".into();
    tree.channels[0].name.en = "\x07bell".into();
    let mut details = details();
    details.subject = Some("a\x1b]0;title\x07b".into());
    let text = view::status(&plain(), &tree) + &view::payment(&plain(), &details);
    assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text:?}");
    assert!(text.contains("line break"));
}

#[test]
fn colours_do_not_move_columns() {
    let look = Look { colour: true, ..Look::plain() };
    let rows = [
        vec![Cell::state(&look, "ready"), Cell::new("x")],
        vec![Cell::state(&look, "failed"), Cell::new("y")],
    ];
    let text = render(&look, &["state", "z"], &rows);
    let bare =
        text.replace("\x1b[32m", "").replace("\x1b[31m", "").replace("\x1b[1m", "").replace("\x1b[0m", "");
    assert_eq!(bare, "state   z\nready   x\nfailed  y\n");
    assert_ne!(bare, text);
    assert_eq!(width("小票 ok"), 7);
}

proptest::proptest! {
    #[test]
    fn any_text_keeps_a_table_straight(a in "\\PC{0,12}", b in "\\PC{0,12}") {
        let rows = [vec![Cell::new(&a), Cell::new("|")], vec![Cell::new(&b), Cell::new("|")]];
        let text = render(&Look::plain(), &["h", "|"], &rows);
        let ends: Vec<usize> = text.lines().map(width).collect();
        proptest::prop_assert!(ends.windows(2).all(|w| w[0] == w[1]), "{:?}", text);
    }
}
