//! Fonts for the picture: a monospaced one for 12x24 cells and a Chinese one for 24x24 cells, from the system.
//!
//! `fonts-wqy-microhei` (Debian; Apache-2.0 or GPL-3 with font exception; 1.6 MB) has both. Without a font, characters are
//! boxes and the text rendering is what to read.

// Glyph geometry is fractions of dots; no money passes here.
#![allow(
    clippy::float_arithmetic,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss
)]

use ab_glyph::{Font, FontVec, PxScale, ScaleFont};
use std::path::{Path, PathBuf};

/// Chinese fonts by file name, best first, with the face to take from a collection.
const HANZI: [(&str, u32); 9] = [
    ("wqy-microhei.ttc", 0),
    ("wqy-zenhei.ttc", 0),
    ("DroidSansFallbackFull.ttf", 0),
    ("DroidSansFallback.ttf", 0),
    ("NotoSansCJK-Regular.ttc", 2),
    ("NotoSansSC-Regular.otf", 0),
    ("SourceHanSansSC-Regular.otf", 0),
    ("uming.ttc", 0),
    ("ukai.ttc", 0),
];
/// Monospaced Latin fonts.
const LATIN: [(&str, u32); 4] = [
    ("DejaVuSansMono.ttf", 0),
    ("LiberationMono-Regular.ttf", 0),
    ("DroidSansMono.ttf", 0),
    ("wqy-microhei.ttc", 1),
];
const FOLDERS: [&str; 2] = ["/usr/share/fonts", "/usr/local/share/fonts"];

/// The fonts found.
#[derive(Default)]
pub struct Fonts {
    latin: Option<FontVec>,
    hanzi: Option<FontVec>,
    found: Vec<PathBuf>,
}

impl Fonts {
    /// Looks through the system's font folders.
    pub fn find() -> Self {
        let mut files = Vec::new();
        for folder in FOLDERS {
            list(Path::new(folder), 4, &mut files);
        }
        let mut found = Vec::new();
        let mut load = |wanted: &[(&str, u32)]| {
            wanted.iter().find_map(|(name, face)| {
                let path = files.iter().find(|path| path.file_name().is_some_and(|n| n == *name))?;
                let font = FontVec::try_from_vec_and_index(std::fs::read(path).ok()?, *face).ok()?;
                found.push(path.clone());
                Some(font)
            })
        };
        let (latin, hanzi) = (load(&LATIN), load(&HANZI));
        Self { latin, hanzi, found }
    }

    /// No fonts at all: boxes.
    pub fn none() -> Self {
        Self::default()
    }

    /// The files in use, for the log.
    pub fn files(&self) -> &[PathBuf] {
        &self.found
    }

    /// What the person should know, if anything.
    pub fn complaint(&self) -> Option<&'static str> {
        match (&self.latin, &self.hanzi) {
            (_, Some(_)) => None,
            (Some(_), None) => Some(
                "no Chinese font found: Chinese characters are boxes in the picture; apt install fonts-wqy-microhei",
            ),
            (None, None) => {
                Some("no font found: characters are boxes in the picture; apt install fonts-wqy-microhei")
            }
        }
    }

    /// Calls `dot` for each black dot of a character in a cell of `width` by `height` dots. `wide_cell` says that the
    /// character is one of the double-byte set.
    pub(crate) fn draw(
        &self,
        ch: char,
        width: u32,
        height: u32,
        wide_cell: bool,
        mut dot: impl FnMut(u32, u32),
    ) {
        if ch == ' ' || ch == '\u{3000}' || ch == '\u{A0}' {
            return;
        }
        let has = |font: &&FontVec| font.glyph_id(ch).0 != 0;
        let (latin, hanzi) = (self.latin.as_ref().filter(has), self.hanzi.as_ref().filter(has));
        let font = if wide_cell { hanzi.or(latin) } else { latin.or(hanzi) };
        let Some(font) = font.filter(|_| ch != super::charset::JUNK) else {
            return frame(width, height, dot);
        };
        // The font's own line height fills the cell; across, the glyph's advance does.
        let (w, h) = (width as f32, height as f32);
        let unscaled = font.as_scaled(PxScale::from(h));
        let advance = unscaled.h_advance(font.glyph_id(ch)).max(1.0);
        // Every character of a cell is squeezed alike, by what a full one needs, so that narrow ones stay narrow.
        let full = unscaled.h_advance(font.glyph_id(if wide_cell { '中' } else { 'M' })).max(1.0);
        let squeeze = w / full.max(advance);
        let scale = PxScale { x: h * squeeze, y: h };
        let scaled = font.as_scaled(scale);
        let left = (w - scaled.h_advance(font.glyph_id(ch))) / 2.0;
        let glyph =
            font.glyph_id(ch).with_scale_and_position(scale, ab_glyph::point(left.max(0.0), scaled.ascent()));
        let Some(outline) = font.outline_glyph(glyph) else { return };
        let bounds = outline.px_bounds();
        outline.draw(|x, y, coverage| {
            let (x, y) = (bounds.min.x as i32 + x as i32, bounds.min.y as i32 + y as i32);
            // A print head knows black and white only.
            if coverage > 0.42
                && let (Ok(x), Ok(y)) = (u32::try_from(x), u32::try_from(y))
                && x < width
                && y < height
            {
                dot(x, y);
            }
        });
    }
}

fn frame(width: u32, height: u32, mut dot: impl FnMut(u32, u32)) {
    let (right, bottom) = (width.saturating_sub(2), height.saturating_sub(3));
    for x in 1..=right {
        dot(x, 3);
        dot(x, bottom);
    }
    for y in 3..=bottom {
        dot(1, y);
        dot(right, y);
    }
}

fn list(folder: &Path, depth: u32, files: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.is_dir() && depth > 0 {
            list(&path, depth - 1, files);
        } else if path.is_file() {
            files.push(path);
        }
    }
}
