//! Who had keys replaced: a record of its own kind, before it is done. Folding the till skips it.

use serde::{Deserialize, Serialize};
use till_journal::{Journal, JournalError, NewRecord, Urgency};

/// Journal frame kind of these records.
pub const KIND_KEYS_ASKED: u16 = 4;

/// Somebody wants keys replaced. That it was done is told by the journal's own records (the chain's key) and by the keyring
/// (the master key).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeysAsked {
    /// Who.
    pub operator: String,
    /// chain, master, both.
    pub which: String,
}

impl KeysAsked {
    /// From a record's payload; None: it is not one.
    pub fn decode(payload: &[u8]) -> Option<Self> {
        serde_json::from_slice(payload).ok()
    }
}

/// Writes it down; durable when it returns.
pub(crate) async fn asked(journal: &Journal, what: &KeysAsked) -> Result<(), JournalError> {
    let payload = serde_json::to_vec(what).unwrap_or_default();
    let record = NewRecord { kind: KIND_KEYS_ASKED, subject: [0; 16], payload };
    journal.append(vec![record], Urgency::New)?.await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_who_wanted_which_key_replaced() {
        let asked = KeysAsked { operator: "007".into(), which: "both".into() };
        let payload = serde_json::to_vec(&asked).unwrap();
        assert_eq!(KeysAsked::decode(&payload), Some(asked));
        assert_eq!(KeysAsked::decode(&[]), None);
    }
}
