//! A reader of pcscd's (PC/SC part 5; pcsc-lite).

use std::ffi::{CStr, CString};
use std::time::Duration;

use pcsc::{Card, Context, Disposition, Error, Protocols, ReaderState, Scope, ShareMode, State};
use zeroize::Zeroizing;

use crate::message::Presence;
use crate::slot::{CardError, Cards};

/// Words in the names of the contactless half of readers that have two.
const CONTACTLESS: [&str; 3] = ["PICC", "CONTACTLESS", " CL "];

/// Why there is no reader.
#[derive(Debug, thiserror::Error)]
pub enum ReaderError {
    /// pcscd.
    #[error(
        "pcscd does not answer ({0}): is it installed (apt install pcscd), and may this user use it (polkit)?"
    )]
    Service(Error),
    /// It has none.
    #[error("pcscd knows no reader: plug one in, and see `pcsc_scan -r`")]
    None,
    /// None of that name.
    #[error("no reader has {wanted:?} in its name; pcscd has: {there}")]
    Unknown {
        /// What was asked for.
        wanted: String,
        /// Names.
        there: String,
    },
    /// Which one?
    #[error("several readers fit: {0}; say which with --reader and a part of its name")]
    Several(String),
}

/// Which of the readers: the only one with this part in its name, or without one the only one, or the only one that calls itself contactless.
pub fn choose<'a>(names: &'a [String], wanted: Option<&str>) -> Result<&'a str, ReaderError> {
    let listed = |names: &[&str]| names.iter().map(|n| format!("{n:?}")).collect::<Vec<_>>().join(", ");
    let all: Vec<&str> = names.iter().map(String::as_str).collect();
    if all.is_empty() {
        return Err(ReaderError::None);
    }
    let fits = |name: &&str| match wanted {
        Some(part) => name.contains(part),
        None => all.len() == 1 || CONTACTLESS.iter().any(|word| name.to_uppercase().contains(word)),
    };
    match all.iter().copied().filter(|name| fits(name)).collect::<Vec<_>>().as_slice() {
        [only] => Ok(only),
        [] => match wanted {
            Some(part) => Err(ReaderError::Unknown { wanted: part.into(), there: listed(&all) }),
            None => Err(ReaderError::Several(listed(&all))),
        },
        several => Err(ReaderError::Several(listed(several))),
    }
}

/// A reader, and the card in it while it is active. No other program gets at the card meanwhile.
pub struct PcscReader {
    context: Context,
    name: CString,
    card: Option<Card>,
}

impl PcscReader {
    /// Opens the reader that [`choose`] takes.
    pub fn open(wanted: Option<&str>) -> Result<Self, ReaderError> {
        let context = Context::establish(Scope::System).map_err(ReaderError::Service)?;
        let names = match context.list_readers_owned() {
            Ok(names) => names,
            Err(Error::NoReadersAvailable) => Vec::new(),
            Err(error) => return Err(ReaderError::Service(error)),
        };
        let texts: Vec<String> = names.iter().map(|name| name.to_string_lossy().into_owned()).collect();
        let chosen = choose(&texts, wanted)?;
        let at = texts.iter().position(|text| text == chosen);
        let name = at.and_then(|at| names.get(at)).cloned().ok_or(ReaderError::None)?;
        Ok(Self { context, name, card: None })
    }

    /// Its name.
    pub fn name(&self) -> &CStr {
        &self.name
    }

    /// Whatever became of it, the card is nobody's any more.
    fn drop_card(&mut self, how: Disposition) {
        if let Some(card) = self.card.take()
            && let Err((card, _)) = card.disconnect(how)
        {
            drop(card);
        }
    }
}

fn judged(error: Error) -> CardError {
    match error {
        Error::NoSmartcard | Error::RemovedCard => CardError::None,
        Error::SharingViolation => CardError::Busy,
        Error::UnknownReader | Error::ReaderUnavailable | Error::NoReadersAvailable => {
            CardError::Gone("the reader was unplugged")
        }
        Error::NoService | Error::ServiceStopped | Error::InvalidHandle | Error::Shutdown => {
            CardError::Gone("pcscd ended")
        }
        Error::SecurityViolation | Error::NoAccess => {
            CardError::Gone("pcscd lets this user at no card: its polkit rule is missing")
        }
        _ => CardError::Mute,
    }
}

impl Cards for PcscReader {
    fn presence(&mut self) -> Result<Presence, CardError> {
        let mut states = [ReaderState::new(self.name.as_c_str(), State::UNAWARE)];
        match self.context.get_status_change(Some(Duration::ZERO), &mut states) {
            Ok(()) | Err(Error::Timeout) => {}
            Err(error) => return Err(judged(error)),
        }
        let seen = states[0].event_state();
        if seen.intersects(State::UNKNOWN | State::UNAVAILABLE) {
            return Err(judged(Error::UnknownReader));
        }
        Ok(match (seen.contains(State::PRESENT), self.card.is_some()) {
            (true, true) => Presence::Active,
            (true, false) => Presence::Inactive,
            (false, _) => Presence::None,
        })
    }

    fn power_on(&mut self) -> Result<Vec<u8>, CardError> {
        let (mode, any) = (ShareMode::Exclusive, Protocols::ANY);
        if let Some(card) = &mut self.card
            && card.reconnect(mode, any, Disposition::ResetCard).is_err()
        {
            self.drop_card(Disposition::ResetCard);
        }
        let card = match self.card.take() {
            Some(card) => card,
            None => self.context.connect(&self.name, mode, any).map_err(judged)?,
        };
        let status = card.status2_owned().map_err(judged)?;
        self.card = Some(card);
        Ok(status.atr().to_vec())
    }

    fn power_off(&mut self) {
        self.drop_card(Disposition::UnpowerCard);
    }

    fn transmit(&mut self, apdu: &[u8]) -> Result<Zeroizing<Vec<u8>>, CardError> {
        let Some(card) = &self.card else { return Err(CardError::None) };
        let mut buffer = Zeroizing::new(vec![0; pcsc::MAX_BUFFER_SIZE]);
        let said = match card.transmit(apdu, &mut buffer) {
            // Some drivers call it well when nothing came back: there is no answer without a status word.
            Ok(said) if said.len() < 2 => Err(Error::UnresponsiveCard),
            said => said.map(|said| Zeroizing::new(said.to_vec())),
        };
        match said {
            Ok(said) => Ok(said),
            Err(error) => {
                // Some drivers say only that it went wrong, and that the card is gone when they are asked.
                let (why, there) = (judged(error), self.presence()?);
                self.drop_card(Disposition::ResetCard);
                Err(if there == Presence::None { CardError::None } else { why })
            }
        }
    }
}

impl Drop for PcscReader {
    fn drop(&mut self) {
        self.power_off();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.into()).collect()
    }

    #[test]
    fn the_only_reader_the_contactless_half_or_the_one_that_was_named() {
        let one = names(&["Virtual PCD 00 00"]);
        assert_eq!(choose(&one, None).unwrap(), "Virtual PCD 00 00");
        let dual = names(&[
            "ACS ACR1252 Dual Reader [ACR1252 Dual Reader PICC] 00 00",
            "ACS ACR1252 Dual Reader [ACR1252 Dual Reader SAM] 01 00",
        ]);
        assert_eq!(choose(&dual, None).unwrap(), dual[0]);
        assert_eq!(choose(&dual, Some("SAM")).unwrap(), dual[1]);
        let shop = names(&["HID Global OMNIKEY 5422 Smartcard Reader 00 00", "Alcor Micro AU9540 00 00"]);
        let asked = choose(&shop, None).unwrap_err().to_string();
        assert!(asked.contains("OMNIKEY") && asked.contains("--reader"), "{asked}");
        assert!(matches!(choose(&shop, Some("00 00")), Err(ReaderError::Several(_))));
        let unknown = choose(&shop, Some("ACR")).unwrap_err().to_string();
        assert!(unknown.contains("\"ACR\"") && unknown.contains("Alcor"), "{unknown}");
        assert!(matches!(choose(&[], None), Err(ReaderError::None)));
    }

    #[test]
    fn what_pcscd_says_of_a_card_keeps_the_line_and_of_a_reader_ends_it() {
        assert_eq!(judged(Error::RemovedCard), CardError::None);
        assert_eq!(judged(Error::UnresponsiveCard), CardError::Mute);
        assert_eq!(judged(Error::ProtoMismatch), CardError::Mute);
        assert_eq!(judged(Error::SharingViolation), CardError::Busy);
        for gone in
            [Error::ServiceStopped, Error::NoService, Error::ReaderUnavailable, Error::SecurityViolation]
        {
            assert!(matches!(judged(gone), CardError::Gone(_)), "{gone}");
        }
    }
}
