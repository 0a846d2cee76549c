//! The one way into a bundle: every text passes through here, and what looks like a card number, a code, a key, a token or
//! a hash of a password does not come out. What is taken out is named by its length and a short mark, so that the same
//! thing in two places can be told to be the same.

use std::hash::{DefaultHasher, Hash, Hasher};

/// Shortest run of digits that is masked: account numbers begin at thirteen, reference numbers (RRN) end at twelve.
const DIGITS: usize = 13;
/// Shortest run of hexadecimal digits that is masked: an 8-byte key half has sixteen, a DES key block of any kind more.
const HEX: usize = 16;
/// Shortest run of base64 that is masked: sixteen bytes of key have 24.
const BASE64: usize = 24;

/// Without secrets; line ends stay, other control characters become spaces.
pub fn scrub(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut pem = false;
    for one in text.split_inclusive('\n') {
        let (body, end) = one.strip_suffix('\n').map_or((one, ""), |b| (b, "\n"));
        // A block of PEM goes whole, but for the line that says what it was.
        if body.contains("-----BEGIN") {
            pem = !body.contains("-----END");
            let kind =
                body.split("-----BEGIN ").nth(1).and_then(|r| r.split("-----").next()).unwrap_or_default();
            let kind: String = kind.chars().filter(|c| c.is_ascii_uppercase() || *c == ' ').collect();
            out.extend(["[PEM ", &kind, "]"]);
            out.push_str(end);
            continue;
        }
        if pem {
            pem = !body.contains("-----END");
            continue;
        }
        line(&mut out, body);
        out.push_str(end);
    }
    out
}

fn line(out: &mut String, body: &str) {
    let clean: String = body.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let shown = quoted(&hashes(&clean), "string \"", '"');
    let shown = quoted(&shown, "integer `", '`');
    let shown = runs(&shown, |c| c.is_ascii_alphanumeric() || "+/=_-".contains(c), random);
    let shown = runs(&shown, |c| c.is_ascii_alphanumeric() || "+/=".contains(c), base64);
    let shown = runs(&shown, |c| c.is_ascii_alphanumeric(), hex);
    out.push_str(&digits(&shown));
}

/// What stands for something that was taken out.
fn mark(what: &str, taken: &str) -> String {
    let mut hasher = DefaultHasher::new();
    taken.hash(&mut hasher);
    format!("[{} {what} #{:05}]", taken.chars().count(), hasher.finish() % 100_000)
}

/// Every run of such characters goes through `judge`: Some stands in its place.
fn runs(text: &str, of: fn(char) -> bool, judge: fn(&str) -> Option<String>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(of) {
        let (before, from) = rest.split_at(at);
        let (run, after) = from.split_at(from.find(|c| !of(c)).unwrap_or(from.len()));
        out.push_str(before);
        match judge(run) {
            Some(stands) => out.push_str(&stands),
            None => out.push_str(run),
        }
        rest = after;
    }
    out + rest
}

/// A value that a message about a wrong type repeats: `invalid type: string "…", expected …`.
fn quoted(text: &str, begin: &str, end: char) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, from)) = rest.split_once(begin) {
        // What it says to be expected comes behind the last one.
        let (value, after) =
            from.split_once(&format!("{end}, expected")).map_or((from, None), |(v, a)| (v, Some(a)));
        out.push_str(before);
        out.push_str(begin);
        out.extend(["[", &value.chars().count().to_string(), " characters]"]);
        let Some(after) = after else { return out };
        out.push(end);
        out.push_str(", expected");
        rest = after;
    }
    out + rest
}

/// Hashes of passwords in the form `$argon2id$…`, `$6$…`.
fn hashes(text: &str) -> String {
    let begins = |word: &str| {
        let mut parts = word.split('$');
        parts.next().is_some() && parts.filter(|p| !p.is_empty()).count() >= 2
    };
    text.split_inclusive(char::is_whitespace)
        .map(|word| match word.find('$') {
            Some(at) if begins(&word[at..]) => {
                let end = word.len() - (word.len() - word.trim_end().len());
                let taken = word[at..end].trim_end_matches(['"', '\'', ',', '}', ')']);
                format!("{}{}{}", &word[..at], mark("characters", taken), &word[at + taken.len()..])
            }
            _ => word.to_owned(),
        })
        .collect()
}

fn kinds(run: &str) -> bool {
    let has = |of: fn(&u8) -> bool| run.bytes().any(|b| of(&b));
    has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase) && has(u8::is_ascii_digit)
}

fn base64(run: &str) -> Option<String> {
    let ours = run.starts_with("/org/tilld/Till1");
    (run.len() >= BASE64 && kinds(run) && !ours).then(|| mark("characters", run))
}

/// Base64 as in URLs has dashes and underscores, as names of devices have: they change between kinds of letters less often.
fn random(run: &str) -> Option<String> {
    let kind = |b: u8| match b {
        b'A'..=b'Z' => 0,
        b'a'..=b'z' => 1,
        b'0'..=b'9' => 2,
        _ => 3,
    };
    let bytes = run.as_bytes();
    let changes = bytes.windows(2).filter(|w| kind(w[0]) != kind(w[1])).count();
    (run.len() >= BASE64 && kinds(run) && changes * 2 >= run.len()).then(|| mark("characters", run))
}

fn hex(run: &str) -> Option<String> {
    // A payment's id has a `p` before it in paths.
    let (before, run) = run.strip_prefix('p').map_or(("", run), |rest| ("p", rest));
    let all = run.len() >= HEX && run.bytes().all(|b| b.is_ascii_hexdigit());
    (all && run.bytes().any(|b| !b.is_ascii_digit())).then(|| format!("{before}{}", mark("hex", run)))
}

/// Runs of 13 and more digits; single spaces, dashes, dots, `=` or `^` between them do not end a run. The first two and the last
/// four stay of those that stand alone; nothing of what follows them (a track's expiry date) does.
fn digits(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut run = String::new();
    for c in text.chars() {
        let between = matches!(c, ' ' | '-' | '.' | '=' | '^') && run.ends_with(|l: char| l.is_ascii_digit());
        if c.is_ascii_digit() || between {
            run.push(c);
        } else {
            flush(&mut out, &mut run);
            out.push(c);
        }
    }
    flush(&mut out, &mut run);
    out
}

fn flush(out: &mut String, run: &mut String) {
    // Dates, addresses and versions are runs too: what counts is one that is long without a pause of two.
    let count = run.chars().filter(char::is_ascii_digit).count();
    let longest = run.split(|c: char| !c.is_ascii_digit()).map(str::len).max().unwrap_or(0);
    let grouped =
        run.split([' ', '-']).filter(|g| g.len() >= 4 && g.bytes().all(|b| b.is_ascii_digit())).count() >= 3;
    if longest >= DIGITS || (count >= DIGITS && (grouped || run.contains(['=', '^']))) {
        let tail = run.len() - run.trim_end_matches(|c: char| !c.is_ascii_digit()).len();
        let body = &run[..run.len() - tail];
        let alone = body.bytes().all(|b| b.is_ascii_digit());
        if alone {
            out.push_str(&body[..2]);
            out.extend(std::iter::repeat_n('*', body.len() - 6));
            out.push_str(&body[body.len() - 4..]);
        } else {
            out.extend(["[", &count.to_string(), " digits]"]);
        }
        out.push_str(&run[run.len() - tail..]);
    } else {
        out.push_str(run);
    }
    run.clear();
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_secret_goes() {
        for (line, secret) in [
            ("pan 6200000000000005 declined", "6200000000000005"),
            ("4111 1111 1111 1111", "1111 1111"),
            ("4111-1111-1111-1111", "1111-1111"),
            ("6200000000000005=30121010000000000", "3012"),
            ("code=283746592018560001", "6592018560"),
            ("tmk 0123456789ABCDEFFEDCBA9876543210", "0123456789ABCDEF"),
            ("half C1D0F8FB4958670D", "C1D0F8FB4958670D"),
            ("key dGhpcyBpcyBhIGtleSBvZiAzMiBieXRlcyBmb3I=", "dGhpcyBpcyBh"),
            ("url-safe dGh_cyB-cyBh-Gt1eSB2ZiAzMiBieXRlcyBm", "dGh_cyB-cyBh"),
            ("hash = \"$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA\"", "c2FsdA"),
            ("-----BEGIN PRIVATE KEY-----\nMIIabc\n-----END PRIVATE KEY-----\nafter", "MIIabc"),
            ("invalid type: string \"hunter2, you\", expected a table", "hunter2"),
            ("invalid type: integer `4917`, expected a string", "4917"),
            ("x -----BEGIN EC PRIVATE KEY-----MIIabc-----END EC PRIVATE KEY-----", "MIIabc"),
        ] {
            let shown = scrub(line);
            assert!(!shown.contains(secret), "{line}: {shown}");
        }
        assert!(
            scrub("-----BEGIN PRIVATE KEY-----\nMIIabc\n-----END PRIVATE KEY-----\nafter\n")
                .ends_with("after\n")
        );
        assert!(
            !scrub("-----BEGIN PRIVATE KEY-----\nMIIabc").contains("MII"),
            "a block that was cut goes too"
        );
    }

    #[test]
    fn what_support_needs_stays() {
        for line in [
            "2026-11-22T23:10:16.123456Z  INFO till: ready terminal=T0000001",
            "rrn 123456789012 stan 000123 mid 898440154110",
            "/dev/serial/by-id/usb-Honeywell_Xenon_1900-if00",
            "tcp 192.168.100.150:9100, 10.0.0.1-10.0.0.20",
            "/usr/lib/tilld/plugins/org.tilld.bankcard/libtill_channel_bankcard.so",
            "SUBSYSTEM==\"tty\", ATTRS{idVendor}==\"1eab\"",
            "/org/tilld/Till1/channel/bankcard",
            "systemd 257.9-1~deb13u1 +PAM +AUDIT",
        ] {
            assert_eq!(scrub(line), line);
        }
        let id = "p0198c0de1234567890abcdef12345678";
        assert_eq!(scrub(id), scrub(id), "the same thing has the same mark");
        assert_ne!(scrub(id), scrub("p0198c0de1234567890abcdef12345679"));
    }

    proptest! {
        #[test]
        fn no_account_number_survives(before in "[a-z ,:=]{0,20}", pan in "[0-9]{13,19}", after in "[a-z ,:=]{0,20}") {
            let shown = scrub(&format!("{before}{pan}{after}"));
            prop_assert!(!shown.contains(&pan), "{}", shown);
            let longest = shown.split(|c: char| !c.is_ascii_digit()).map(str::len).max().unwrap_or(0);
            prop_assert!(longest < DIGITS, "{}", shown);
        }

        #[test]
        fn no_key_survives(key in proptest::array::uniform16(any::<u8>()), quote in "[ \"':=]{1}") {
            use base64::Engine;
            let hex = format!("{:032x}", u128::from_be_bytes(key));
            let hex_is_digits = hex.bytes().all(|b| b.is_ascii_digit());
            let b64 = base64::engine::general_purpose::STANDARD.encode(key);
            let shown = scrub(&format!("key{quote}{hex}{quote} {} b{quote}{b64}", hex.to_uppercase()));
            prop_assert!(hex_is_digits || !shown.contains(&hex), "{}", shown);
            prop_assert!(hex_is_digits || !shown.contains(&hex.to_uppercase()), "{}", shown);
            prop_assert!(!kinds(&b64) || !shown.contains(&b64), "{}", shown);
        }

        #[test]
        fn any_text_is_taken(text in "\\PC{0,200}") {
            let once = scrub(&text);
            prop_assert!(!once.chars().any(char::is_control));
        }
    }
}
