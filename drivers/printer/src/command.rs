//! The ESC/POS commands this driver sends, as bytes. Every length and parameter byte is written here and nowhere else.
//!
//! Source: Epson ESC/POS command reference as commonly known; checked against ../shared/vectors and python-escpos.

/// `ESC @`: initialise.
pub const INIT: [u8; 2] = [0x1B, 0x40];
/// `FS &`: Chinese double-byte mode on.
pub const KANJI_ON: [u8; 2] = [0x1C, 0x26];
/// `FS .`: Chinese double-byte mode off.
pub const KANJI_OFF: [u8; 2] = [0x1C, 0x2E];
/// Line feed: prints the line.
pub const LINE_FEED: u8 = 0x0A;
/// `GS V 66 0`: feed to the cutter, partial cut.
pub const CUT_PARTIAL: [u8; 4] = [0x1D, 0x56, 0x42, 0x00];
/// `GS V 65 0`: feed to the cutter, full cut.
pub const CUT_FULL: [u8; 4] = [0x1D, 0x56, 0x41, 0x00];
/// `GS r 1`: answered when the printer comes to it in its buffer: everything before it has been worked off.
pub const FENCE: [u8; 3] = [0x1D, 0x72, 0x01];

/// `DLE EOT n`: real-time status, answered at once, past everything in the buffer.
pub fn real_time_status(n: u8) -> [u8; 3] {
    [0x10, 0x04, n]
}

/// `GS a n`: which changes are reported unasked; 0 none, FFh all.
pub fn auto_status(n: u8) -> [u8; 3] {
    [0x1D, 0x61, n]
}

/// `ESC t n`: code page by the printer's own number.
pub fn code_page(n: u8) -> [u8; 3] {
    [0x1B, 0x74, n]
}

/// `ESC a n`: 0 left, 1 centre, 2 right. Only at the start of a line.
pub fn align(n: u8) -> [u8; 3] {
    [0x1B, 0x61, n]
}

/// `ESC E n`: bold.
pub fn bold(on: bool) -> [u8; 3] {
    [0x1B, 0x45, u8::from(on)]
}

/// `GS ! n`: size of single-byte characters (on most models of all).
pub fn size(wide: bool, tall: bool) -> [u8; 3] {
    [0x1D, 0x21, (u8::from(wide) << 4) | u8::from(tall)]
}

/// `FS ! n`: size of Chinese characters, for the models that do not heed `GS !` there.
pub fn kanji_size(wide: bool, tall: bool) -> [u8; 3] {
    [0x1C, 0x21, (u8::from(wide) << 2) | (u8::from(tall) << 3)]
}

/// `ESC d n`: feed n lines.
pub fn feed(lines: u8) -> [u8; 3] {
    [0x1B, 0x64, lines]
}

/// `ESC p m t1 t2`: drawer pulse on connector pin 2 (`m` 0) or 5 (`m` 1). Both times in units of 2 ms, and both bytes always sent:
/// a printer that misses them takes the next two bytes of the job.
pub fn drawer_pulse(m: u8, on_ms: u16, off_ms: u16) -> [u8; 5] {
    let units = |ms: u16| u8::try_from(ms.div_ceil(2)).unwrap_or(u8::MAX);
    [0x1B, 0x70, m & 1, units(on_ms), units(off_ms)]
}

/// `DLE DC4 1 m t`: drawer pulse past the buffer, `t` in units of 100 ms (1 to 8). Many models do not take it while they print.
pub fn drawer_pulse_now(m: u8, t: u8) -> [u8; 5] {
    [0x10, 0x14, 0x01, m & 1, t.clamp(1, 8)]
}

/// `ESC B n t`: n beeps of t × 50 ms (clones of the ZJ and Gprinter kind).
pub fn beep(n: u8, t: u8) -> [u8; 4] {
    [0x1B, 0x42, n.clamp(1, 9), t.clamp(1, 9)]
}

/// How much of a QR code may be damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QrLevel {
    /// 7 %.
    L = 0x30,
    /// 15 %.
    M = 0x31,
}

/// Longest content of a native QR code, bytes (version 40, level M, 8-bit).
pub const QR_MAX: usize = 2331;

/// `GS ( k`, functions 165, 167, 169, 180, 181: a model 2 QR code. `None` where `data` is longer than the length field holds.
pub fn qr(data: &[u8], module_dots: u8, level: QrLevel) -> Option<Vec<u8>> {
    let [low, high] = u16::try_from(data.len() + 3).ok().filter(|n| *n <= 7092)?.to_le_bytes();
    let mut out = Vec::with_capacity(data.len() + 40);
    out.extend([0x1D, 0x28, 0x6B, 4, 0, 0x31, 0x41, 0x32, 0]);
    out.extend([0x1D, 0x28, 0x6B, 3, 0, 0x31, 0x43, module_dots.clamp(1, 16)]);
    out.extend([0x1D, 0x28, 0x6B, 3, 0, 0x31, 0x45, level as u8]);
    out.extend([0x1D, 0x28, 0x6B, low, high, 0x31, 0x50, 0x30]);
    out.extend_from_slice(data);
    out.extend([0x1D, 0x28, 0x6B, 3, 0, 0x31, 0x51, 0x30]);
    Some(out)
}

/// `GS h`, `GS w`, `GS H 2`, `GS k 73 n {B…`: Code 128 with its text below. `None` where `data` is not 1 to 120 printable ASCII characters.
///
/// Code set B throughout: set C sends digit pairs as binary bytes, among them `DLE EOT` and `DLE DC4`, which printers heed in the
/// middle of data.
pub fn code128(data: &str, height: u8, module_dots: u8) -> Option<Vec<u8>> {
    if data.is_empty() || data.len() > 120 || !data.bytes().all(|b| (0x20..0x7F).contains(&b)) {
        return None;
    }
    let escaped = data.replace('{', "{{");
    let n = u8::try_from(escaped.len() + 2).ok()?;
    let mut out = vec![0x1D, 0x68, height, 0x1D, 0x77, module_dots.clamp(1, 6), 0x1D, 0x48, 0x02];
    out.extend([0x1D, 0x6B, 73, n, b'{', b'B']);
    out.extend_from_slice(escaped.as_bytes());
    Some(out)
}

/// `GS v 0 0 xL xH yL yH`: header of a raster image of `row_bytes` × `rows`.
pub fn raster_header(row_bytes: u16, rows: u16) -> [u8; 8] {
    let [xl, xh] = row_bytes.to_le_bytes();
    let [yl, yh] = rows.to_le_bytes();
    [0x1D, 0x76, 0x30, 0, xl, xh, yl, yh]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drawer_pulse_carries_both_times() {
        assert_eq!(drawer_pulse(0, 100, 100), [0x1B, 0x70, 0, 50, 50]);
        assert_eq!(drawer_pulse(1, 101, u16::MAX), [0x1B, 0x70, 1, 51, 255]);
        assert_eq!(drawer_pulse_now(0, 1), [0x10, 0x14, 1, 0, 1]);
    }

    #[test]
    fn qr_store_length_is_data_plus_three() {
        let out = qr(&[b'A'; 300], 3, QrLevel::L).unwrap();
        assert_eq!(out[25..33], [0x1D, 0x28, 0x6B, 0x2F, 0x01, 0x31, 0x50, 0x30]);
        assert!(qr(&[0; 7089], 3, QrLevel::L).is_some());
        assert!(qr(&[0; 7090], 3, QrLevel::L).is_none());
    }

    #[test]
    fn code128_keeps_to_printable_bytes() {
        assert_eq!(code128("A{1", 64, 2).unwrap()[9..], *b"\x1dkI\x06{BA{{1");
        // "16200100" in code set C would be 10h 14h 01h 00h: a drawer pulse.
        assert!(code128("1620010001", 64, 2).unwrap()[15..].iter().all(u8::is_ascii_graphic));
        assert_eq!(code128("", 64, 2), None);
        assert_eq!(code128("茶", 64, 2), None);
        assert_eq!(code128("a\x10", 64, 2), None);
    }
}
