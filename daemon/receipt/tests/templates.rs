//! What a merchant writes, and what a shop would lose if it went wrong.

#![allow(clippy::expect_used, clippy::unwrap_used)]

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use till_driver_printer::encode::{self, Marks};
use till_driver_printer::profile::Profile;
use till_paper::{Machine, Model};
use till_plugin::document::{Align, Block, Document, Style};
use till_receipt::{Language, Slip, Template, TemplateError, Warning, default_template, samples};

const LANGUAGES: [Language; 2] = [Language::Chinese, Language::English];

static DEFAULTS: LazyLock<[Template; 2]> =
    LazyLock::new(|| LANGUAGES.map(|language| Template::load(default_template(language)).unwrap()));

fn card() -> Slip {
    samples(Language::English).swap_remove(0).slip
}

/// A template with what every receipt must show.
fn with(rest: &str) -> String {
    format!("{{{{ number }}}} {{{{ total }}}}\n{rest}")
}

fn refused(text: &str) -> TemplateError {
    Template::load(text).map(|_| ()).expect_err(text)
}

#[test]
fn the_default_templates_print_what_is_built_in() {
    for language in LANGUAGES {
        let template = Template::load(default_template(language)).unwrap();
        assert_eq!(template.warnings(), []);
        for sample in samples(language) {
            assert_eq!(template.render(&sample.slip).unwrap(), sample.slip.document(), "{}", sample.name);
        }
    }
}

#[test]
fn every_kind_of_line_is_a_block() {
    let template = Template::load(
        "Nr. {{ number }}\n@@home\n\n@centre big: {{ shop.name }}\n@right bold: r\n@pair wide: a | {{ total }}\n\
         @row 3 1^ 2>: x | {{ copy }} | z\n@rule =\n@feed 3\n@qr 8: https://example.com/{{ number }}\n\
         @barcode: {{ number }}\n{# nothing #}\n@cut\n",
    )
    .unwrap();
    let text = |text: &str, align, style| Block::Text { text: text.into(), align, style };
    let wide = Style { wide: true, ..Style::PLAIN };
    let cell = |text: &str, width, align| till_plugin::document::Cell { text: text.into(), width, align };
    assert_eq!(
        template.render(&card()).unwrap().blocks,
        [
            text("Nr. 00000018", Align::Left, Style::PLAIN),
            text("@home", Align::Left, Style::PLAIN),
            Block::Feed { lines: 1 },
            text("Wang's Tea House", Align::Centre, Style::BIG),
            text("r", Align::Right, Style::BOLD),
            Block::Pair { label: "a".into(), value: "¥128.50".into(), style: wide },
            Block::Row(vec![
                cell("x", 3, Align::Left),
                cell("0", 1, Align::Centre),
                cell("z", 2, Align::Right)
            ]),
            Block::Rule { with: '=' },
            Block::Feed { lines: 3 },
            Block::Qr { data: "https://example.com/00000018".into(), module_dots: 8 },
            Block::Barcode { data: "00000018".into() },
            Block::Cut,
        ]
    );
}

#[test]
fn mistakes_are_named_with_their_line() {
    for (text, says) in [
        ("a\n{{ shop.nmae }}\n", "line 2: there is no field `shop.nmae`"),
        ("{% if copy %}\n{{ shpo.name }}\n{% endif %}\n", "line 2: there is no field `shpo.name`"),
        ("a\n\n{% for p in parts %}{{ p.acount }}{% endfor %}\n", "line 3: there is no field `p.acount`"),
        ("a\n{% if total %}\n", "line 3: "),
        ("a\n{{ total\n", "line 2: `{{` without `}}`"),
        ("a\n{{ total | shout }}\n", "line 2: `shout`"),
        ("\n\n@centre bigg: x\n", "line 3: there is no look `bigg`"),
        ("\n@centr: x\n", "line 2: there is no `@centr`"),
        ("a\n@pair: no bar\n", "line 2: `@pair` wants two texts"),
        ("a\n@row 1 2: one\n", "line 2: the row has 1 cells and 2 widths"),
        ("a\n\n@feed 99\n", "line 3: `@feed` is a number"),
        ("@{{ title }}: x\n", "line 1: a field stands where the kind"),
        ("a\n@cut: now\n", "line 2: `@cut` prints no text"),
        ("a\n{{ parts }}\n", "line 2: a sequence cannot be printed"),
        ("{{ number }}\n", "does not show the amount"),
        ("{{ total }}\n", "does not show the number"),
        (
            "{{ number }}{% if not copy %}{{ total }}{% endif %}\n",
            "the copy receipt does not show the amount",
        ),
        ("a\u{E001}\n", "line 1: character U+E001"),
        ("a\u{1B}@\n", "line 1: character U+001B"),
    ] {
        let error =
            refused(&if says.contains("show the") { text.to_owned() } else { format!("{text}{}", with("")) });
        assert!(error.to_string().contains(says), "{text:?}\n  said {error}\n  not  {says}");
    }
}

#[test]
fn what_could_run_away_is_refused_or_ends() {
    let deep =
        |n: usize| format!("{}{{{{ 1 }}}}{}", "{% for a in parts %}".repeat(n), "{% endfor %}".repeat(n));
    for text in [
        "{% set a = number %}",
        "{% macro m() %}x{% endmacro %}",
        "{% include 'other' %}",
        "{% with a = number ~ number %}{{ a }}{% endwith %}",
        "{% for a in parts recursive %}{{ loop(a) }}{% endfor %}",
        "{% filter upper %}x{% endfilter %}",
        "{% raw %}{{ x }}{% endraw %}",
        "{{ 'x' * 1000000000 }}",
        "{{ {'a': 1} }}",
        &deep(4),
        &format!("{{{{ number{} }}}}", " ~ number".repeat(40)),
        &"x".repeat(20_000),
    ] {
        let error = refused(&with(text));
        assert!(
            matches!(error, TemplateError::NotHere { .. } | TemplateError::Size { .. }),
            "{text:.60}: {error}"
        );
    }
    // 60 x 60 x 60 rounds.
    for inner in ["a long enough line", "", "@cut\n"] {
        let list = format!("[{}]", vec!["1"; 60].join(","));
        let text =
            format!("{}{inner}\n{}", format!("{{% for a in {list} %}}").repeat(3), "{% endfor %}".repeat(3));
        let began = Instant::now();
        let error = refused(&with(&text));
        assert!(error.to_string().contains("too much"), "{error}");
        assert!(began.elapsed() < Duration::from_secs(5), "{inner:?}");
    }
    // Text that grows by replacing.
    let grow = " | replace('0', '00000000000000000000')".repeat(12);
    let error = refused(&with(&format!("{{{{ number{grow} }}}}"))).to_string();
    assert!(
        error.contains("line 2: the template makes too much (a text of more than 4096 bytes)"),
        "{error}"
    );
}

#[test]
fn a_template_that_hides_what_people_must_know_is_told_so() {
    let warnings = Template::load(&with("")).unwrap().warnings().to_vec();
    for warning in
        [Warning::Copy, Warning::Signature, Warning::Change, Warning::Account, Warning::Kind("refund")]
    {
        assert!(warnings.contains(&warning), "{warning}");
    }
}

#[test]
fn what_only_one_receipt_breaks_is_an_error_and_the_built_in_one_stands() {
    // No sample has such a subject.
    let template = Template::load(&with("{% if subject == 'tea' %}@barcode: 茶{% endif %}")).unwrap();
    assert!(template.render(&card()).is_ok());
    let tea = Slip { subject: "tea".into(), ..card() };
    let error = template.render(&tea).unwrap_err();
    assert!(matches!(error, TemplateError::Layout { line: 2, .. }), "{error}");
    assert!(tea.document().blocks.len() > 10);
}

/// What a person reads on a Chinese printer that was sent this document.
fn paper(document: &Document) -> (Machine, usize) {
    let profile = Profile::built_in("generic-80").unwrap();
    let atoms = encode::encode(&profile, document, Marks::default()).unwrap();
    let mut machine = Machine::new(Model::default());
    for atom in &atoms {
        machine.receive(&atom.bytes);
    }
    let cuts = machine.receipts().len();
    (machine, cuts)
}

fn nasty() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("@cut".to_owned()),
        Just("\n@cut\n@qr: x".to_owned()),
        Just("\r\n@feed 9\r\n".to_owned()),
        Just("{{ total }}{% if x %}".to_owned()),
        Just("{# #}|:@@".to_owned()),
        Just("\u{1B}p\u{0}2\u{2}".to_owned()),
        Just("\u{10}\u{14}\u{1}\u{0}\u{1}".to_owned()),
        Just("\u{E001}\u{E002}\u{E010}7\u{E011}".to_owned()),
        Just("  茶 ".to_owned()),
        "[ -~]{0,20}",
        any::<String>(),
    ];
    proptest::collection::vec(piece, 0..4).prop_map(|pieces| pieces.concat())
}

fn filled(words: &[String]) -> Slip {
    let mut slip = card();
    let mut next = words.iter().cloned().cycle();
    let mut word = || next.next().unwrap_or_default();
    slip.shop.name = word();
    slip.shop.lines = vec![word(), word()];
    slip.shop.footer = vec![word()];
    slip.subject = word();
    slip.reason = word();
    slip.operator = Some(word());
    slip.terminal = word();
    let part = &mut slip.parts[0];
    (part.channel, part.reference) = (word(), word());
    (part.account, part.authorisation) = (Some(word()), Some(word()));
    (part.extra[0].label, part.extra[0].value) = (word(), word());
    slip
}

/// As the driver takes text: without control characters; ours loses its stand-ins besides.
fn clean(document: &Document) -> Document {
    let strip = |text: &str| -> String {
        text.chars()
            .filter(|c| *c == '\n' || !(c.is_control() || ('\u{E000}'..='\u{E01F}').contains(c)))
            .collect()
    };
    let block = |block: &Block| match block {
        Block::Text { text, align, style } => Block::Text { text: strip(text), align: *align, style: *style },
        Block::Pair { label, value, style } => {
            Block::Pair { label: strip(label), value: strip(value), style: *style }
        }
        other => other.clone(),
    };
    Document { blocks: document.blocks.iter().map(block).collect() }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn whatever_is_in_the_fields_is_text(words in proptest::collection::vec(nasty(), 15), zh in any::<bool>()) {
        let slip = Slip { language: if zh { "zh" } else { "en" }, ..filled(&words) };
        let template = &DEFAULTS[usize::from(!zh)];
        let document = template.render(&slip).unwrap();
        // Block by block what the built-in layout makes: nothing came out of a field but text.
        prop_assert_eq!(&document, &clean(&slip.document()));
        let (machine, cuts) = paper(&document);
        prop_assert_eq!((cuts, machine.pulses().len()), (1, 0), "one cut, no drawer");
        prop_assert!(machine.unknown().is_empty());
    }

    #[test]
    fn no_text_is_too_strange_to_be_told_about(text in prop_oneof![nasty(), "(@[a-z]{1,6} ?[0-9a-z]{0,3}:?|\\{\\{ ?[a-z.]{1,9} ?[|~+] ?[a-z'\"]{0,9} ?\\}\\}|\\{% (if|for|set|endif) [a-z ]{0,9}%\\}|\n){0,12}"]) {
        // Loads or says why; never panics, never hangs.
        let _ = Template::load(&with(&text));
    }
}
