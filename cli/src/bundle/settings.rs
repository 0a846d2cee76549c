//! Configuration without secrets. Closed by default: a text stays only under a key that is known to hold none.
//!
//! Comments do not stay: people write passwords there.

use std::path::Path;

use toml::{Table, Value};

/// Keys whose texts stay. Those of plugins are where something is, and whose; never what opens it.
const KNOWN: &[&str] = &[
    "account_type",
    "address",
    "agreed",
    "also",
    "as",
    "at",
    "bins",
    "card_again",
    "channel",
    "channels",
    "charset",
    "chip",
    "close-at",
    "completion",
    "currency",
    "day",
    "days",
    "dir",
    "dirs",
    "drawer",
    "every",
    "families",
    "family",
    "from",
    "gateway",
    "holidays",
    "host",
    "hours",
    "id",
    "input",
    "kind",
    "language",
    "mcc",
    "model",
    "name",
    "never",
    "no_pin",
    "off",
    "on",
    "only",
    "path",
    "payout",
    "plugin",
    "prefer",
    "profile",
    "receipt-printer",
    "receipt-template",
    "rounding",
    "scope",
    "state-dir",
    "suffix",
    "terminal",
    "tls_ca",
    "ca_file",
    "tls_name",
    "trust",
    "until",
    "width",
    "workdays",
    "public-key",
];

/// Words in a key that make its value a secret, whatever it is.
const SECRET: &[&str] =
    &["pass", "pwd", "pin", "secret", "token", "hash", "cvv", "track", "private", "auth", "credential"];

/// What was taken out of a configuration: words that must not be anywhere else either, such as in a message about it.
pub fn words(text: &str, secrets: Option<&Path>) -> Vec<String> {
    let Ok(table) = text.parse::<Table>() else { return Vec::new() };
    let shown = redact(&table, secrets, &[]);
    let mut words = Vec::new();
    differences(&Value::Table(table), &Value::Table(shown), &mut words);
    // The longest first: one may be a part of another.
    words.sort_by_key(|w| std::cmp::Reverse(w.len()));
    words
}

/// Shorter words stand anywhere by chance.
const WORD: usize = 6;

fn differences(was: &Value, is: &Value, words: &mut Vec<String>) {
    match (was, is) {
        (Value::Table(was), Value::Table(is)) => {
            for (key, value) in was {
                if let Some(shown) = is.get(key) {
                    differences(value, shown, words);
                } else {
                    // Its key was taken out: whatever is below it goes.
                    words.push(key.clone());
                    differences(value, &Value::Boolean(false), words);
                }
            }
        }
        (Value::Table(was), _) => {
            for value in was.values() {
                differences(value, &Value::Boolean(false), words);
            }
        }
        (Value::Array(was), is) => {
            let none = Value::Boolean(false);
            for (n, value) in was.iter().enumerate() {
                differences(value, is.get(n).unwrap_or(&none), words);
            }
        }
        (Value::String(was), is) if is.as_str() != Some(was.as_str()) => {
            words.extend(was.lines().map(str::trim).filter(|l| l.len() >= WORD).map(str::to_owned));
        }
        (Value::Integer(was), is) if is.as_integer() != Some(*was) => {
            let was = was.to_string();
            words.extend((was.len() >= WORD).then_some(was));
        }
        _ => {}
    }
}

/// A configuration file as it may be shown; Err: it is no TOML (its text is not repeated: a secret may be on the wrong line).
pub fn file(text: &str, secrets: Option<&Path>) -> Result<String, String> {
    let table: Table = text.parse().map_err(|e: toml::de::Error| {
        let at = e.span().map_or(0, |s| text.get(..s.start).unwrap_or_default().matches('\n').count() + 1);
        format!("line {at}: this is no TOML; `tilld --check-config` says more")
    })?;
    let shown = redact(&table, secrets, &[]);
    toml::to_string_pretty(&shown).map_err(|e| e.to_string())
}

fn redact(table: &Table, secrets: Option<&Path>, above: &[&str]) -> Table {
    let mut shown = Table::new();
    for (key, value) in table {
        // A key can be a secret that stands where no key should.
        let name = if plain_key(key) { key.clone() } else { format!("[{} characters]", key.chars().count()) };
        let path: Vec<&str> = above.iter().copied().chain([key.as_str()]).collect();
        shown.insert(name, one(key, value, secrets, &path));
    }
    shown
}

fn plain_key(key: &str) -> bool {
    key.len() <= 32
        && key.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_')
        && key.bytes().filter(u8::is_ascii_digit).count() < 8
}

fn one(key: &str, value: &Value, secrets: Option<&Path>, path: &[&str]) -> Value {
    // A file in the folder of secrets is named, not opened.
    let names_file = (path.contains(&"secrets") && path.len() > 2) || key == "password-hash";
    let holds = SECRET.iter().any(|s| key.to_ascii_lowercase().contains(s))
        && !matches!(key, "no_pin" | "no_pin_limit" | "pin_ksn_field")
        && key != "merchant-auth";
    match value {
        Value::Table(inner) => Value::Table(redact(inner, secrets, path)),
        Value::Array(list) => Value::Array(list.iter().map(|v| one(key, v, secrets, path)).collect()),
        Value::String(text) if names_file => {
            let there = secrets.is_some_and(|dir| !text.contains('/') && dir.join(text).is_file());
            let shown = if there { text.clone() } else { taken(text) };
            Value::String(shown)
        }
        Value::String(text) if !holds && (KNOWN.contains(&key) || path.starts_with(&["shop"])) => {
            Value::String(without_user(text))
        }
        Value::String(text) => Value::String(taken(text)),
        Value::Integer(_) if holds => Value::String("[number]".into()),
        Value::Integer(n) if n.unsigned_abs() > 9_999_999_999 => Value::String("[number]".into()),
        Value::Float(_) | Value::Datetime(_) if holds => Value::String("[value]".into()),
        other => other.clone(),
    }
}

fn taken(text: &str) -> String {
    format!("[{} characters]", text.chars().count())
}

/// An address without user, password and query.
fn without_user(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    let (host, path) = rest.split_once('/').map_or((rest, None), |(h, p)| (h, Some(p)));
    let host = host.rsplit('@').next().unwrap_or_default();
    match path {
        Some(path) => format!("{scheme}://{host}/{path}"),
        None => format!("{scheme}://{host}"),
    }
}

/// A unit file, rule or policy of the site's own: without comments, and without values that a unit gives to programs.
pub fn site_file(text: &str) -> String {
    let mut out = String::new();
    let mut goes_on = false;
    for line in text.lines() {
        let secret = goes_on
            || ["Environment", "SetCredential", "ExecStart", "ExecReload", "ExecStop"]
                .iter()
                .any(|k| line.trim_start().starts_with(k));
        let ends_open = line.trim_end().ends_with('\\');
        match (line.trim_start().starts_with(['#', ';']), secret) {
            (true, _) => {}
            (false, true) => {
                let key = line.split('=').next().filter(|_| !goes_on).unwrap_or_default();
                out.extend([key, "=[", &line.chars().count().to_string(), " characters]\n"]);
            }
            (false, false) => {
                out.push_str(line);
                out.push('\n');
            }
        }
        goes_on = secret && ends_open;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_known_to_be_harmless_stays() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("alipay-key"), "x").unwrap();
        let text = r#"
# the password is hunter2-comment
[shop]
name = "Corner Café"
[journal]
dir = "/var/lib/tilld/journal"
[channel.alipay]
plugin = "org.tilld.alipay"
priority = 10
secrets = { app_private_key = "alipay-key", other = "hunter2-inline" }
[channel.alipay.settings]
gateway = "https://user:hunter2-url@gateway.example/api?token=hunter2-query"
app_id = "hunter2-app"
new_thing = "hunter2-unknown"
terminal_password = 123456
query_first_ms = 150
[channel.alipay.merchant-auth]
number = "898440154110042"
password-hash = "hunter2-hash"
[hunter2-table-UPPER]
x = "hunter2-x"
"#;
        let shown = file(text, Some(dir.path())).unwrap();
        assert!(!shown.contains("hunter2") && !shown.contains("123456"), "{shown}");
        let words = words(text, Some(dir.path()));
        for goes in [
            "hunter2-inline",
            "hunter2-app",
            "hunter2-unknown",
            "hunter2-hash",
            "123456",
            "hunter2-table-UPPER",
        ] {
            assert!(words.iter().any(|w| w == goes), "{goes}: {words:?}");
        }
        assert!(!words.iter().any(|w| w == "alipay-key" || w == "Corner Café"), "{words:?}");
        for stays in [
            "Corner Café",
            "/var/lib/tilld/journal",
            "https://gateway.example/api",
            "alipay-key",
            "priority = 10",
            "query_first_ms = 150",
        ] {
            assert!(shown.contains(stays), "{stays} is gone: {shown}");
        }
        let wrong = file("[a]\nkey = hunter2", None).unwrap_err();
        assert!(wrong.starts_with("line 2") && !wrong.contains("hunter2"), "{wrong}");
    }

    #[test]
    fn a_drop_in_gives_nothing_away() {
        let text = "[Service]\n# hunter2\nEnvironment=\"TOKEN=hunter2\" \\\n  MORE=hunter2\nSetCredential=pin:hunter2\n\
                    LoadCredential=tmk:/etc/tilld/secrets/tmk\n";
        let shown = site_file(text);
        assert!(!shown.contains("hunter2"), "{shown}");
        assert!(shown.contains("LoadCredential=tmk:/etc/tilld/secrets/tmk"), "{shown}");
    }
}
