//! What was read of the machine and the till: plain data, so that every finding can be tried without a machine.

use std::path::PathBuf;

use till_dbus::tree::Tree;
use till_dbus::types::PluginRow;

use super::wanted::Wanted;

/// Everything that is judged.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// The machine.
    pub system: System,
    /// The unit; None: systemd could not be asked.
    pub unit: Option<Unit>,
    /// The bus.
    pub bus: Bus,
    /// The running till; None: it does not run, or is not on this bus.
    pub till: Option<Running>,
    /// Configuration.
    pub config: Config,
    /// Folders that hold what is the till's own.
    pub folders: Vec<Folder>,
    /// The disk below the journal.
    pub disk: Option<Disk>,
    /// The journal's files, looked at while no till runs.
    pub journal: Journal,
    /// Files of secrets that the configuration names.
    pub secrets: Vec<Secret>,
    /// udev.
    pub udev: Udev,
    /// Nodes of configured devices.
    pub nodes: Vec<DeviceNode>,
}

/// The machine.
#[derive(Clone, Debug, Default)]
pub struct System {
    /// systemd is process 1.
    pub systemd: bool,
    /// User id of who asks.
    pub asker: u32,
    /// User that tilld runs as, or would.
    pub user: Option<Account>,
    /// Name of that user when there is none.
    pub wanted_user: String,
    /// User ids of this machine; empty: not to be read.
    pub users: Vec<u32>,
    /// Unix milliseconds.
    pub now_ms: i64,
    /// Something keeps the clock right; None: the kernel does not say.
    pub synchronised: Option<bool>,
}

/// A user with its groups.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Name, or the number.
    pub name: String,
    /// User id.
    pub uid: u32,
    /// Ids of its groups, the unit's too.
    pub groups: Vec<u32>,
}

/// What systemd says of tilld.service.
#[derive(Clone, Debug, Default)]
pub struct Unit {
    /// loaded, not-found, masked …
    pub load: String,
    /// active, inactive, failed …
    pub active: String,
    /// Why it ended.
    pub result: String,
    /// Exit status of the last run.
    pub status: i32,
    /// enabled, disabled …
    pub enabled: String,
    /// The file on disk is another one than systemd's.
    pub reload: bool,
    /// Starts by systemd after a failure.
    pub restarts: u32,
    /// Credentials that it loads.
    pub credentials: Vec<String>,
    /// Kinds of device nodes that it lets through; None: all.
    pub devices: Option<Vec<String>>,
}

/// The bus.
#[derive(Clone, Debug, Default)]
pub struct Bus {
    /// `system`, `session` or an address.
    pub name: String,
    /// It is the system bus.
    pub system: bool,
    /// Why it cannot be reached.
    pub problem: Option<String>,
    /// The till is there, and shows nothing to who asks: what it says.
    pub denied: Option<String>,
    /// The policy that is installed, all of its files.
    pub policy: Option<String>,
    /// A call to the name starts the till.
    pub activation: bool,
}

/// The running till.
#[derive(Clone, Debug, Default)]
pub struct Running {
    /// Everything it shows.
    pub tree: Tree,
    /// Plugins; None: it does not tell.
    pub plugins: Option<Vec<PluginRow>>,
    /// What it says to who may not ask.
    pub denied: Option<String>,
    /// When it was started, Unix milliseconds; None: not to be seen.
    pub since_ms: Option<i64>,
}

/// Configuration.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// Files that are there, in the order in which they apply.
    pub files: Vec<ConfigFile>,
    /// Where one would be.
    pub place: PathBuf,
    /// What `tilld --check-config` said, a problem a line; None: it was not asked.
    pub problems: Option<Vec<String>>,
    /// Why it was not asked.
    pub unchecked: String,
    /// The secrets were there when it was asked.
    pub with_secrets: bool,
    /// `plugins.host`, where it is configured, is there.
    pub host_there: bool,
    /// What is read from it here.
    pub wanted: Wanted,
}

/// A file.
#[derive(Clone, Debug, Default)]
pub struct ConfigFile {
    /// Path.
    pub path: PathBuf,
    /// Owner.
    pub uid: u32,
    /// Permission bits.
    pub mode: u32,
    /// Changed, Unix milliseconds.
    pub changed_ms: i64,
}

/// A folder of the till's own.
#[derive(Clone, Debug, Default)]
pub struct Folder {
    /// What lies in it.
    pub what: &'static str,
    /// Path.
    pub path: PathBuf,
    /// None: not there, or not to be seen.
    pub owner: Option<u32>,
    /// It must be there.
    pub needed: bool,
    /// Other users can get into it.
    pub open: bool,
    /// It should be closed, and the user's own.
    pub private: bool,
    /// Who asks may not look.
    pub unseen: bool,
}

/// The disk below the journal.
#[derive(Clone, Debug, Default)]
pub struct Disk {
    /// Journal's folder, or what is there above it.
    pub path: PathBuf,
    /// Free, MiB.
    pub free_mib: u64,
    /// New payments need so much, MiB.
    pub floor_mib: u64,
    /// Files that may still be made; None: it does not count them.
    pub files: Option<u64>,
    /// Mounted read-only.
    pub read_only: bool,
    /// A file system that the journal refuses.
    pub refused: Option<&'static str>,
}

/// The journal's files.
#[derive(Clone, Debug, Default)]
pub enum Journal {
    /// The running till has it.
    #[default]
    InUse,
    /// There is none yet.
    None,
    /// Checked: records, problems.
    Checked(u64, Vec<String>),
    /// Not checked: why.
    Unseen(String),
}

/// A secret that the configuration names.
#[derive(Clone, Debug, Default)]
pub struct Secret {
    /// Of which device or channel.
    pub of: String,
    /// File's name.
    pub file: String,
    /// Where it would be; None: no folder is configured, the unit has to load it.
    pub path: Option<PathBuf>,
    /// Permission bits; None: it is not there.
    pub mode: Option<u32>,
    /// Who asks may not look there.
    pub unseen: bool,
}

/// udev.
#[derive(Clone, Debug, Default)]
pub struct Udev {
    /// It runs.
    pub running: bool,
    /// The rules' file.
    pub rules: Option<PathBuf>,
    /// Nodes that the rules have marked.
    pub marked: Vec<Node>,
    /// Id of the group `tilld`.
    pub group: Option<u32>,
}

/// A device node.
#[derive(Clone, Debug, Default)]
pub struct Node {
    /// Path.
    pub path: PathBuf,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Group's name, or its number.
    pub group: String,
    /// Permission bits.
    pub mode: u32,
    /// What the kernel calls this kind of device (`/proc/devices`): `ttyACM`, `hidraw` …; empty: not known.
    pub kind: String,
    /// Subsystem (`tty`, `hidraw` …), when udev says it.
    pub subsystem: String,
    /// USB vendor and product, when udev says them.
    pub usb: Option<(String, String)>,
}

/// Where a configured device is.
#[derive(Clone, Debug, Default)]
pub struct DeviceNode {
    /// Its id.
    pub device: String,
    /// Path in the configuration; None: found by udev.
    pub path: Option<PathBuf>,
    /// The node; None: it is not there.
    pub node: Option<Node>,
}
