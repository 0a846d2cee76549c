//! A look at the ELF header before the dynamic linker maps the file: it dies of a file that was cut short (SIGBUS), and
//! names a file for another machine badly.
//!
//! Layout: System V ABI, chapter 4, "ELF Header" and "Program Header". Only what is checked is read.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

/// Why a file cannot be loaded as a shared library on this machine.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ElfError {
    /// Cannot be read.
    #[error("it cannot be read: {0}")]
    Io(String),
    /// No ELF shared library.
    #[error("it is not a shared library (ELF): is it the file that was built?")]
    NotShared,
    /// For another machine.
    #[error(
        "it is built for {found}, this machine is {}: install the build for this machine",
        std::env::consts::ARCH
    )]
    Machine {
        /// What it is for.
        found: String,
    },
    /// Cut short.
    #[error("it is cut short: {need} bytes are needed, {have} are there: install it again")]
    Truncated {
        /// Bytes that its headers tell of.
        need: u64,
        /// Bytes of the file.
        have: u64,
    },
}

impl From<io::Error> for ElfError {
    fn from(e: io::Error) -> Self {
        Self::Io(e.to_string())
    }
}

/// Sizes and places that differ between 32 and 64 bits.
struct Shape {
    header: usize,
    program_headers_at: usize,
    program_header_size_at: usize,
    segment_offset_at: usize,
    segment_size_at: usize,
    word: usize,
}

const SHAPE_64: Shape = Shape {
    header: 64,
    program_headers_at: 32,
    program_header_size_at: 54,
    segment_offset_at: 8,
    segment_size_at: 32,
    word: 8,
};

const SHAPE_32: Shape = Shape {
    header: 52,
    program_headers_at: 28,
    program_header_size_at: 42,
    segment_offset_at: 4,
    segment_size_at: 16,
    word: 4,
};

const PT_LOAD: u64 = 1;
const ET_DYN: u64 = 3;
const CLASS_64: u8 = 2;
const LITTLE: u8 = 1;

/// Checks a file.
pub(crate) fn check(path: &Path) -> Result<(), ElfError> {
    let mut file = File::open(path)?;
    let have = file.metadata()?.len();
    let mut ident = [0_u8; 64];
    let got = read_some(&mut file, &mut ident)?;
    if got < SHAPE_32.header || !ident.starts_with(b"\x7fELF") {
        return Err(ElfError::NotShared);
    }
    let shape = if ident[4] == CLASS_64 { SHAPE_64 } else { SHAPE_32 };
    let bits = if ident[4] == CLASS_64 { 64 } else { 32 };
    let machine = number(&ident, 18, 2);
    if ident[5] != LITTLE || bits != usize::BITS || expected_machine().is_some_and(|m| m != machine) {
        return Err(ElfError::Machine { found: format!("{} ({bits} bits)", machine_name(machine)) });
    }
    if number(&ident, 16, 2) != ET_DYN {
        return Err(ElfError::NotShared);
    }
    let at = number(&ident, shape.program_headers_at, shape.word);
    let size = number(&ident, shape.program_header_size_at, 2);
    let count = number(&ident, shape.program_header_size_at + 2, 2);
    let table = at.saturating_add(size * count);
    if table > have {
        return Err(ElfError::Truncated { need: table, have });
    }
    let Ok(length) = usize::try_from(size * count) else { return Err(ElfError::NotShared) };
    let mut headers = vec![0; length];
    file.seek(SeekFrom::Start(at))?;
    file.read_exact(&mut headers)?;
    let Ok(size) = usize::try_from(size) else { return Err(ElfError::NotShared) };
    if size < shape.segment_size_at + shape.word {
        return Err(ElfError::NotShared);
    }
    let ends = headers.chunks_exact(size).filter(|h| number(h, 0, 4) == PT_LOAD).map(|h| {
        number(h, shape.segment_offset_at, shape.word).saturating_add(number(
            h,
            shape.segment_size_at,
            shape.word,
        ))
    });
    match ends.max() {
        None => Err(ElfError::NotShared),
        Some(need) if need > have => Err(ElfError::Truncated { need, have }),
        Some(_) => Ok(()),
    }
}

fn read_some(file: &mut File, bytes: &mut [u8]) -> io::Result<usize> {
    let mut got = 0;
    while got < bytes.len() {
        match file.read(&mut bytes[got..])? {
            0 => break,
            n => got += n,
        }
    }
    Ok(got)
}

/// A little-endian number; zero outside of the bytes.
fn number(bytes: &[u8], at: usize, length: usize) -> u64 {
    bytes.get(at..at + length).unwrap_or_default().iter().rev().fold(0, |n, b| n << 8 | u64::from(*b))
}

fn expected_machine() -> Option<u64> {
    MACHINES.iter().find(|(_, name)| *name == std::env::consts::ARCH).map(|(number, _)| *number)
}

fn machine_name(machine: u64) -> String {
    MACHINES
        .iter()
        .find(|(number, _)| *number == machine)
        .map_or_else(|| format!("machine {machine}"), |(_, name)| (*name).to_owned())
}

const MACHINES: [(u64, &str); 5] =
    [(3, "x86"), (40, "arm"), (62, "x86_64"), (183, "aarch64"), (243, "riscv64")];

#[cfg(test)]
mod tests {
    use super::*;

    fn write(bytes: &[u8]) -> Result<(), ElfError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.so");
        std::fs::write(&path, bytes).unwrap();
        check(&path)
    }

    fn own() -> Vec<u8> {
        std::fs::read(std::env::current_exe().unwrap()).unwrap()
    }

    #[test]
    fn a_whole_file_passes_and_one_cut_anywhere_before_its_last_segment_ends_does_not() {
        let whole = own();
        // A test binary is position independent, so it has the type of a shared library.
        assert_eq!(write(&whole), Ok(()));
        for part in [0, 3, 10, 60, 64, 100, 4096] {
            assert!(write(&whole[..part]).is_err(), "{part}");
        }
        // Debug information comes after the segments, so half a file may be whole to the linker.
        assert!(matches!(write(&whole[..50_000]), Err(ElfError::Truncated { .. })));
    }

    #[test]
    fn another_machine_is_named() {
        let mut other = own();
        other[18] = if cfg!(target_arch = "aarch64") { 62 } else { 183 };
        let text = write(&other).unwrap_err().to_string();
        assert!(text.contains(if cfg!(target_arch = "aarch64") { "x86_64" } else { "aarch64" }), "{text}");
    }

    #[test]
    fn wild_headers_are_refused() {
        let good = own();
        for at in 16..64 {
            let mut bad = good.clone();
            bad[at] = 0xff;
            let _ = write(&bad);
        }
        assert_eq!(write(b"#!/bin/sh\n"), Err(ElfError::NotShared));
    }
}
