//! How one acquirer speaks: field table, header, MAC, key forms, timing and response codes, all as data.
//!
//! The rules every Chinese POS acquirer shares are code; where acquirers differ is a [`Dialect`], read from TOML. The
//! one we ship is [`CUP`] (`dialects/cup.toml`). An integrator writes only the lines that differ: an overlay is merged
//! over the shipped text table by table.

mod answers;
mod downloads;
mod field;
mod pins;
mod raw;
mod rules;

pub use answers::{Action, AnswerRule};
pub use downloads::DownloadRules;
pub use field::{Align, FieldSpec, Kind, Size};
pub use rules::{
    Alphabet, Cipher, Envelope, Frame, KeyName, KeyPart, Layout, LengthForm, Mac, MacAlgorithm, MacForm,
    MacScope, RequestRules, ReversalRules, SignInForm, Timing,
};

use std::collections::BTreeMap;

/// The dialect this channel starts from: bank-card terminals of the Q/CUP 009.1 lineage.
pub const CUP: &str = include_str!("../../dialects/cup.toml");

/// Why a dialect cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DialectError {
    /// Not TOML, or not the shape of a dialect.
    #[error("dialect is not readable: {0}; compare it with dialects/cup.toml")]
    Syntax(String),
    /// A value contradicts another or the protocol.
    #[error("dialect {name}: {what}")]
    Rule {
        /// The dialect's own name.
        name: String,
        /// What is wrong and what is expected.
        what: String,
    },
}

/// One acquirer's way of speaking, checked. Built by [`Dialect::parse`] or [`Dialect::overlaid`].
#[derive(Debug, Clone)]
pub struct Dialect {
    /// Its name, for logs.
    pub name: String,
    /// Length prefix and cap.
    pub frame: Frame,
    /// Encodings shared by all fields.
    pub layout: Layout,
    /// TPDU and header bytes that go before every request.
    pub envelope: Envelope,
    /// Message authentication.
    pub mac: Mac,
    /// Values of the request fields that acquirers choose differently.
    pub request: RequestRules,
    /// Deadlines and key life.
    pub timing: Timing,
    /// How a reversal is built and when it is finished.
    pub reversal: ReversalRules,
    /// How parameters are downloaded.
    pub downloads: DownloadRules,
    fields: BTreeMap<u8, FieldSpec>,
    sign_in: BTreeMap<String, SignInForm>,
    answers: BTreeMap<String, AnswerRule>,
}

impl Dialect {
    /// Reads and checks a whole dialect.
    pub fn parse(text: &str) -> Result<Self, DialectError> {
        let table: toml::Table = text.parse().map_err(|error| syntax(&error))?;
        raw::check(table)
    }

    /// The shipped [`CUP`] dialect with `overlay` laid over it: tables merge, every other value replaces.
    pub fn overlaid(overlay: &str) -> Result<Self, DialectError> {
        Self::overlaid_by(overlay.parse().map_err(|error| syntax(&error))?)
    }

    /// The same with an overlay that has been read already (the `dialect` table of the settings).
    pub fn overlaid_by(overlay: toml::Table) -> Result<Self, DialectError> {
        let mut base: toml::Table = CUP.parse().map_err(|error| syntax(&error))?;
        merge(&mut base, overlay);
        raw::check(base)
    }

    /// How field `number` (2–64) is written; `None` when this dialect does not know it.
    pub fn field(&self, number: u8) -> Option<&FieldSpec> {
        self.fields.get(&number)
    }

    /// The numbers and forms of all known fields, ascending.
    pub fn fields(&self) -> impl Iterator<Item = (u8, &FieldSpec)> {
        self.fields.iter().map(|(number, spec)| (*number, spec))
    }

    /// The key form that the dialect's sign-in code asks for.
    pub fn sign_in_form(&self, code: &str) -> Option<&SignInForm> {
        self.sign_in.get(code)
    }

    /// The cipher of the keys that a sign-in brings, and so of the master key. The MAC's is the same.
    pub fn cipher(&self) -> Cipher {
        self.mac.algorithm.cipher()
    }

    /// What response code `code` (field 39) asks for. Codes outside the table are a plain decline.
    pub fn answer(&self, code: &str) -> AnswerRule {
        self.answers.get(code).cloned().unwrap_or_else(AnswerRule::unlisted)
    }

    /// All response codes that ask for this.
    pub fn codes(&self, action: Action) -> impl Iterator<Item = &str> {
        self.answers.iter().filter(move |(_, rule)| rule.action == action).map(|(code, _)| code.as_str())
    }

    /// Whether requests of this type carry field 64.
    pub fn signs_request(&self, mti: &str) -> bool {
        self.mac.requests.iter().any(|known| known == mti)
    }

    /// Whether replies of this type must carry a right field 64.
    pub fn signs_reply(&self, mti: &str) -> bool {
        self.mac.replies.iter().any(|known| known == mti)
    }

    /// Whether a balance (field 54) can be told, and believed: it is in the table, and the MAC of an answer covers it.
    pub fn tells_balances(&self) -> bool {
        let covered = match &self.mac.scope {
            MacScope::Message => true,
            MacScope::Fields(these) => these.contains(&54),
        };
        self.field(54).is_some() && self.signs_reply("0210") && covered
    }
}

fn syntax(error: &toml::de::Error) -> DialectError {
    DialectError::Syntax(error.to_string().trim_end().replace('\n', " "))
}

fn merge(base: &mut toml::Table, over: toml::Table) {
    for (key, value) in over {
        match (base.get_mut(&key), value) {
            (Some(toml::Value::Table(inner)), toml::Value::Table(value)) => merge(inner, value),
            (_, value) => {
                base.insert(key, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_dialect_is_sound() {
        let cup = Dialect::parse(CUP).unwrap();
        assert_eq!(cup.field(4).unwrap().to_string(), "n12");
        assert_eq!(cup.field(2).unwrap().to_string(), "LL n19");
        assert!(cup.field(128).is_none());
        assert!(cup.signs_request("0200") && !cup.signs_request("0800"));
    }

    #[test]
    fn an_overlay_changes_what_it_names_and_nothing_else() {
        let over = "[mac]\nalgorithm = \"x9.19\"\nform = \"raw\"\n[answers]\n25 = { action = \"approved\", text = \"x\" }\n\
                    [fields]\n20 = \"n4\"\n";
        let dialect = Dialect::overlaid(over).unwrap();
        assert_eq!(dialect.mac.algorithm, MacAlgorithm::X919);
        assert_eq!(dialect.mac.requests.len(), 4);
        assert_eq!(dialect.answer("25").action, Action::Approved);
        assert_eq!(dialect.answer("51").action, Action::Decline);
        assert!(dialect.field(20).is_some() && dialect.field(2).is_some());
    }

    #[test]
    fn an_unlisted_code_is_a_decline() {
        let cup = Dialect::parse(CUP).unwrap();
        assert_eq!(cup.answer("ZZ").action, Action::Decline);
        assert_eq!(cup.answer("").action, Action::Decline);
    }

    #[test]
    fn what_cannot_work_is_refused_with_its_place() {
        for (over, word) in [
            ("[fields]\n1 = \"n2\"", "field 1"),
            ("[fields]\n65 = \"n2\"", "field 65"),
            ("[fields]\n4 = \"n\"", "field 4"),
            ("[fields]\n4 = \"LL n200\"", "field 4"),
            ("[fields]\n64 = \"b4\"", "field 64"),
            ("[envelope]\ntpdu = \"60\"", "tpdu"),
            ("[envelope]\nheader = \"zz\"", "header"),
            ("[frame]\nmax_bytes = 100000", "max_bytes"),
            ("[request]\nsign_in_code = \"999\"", "sign_in"),
            ("[request]\npin_ksn_field = 52", "pin_ksn_field"),
            ("[request]\npin_ksn_field = 60", "pin_ksn_field"),
            ("[request]\npin_ksn_field = 61", "pin_ksn_field"),
            ("[request]\npin_ksn_field = 46", "pin_ksn_field"),
            ("[request]\npin_ksn_field = 7", "pin_ksn_field"),
            ("[request]\npin_ksn_field = 62\n[fields]\n52 = \"b16\"", "8 bytes"),
            ("[mac]\nalgorithm = \"rot13\"", "rot13"),
            ("[frame]\nunknown_key = 1", "unknown_key"),
            ("[answers]\nTOOLONG = { action = \"approved\", text = \"\" }", "TOOLONG"),
            ("[timing]\nanswer = 0", "answer"),
            ("[downloads]\nkeys = \"37\"", "downloads.keys"),
            ("[downloads]\nkeys_end = \"\"", "downloads.keys_end"),
            ("[downloads]\ntype = \"0\"", "downloads.type"),
            ("[sign_in.003]\ncipher = \"sm4\"", "mac.algorithm"),
            ("[mac]\nalgorithm = \"sm4-cbc\"", "mac.algorithm"),
            ("[sign_in.001]\ncipher = \"sm4\"", "sign_in.001"),
            ("[sign_in.001]\ncipher = \"sm1\"", "sm1"),
        ] {
            let error = Dialect::overlaid(over).unwrap_err().to_string();
            assert!(error.contains(word), "{over}: {error}");
        }
    }
}
