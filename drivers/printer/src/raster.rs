//! Pictures in dots, sent in bands, and the QR code as a picture for printers that cannot draw one.

use crate::command;
use qrcode::{Color, EcLevel, QrCode};

/// Most rows a picture may have: 50 cm at 203 dots per inch. A longer one is a mistake, or somebody's paper.
pub const MAX_ROWS: usize = 4000;
/// Widest print head there is, dots.
pub const MAX_DOTS: usize = 1024;

/// Why a picture cannot be printed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RasterError {
    /// Nothing to print.
    #[error("picture is {width} x {rows} dots: both must be at least 1")]
    Empty {
        /// Dots across.
        width: usize,
        /// Dots down.
        rows: usize,
    },
    /// Wider than the head, or longer than allowed.
    #[error(
        "picture is {width} x {rows} dots: at most {MAX_DOTS} x {MAX_ROWS} can be printed; scale it down first"
    )]
    TooLarge {
        /// Dots across.
        width: usize,
        /// Dots down.
        rows: usize,
    },
    /// The dots given do not fill the picture.
    #[error("picture data has {got} bytes, {want} were expected")]
    Length {
        /// Bytes wanted: rows × ceil(width / 8).
        want: usize,
        /// Bytes given.
        got: usize,
    },
}

/// A picture, one bit a dot, black is 1, rows padded to bytes, leftmost dot in the highest bit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bitmap {
    row_bytes: usize,
    rows: usize,
    dots: Vec<u8>,
}

impl Bitmap {
    /// Checks sizes before anything is allocated or sent.
    pub fn new(width: usize, rows: usize, dots: Vec<u8>) -> Result<Self, RasterError> {
        if width == 0 || rows == 0 {
            return Err(RasterError::Empty { width, rows });
        }
        if width > MAX_DOTS || rows > MAX_ROWS {
            return Err(RasterError::TooLarge { width, rows });
        }
        let row_bytes = width.div_ceil(8);
        if dots.len() != row_bytes * rows {
            return Err(RasterError::Length { want: row_bytes * rows, got: dots.len() });
        }
        Ok(Self { row_bytes, rows, dots })
    }

    /// The picture as complete `GS v 0` commands of at most `band_rows` rows: small printers have buffers of 4 KiB.
    pub fn bands(&self, band_rows: usize) -> Vec<Vec<u8>> {
        let band_rows = band_rows.clamp(1, 255);
        self.dots
            .chunks(self.row_bytes * band_rows)
            .map(|band| {
                let rows = u16::try_from(band.len() / self.row_bytes).unwrap_or(u16::MAX);
                let wide = u16::try_from(self.row_bytes).unwrap_or(u16::MAX);
                let mut out = command::raster_header(wide, rows).to_vec();
                out.extend_from_slice(band);
                defuse(&mut out[8..]);
                out
            })
            .collect()
    }

    /// Rows of dots.
    pub fn rows(&self) -> usize {
        self.rows
    }
}

/// Takes real-time commands out of picture data: printers act on `DLE EOT`, `DLE ENQ` and `DLE DC4` (drawer!) even in the middle of a
/// picture. One more black dot beside a black dot is not seen.
fn defuse(dots: &mut [u8]) {
    for at in 0..dots.len() {
        let next = dots.get(at + 1).copied().unwrap_or(0x1D);
        if dots[at] == 0x10 && matches!(next, 0x04 | 0x05 | 0x14) {
            dots[at] = 0x18;
        }
    }
}

/// Modules across the QR code for `data` at level M, without its quiet zone; `None` where no QR code holds it.
pub fn qr_modules(data: &[u8]) -> Option<usize> {
    Some(QrCode::with_error_correction_level(data, EcLevel::M).ok()?.width())
}

/// A QR code (level M) of `module_dots` a module, centred on `head_dots`, with the quiet zone of four modules above and below.
pub fn qr(data: &[u8], module_dots: usize, head_dots: usize) -> Option<Bitmap> {
    let code = QrCode::with_error_correction_level(data, EcLevel::M).ok()?;
    let modules = code.width();
    let side = modules * module_dots;
    let left = head_dots.checked_sub(side)? / 2;
    let quiet = 4 * module_dots;
    let colors = code.to_colors();
    let row_bytes = (left + side).div_ceil(8);
    let mut dots = vec![0; row_bytes * (side + 2 * quiet)];
    for y in 0..side {
        for x in 0..side {
            if colors[(y / module_dots) * modules + x / module_dots] == Color::Dark {
                let column = left + x;
                dots[(quiet + y) * row_bytes + column / 8] |= 0x80 >> (column % 8);
            }
        }
    }
    Bitmap::new(left + side, side + 2 * quiet, dots).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_small_picture_is_one_command() {
        let picture = Bitmap::new(8, 2, vec![0xF0, 0x0F]).unwrap();
        assert_eq!(picture.bands(24), [[0x1D, 0x76, 0x30, 0, 1, 0, 2, 0, 0xF0, 0x0F]]);
    }

    #[test]
    fn empty_and_huge_pictures_are_refused_before_they_cost_memory() {
        assert_eq!(Bitmap::new(0, 5, vec![]), Err(RasterError::Empty { width: 0, rows: 5 }));
        assert_eq!(
            Bitmap::new(65_535, 65_535, vec![]),
            Err(RasterError::TooLarge { width: 65_535, rows: 65_535 })
        );
        assert!(matches!(Bitmap::new(576, 150_000, vec![0; 10_800_000]), Err(RasterError::TooLarge { .. })));
        assert_eq!(Bitmap::new(9, 2, vec![0; 2]), Err(RasterError::Length { want: 4, got: 2 }));
    }

    #[test]
    fn a_picture_cannot_open_the_drawer() {
        let picture = Bitmap::new(40, 1, vec![0x10, 0x14, 0x01, 0x00, 0x01]).unwrap();
        assert_eq!(picture.bands(24)[0][8..], [0x18, 0x14, 0x01, 0x00, 0x01]);
    }

    #[test]
    fn a_drawn_qr_code_is_the_code_asked_for() {
        let picture = qr(b"https://example.com/p/1", 3, 384).unwrap();
        let code = QrCode::with_error_correction_level(b"https://example.com/p/1", EcLevel::M).unwrap();
        let side = code.width() * 3;
        let left = (384 - side) / 2;
        for (at, color) in code.to_colors().into_iter().enumerate() {
            let (x, y) = (left + at % code.width() * 3 + 1, 12 + at / code.width() * 3 + 1);
            let black = picture.dots[y * picture.row_bytes + x / 8] & (0x80 >> (x % 8)) != 0;
            assert_eq!(black, color == Color::Dark, "module {at}");
        }
        assert_eq!(qr(b"x", 20, 384), None);
    }

    proptest! {
        #[test]
        fn no_picture_holds_a_real_time_command(
            width in 1usize..64, rows in 1usize..40, band in 1usize..30,
            seed in proptest::collection::vec(prop_oneof![Just(0x10u8), Just(4), Just(5), Just(0x14), any::<u8>()], 320),
        ) {
            let picture = Bitmap::new(width, rows, seed[..width.div_ceil(8) * rows].to_vec()).unwrap();
            let bands = picture.bands(band);
            for sent in &bands {
                prop_assert!(!sent[8..].windows(2).any(|w| w[0] == 0x10 && matches!(w[1], 4 | 5 | 0x14)));
            }
            let sum: usize = bands.iter().map(|b| b.len() - 8).sum();
            prop_assert_eq!(sum, width.div_ceil(8) * rows);
        }
    }
}
