//! A disk in memory that can be cut off at any operation: what was synced is there after the cut, of the rest any.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex};

use super::fs::KeyFs;

type Node = u64;
type Names = BTreeMap<(Node, OsString), Node>;

#[derive(Clone, Default)]
struct File {
    now: Vec<u8>,
    synced: Vec<u8>,
}

#[derive(Clone, Default)]
struct State {
    files: BTreeMap<Node, Option<File>>,
    names: Names,
    synced: Names,
    next: Node,
    /// Changing operations so far, and after how many the power goes.
    done: usize,
    cut: Option<usize>,
}

/// What reached the disk of what was not synced.
#[derive(Debug, Clone, Copy)]
pub(super) enum After {
    Everything,
    Nothing,
    NamesOnly,
    DataOnly,
}

impl After {
    pub(super) const ALL: [Self; 4] = [Self::Everything, Self::Nothing, Self::NamesOnly, Self::DataOnly];
}

#[derive(Default)]
pub(super) struct Model(Mutex<State>);

const ROOT: Node = 0;

impl Model {
    pub(super) fn new() -> Arc<Self> {
        let model = Self::default();
        model.0.lock().unwrap().files.insert(ROOT, None);
        Arc::new(model)
    }

    /// The same disk, to be cut after so many more changes; the one at the cut is half done if it is a write.
    pub(super) fn cut_after(&self, changes: usize) -> Arc<Self> {
        let mut state = self.0.lock().unwrap().clone();
        (state.done, state.cut) = (0, Some(changes));
        Arc::new(Self(Mutex::new(state)))
    }

    /// Changes since it was made.
    pub(super) fn changes(&self) -> usize {
        self.0.lock().unwrap().done
    }

    /// The disk that the next start finds.
    pub(super) fn after(&self, what: After) -> Arc<Self> {
        let mut state = self.0.lock().unwrap().clone();
        if matches!(what, After::Nothing | After::DataOnly) {
            state.names = state.synced.clone();
        }
        if matches!(what, After::Nothing | After::NamesOnly) {
            for file in state.files.values_mut().flatten() {
                file.now = file.synced.clone();
            }
        }
        state.synced = state.names.clone();
        for file in state.files.values_mut().flatten() {
            file.synced = file.now.clone();
        }
        state.cut = None;
        Arc::new(Self(Mutex::new(state)))
    }

    /// Every file with a name, by path.
    pub(super) fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let state = self.0.lock().unwrap();
        let mut out = Vec::new();
        let mut open = vec![(PathBuf::from("/"), ROOT)];
        while let Some((path, node)) = open.pop() {
            for ((_, name), child) in state.names.iter().filter(|((dir, _), _)| *dir == node) {
                match &state.files[child] {
                    Some(file) => out.push((path.join(name), file.now.clone())),
                    None => open.push((path.join(name), *child)),
                }
            }
        }
        out
    }

    /// The bytes of every file, also of those whose name was removed.
    pub(super) fn contents(&self) -> Vec<Vec<u8>> {
        self.0.lock().unwrap().files.values().flatten().map(|f| f.now.clone()).collect()
    }

    /// Alters the bytes of a file behind everybody's back.
    pub(super) fn damage(&self, path: &str, with: impl FnOnce(&mut Vec<u8>)) {
        let mut state = self.0.lock().unwrap();
        let node = state.find(Path::new(path)).unwrap();
        let file = state.files.get_mut(&node).unwrap().as_mut().unwrap();
        with(&mut file.now);
        file.synced = file.now.clone();
    }
}

fn gone() -> io::Error {
    io::Error::from(io::ErrorKind::NotFound)
}

impl State {
    fn find(&self, path: &Path) -> io::Result<Node> {
        path.components().try_fold(ROOT, |at, part| match part {
            Component::Normal(name) => self.names.get(&(at, name.to_owned())).copied().ok_or_else(gone),
            _ => Ok(at),
        })
    }

    fn place(&self, path: &Path) -> io::Result<(Node, OsString)> {
        let dir = self.find(path.parent().ok_or_else(gone)?)?;
        Ok((dir, path.file_name().ok_or_else(gone)?.to_owned()))
    }

    /// Counts a change; `Err` when the power is gone, `Ok(true)` when it goes in the middle of this one.
    fn change(&mut self) -> io::Result<bool> {
        let cut = self.cut.is_some_and(|cut| self.done == cut);
        if self.cut.is_some_and(|cut| self.done > cut) {
            return Err(io::Error::other("the power is gone"));
        }
        self.done += 1;
        Ok(cut)
    }

    fn lost(cut: bool) -> io::Result<()> {
        if cut { Err(io::Error::other("the power went")) } else { Ok(()) }
    }
}

impl KeyFs for Model {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let state = self.0.lock().unwrap();
        let node = state.find(path)?;
        state.files[&node].as_ref().map(|f| f.now.clone()).ok_or_else(gone)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let state = self.0.lock().unwrap();
        let Ok(node) = state.find(dir) else { return Ok(Vec::new()) };
        Ok(state
            .names
            .keys()
            .filter(|(at, _)| *at == node)
            .map(|(_, name)| name.clone().into_string().unwrap())
            .collect())
    }

    fn make_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.0.lock().unwrap();
        let place = state.place(dir)?;
        if state.names.contains_key(&place) {
            return Ok(());
        }
        State::lost(state.change()?)?;
        state.next += 1;
        let node = state.next;
        state.files.insert(node, None);
        state.names.insert(place, node);
        Ok(())
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.0.lock().unwrap();
        let place = state.place(path)?;
        let cut = state.change()?;
        let there = state.names.get(&place).copied();
        let node = there.unwrap_or_else(|| {
            state.next += 1;
            state.next
        });
        if there.is_none() {
            state.names.insert(place, node);
            state.files.insert(node, Some(File::default()));
        }
        let file = state.files.get_mut(&node).and_then(Option::as_mut).ok_or_else(gone)?;
        file.now = bytes[..if cut { bytes.len() / 2 } else { bytes.len() }].to_vec();
        State::lost(cut)
    }

    fn overwrite(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.0.lock().unwrap();
        let node = state.find(path)?;
        let cut = state.change()?;
        let file = state.files.get_mut(&node).and_then(Option::as_mut).ok_or_else(gone)?;
        let len = if cut { bytes.len() / 8 } else { bytes.len() };
        file.now.resize(file.now.len().max(len), 0);
        file.now[..len].copy_from_slice(&bytes[..len]);
        State::lost(cut)
    }

    fn sync(&self, path: &Path) -> io::Result<()> {
        let mut state = self.0.lock().unwrap();
        let node = state.find(path)?;
        State::lost(state.change()?)?;
        if let Some(file) = state.files.get_mut(&node).and_then(Option::as_mut) {
            file.synced = file.now.clone();
            return Ok(());
        }
        state.synced.retain(|(dir, _), _| *dir != node);
        let names: Names =
            state.names.iter().filter(|((dir, _), _)| *dir == node).map(|(k, v)| (k.clone(), *v)).collect();
        state.synced.extend(names);
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.0.lock().unwrap();
        let (from, to) = (state.place(from)?, state.place(to)?);
        if !state.names.contains_key(&from) {
            return Err(gone());
        }
        State::lost(state.change()?)?;
        if let Some(node) = state.names.remove(&from) {
            state.names.insert(to, node);
        }
        Ok(())
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        let mut state = self.0.lock().unwrap();
        let place = state.place(path)?;
        State::lost(state.change()?)?;
        state.names.remove(&place).map(|_| ()).ok_or_else(gone)
    }

    fn remove_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.0.lock().unwrap();
        let (place, node) = (state.place(dir)?, state.find(dir)?);
        if state.names.keys().any(|(at, _)| *at == node) {
            return Err(io::Error::from(io::ErrorKind::DirectoryNotEmpty));
        }
        State::lost(state.change()?)?;
        state.names.remove(&place);
        Ok(())
    }
}
