//! A disk under the rules of a power cut: what is durable, what may be there, and the disks that can be left.

use std::collections::BTreeMap;
use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash, Hasher};
use std::path::Path;

use super::{Op, Rng};

const SECTOR: usize = 512;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Node {
    File(usize),
    Dir(usize),
}

#[derive(Debug, Clone)]
enum Data {
    Write { at: usize, data: Vec<u8> },
    Truncate(usize),
    Allocate(usize),
}

#[derive(Debug, Clone, Default)]
struct File {
    durable: Vec<u8>,
    /// With the index of the operation that made it.
    pending: Vec<(usize, Data)>,
}

#[derive(Debug, Clone)]
enum Entry {
    Put(String, Node),
    Del(String),
    Move(String, String, Node),
}

#[derive(Debug, Clone, Default)]
struct Dir {
    now: BTreeMap<String, Node>,
    durable: BTreeMap<String, Node>,
    pending: Vec<(usize, Entry)>,
}

/// The disk while operations are played.
pub(crate) struct Disk {
    root: String,
    files: Vec<File>,
    dirs: Vec<Dir>,
    /// Newest acknowledged record of each thread.
    pub(crate) acked: BTreeMap<u64, u64>,
}

/// How the unsynced part comes out of a cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Luck {
    /// Nothing that was not synced is there.
    Nothing,
    /// Everything is there.
    Everything,
    /// Each piece of that many bytes has some version between; names too.
    Torn(usize),
}

/// One disk a cut may leave.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Left {
    files: BTreeMap<String, Vec<u8>>,
    dirs: Vec<String>,
}

impl Entry {
    fn apply(&self, map: &mut BTreeMap<String, Node>) {
        match self {
            Self::Put(name, node) => {
                map.insert(name.clone(), *node);
            }
            Self::Del(name) => {
                map.remove(name);
            }
            Self::Move(from, to, node) => {
                map.remove(from);
                map.insert(to.clone(), *node);
            }
        }
    }
}

impl Data {
    fn len_after(&self, len: usize) -> usize {
        match self {
            Self::Write { at, data } => len.max(at + data.len()),
            Self::Truncate(to) => *to,
            Self::Allocate(end) => len.max(*end),
        }
    }

    /// Does the operation to the bytes `from..to` only.
    fn apply_to(&self, bytes: &mut [u8], from: usize, to: usize) {
        match self {
            Self::Write { at, data } => {
                let (start, end) = (from.max(*at), to.min(at + data.len()));
                if start < end {
                    bytes[start..end].copy_from_slice(&data[start - at..end - at]);
                }
            }
            Self::Truncate(len) => {
                if *len < to {
                    bytes[from.max(*len)..to].fill(0);
                }
            }
            Self::Allocate(_) => {}
        }
    }
}

impl Disk {
    pub(crate) fn new(root: &str) -> Self {
        Self { root: root.to_owned(), files: Vec::new(), dirs: vec![Dir::default()], acked: BTreeMap::new() }
    }

    fn relative<'a>(&self, path: &'a str) -> &'a str {
        path.strip_prefix(self.root.as_str()).unwrap().trim_matches('/')
    }

    fn find(&self, path: &str) -> Option<Node> {
        let mut node = Node::Dir(0);
        for part in self.relative(path).split('/').filter(|p| !p.is_empty()) {
            let Node::Dir(dir) = node else { return None };
            node = *self.dirs[dir].now.get(part)?;
        }
        Some(node)
    }

    /// Directory and name of a path; its directory must exist.
    fn place(&self, path: &str) -> (usize, String) {
        let (parent, name) = path.rsplit_once('/').unwrap();
        let parent = if parent.len() < self.root.len() { self.root.as_str() } else { parent };
        match self.find(parent) {
            Some(Node::Dir(dir)) => (dir, name.to_owned()),
            other => panic!("{path}: its directory is {other:?} in the model"),
        }
    }

    fn enter(&mut self, dir: usize, index: usize, entry: Entry) {
        entry.apply(&mut self.dirs[dir].now);
        self.dirs[dir].pending.push((index, entry));
    }

    fn change(&mut self, path: &str, index: usize, data: Data) {
        match self.find(path) {
            Some(Node::File(file)) => self.files[file].pending.push((index, data)),
            other => panic!("{path} is {other:?} in the model"),
        }
    }

    /// Plays one operation.
    pub(crate) fn play(&mut self, index: usize, op: &Op) {
        match op {
            Op::Ack { thread, count } => {
                self.acked.insert(*thread, *count);
            }
            Op::Create { path } => {
                let (dir, name) = self.place(path);
                self.files.push(File::default());
                self.enter(dir, index, Entry::Put(name, Node::File(self.files.len() - 1)));
            }
            Op::Mkdir { path } if path.trim_end_matches('/') == self.root => {}
            Op::Mkdir { path } => {
                let (dir, name) = self.place(path);
                self.dirs.push(Dir::default());
                self.enter(dir, index, Entry::Put(name, Node::Dir(self.dirs.len() - 1)));
            }
            Op::Write { path, at, data } => {
                let at = usize::try_from(*at).unwrap();
                self.change(path, index, Data::Write { at, data: data.clone() });
            }
            Op::Truncate { path, len } => {
                self.change(path, index, Data::Truncate(usize::try_from(*len).unwrap()));
            }
            Op::Allocate { path, end } => {
                self.change(path, index, Data::Allocate(usize::try_from(*end).unwrap()));
            }
            Op::Unlink { path } => {
                let (dir, name) = self.place(path);
                self.enter(dir, index, Entry::Del(name));
            }
            Op::Link { from, to } => {
                let node = self.find(from).unwrap();
                let (dir, name) = self.place(to);
                self.enter(dir, index, Entry::Put(name, node));
            }
            Op::Rename { from, to } => {
                let node = self.find(from).unwrap();
                let ((old_dir, old), (new_dir, new)) = (self.place(from), self.place(to));
                if old_dir == new_dir {
                    self.enter(old_dir, index, Entry::Move(old, new, node));
                } else {
                    // One journal transaction in truth; as two entries a cut could show both names or none. Nothing
                    // here rests on such a move being undone, so it is taken as durable at once.
                    for (dir, entry) in [(new_dir, Entry::Put(new, node)), (old_dir, Entry::Del(old))] {
                        entry.apply(&mut self.dirs[dir].now);
                        entry.apply(&mut self.dirs[dir].durable);
                    }
                }
            }
            Op::Sync { path, since } => self.sync(path, *since),
        }
    }

    fn sync(&mut self, path: &str, since: usize) {
        match self.find(path) {
            Some(Node::File(file)) => {
                let file = &mut self.files[file];
                let done = file.pending.iter().take_while(|(i, _)| i < &since).count();
                for (_, data) in file.pending.drain(..done) {
                    let len = data.len_after(file.durable.len());
                    file.durable.resize(len, 0);
                    data.apply_to(&mut file.durable, 0, len);
                }
            }
            Some(Node::Dir(dir)) => {
                let dir = &mut self.dirs[dir];
                let done = dir.pending.iter().take_while(|(i, _)| i < &since).count();
                for (_, entry) in dir.pending.drain(..done) {
                    entry.apply(&mut dir.durable);
                }
            }
            None => {}
        }
    }

    /// The disk a cut now may leave.
    pub(crate) fn cut(&self, luck: Luck, rng: &mut Rng) -> Left {
        let mut left = Left { files: BTreeMap::new(), dirs: Vec::new() };
        self.leave_dir(0, "", luck, rng, &mut left);
        left
    }

    fn leave_dir(&self, dir: usize, at: &str, luck: Luck, rng: &mut Rng, left: &mut Left) {
        let dir = &self.dirs[dir];
        let keep = match luck {
            Luck::Nothing => 0,
            Luck::Everything => dir.pending.len(),
            Luck::Torn(_) => rng.below(dir.pending.len() + 1),
        };
        let mut entries = dir.durable.clone();
        for (_, entry) in dir.pending.iter().take(keep) {
            entry.apply(&mut entries);
        }
        for (name, node) in entries {
            let path = format!("{at}/{name}");
            match node {
                Node::File(file) => {
                    left.files.insert(path, Self::leave_file(&self.files[file], luck, rng));
                }
                Node::Dir(below) => {
                    left.dirs.push(path.clone());
                    self.leave_dir(below, &path, luck, rng, left);
                }
            }
        }
    }

    fn leave_file(file: &File, luck: Luck, rng: &mut Rng) -> Vec<u8> {
        let all = file.pending.len();
        let (sized, piece) = match luck {
            Luck::Nothing => return file.durable.clone(),
            Luck::Everything => (all, usize::MAX),
            Luck::Torn(piece) => (rng.below(all + 1), piece.max(SECTOR)),
        };
        // The length is some version's; each piece of the content is some version's, each for itself.
        let len = file.pending.iter().take(sized).fold(file.durable.len(), |len, (_, d)| d.len_after(len));
        let mut bytes = file.durable.clone();
        bytes.resize(len, 0);
        let mut from = 0;
        while from < len {
            let to = from.saturating_add(piece).min(len);
            let version = if luck == Luck::Everything { all } else { rng.below(all + 1) };
            for (_, data) in file.pending.iter().take(version) {
                data.apply_to(&mut bytes, from, to);
            }
            from = to;
        }
        bytes
    }
}

impl Left {
    pub(crate) fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.hash(&mut hasher);
        hasher.finish()
    }

    /// Writes this disk into an empty directory.
    pub(crate) fn write(&self, dir: &Path) {
        for path in &self.dirs {
            fs::create_dir_all(dir.join(path.trim_start_matches('/'))).unwrap();
        }
        for (path, bytes) in &self.files {
            fs::write(dir.join(path.trim_start_matches('/')), bytes).unwrap();
        }
    }
}
