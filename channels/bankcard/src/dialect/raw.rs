//! From TOML as written to a dialect that is known to work.

use super::{
    Alphabet, AnswerRule, Cipher, Dialect, DialectError, DownloadRules, Envelope, FieldSpec, Frame, KeyName,
    Kind, Layout, LengthForm, Mac, MacAlgorithm, MacForm, MacScope, RequestRules, ReversalRules, SignInForm,
    Size, Timing, pins,
};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::time::Duration;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    name: String,
    frame: Frame,
    layout: RawLayout,
    envelope: RawEnvelope,
    mac: RawMac,
    request: RequestRules,
    timing: RawTiming,
    reversal: ReversalRules,
    #[serde(default)]
    downloads: DownloadRules,
    sign_in: BTreeMap<String, SignInForm>,
    fields: BTreeMap<String, String>,
    answers: BTreeMap<String, AnswerRule>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawLayout {
    tpdu_bytes: usize,
    header_bytes: usize,
    mti: Alphabet,
    bitmap: Alphabet,
    lengths: Alphabet,
    digits: Alphabet,
    track_separator: char,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawEnvelope {
    tpdu: String,
    header: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawMac {
    algorithm: MacAlgorithm,
    form: MacForm,
    scope: RawScope,
    requests: Vec<String>,
    replies: Vec<String>,
    unsigned_declines: Vec<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum RawScope {
    Whole(WholeMessage),
    Chosen { fields: Vec<u8> },
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum WholeMessage {
    Message,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTiming {
    connect: u64,
    answer: u64,
    key_life: u64,
}

const DAY_MS: u64 = 86_400_000;

pub(super) fn check(table: toml::Table) -> Result<Dialect, DialectError> {
    let raw: Raw = table.try_into().map_err(|error: toml::de::Error| super::syntax(&error))?;
    let name = raw.name.clone();
    let rule = |what: String| DialectError::Rule { name: name.clone(), what };

    let prefix_room = match raw.frame.length {
        LengthForm::Binary2 => 65_535,
        LengthForm::Bcd2 | LengthForm::Ascii4 => 9_995,
    };
    if raw.frame.max_bytes < 64 || raw.frame.max_bytes > prefix_room {
        return Err(rule(format!("frame.max_bytes must be 64 to {prefix_room} for this length form")));
    }
    let layout = layout(&raw.layout).map_err(&rule)?;
    let envelope = Envelope {
        tpdu: hex_of("envelope.tpdu", &raw.envelope.tpdu, layout.tpdu_bytes).map_err(&rule)?,
        header: hex_of("envelope.header", &raw.envelope.header, layout.header_bytes).map_err(&rule)?,
    };
    let fields = fields(raw.fields).map_err(&rule)?;
    let mac = mac(raw.mac, &fields).map_err(&rule)?;
    request(&raw.request, &fields).map_err(&rule)?;
    let sign_in = sign_in(raw.sign_in, &raw.request.sign_in_code, &mac).map_err(&rule)?;
    reversal(&raw.reversal).map_err(&rule)?;
    raw.downloads.check().map_err(&rule)?;
    for code in raw.answers.keys() {
        if code.len() != 2 || !code.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(rule(format!("answers.{code}: a response code is two letters or digits")));
        }
    }
    let timing = Timing {
        connect: millis("timing.connect", raw.timing.connect, 300_000).map_err(&rule)?,
        answer: millis("timing.answer", raw.timing.answer, 300_000).map_err(&rule)?,
        key_life: millis("timing.key_life", raw.timing.key_life, DAY_MS).map_err(&rule)?,
    };
    Ok(Dialect {
        name: raw.name,
        frame: raw.frame,
        layout,
        envelope,
        mac,
        request: raw.request,
        timing,
        reversal: raw.reversal,
        downloads: raw.downloads,
        fields,
        sign_in,
        answers: raw.answers,
    })
}

fn layout(raw: &RawLayout) -> Result<Layout, String> {
    let packed = |what: &str, value| match value {
        Alphabet::Bcd | Alphabet::Ascii => Ok(value),
        _ => Err(format!("layout.{what} is `bcd` or `ascii`")),
    };
    if raw.tpdu_bytes > 16 || raw.header_bytes > 64 {
        return Err("layout: a TPDU has at most 16 bytes and a header at most 64".into());
    }
    if !matches!(raw.bitmap, Alphabet::Binary | Alphabet::Hex) {
        return Err("layout.bitmap is `binary` or `hex`".into());
    }
    let digits = packed("digits", raw.digits)?;
    let separator_fits = match digits {
        Alphabet::Bcd => ('A'..='F').contains(&raw.track_separator),
        _ => raw.track_separator == '=' || ('A'..='F').contains(&raw.track_separator),
    };
    if !separator_fits {
        return Err("layout.track_separator is a nibble `A` to `F` (or `=` where digits are ascii)".into());
    }
    Ok(Layout {
        tpdu_bytes: raw.tpdu_bytes,
        header_bytes: raw.header_bytes,
        mti: packed("mti", raw.mti)?,
        bitmap: raw.bitmap,
        lengths: packed("lengths", raw.lengths)?,
        digits,
        track_separator: raw.track_separator,
    })
}

fn hex_of(what: &str, text: &str, bytes: usize) -> Result<Vec<u8>, String> {
    let value = hex::decode(text).map_err(|_| format!("{what} is not hexadecimal"))?;
    if value.len() == bytes { Ok(value) } else { Err(format!("{what} must be {bytes} bytes of hexadecimal")) }
}

fn fields(raw: BTreeMap<String, String>) -> Result<BTreeMap<u8, FieldSpec>, String> {
    let mut table = BTreeMap::new();
    for (key, form) in raw {
        let number = key.parse::<u8>().ok().filter(|number| (2..=64).contains(number));
        let number = number.ok_or_else(|| format!("field {key}: numbers go from 2 to 64 (one bitmap)"))?;
        let spec: FieldSpec = form.parse().map_err(|why| format!("field {number}: {why}"))?;
        table.insert(number, spec);
    }
    // The code reads these by their meaning, so their forms are not free.
    for (number, kind, size) in [
        (3, Kind::Digits, 6),
        (4, Kind::Digits, 12),
        (11, Kind::Digits, 6),
        (39, Kind::Alnum, 2),
        (41, Kind::Text, 8),
        (42, Kind::Text, 15),
        (64, Kind::Binary, 8),
    ] {
        let fits = table.get(&number).is_some_and(|spec| spec.kind == kind && spec.size == Size::Fixed(size));
        if !fits {
            return Err(format!("field {number} must stay as in dialects/cup.toml"));
        }
    }
    Ok(table)
}

fn mac(raw: RawMac, fields: &BTreeMap<u8, FieldSpec>) -> Result<Mac, String> {
    let scope = match raw.scope {
        RawScope::Whole(WholeMessage::Message) => MacScope::Message,
        RawScope::Chosen { fields: chosen } => {
            if chosen.is_empty() {
                return Err("mac.scope.fields is empty: the MAC would cover nothing".into());
            }
            if let Some(odd) = chosen.iter().find(|n| **n == 64 || (**n != 0 && !fields.contains_key(n))) {
                return Err(format!("mac.scope.fields: field {odd} cannot be covered"));
            }
            MacScope::Fields(chosen)
        }
    };
    for mti in raw.requests.iter().chain(&raw.replies) {
        if mti.len() != 4 || !mti.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(format!("mac: `{mti}` is not a message type"));
        }
    }
    if let Some(deaf) = raw.requests.iter().find(|mti| !raw.replies.contains(&reply_to(mti))) {
        return Err(format!("mac.replies must hold {}, the reply to {deaf}", reply_to(deaf)));
    }
    Ok(Mac {
        algorithm: raw.algorithm,
        form: raw.form,
        scope,
        requests: raw.requests,
        replies: raw.replies,
        unsigned_declines: raw.unsigned_declines,
    })
}

/// The reply type: third digit plus one.
fn reply_to(mti: &str) -> String {
    mti.char_indices()
        .map(|(at, digit)| {
            if at == 2 {
                char::from_digit((digit.to_digit(10).unwrap_or(0) + 1) % 10, 10).unwrap_or('0')
            } else {
                digit
            }
        })
        .collect()
}

fn request(rules: &RequestRules, fields: &BTreeMap<u8, FieldSpec>) -> Result<(), String> {
    pins::ksn_field(rules.pin_ksn_field, fields)?;
    let digits = |what: &str, text: &str, allowed: &[usize]| {
        if allowed.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit()) {
            Ok(())
        } else {
            Err(format!("request.{what} has the wrong number of digits"))
        }
    };
    digits("pin_control", &rules.pin_control, &[0, 16])?;
    digits("no_pin_control", &rules.no_pin_control, &[0, 16])?;
    digits("pin_capture_length", &rules.pin_capture_length, &[0, 2])?;
    digits("terminal_capability", &rules.terminal_capability, &[0, 1])?;
    digits("ic_condition", &rules.ic_condition, &[0, 1])?;
    for (what, code) in [
        ("sign_in_code", &rules.sign_in_code),
        ("sign_off_code", &rules.sign_off_code),
        ("echo_code", &rules.echo_code),
        ("settlement_code", &rules.settlement_code),
        ("upload_code", &rules.upload_code),
        ("upload_end_code", &rules.upload_end_code),
        ("upload_end_unbalanced_code", &rules.upload_end_unbalanced_code),
    ] {
        digits(what, code, &[3])?;
    }
    digits("upload_card_class", &rules.upload_card_class, &[2])?;
    if !(1..=999).contains(&rules.completion_percent) {
        return Err("request.completion_percent is 1 to 999".into());
    }
    if rules.operator.len() != 3 || !rules.operator.is_ascii() {
        return Err("request.operator is three characters".into());
    }
    tags("request.emv_tags", &rules.emv_tags)
}

fn sign_in(
    forms: BTreeMap<String, SignInForm>,
    wanted: &str,
    mac: &Mac,
) -> Result<BTreeMap<String, SignInForm>, String> {
    for (code, form) in &forms {
        let lengths: &[usize] = if form.cipher == Cipher::Sm4 { &[16] } else { &[8, 16] };
        let sound =
            form.parts.iter().all(|part| lengths.contains(&part.bytes) && (3..=8).contains(&part.check));
        let signs = form.parts.iter().filter(|part| part.key == KeyName::Mak).count();
        if !sound || form.skip > 16 || signs != 1 {
            return Err(format!(
                "sign_in.{code}: keys are 8 or 16 bytes (sm4: 16) with 3 to 8 bytes of check value, and exactly one is the mak"
            ));
        }
    }
    match forms.get(wanted) {
        Some(form) if form.cipher == mac.algorithm.cipher() => Ok(forms),
        Some(_) => Err(format!("mac.algorithm is of another cipher than the keys of [sign_in.{wanted}]")),
        None => Err(format!("request.sign_in_code asks for `{wanted}`, but there is no [sign_in.{wanted}]")),
    }
}

fn reversal(rules: &ReversalRules) -> Result<(), String> {
    if rules.max_sends == 0 || rules.max_connect_failures == 0 {
        return Err("reversal: both limits are at least 1".into());
    }
    if !rules.done.iter().any(|code| code == "00") {
        return Err("reversal.done must hold 00".into());
    }
    tags("reversal.keep_emv_tags", &rules.keep_emv_tags)
}

fn tags(what: &str, tags: &[String]) -> Result<(), String> {
    match tags.iter().find(|tag| !matches!(tag.len(), 2 | 4 | 6) || hex::decode(tag).is_err()) {
        Some(tag) => Err(format!("{what}: `{tag}` is not a tag in hexadecimal")),
        None => Ok(()),
    }
}

fn millis(what: &str, value: u64, most: u64) -> Result<Duration, String> {
    if (1..=most).contains(&value) {
        Ok(Duration::from_millis(value))
    } else {
        Err(format!("{what} is 1 to {most} milliseconds"))
    }
}
