//! PIN blocks: under the terminal's PIN key of its sign-in, or under a pad's own derived key (DUKPT) that its serial number names.

use super::booking::Code;
use super::cards::Instrument;
use super::host::Host;
use super::keys::{PinCheck, check_pin};
use super::message::Message;
use super::sm4;
use crate::counter::dukpt;

impl Host {
    pub(super) fn check_pin(
        &mut self,
        request: &Message,
        instrument: &Instrument,
        is_code: bool,
    ) -> Result<(), Code> {
        let Some(card) = self.cards.find(instrument, is_code) else {
            return Ok(());
        };
        if card.wrong_pins >= 3 {
            return Err("75");
        }
        let Some(block) = request.get(52) else {
            return if request.text(22).ends_with('1') { Err("30") } else { Ok(()) };
        };
        let Some(expected) = card.pin.as_deref() else { return Ok(()) };
        let pan = match request.text(53).get(..1) {
            Some("2") => instrument.clear(),
            Some("1") => "",
            _ => return Err("30"),
        };
        if (request.text(53).get(1..2) == Some("3")) != self.mac.is_sm4() {
            return Err("30");
        }
        let derived;
        let key: &[u8] = if let Some(ksn) = request.get(self.pin_ksn_field) {
            let ksn = <[u8; 10]>::try_from(ksn).map_err(|_| "30")?;
            // A pad's key is good for one block.
            if !self.key_serials.insert(ksn) {
                return Err("99");
            }
            derived = dukpt::pin_key(self.pin_base_key, ksn);
            &derived
        } else {
            let session = self.sessions.get(request.text(41)).ok_or("97")?;
            &session.keys.as_ref().ok_or("77")?.pik
        };
        let checked = if let Ok(block) = sm4::Wide::try_from(block) {
            sm4::check_pin(key, block, pan, expected)
        } else {
            check_pin(key, block.try_into().map_err(|_| "99")?, pan, expected)
        };
        match checked.map_err(|_| "99")? {
            PinCheck::Right => {
                card.wrong_pins = 0;
                Ok(())
            }
            PinCheck::Wrong => {
                card.wrong_pins += 1;
                Err(if card.wrong_pins >= 3 { "75" } else { "55" })
            }
            PinCheck::Unreadable => Err("99"),
        }
    }
}
