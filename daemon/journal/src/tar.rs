//! The little of tar (POSIX ustar) that a backup needs: regular files, names up to 100 bytes, in order.
//!
//! A backup is a plain tar file so that anybody can look into it with the tools they have.

use std::io::{self, Read, Write};

const BLOCK: usize = 512;

/// Appends one file.
pub(crate) fn put(out: &mut dyn Write, name: &str, mtime_s: u64, parts: &[&[u8]]) -> io::Result<()> {
    let size: usize = parts.iter().map(|p| p.len()).sum();
    let mut head = [0u8; BLOCK];
    let mut set = |at: usize, text: &str| head[at..at + text.len()].copy_from_slice(text.as_bytes());
    if name.len() > 100 {
        return Err(io::Error::other("name too long for the archive"));
    }
    set(0, name);
    set(100, "0000600\0");
    set(108, "0000000\0");
    set(116, "0000000\0");
    set(124, &format!("{size:011o}\0"));
    set(136, &format!("{mtime_s:011o}\0"));
    // The checksum counts its own field as blanks.
    set(148, "        ");
    set(156, "0");
    set(257, "ustar\x0000");
    let sum: u32 = head.iter().map(|b| u32::from(*b)).sum();
    head[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    out.write_all(&head)?;
    for part in parts {
        out.write_all(part)?;
    }
    out.write_all(&[0; BLOCK][..(BLOCK - size % BLOCK) % BLOCK])
}

/// Ends the archive.
pub(crate) fn end(out: &mut dyn Write) -> io::Result<()> {
    out.write_all(&[0; 2 * BLOCK])
}

/// The next file: its name and content; `None` at the archive's end. A file above `limit` bytes is refused.
pub(crate) fn next(input: &mut dyn Read, limit: u64) -> io::Result<Option<(String, Vec<u8>)>> {
    let mut head = [0u8; BLOCK];
    input.read_exact(&mut head).map_err(|_| bad("it ends in the middle"))?;
    if head == [0; BLOCK] {
        // The end is two blocks: with less of it, somebody stopped writing before it was done.
        input.read_exact(&mut head).map_err(|_| bad("it ends in the middle"))?;
        return if head == [0; BLOCK] { Ok(None) } else { Err(bad("it does not end where it says")) };
    }
    let said = number(&head[148..156])?;
    let sum: u64 =
        head.iter().enumerate().map(|(i, b)| if (148..156).contains(&i) { 32 } else { u64::from(*b) }).sum();
    if said != sum || &head[257..262] != b"ustar" || head[156] != b'0' {
        return Err(bad("a file's header does not hold"));
    }
    let size = number(&head[124..136])?;
    if size > limit {
        return Err(bad("a file in it is too large"));
    }
    let name = head[..100].split(|b| *b == 0).next().unwrap_or_default();
    let name = std::str::from_utf8(name).map_err(|_| bad("a name in it is no text"))?.to_owned();
    let mut content = Vec::new();
    input.take(size).read_to_end(&mut content)?;
    let padding = (BLOCK as u64 - size % BLOCK as u64) % BLOCK as u64;
    let mut skipped = Vec::new();
    input.take(padding).read_to_end(&mut skipped)?;
    if content.len() as u64 != size || skipped.len() as u64 != padding {
        return Err(bad("it ends in the middle"));
    }
    Ok(Some((name, content)))
}

fn number(field: &[u8]) -> io::Result<u64> {
    let text = std::str::from_utf8(field).map_err(|_| bad("a number in it is none"))?;
    u64::from_str_radix(text.trim_matches(['\0', ' ']), 8).map_err(|_| bad("a number in it is none"))
}

fn bad(text: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive() -> Vec<u8> {
        let mut out = Vec::new();
        put(&mut out, "a/first.log", 1_800_000_000, &[b"one", &[7; 600]]).unwrap();
        put(&mut out, "empty", 0, &[]).unwrap();
        put(&mut out, "block", 0, &[&[1; 512]]).unwrap();
        end(&mut out).unwrap();
        out
    }

    #[test]
    fn comes_back_and_no_truncation_passes() {
        let whole = archive();
        let mut input = whole.as_slice();
        let mut files = Vec::new();
        while let Some(file) = next(&mut input, 1000).unwrap() {
            files.push((file.0, file.1.len()));
        }
        assert_eq!(files, [("a/first.log".into(), 603), ("empty".into(), 0), ("block".into(), 512)]);
        for len in (0..whole.len()).step_by(37).chain([whole.len() - 1]) {
            let mut input = &whole[..len];
            let ended = loop {
                match next(&mut input, 1000) {
                    Ok(Some(_)) => {}
                    other => break other,
                }
            };
            assert!(ended.is_err(), "cut at {len} it passed");
        }
        assert!(next(&mut whole.as_slice(), 602).is_err(), "the limit does not hold");
    }

    #[test]
    fn the_systems_tar_reads_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.tar");
        std::fs::write(&path, archive()).unwrap();
        match std::process::Command::new("tar").arg("tf").arg(&path).output() {
            Ok(said) => {
                assert!(said.status.success(), "{said:?}");
                assert_eq!(String::from_utf8_lossy(&said.stdout), "a/first.log\nempty\nblock\n");
            }
            Err(e) => println!("skipped: no tar here ({e})"),
        }
    }
}
