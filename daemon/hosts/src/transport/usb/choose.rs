//! Which interface of a device is the card reader (USB CCID rev. 1.1, 5.1: class 0Bh, protocol 00h: bulk endpoints), or the printer (USB Printing Devices 1.1, 4.4: class 07h, subclass 01h; protocol 01h one direction, 02h both).

use nusb::descriptors::{ConfigurationDescriptor, InterfaceDescriptor, TransferType};
use nusb::transfer::Direction;

const PRINTER: u8 = 7;
const PRINTERS: u8 = 1;
/// Packets of IEEE 1284.4 and IPP over USB (03h, 04h) are no byte stream.
const ONE_WAY: u8 = 1;
const BOTH_WAYS: u8 = 2;

/// An interface to claim. Endpoint addresses are the device's own: 01/82 and 02/81 both occur.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) struct Choice {
    pub(super) interface: u8,
    pub(super) alternate: u8,
    pub(super) out: u8,
    /// A printer of one direction has none.
    pub(super) back: Option<u8>,
}

/// Smart-card readers.
const READER: u8 = 0x0B;
/// Over the control pipe alone (ICCD), a protocol of USB tokens, are others.
const CCID: u8 = 0;
pub(super) const NO_ANSWERS: &str = "its card reader interface has no bulk IN endpoint";

/// The card reader's interface; a reason where there is none.
pub(super) fn choose_reader(configuration: &ConfigurationDescriptor<'_>) -> Result<Choice, &'static str> {
    let mut readers =
        configuration.interface_alt_settings().filter(|i| i.class() == READER && i.protocol() == CCID);
    let Some(interface) = readers.next() else {
        return Err("it has no card reader interface (class 0B, CCID)");
    };
    let out =
        endpoint(&interface, Direction::Out).ok_or("its card reader interface has no bulk OUT endpoint")?;
    let back = Some(endpoint(&interface, Direction::In).ok_or(NO_ANSWERS)?);
    Ok(Choice {
        interface: interface.interface_number(),
        alternate: interface.alternate_setting(),
        out,
        back,
    })
}

/// The best printer interface; a reason where there is none.
pub(super) fn choose(configuration: &ConfigurationDescriptor<'_>) -> Result<Choice, &'static str> {
    let printers = || {
        configuration.interface_alt_settings().filter(|i| i.class() == PRINTER && i.subclass() == PRINTERS)
    };
    if printers().next().is_none() {
        return Err("it has no printer interface (class 07)");
    }
    let streams = || printers().filter(|i| matches!(i.protocol(), ONE_WAY | BOTH_WAYS));
    if streams().next().is_none() {
        return Err("its printer interface speaks IEEE 1284.4 or IPP only, not ESC/POS");
    }
    streams()
        .filter_map(|i| {
            let out = endpoint(&i, Direction::Out)?;
            // One that calls itself of one direction is not listened to, whatever endpoints it lists.
            let back = (i.protocol() == BOTH_WAYS).then(|| endpoint(&i, Direction::In)).flatten();
            Some(Choice { interface: i.interface_number(), alternate: i.alternate_setting(), out, back })
        })
        .min_by_key(|c| (c.back.is_none(), c.interface, c.alternate))
        .ok_or("its printer interface has no bulk OUT endpoint")
}

fn endpoint(interface: &InterfaceDescriptor<'_>, direction: Direction) -> Option<u8> {
    let fits = |e: &nusb::descriptors::EndpointDescriptor<'_>| {
        e.transfer_type() == TransferType::Bulk && e.direction() == direction
    };
    interface.endpoints().find(fits).map(|e| e.address())
}

#[cfg(test)]
mod tests {
    use super::*;

    type Interface<'a> = (u8, u8, u8, u8, u8, &'a [(u8, u8)]);

    /// A configuration of interfaces: number, alternate, class, subclass, protocol, endpoints (address, attributes).
    fn configuration(interfaces: &[Interface<'_>]) -> Vec<u8> {
        let mut body = Vec::new();
        for (number, alternate, class, subclass, protocol, endpoints) in interfaces {
            let count = u8::try_from(endpoints.len()).unwrap();
            body.extend([9, 4, *number, *alternate, count, *class, *subclass, *protocol, 0]);
            for (address, attributes) in *endpoints {
                body.extend([7, 5, *address, *attributes, 64, 0, 0]);
            }
        }
        let length = u16::try_from(9 + body.len()).unwrap().to_le_bytes();
        let count = u8::try_from(interfaces.iter().filter(|i| i.1 == 0).count()).unwrap();
        [vec![9, 2, length[0], length[1], count, 1, 0, 0xC0, 50], body].concat()
    }

    fn chosen(interfaces: &[Interface<'_>]) -> Result<Choice, &'static str> {
        choose(&ConfigurationDescriptor::new(&configuration(interfaces)).unwrap())
    }

    /// An ACR122U: bulk 02h out, 82h in, interrupt 81h.
    #[test]
    fn a_card_reader_is_found_by_its_class_and_needs_both_directions() {
        let reader = |interfaces: &[Interface<'_>]| {
            choose_reader(&ConfigurationDescriptor::new(&configuration(interfaces)).unwrap())
        };
        let acr122 = (0, 0, 0x0B, 0, 0, [(0x81, 3), (0x02, 2), (0x82, 2)].as_slice());
        let choice = Choice { interface: 0, alternate: 0, out: 0x02, back: Some(0x82) };
        assert_eq!(reader(&[acr122]), Ok(choice));
        let second = (1, acr122.1, acr122.2, acr122.3, acr122.4, acr122.5);
        assert_eq!(reader(&[(0, 0, 3, 1, 1, &[(0x83, 3)]), second]), Ok(Choice { interface: 1, ..choice }));
        assert!(reader(&[(0, 0, 7, 1, 2, &[(0x01, 2), (0x82, 2)])]).unwrap_err().contains("class 0B"));
        assert!(reader(&[(0, 0, 0x0B, 0, 1, &[])]).unwrap_err().contains("CCID"), "control pipe only");
        assert!(reader(&[(0, 0, 0x0B, 0, 0, &[(0x02, 2)])]).unwrap_err().contains("bulk IN"));
        assert!(reader(&[(0, 0, 0x0B, 0, 0, &[(0x81, 3), (0x82, 2)])]).unwrap_err().contains("bulk OUT"));
    }

    #[test]
    fn endpoints_are_the_devices_own() {
        for (out, back) in [(0x01, 0x82), (0x02, 0x81)] {
            let choice = chosen(&[(0, 0, 7, 1, 2, &[(back, 2), (out, 2)])]);
            assert_eq!(choice, Ok(Choice { interface: 0, alternate: 0, out, back: Some(back) }));
        }
    }

    #[test]
    fn a_printer_of_one_direction_is_one_without_answers() {
        let one_way = Choice { interface: 0, alternate: 0, out: 1, back: None };
        assert_eq!(chosen(&[(0, 0, 7, 1, 1, &[(0x01, 2)])]), Ok(one_way));
        assert_eq!(chosen(&[(0, 0, 7, 1, 1, &[(0x01, 2), (0x82, 2)])]), Ok(one_way));
        // It says both directions and has one.
        assert_eq!(chosen(&[(0, 0, 7, 1, 2, &[(0x01, 2)])]), Ok(one_way));
    }

    #[test]
    fn of_several_the_one_that_answers_is_taken() {
        let both = [
            (0, 0, 7, 1, 1, [(0x01, 2)].as_slice()),
            (0, 1, 7, 1, 2, &[(0x01, 2), (0x82, 2)]),
            (1, 0, 3, 0, 0, &[(0x83, 3)]),
            (0, 2, 7, 1, 4, &[(0x04, 2), (0x85, 2)]),
        ];
        assert_eq!(chosen(&both), Ok(Choice { interface: 0, alternate: 1, out: 1, back: Some(0x82) }));
    }

    #[test]
    fn what_is_no_printer_says_why() {
        assert!(chosen(&[(0, 0, 3, 1, 1, &[(0x81, 3)])]).unwrap_err().contains("class 07"));
        assert!(chosen(&[(0, 0, 7, 1, 4, &[(0x01, 2), (0x82, 2)])]).unwrap_err().contains("IPP"));
        for endpoints in [&[(0x82, 2)][..], &[(0x01, 3)], &[]] {
            assert!(chosen(&[(0, 0, 7, 1, 2, endpoints)]).unwrap_err().contains("no bulk OUT"));
        }
    }
}
