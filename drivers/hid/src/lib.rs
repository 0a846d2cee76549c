//! HID reports for drivers whose device the kernel shows as `/dev/hidrawN`.
//!
//! * [`descriptor`]: a report descriptor (USB HID 1.11 §6.2.2) to the fields it lays out, without I/O and with every
//!   size bounded, because a descriptor is the device's word;
//! * [`place`]: where one field stands in a report, and what it says there;
//! * [`source`]: where a driver gets the descriptor from, which is the kernel or a setting.
//!
//! What the fields mean (a track, a code) is the driver's own matter.

pub mod descriptor;
pub mod place;
pub mod source;

pub use descriptor::{Descriptor, DescriptorFault, Kind, Usage};
pub use place::{Place, ReportFault};

/// Usage pages and usages of the devices here (HID Point of Sale Usage Tables 1.02, HID Usage Tables 1.5).
pub mod usage {
    use super::Usage;

    /// Generic Desktop: how many bytes of a buffered field count.
    pub const BYTE_COUNT: Usage = Usage { page: 0x01, id: 0x3B };
    /// Page of bar code scanners.
    pub const SCANNER: u16 = 0x8C;
    /// Page of magnetic stripe readers.
    pub const STRIPE: u16 = 0x8E;
    /// First page that a maker may fill.
    pub const VENDOR: u16 = 0xFF00;
}
