//! What a running process has in its memory, read from outside: what a debugger, a core or a swapped page would show.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;

use crate::search::{Found, Search};

/// Bytes of a page.
const PAGE: u64 = 4096;

/// Pages that are read at once; what lies across two reads is found, as they overlap.
const AT_ONCE: u64 = 256;

/// Bytes by which two reads overlap: more than the longest shape of a secret has.
const OVERLAP: u64 = 1024;

/// A mapping that is not only a file's own bytes.
struct Mapping {
    from: u64,
    to: u64,
    name: String,
}

/// What the process could have written to: heap, stacks, data, buffers. Its program text is not among it.
fn mappings(pid: u32) -> io::Result<Vec<Mapping>> {
    let mut all = Vec::new();
    for line in fs::read_to_string(format!("/proc/{pid}/maps"))?.lines() {
        let mut words = line.split_whitespace();
        let (Some(range), Some(rights)) = (words.next(), words.next()) else { continue };
        let (inode, name) = (words.nth(2).unwrap_or("0"), words.next().unwrap_or("anonymous"));
        let written = rights.starts_with("rw") || (rights.starts_with('r') && inode == "0");
        if !written || matches!(name, "[vvar]" | "[vvar_vclock]" | "[vdso]" | "[vsyscall]") {
            continue;
        }
        let ends: Vec<u64> = range.split('-').filter_map(|end| u64::from_str_radix(end, 16).ok()).collect();
        let &[from, to] = ends.as_slice() else {
            return Err(io::Error::other(format!("not understood: {line}")));
        };
        all.push(Mapping { from, to, name: name.to_owned() });
    }
    Ok(all)
}

/// Runs of pages that have ever been touched, in memory or in swap (`Documentation/admin-guide/mm/pagemap.rst`).
fn touched(pagemap: &File, mapping: &Mapping) -> io::Result<Vec<(u64, u64)>> {
    let pages = (mapping.to - mapping.from) / PAGE;
    let mut entries = vec![0; usize::try_from(pages * 8).map_err(io::Error::other)?];
    pagemap.read_exact_at(&mut entries, mapping.from / PAGE * 8)?;
    let mut runs: Vec<(u64, u64)> = Vec::new();
    for (number, entry) in (0_u64..).zip(entries.as_chunks::<8>().0) {
        if u64::from_ne_bytes(*entry) >> 62 == 0 {
            continue;
        }
        let page = mapping.from + number * PAGE;
        match runs.last_mut() {
            Some((from, to)) if *to == page && *to - *from < AT_ONCE * PAGE => *to += PAGE,
            Some((_, to)) if *to == page => runs.push((page - OVERLAP, page + PAGE)),
            _ => runs.push((page, page + PAGE)),
        }
    }
    Ok(runs)
}

/// Looks through the memory of a process while it runs. Gives how many bytes that was.
///
/// # Errors
/// It is another user's, or it forbade to be looked at and this is not root.
pub fn search(pid: u32, who: &str, search: &Search<'_>, found: &mut Vec<Found>) -> io::Result<u64> {
    let memory = File::open(format!("/proc/{pid}/mem"))?;
    let pagemap = File::open(format!("/proc/{pid}/pagemap"))?;
    let mut looked = 0;
    for mapping in mappings(pid)? {
        let place = format!("{who}: {}", mapping.name);
        let mut look = |from: u64, to: u64| -> io::Result<()> {
            let mut bytes = vec![0; usize::try_from(to - from).map_err(io::Error::other)?];
            memory.read_exact_at(&mut bytes, from)?;
            looked += to - from;
            search.bytes(&place, &bytes, found);
            Ok(())
        };
        for (from, to) in touched(&pagemap, &mapping)? {
            if look(from, to).is_err() {
                // Some of these pages were given back to the system meanwhile: nothing is there. The others are looked at.
                let mut page = from;
                while page < to {
                    let _gone = look(page, to.min(page + PAGE));
                    page += PAGE;
                }
            }
        }
    }
    Ok(looked)
}
