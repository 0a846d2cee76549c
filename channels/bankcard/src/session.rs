//! Is the terminal signed in, with which keys, and until when?

use crate::keys::WorkingKeys;
use std::time::Duration;

/// The signed-in state of one terminal. Time is the boot clock in milliseconds, given from outside.
#[derive(Debug, Default)]
pub struct Session {
    keys: Option<WorkingKeys>,
    until_ms: u64,
    must_sign_in: bool,
    batch: Option<u32>,
}

impl Session {
    /// Installs the keys of a good sign-in.
    pub fn signed_in(&mut self, keys: WorkingKeys, batch: Option<u32>, now_ms: u64, life: Duration) {
        let life = u64::try_from(life.as_millis()).unwrap_or(u64::MAX);
        *self = Self { keys: Some(keys), until_ms: now_ms.saturating_add(life), must_sign_in: false, batch };
    }

    /// Asks for a new sign-in before the next request (codes 99, A0, 77, a bad MAC). The keys stay for reversals: the
    /// reversal of the request that failed goes out before the sign-in does.
    pub fn must_sign_in(&mut self) {
        self.must_sign_in = true;
    }

    /// Wipes the keys.
    pub fn forget(&mut self) {
        *self = Self { must_sign_in: self.must_sign_in, batch: self.batch, ..Self::default() };
    }

    /// The keys for a request that may move money; `None`: sign in first.
    pub fn for_request(&mut self, now_ms: u64) -> Option<&WorkingKeys> {
        if self.must_sign_in { None } else { self.for_reversal(now_ms) }
    }

    /// The keys for a reversal; `None`: sign in first.
    pub fn for_reversal(&mut self, now_ms: u64) -> Option<&WorkingKeys> {
        if now_ms >= self.until_ms {
            self.forget();
        }
        self.keys.as_ref()
    }

    /// The batch the host named at sign-in.
    pub fn batch(&self) -> Option<u32> {
        self.batch
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::{CUP, Dialect};
    use crate::keys::MasterKey;
    use crate::tdes::DesKey;

    fn keys() -> WorkingKeys {
        let dialect =
            Dialect::overlaid("[sign_in.777]\nparts = [{ key = \"mak\", bytes = 8, check = 4 }]").unwrap();
        assert!(Dialect::parse(CUP).is_ok());
        let (tmk, mak) =
            ("0123456789ABCDEFFEDCBA9876543210", [0x31, 0xA2, 0x85, 0xE0, 0xC4, 0xD3, 0x1F, 0x6B]);
        let wrapped = DesKey::new(&hex::decode(tmk).unwrap()).unwrap().encrypt(mak);
        let check = DesKey::new(&mak).unwrap().check_value();
        let field62 = [&wrapped[..], &check[..4]].concat();
        WorkingKeys::unwrap(&dialect, "777", &MasterKey::from_hex(tmk, None).unwrap(), &field62).unwrap()
    }

    #[test]
    fn keys_live_until_their_time_and_no_longer() {
        let mut session = Session::default();
        assert!(session.for_request(0).is_none());
        session.signed_in(keys(), Some(12), 1_000, Duration::from_hours(24));
        assert!(session.for_request(86_400_999).is_some());
        assert!(session.for_request(86_401_000).is_none());
        // Gone, not only hidden: an earlier time does not bring them back.
        assert!(session.for_reversal(1_000).is_none());
        assert_eq!(session.batch(), Some(12));
    }

    #[test]
    fn a_bad_mac_stops_requests_but_not_the_reversal_that_it_calls_for() {
        let mut session = Session::default();
        session.signed_in(keys(), None, 0, Duration::from_mins(1));
        session.must_sign_in();
        assert!(session.for_request(1).is_none());
        assert!(session.for_reversal(1).is_some());
        session.signed_in(keys(), None, 2, Duration::from_mins(1));
        assert!(session.for_request(3).is_some());
        session.forget();
        assert!(session.for_reversal(3).is_none());
    }
}
