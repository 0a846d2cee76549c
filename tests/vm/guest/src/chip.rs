//! A GPIO chip out of nothing: `gpio-sim`'s lines end in files of sysfs instead of pins. The system sees an ordinary chip; a line
//! that nobody holds has the level that its resistor gives it, as a relay's input on a board.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use gpiocdev_uapi::v2::{LineInfoChangeEvent, get_line_info, watch_line_info};
use gpiocdev_uapi::{has_event, read_event};

use crate::error::VmError;
use crate::system;

const CONFIGFS: &str = "/sys/kernel/config/gpio-sim";
const DEVICES: &str = "/sys/devices/platform";
/// What the kernel calls a line that was let go (`GPIO_V2_LINE_CHANGED_RELEASED`) and one that was taken.
const RELEASED: u32 = 2;
const TAKEN: u32 = 1;

/// The chip; dropping it takes it out.
pub(crate) struct Chip {
    dir: PathBuf,
    names: Vec<&'static str>,
    files: PathBuf,
    node: PathBuf,
    open: File,
}

fn put(path: impl AsRef<Path>, text: &str) -> Result<(), VmError> {
    fs::write(&path, text).map_err(VmError::file(&path))
}

fn get(path: impl AsRef<Path>) -> Result<String, VmError> {
    Ok(fs::read_to_string(&path).map_err(VmError::file(&path))?.trim().to_owned())
}

impl Chip {
    /// A chip with this label and these lines, all pulled down, there at once.
    pub(crate) fn new(label: &str, names: &[&'static str]) -> Result<Self, VmError> {
        system::run("modprobe", &["gpio-sim"])?;
        let dir = Path::new(CONFIGFS).join(label);
        let bank = dir.join("bank");
        let folder = |path: &Path| fs::create_dir(path).map_err(VmError::file(path));
        folder(&dir)?;
        folder(&bank)?;
        put(bank.join("label"), label)?;
        put(bank.join("num_lines"), &names.len().to_string())?;
        for (place, name) in names.iter().enumerate() {
            let line = bank.join(format!("line{place}"));
            folder(&line)?;
            put(line.join("name"), name)?;
        }
        put(dir.join("live"), "1")?;
        let number = get(bank.join("chip_name"))?;
        let files = Path::new(DEVICES).join(get(dir.join("dev_name"))?).join(&number);
        let node = Path::new("/dev").join(number);
        let open = File::open(&node).map_err(VmError::file(&node))?;
        Ok(Self { dir, names: names.to_vec(), files, node, open })
    }

    /// Its node.
    pub(crate) fn node(&self) -> &Path {
        &self.node
    }

    /// What a line has at its pin: `value` is its level, `pull` its resistor.
    pub(crate) fn file(&self, line: &str, what: &str) -> Result<PathBuf, VmError> {
        Ok(self.files.join(format!("sim_gpio{}", self.place(line)?)).join(what))
    }

    fn place(&self, line: &str) -> Result<u32, VmError> {
        let place = self.names.iter().position(|name| *name == line);
        place.and_then(|n| u32::try_from(n).ok()).ok_or_else(|| VmError::wrong(format!("no line {line}")))
    }

    /// Whether the line is high.
    pub(crate) fn level(&self, line: &str) -> Result<bool, VmError> {
        Ok(get(self.file(line, "value")?)? == "1")
    }

    /// Who holds a line; empty: nobody.
    pub(crate) fn holder(&self, line: &str) -> Result<String, VmError> {
        let info = get_line_info(&self.open, self.place(line)?).map_err(VmError::wrong)?;
        Ok(info.consumer.as_os_str().to_string_lossy().into_owned())
    }

    /// From now on [`Self::hands`] tells of this line.
    pub(crate) fn follow(&self, line: &str) -> Result<(), VmError> {
        watch_line_info(&self.open, self.place(line)?).map(drop).map_err(VmError::wrong)
    }

    /// How often the followed line was let go and taken since the last question, as the kernel tells it.
    pub(crate) fn hands(&self) -> Result<(usize, usize), VmError> {
        let (mut released, mut taken) = (0, 0);
        while has_event(&self.open).map_err(VmError::wrong)? {
            let mut bytes = vec![0; LineInfoChangeEvent::u64_size()];
            let length = read_event(&self.open, &mut bytes).map_err(VmError::wrong)?;
            let event = LineInfoChangeEvent::from_slice(&bytes[..length]).map_err(VmError::wrong)?;
            released += usize::from(event.kind == RELEASED);
            taken += usize::from(event.kind == TAKEN);
        }
        Ok((released, taken))
    }
}

/// Gives a line's resistor its other end.
pub(crate) fn pull(file: &Path, up: bool) -> Result<(), VmError> {
    put(file, if up { "pull-up" } else { "pull-down" })
}

impl Drop for Chip {
    fn drop(&mut self) {
        // A scenario is over; what cannot be taken away is the next one's to stumble over.
        let _live = put(self.dir.join("live"), "0");
        let bank = self.dir.join("bank");
        for place in 0..self.names.len() {
            let _line = fs::remove_dir(bank.join(format!("line{place}")));
        }
        let _gone = fs::remove_dir(&bank).and_then(|()| fs::remove_dir(&self.dir));
    }
}
