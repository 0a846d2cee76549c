//! Parameter downloads: what this host has for its terminals, and how it tells them (channels.md §1.3, §6).
//!
//! Lists are asked for by 0820 (60.3 = 372 keys, 382 applications), all else by 0800 (394 contactless, 370 a key, 380 an
//! application, 371, 381, 395 the end). Field 62 of a list question is `1` and two digits, how many entries came before;
//! of an answer first `0` nothing, `1` all of it, `2` more follow, `3` the last page.

mod model;
mod wrong;

pub use model::{Application, Parameters, PublicKey};
pub use wrong::Wrong;

use super::host::{Answer, Field60, Host, Now};
use super::message::Message;

/// The network codes of downloads, and what a fault calls them.
pub(super) const CODES: [(&str, &str, &str); 8] = [
    ("0800", "394", "contactless-limits"),
    ("0800", "395", "contactless-end"),
    ("0820", "372", "key-list"),
    ("0800", "370", "key"),
    ("0800", "371", "key-end"),
    ("0820", "382", "application-list"),
    ("0800", "380", "application"),
    ("0800", "381", "application-end"),
];

/// Whether this is a question of a download.
pub(super) fn is_download(mti: &str, net: &str) -> bool {
    CODES.iter().any(|(known, code, _)| (*known, *code) == (mti, net))
}

impl Host {
    /// Answers a question of a download.
    pub(super) fn download(&mut self, request: &Message, now: &Now) -> Answer {
        let net = Field60::of(request).net().to_owned();
        let question = request.get(62).unwrap_or_default();
        self.downloaded.push(format!("{net} {}", hex::encode_upper(question)).trim_end().to_owned());
        let parameters = &self.parameters;
        let told = match net.as_str() {
            "394" => Some(parameters.contactless()),
            "372" => parameters.list(question, parameters.keys.iter().map(PublicKey::entry).collect()),
            "382" => {
                parameters.list(question, parameters.applications.iter().map(Application::name).collect())
            }
            "370" => {
                let named = parameters.keys.iter().find(|key| key.name() == question);
                Some(named.map_or_else(nothing, |key| whole(key.told(parameters.wrong))))
            }
            "380" => {
                let named = parameters.applications.iter().find(|a| a.name() == question);
                Some(named.map_or_else(nothing, |a| whole(a.told())))
            }
            _ => Some(Vec::new()),
        };
        let Some(told) = told else { return Self::refuse(request, now, "30") };
        let told =
            parameters.wrong.map_or_else(|| told.clone(), |wrong| wrong.spoil(&net, question, told.clone()));
        let mut message = Self::reply(request, now);
        message.set(39, "00");
        if !told.is_empty() {
            message.set(62, told);
        }
        if self.parameters.wrong == Some(Wrong::AnotherCode) {
            let begins = request.text(60).get(..8).unwrap_or_default().to_owned();
            message.set(60, format!("{begins}399"));
        }
        Answer { message, mak: None }
    }
}

impl Parameters {
    /// A page of a list, behind what the terminal says it has. `None`: its question makes no sense.
    fn list(&self, question: &[u8], entries: Vec<Vec<u8>>) -> Option<Vec<u8>> {
        let [b'1', tens @ b'0'..=b'9', ones @ b'0'..=b'9'] = question else { return None };
        let had = usize::from(tens - b'0') * 10 + usize::from(ones - b'0');
        let mut rest = entries.into_iter().skip(had);
        let page: Vec<Vec<u8>> = rest.by_ref().take(self.page.max(1)).collect();
        let more = rest.next().is_some();
        let mark = match (page.is_empty(), more, had) {
            (true, ..) => b'0',
            (false, true, _) => b'2',
            (false, false, 0) => b'1',
            (false, false, _) => b'3',
        };
        Some([&[mark][..], &page.concat()].concat())
    }

    /// Tag, three digits of length, value: text, object after object.
    fn contactless(&self) -> Vec<u8> {
        let object = |(tag, value): (&String, &String)| format!("{tag}{:03}{value}", value.len());
        let text = self.contactless.iter().map(object).collect::<Vec<_>>().concat();
        if text.is_empty() { nothing() } else { text.into_bytes() }
    }
}

fn nothing() -> Vec<u8> {
    b"0".to_vec()
}

fn whole(body: Vec<u8>) -> Vec<u8> {
    [b"1".to_vec(), body].concat()
}
