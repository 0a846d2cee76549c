//! A frame as the model's bytes.
//!
//! Sources: CD5220 command table (`ESC Q A`, `ESC Q B`, `ESC *`, `CLR`, `ESC _`), Epson's customer display commands
//! (`US $`, `US X`, `US C`, `US MD1`, `CLR`, `ESC @`), LED8N (`ESC Q A`, `ESC s`); devices.md §5. Models differ: what is used here
//! is what nearly all of them have.

use crate::layout::{Frame, Lamp};
use crate::profile::{Charset, Profile, Protocol};
use crate::text;

const ESC: u8 = 0x1B;
const US: u8 = 0x1F;
const FS: u8 = 0x1C;
const CR: u8 = 0x0D;
const CLR: u8 = 0x0C;

/// Puts the display into a known state, also from the middle of a command that was cut off: the longest has three bytes of
/// parameters, and a `CR` ends a text.
pub fn reset(profile: &Profile, brightness: u8) -> Vec<u8> {
    let mut out = vec![CR, CR, CR, ESC, b'@', CLR];
    match profile.protocol {
        Protocol::Cd5220 => {
            out.extend([ESC, b'_', 0]);
            if brightness > 0 {
                out.extend([ESC, b'*', brightness]);
            }
        }
        Protocol::Epson => {
            // Overwrite mode, no cursor.
            out.extend([US, 1, US, b'C', 0]);
            if profile.charset == Charset::Gb18030 {
                out.extend([FS, b'&']);
            }
            if brightness > 0 {
                out.extend([US, b'X', brightness]);
            }
        }
        Protocol::Led8n => {}
    }
    out
}

/// Writes a frame; `from` is the column that each line begins at (scrolling). Every line is written whole, so nothing of
/// what stood there before remains.
pub fn frame(profile: &Profile, frame: &Frame, from: [usize; 2]) -> Vec<u8> {
    let mut out = Vec::with_capacity(64);
    if profile.protocol == Protocol::Led8n {
        let lamp = match frame.lamp {
            Lamp::Off => b'0',
            Lamp::Total => b'2',
            Lamp::Due => b'3',
            Lamp::Change => b'4',
        };
        out.extend([ESC, b's', lamp, ESC, b'Q', b'A']);
        let digits = text::encode(profile.charset, &frame.lines[0]);
        out.extend(if digits.is_empty() { vec![b' '; profile.columns] } else { digits });
        out.push(CR);
        return out;
    }
    for (row, (line, from)) in (0_u8..).zip(frame.lines.iter().zip(from)).take(profile.lines) {
        let bytes =
            text::encode(profile.charset, &text::window(profile.charset, line, from, profile.columns));
        if profile.protocol == Protocol::Cd5220 {
            out.extend([ESC, b'Q', b'A' + row]);
            out.extend(bytes);
            out.push(CR);
        } else {
            out.extend([US, b'$', 1, row + 1]);
            out.extend(bytes);
        }
    }
    out
}
