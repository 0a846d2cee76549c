//! A receipt as a picture: one dot a pixel, as the print head burns it.

use super::font::Fonts;
use super::page::{Bitmap, Block, Cell, Content, Receipt};
use image::{GrayImage, ImageError, ImageFormat, Luma};

/// Unprinted paper at the sides, above and below.
const MARGIN: u32 = 24;
/// Tallest picture drawn; an endless feed is cut off here.
const TALLEST: u32 = 40_000;
const PAPER: Luma<u8> = Luma([250]);
const INK: Luma<u8> = Luma([16]);

pub(crate) fn png(receipt: &Receipt, fonts: &Fonts) -> Result<Vec<u8>, ImageError> {
    let height = receipt.blocks.iter().map(|b| b.advance).fold(0u32, u32::saturating_add).min(TALLEST);
    let mut image = GrayImage::from_pixel(receipt.width + 2 * MARGIN, height + 2 * MARGIN, PAPER);
    let mut y = MARGIN;
    for block in &receipt.blocks {
        if y > height + MARGIN {
            break;
        }
        draw(block, y, fonts, &mut image);
        y += block.advance;
    }
    let mut out = std::io::Cursor::new(Vec::new());
    image.write_to(&mut out, ImageFormat::Png)?;
    Ok(out.into_inner())
}

fn draw(block: &Block, y: u32, fonts: &Fonts, image: &mut GrayImage) {
    let x = MARGIN + block.x;
    match &block.content {
        Content::Feed => {}
        Content::Image(bitmap) => stamp(bitmap, x, y, image),
        Content::Symbol(symbol) => stamp(&symbol.bitmap, x, y, image),
        Content::Line(cells, images) => {
            // Characters of all heights stand on one line.
            let tallest = cells
                .iter()
                .map(|c| c.height)
                .chain(images.iter().map(|(_, b)| b.height()))
                .max()
                .unwrap_or(0);
            for cell in cells {
                character(cell, x + cell.x, y + tallest - cell.height, fonts, image);
            }
            for (left, bitmap) in images {
                stamp(bitmap, x + left, y + tallest - bitmap.height(), image);
            }
        }
    }
}

fn ink(image: &mut GrayImage, x: u32, y: u32, colour: Luma<u8>) {
    if let Some(pixel) = image.get_pixel_mut_checked(x, y) {
        *pixel = colour;
    }
}

fn stamp(bitmap: &Bitmap, left: u32, top: u32, image: &mut GrayImage) {
    for y in 0..bitmap.height() {
        for x in (0..bitmap.width()).filter(|x| bitmap.is_black(*x, y)) {
            ink(image, left + x, top + y, INK);
        }
    }
}

fn character(cell: &Cell, left: u32, top: u32, fonts: &Fonts, image: &mut GrayImage) {
    let colour = if cell.style.inverse { PAPER } else { INK };
    if cell.style.inverse {
        for y in 0..cell.height {
            for x in 0..cell.width {
                ink(image, left + x, top + y, INK);
            }
        }
    }
    let hanzi = cell.width / cell.style.wide > 12;
    // Printers enlarge the glyph they have; drawing it larger looks the same and smoother.
    fonts.draw(cell.ch, cell.width, cell.height, hanzi, |x, y| {
        ink(image, left + x, top + y, colour);
        if cell.style.bold {
            ink(image, left + x + 1, top + y, colour);
        }
    });
    if cell.style.underline {
        for x in 0..cell.width {
            ink(image, left + x, top + cell.height - 1, colour);
        }
    }
}
