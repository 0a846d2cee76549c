//! The folder of announcements, looked at every two seconds: a file that stands still for two looks is taken, one that
//! is gone for two looks is taken back, and what cannot be read or understood changes nothing but is said once.
//!
//! Looking, not inotify: the folder may come and go, be on a network or a stick, and a few `stat`s cost nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use till_core::announce::{Announcement, Source};
use till_core::input::Input;
use till_core::{Refusal, Till};

use crate::config::announcement::{MAX_TEXT, announcement};
use crate::till::{Handle, TillError};

/// Time between two looks.
const PAUSE: Duration = Duration::from_secs(2);
/// Files that are looked at: more are a mistake.
const MOST_FILES: usize = 64;

/// The name of what a file says.
fn name(file: &str) -> String {
    format!("file:{file}")
}

/// What a file was like.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stamp(u64, u64, i64, i64);

/// What a look found.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    /// A file says something, or something else than before.
    Says(String, String),
    /// A file is gone.
    Gone(String),
    /// A file cannot be taken, and why.
    Bad(String, String),
    /// The folder cannot be read.
    Lost(String),
    /// It can be again.
    Back,
}

/// The folder as it was seen.
#[derive(Debug, Default)]
struct Folder {
    path: PathBuf,
    /// By file: how it looked, and whether that was dealt with.
    seen: BTreeMap<String, (Stamp, bool)>,
    missing: BTreeSet<String>,
    lost: bool,
}

impl Folder {
    fn stamps(&self) -> Result<BTreeMap<String, Stamp>, String> {
        let shown = |e: std::io::Error| format!("{}: {e}", self.path.display());
        let mut all = BTreeMap::new();
        for entry in fs::read_dir(&self.path).map_err(shown)? {
            let entry = entry.map_err(shown)?;
            let Ok(file) = entry.file_name().into_string() else { continue };
            let other = file.starts_with('.') || Path::new(&file).extension().is_none_or(|e| e != "toml");
            if other || all.len() >= MOST_FILES {
                continue;
            }
            if let Ok(meta) = fs::metadata(entry.path()) {
                all.insert(file, Stamp(meta.ino(), meta.len(), meta.mtime(), meta.mtime_nsec()));
            }
        }
        Ok(all)
    }

    fn read(&self, file: &str) -> Result<String, String> {
        let path = self.path.join(file);
        let shown = |e: std::io::Error| format!("{}: {e}", path.display());
        let meta = fs::metadata(&path).map_err(shown)?;
        let most = u64::try_from(MAX_TEXT).unwrap_or(u64::MAX);
        if !meta.is_file() || meta.len() > most {
            let what = if meta.is_file() { format!("{} bytes", meta.len()) } else { "no file".into() };
            return Err(format!(
                "{}: {what}: an announcement is a file of at most {MAX_TEXT} bytes",
                path.display()
            ));
        }
        let mut text = String::new();
        File::open(&path).map_err(shown)?.take(most + 1).read_to_string(&mut text).map_err(shown)?;
        Ok(text)
    }

    /// One look. `told`: files that the plan has something of.
    fn look(&mut self, told: &[String]) -> Vec<Found> {
        let stamps = match self.stamps() {
            Ok(stamps) => stamps,
            Err(e) => {
                // A folder that never was is no feed that was lost.
                let news = !self.lost && (!told.is_empty() || !self.seen.is_empty());
                self.lost |= news;
                self.missing.clear();
                return if news { vec![Found::Lost(e)] } else { Vec::new() };
            }
        };
        let mut found = Vec::new();
        if std::mem::take(&mut self.lost) {
            found.push(Found::Back);
        }
        self.seen.retain(|file, _| stamps.contains_key(file));
        let gone: BTreeSet<String> = told.iter().filter(|f| !stamps.contains_key(*f)).cloned().collect();
        found.extend(gone.intersection(&self.missing).cloned().map(Found::Gone));
        self.missing = gone;
        for (file, stamp) in stamps {
            match self.seen.get_mut(&file) {
                Some((before, dealt)) if *before == stamp => {
                    if std::mem::replace(dealt, true) {
                        continue;
                    }
                }
                _ => {
                    self.seen.insert(file, (stamp, false));
                    continue;
                }
            }
            found.push(match self.read(&file) {
                Ok(text) => Found::Says(file, text),
                Err(e) => Found::Bad(file, e),
            });
        }
        found
    }
}

/// Follows the folder for as long as the till runs.
pub(crate) async fn follow(handle: Handle, path: PathBuf) {
    let mut folder = Folder { path, ..Folder::default() };
    loop {
        let Ok(told) = handle.look(told).await else { return };
        let looked = tokio::task::spawn_blocking(move || {
            let found = folder.look(&told);
            (folder, found)
        });
        let Ok((next, found)) = looked.await else { return };
        folder = next;
        for found in found {
            if !take(&handle, &folder.path, found).await {
                return;
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Files that the plan has something of.
fn told(till: &Till) -> Vec<String> {
    let files = till.announced().iter().filter(|(_, a)| a.source == Source::File);
    files.filter_map(|(id, _)| id.strip_prefix("file:").map(str::to_owned)).collect()
}

/// Gives whether the till still runs.
async fn take(handle: &Handle, path: &Path, found: Found) -> bool {
    let input = match found {
        Found::Says(file, text) => match announcement(&path.join(&file), &text) {
            Ok(said) if said.is_message() => {
                let file = path.join(&file);
                let what = "issue, tills and valid-until go with signed messages, not with files";
                handle.warn(
                    "maintenance-file",
                    format!("{}: {what}; what was announced before still holds", file.display()),
                );
                return true;
            }
            Ok(said) => {
                let windows = said.windows;
                let announcement = Announcement { source: Source::File, issue: 0, windows };
                Input::Announce { id: name(&file), announcement, operator: None }
            }
            Err(e) => {
                handle.warn("maintenance-file", format!("{e}; what was announced before still holds"));
                return true;
            }
        },
        Found::Gone(file) => Input::Withdraw { id: name(&file), source: Source::File, operator: None },
        Found::Bad(_, e) => {
            handle.warn("maintenance-file", format!("{e}; what was announced before still holds"));
            return true;
        }
        Found::Lost(e) => {
            handle.warn("maintenance-feed", format!("{e}; what was announced before still holds"));
            return true;
        }
        Found::Back => {
            tracing::info!("{} can be read again", path.display());
            return true;
        }
    };
    match handle.input(input).await {
        Ok(()) => {}
        Err(TillError::Stopping) => return false,
        Err(TillError::Refused(Refusal::Announce(e))) => {
            handle.warn(
                "maintenance-file",
                format!("{}: {e}; what was announced before still holds", path.display()),
            );
        }
        Err(e) => tracing::warn!("{}: {e}", path.display()),
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn none() -> Vec<String> {
        Vec::new()
    }

    #[test]
    fn a_file_is_taken_once_it_stands_still_and_taken_back_once_it_is_surely_gone() {
        let dir = tempfile::tempdir().unwrap();
        let mut folder = Folder { path: dir.path().into(), ..Folder::default() };
        let file = dir.path().join("bank.toml");
        fs::write(&file, "half").unwrap();
        fs::write(dir.path().join(".hidden.toml"), "x").unwrap();
        fs::write(dir.path().join("note.txt"), "x").unwrap();
        assert_eq!(folder.look(&none()), [], "somebody may still be writing");
        fs::write(&file, "the whole of it").unwrap();
        assert_eq!(folder.look(&none()), []);
        let says = |text: &str| Found::Says("bank.toml".into(), text.into());
        assert_eq!(folder.look(&none()), [says("the whole of it")]);
        let told = vec!["bank.toml".to_owned()];
        assert_eq!(folder.look(&told), [], "once");
        fs::remove_file(&file).unwrap();
        assert_eq!(folder.look(&told), [], "an editor may be writing it anew");
        fs::write(&file, "another").unwrap();
        assert_eq!(folder.look(&told), []);
        assert_eq!(folder.look(&told), [says("another")]);
        fs::remove_file(&file).unwrap();
        assert_eq!(folder.look(&told), []);
        assert_eq!(folder.look(&told), [Found::Gone("bank.toml".into())]);
    }

    #[test]
    fn a_folder_that_is_lost_takes_nothing_back_and_says_so_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("d");
        let mut folder = Folder { path: path.clone(), ..Folder::default() };
        assert_eq!(folder.look(&none()), [], "there never was one");
        let told = vec!["bank.toml".to_owned()];
        assert!(matches!(folder.look(&told)[..], [Found::Lost(_)]));
        assert_eq!(folder.look(&told), []);
        assert_eq!(folder.look(&told), []);
        fs::create_dir(&path).unwrap();
        assert_eq!(folder.look(&told), [Found::Back]);
        assert_eq!(folder.look(&told), [Found::Gone("bank.toml".into())]);
    }

    #[test]
    fn what_is_too_long_or_no_text_is_said_once_and_not_read() {
        let dir = tempfile::tempdir().unwrap();
        let mut folder = Folder { path: dir.path().into(), ..Folder::default() };
        File::create(dir.path().join("a.toml")).unwrap().set_len(10 << 20).unwrap();
        fs::write(dir.path().join("b.toml"), [0xff, 0xfe]).unwrap();
        fs::create_dir(dir.path().join("c.toml")).unwrap();
        assert_eq!(folder.look(&none()), []);
        let found = folder.look(&none());
        let bad = |f: &Found| matches!(f, Found::Bad(..));
        assert!(found.len() == 3 && found.iter().all(bad), "{found:?}");
        assert!(format!("{:?}", found[0]).contains("10485760 bytes"), "{found:?}");
        assert_eq!(folder.look(&none()), []);
    }
}
