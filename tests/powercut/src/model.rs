//! A disk under the rules of a power cut: what is durable, what may be there, and the disks that can be left.

use std::collections::BTreeMap;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::{fs, io};

use crate::{Op, Rng};

const SECTOR: usize = 512;

/// Which promises the file system makes beyond POSIX. `sync_file_range` is worth nothing under either.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rules {
    /// None: a name is durable only after its directory was synced.
    Strict,
    /// As ext4: a sync that must commit metadata commits all of it, names of other files too.
    Ext4,
}

/// How the unsynced part comes out of a cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Luck {
    /// Nothing that was not synced is there.
    Nothing,
    /// Everything is there: the cut came behind the last operation, in order.
    Everything,
    /// Names and lengths are there, the data is not: zeros, or what was there before.
    Zeros,
    /// Each write is there or not, whatever came before or after it.
    Subset,
    /// Each piece of that many bytes has some version between; names too.
    Torn(usize),
}

/// The content of a file: zeros behind `data` up to `len`.
#[derive(Debug, Clone, Default)]
struct Content {
    len: usize,
    data: Vec<u8>,
    hash: OnceLock<[u8; 32]>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Node {
    File(usize),
    Dir(usize),
}

#[derive(Debug, Clone)]
enum Data {
    Write { at: usize, data: Arc<[u8]> },
    Truncate(usize),
    Allocate(usize),
}

#[derive(Debug, Clone, Default)]
struct File {
    durable: Arc<Content>,
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
    /// With its operation's index, and the other directory of a move between two.
    pending: Vec<(usize, Entry, Option<usize>)>,
}

/// The disk while operations are played.
#[derive(Debug)]
pub struct Disk {
    root: String,
    rules: Rules,
    files: Vec<File>,
    dirs: Vec<Dir>,
}

/// One disk a cut may leave.
#[derive(Debug, Clone)]
pub struct Left {
    files: BTreeMap<String, Arc<Content>>,
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

impl Content {
    /// Does the operation to the bytes `from..to` only; the length is the caller's.
    fn apply(&mut self, data: &Data, from: usize, to: usize) {
        match data {
            Data::Write { at, data } => {
                let (start, end) = (from.max(*at), to.min(at + data.len()));
                if start < end {
                    if self.data.len() < end {
                        self.data.resize(end, 0);
                    }
                    self.data[start..end].copy_from_slice(&data[start - at..end - at]);
                }
            }
            Data::Truncate(len) => {
                let (start, end) = (from.max(*len), to.min(self.data.len()));
                if start < end {
                    self.data[start..end].fill(0);
                }
            }
            Data::Allocate(_) => {}
        }
    }

    fn resize(&mut self, len: usize) {
        self.len = len;
        self.data.truncate(len);
        self.hash = OnceLock::new();
    }

    fn hash(&self) -> &[u8; 32] {
        self.hash.get_or_init(|| {
            let end = self.data.iter().rposition(|b| *b != 0).map_or(0, |at| at + 1);
            let mut hasher = blake3::Hasher::new();
            hasher.update(&self.len.to_le_bytes());
            hasher.update(&self.data[..end]);
            *hasher.finalize().as_bytes()
        })
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

    /// Bytes it may change.
    fn range(&self, len: usize) -> (usize, usize) {
        match self {
            Self::Write { at, data } => (*at, at + data.len()),
            Self::Truncate(to) => (*to, len.max(*to)),
            Self::Allocate(_) => (0, 0),
        }
    }
}

fn size(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

impl Disk {
    /// An empty disk for what happens below `root`.
    pub fn new(root: &str, rules: Rules) -> Self {
        Self { root: root.to_owned(), rules, files: Vec::new(), dirs: vec![Dir::default()] }
    }

    /// A disk that came out of a cut: all of it is durable.
    pub fn from_left(root: &str, rules: Rules, left: &Left) -> Self {
        let mut disk = Self::new(root, rules);
        for path in &left.dirs {
            let (dir, name) = disk.place(path);
            disk.dirs.push(Dir::default());
            let node = Node::Dir(disk.dirs.len() - 1);
            disk.settle(dir, name, node);
        }
        for (path, content) in &left.files {
            let (dir, name) = disk.place(path);
            disk.files.push(File { durable: content.clone(), pending: Vec::new() });
            let node = Node::File(disk.files.len() - 1);
            disk.settle(dir, name, node);
        }
        disk
    }

    fn settle(&mut self, dir: usize, name: String, node: Node) {
        self.dirs[dir].now.insert(name.clone(), node);
        self.dirs[dir].durable.insert(name, node);
    }

    fn find(&self, path: &str) -> Option<Node> {
        let relative = path.strip_prefix(self.root.as_str()).unwrap_or(path);
        let mut node = Node::Dir(0);
        for part in relative.split('/').filter(|p| !p.is_empty()) {
            let Node::Dir(dir) = node else { return None };
            node = *self.dirs[dir].now.get(part)?;
        }
        Some(node)
    }

    /// Directory and name of a path. Panics when the model has no such directory: then the recording is not whole.
    fn place(&self, path: &str) -> (usize, String) {
        let relative = path.strip_prefix(self.root.as_str()).unwrap_or(path).trim_matches('/');
        let (parent, name) = relative.rsplit_once('/').unwrap_or(("", relative));
        match self.find(parent) {
            Some(Node::Dir(dir)) => (dir, name.to_owned()),
            other => panic!("{path}: its directory is {other:?} in the model"),
        }
    }

    fn enter(&mut self, dir: usize, index: usize, entry: Entry, twin: Option<usize>) {
        entry.apply(&mut self.dirs[dir].now);
        self.dirs[dir].pending.push((index, entry, twin));
    }

    fn change(&mut self, path: &str, index: usize, data: Data) {
        match self.find(path) {
            Some(Node::File(file)) => self.files[file].pending.push((index, data)),
            other => panic!("{path} is {other:?} in the model"),
        }
    }

    /// Plays one operation.
    pub fn play(&mut self, index: usize, op: &Op) {
        match op {
            Op::Nothing => {}
            Op::Create { path } => {
                let (dir, name) = self.place(path);
                self.files.push(File::default());
                self.enter(dir, index, Entry::Put(name, Node::File(self.files.len() - 1)), None);
            }
            Op::Mkdir { path } if path.trim_end_matches('/') == self.root => {}
            Op::Mkdir { path } => {
                let (dir, name) = self.place(path.trim_end_matches('/'));
                self.dirs.push(Dir::default());
                self.enter(dir, index, Entry::Put(name, Node::Dir(self.dirs.len() - 1)), None);
            }
            Op::Write { path, at, data } => {
                self.change(path, index, Data::Write { at: size(*at), data: data.clone() });
            }
            Op::Truncate { path, len } => self.change(path, index, Data::Truncate(size(*len))),
            Op::Allocate { path, end } => self.change(path, index, Data::Allocate(size(*end))),
            Op::Unlink { path } => {
                let (dir, name) = self.place(path.trim_end_matches('/'));
                self.enter(dir, index, Entry::Del(name), None);
            }
            Op::Link { from, to } => {
                let Some(node) = self.find(from) else { panic!("{from} is not in the model") };
                let (dir, name) = self.place(to);
                self.enter(dir, index, Entry::Put(name, node), None);
            }
            Op::Rename { from, to } => {
                let Some(node) = self.find(from) else { panic!("{from} is not in the model") };
                let ((old_dir, old), (new_dir, new)) = (self.place(from), self.place(to));
                if old_dir == new_dir {
                    self.enter(old_dir, index, Entry::Move(old, new, node), None);
                } else {
                    // One transaction: after a cut both directories tell of it, or neither.
                    self.enter(new_dir, index, Entry::Put(new, node), Some(old_dir));
                    self.enter(old_dir, index, Entry::Del(old), Some(new_dir));
                }
            }
            Op::Sync { path, since, data_only } => self.sync(path, *since, *data_only),
        }
    }

    fn sync(&mut self, path: &str, since: usize, data_only: bool) {
        match self.find(path) {
            Some(Node::File(file)) => {
                let file = &mut self.files[file];
                let done = file.pending.iter().take_while(|(i, _)| *i < since).count();
                let was = file.durable.len;
                let mut metadata = !data_only;
                let durable = Arc::make_mut(&mut file.durable);
                for (_, data) in file.pending.drain(..done) {
                    let len = data.len_after(durable.len);
                    metadata |= !matches!(data, Data::Write { .. });
                    durable.resize(len);
                    durable.apply(&data, 0, len);
                }
                metadata |= durable.len != was;
                if metadata && self.rules == Rules::Ext4 {
                    self.commit_all(since);
                }
            }
            Some(Node::Dir(_)) if self.rules == Rules::Ext4 => self.commit_all(since),
            Some(Node::Dir(dir)) => self.commit(dir, since),
            None => {}
        }
    }

    fn commit_all(&mut self, since: usize) {
        for dir in 0..self.dirs.len() {
            self.commit(dir, since);
        }
    }

    fn commit(&mut self, dir: usize, since: usize) {
        let this = &mut self.dirs[dir];
        let done = this.pending.iter().take_while(|(i, ..)| *i < since).count();
        let mut twins = Vec::new();
        for (index, entry, twin) in this.pending.drain(..done) {
            entry.apply(&mut this.durable);
            twins.extend(twin.map(|twin| (twin, index + 1)));
        }
        for (twin, since) in twins {
            self.commit(twin, since);
        }
    }

    /// The disk a cut now may leave.
    pub fn cut(&self, luck: Luck, rng: &mut Rng) -> Left {
        let kept = self.names(luck, rng);
        let mut contents: BTreeMap<usize, Arc<Content>> = BTreeMap::new();
        let mut left = Left { files: BTreeMap::new(), dirs: Vec::new() };
        self.leave_dir(0, "", luck, rng, &kept, &mut contents, &mut left);
        left
    }

    /// How many of each directory's unsynced changes come out of the cut.
    fn names(&self, luck: Luck, rng: &mut Rng) -> Vec<usize> {
        let choose = |dir: &Dir, rng: &mut Rng| match luck {
            Luck::Nothing => 0,
            Luck::Everything | Luck::Zeros => dir.pending.len(),
            Luck::Torn(_) | Luck::Subset => rng.below(dir.pending.len() + 1),
        };
        let mut kept: Vec<usize> = self.dirs.iter().map(|dir| choose(dir, rng)).collect();
        if self.rules == Rules::Ext4 {
            // One journal for all directories: what came first is there first.
            let all = self.dirs.iter().zip(&kept);
            let last = all.filter_map(|(d, k)| Some(d.pending.get(k.checked_sub(1)?)?.0)).max();
            for (dir, kept) in self.dirs.iter().zip(&mut kept) {
                *kept = dir.pending.iter().take_while(|(i, ..)| last.is_some_and(|l| *i <= l)).count();
            }
        }
        loop {
            let mut changed = false;
            for dir in 0..self.dirs.len() {
                for at in 0..kept[dir] {
                    let (index, _, Some(twin)) = &self.dirs[dir].pending[at] else { continue };
                    let other = self.dirs[*twin].pending.iter().position(|(i, ..)| i == index);
                    if let Some(other) = other.filter(|o| *o >= kept[*twin]) {
                        kept[*twin] = other + 1;
                        changed = true;
                    }
                }
            }
            if !changed {
                return kept;
            }
        }
    }

    #[allow(clippy::too_many_arguments)] // one walk with its state
    fn leave_dir(
        &self,
        dir: usize,
        at: &str,
        luck: Luck,
        rng: &mut Rng,
        kept: &[usize],
        contents: &mut BTreeMap<usize, Arc<Content>>,
        left: &mut Left,
    ) {
        let this = &self.dirs[dir];
        let mut entries = this.durable.clone();
        for (_, entry, _) in this.pending.iter().take(kept[dir]) {
            entry.apply(&mut entries);
        }
        for (name, node) in entries {
            let path = format!("{at}/{name}");
            match node {
                Node::File(file) => {
                    // Two names of one file hold one content.
                    let content =
                        contents.entry(file).or_insert_with(|| self.files[file].leave(luck, rng)).clone();
                    left.files.insert(path, content);
                }
                Node::Dir(below) => {
                    left.dirs.push(path.clone());
                    self.leave_dir(below, &path, luck, rng, kept, contents, left);
                }
            }
        }
    }
}

impl File {
    fn leave(&self, luck: Luck, rng: &mut Rng) -> Arc<Content> {
        let all = self.pending.len();
        if all == 0 || luck == Luck::Nothing {
            return self.durable.clone();
        }
        let length = |ops: &mut dyn Iterator<Item = &Data>| {
            ops.fold(self.durable.len, |len, data| data.len_after(len))
        };
        let mut content = Content { hash: OnceLock::new(), ..(*self.durable).clone() };
        match luck {
            Luck::Nothing => {}
            Luck::Everything => {
                for (_, data) in &self.pending {
                    let len = data.len_after(content.len);
                    content.resize(len);
                    content.apply(data, 0, len);
                }
            }
            Luck::Zeros => content.resize(length(&mut self.pending.iter().map(|(_, d)| d))),
            Luck::Subset => {
                let chosen: Vec<&Data> =
                    self.pending.iter().filter(|_| rng.below(2) == 0).map(|(_, d)| d).collect();
                for data in chosen {
                    let len = data.len_after(content.len);
                    content.resize(len);
                    content.apply(data, 0, len);
                }
            }
            Luck::Torn(piece) => {
                // The length is some version's; each piece of the content is some version's, each for itself.
                let sized = rng.below(all + 1);
                let len = length(&mut self.pending.iter().take(sized).map(|(_, d)| d));
                content.resize(len);
                let piece = piece.max(SECTOR);
                for at in self.pieces(piece, len) {
                    let (from, to) = (at * piece, (at * piece + piece).min(len));
                    for (_, data) in self.pending.iter().take(rng.below(all + 1)) {
                        content.apply(data, from, to);
                    }
                }
            }
        }
        Arc::new(content)
    }

    /// Numbers of the pieces that unsynced operations touch.
    fn pieces(&self, piece: usize, len: usize) -> Vec<usize> {
        let mut touched: Vec<usize> = Vec::new();
        for (_, data) in &self.pending {
            let (from, to) = data.range(self.durable.len.max(len));
            if from < to.min(len) {
                touched.extend(from / piece..to.min(len).div_ceil(piece));
            }
        }
        touched.sort_unstable();
        touched.dedup();
        touched
    }
}

impl Left {
    /// Equal disks have equal fingerprints.
    pub fn fingerprint(&self) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new();
        for path in &self.dirs {
            hasher.update(path.as_bytes()).update(b"/\0");
        }
        for (path, content) in &self.files {
            hasher.update(path.as_bytes()).update(b"\0").update(content.hash());
        }
        *hasher.finalize().as_bytes()
    }

    /// Whether there is anything on it.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty() && self.dirs.is_empty()
    }

    /// Bytes of all files.
    pub fn bytes(&self) -> usize {
        self.files.values().map(|c| c.len).sum()
    }

    /// Writes this disk into an empty directory.
    pub fn write(&self, dir: &Path) -> io::Result<()> {
        for path in &self.dirs {
            fs::create_dir_all(dir.join(path.trim_start_matches('/')))?;
        }
        for (path, content) in &self.files {
            // Its owner's alone, as everything that a till writes.
            let path = dir.join(path.trim_start_matches('/'));
            let mut file =
                fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
            io::Write::write_all(&mut file, &content.data)?;
            if content.data.len() < content.len {
                file.set_len(content.len as u64)?;
            }
        }
        Ok(())
    }
}
