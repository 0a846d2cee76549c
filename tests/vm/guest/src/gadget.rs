//! USB devices out of nothing: `dummy_hcd` is a host controller wired to a device controller of its own, configfs says what
//! the device is. The system sees an ordinary device: enumeration, descriptors, udev, its drivers, an unplug.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::error::VmError;
use crate::system;

const CONFIGFS: &str = "/sys/kernel/config/usb_gadget";
const CONTROLLERS: &str = "/sys/class/udc";
/// So many devices at once.
const PORTS: &str = "num=4";
const PATIENCE: Duration = Duration::from_secs(10);

/// Boot keyboard (HID 1.11, appendix B.1).
const KEYBOARD: &str = "05010906a101050719e029e71500250175019508810295017508810395057501050819012905910295017503\
                        910395067508150025650507190029658100c0";

/// What a device does.
#[derive(Clone, Debug)]
pub(crate) enum Function {
    /// A keyboard.
    Keyboard,
    /// A keyboard of two interfaces, as readers with a keypad or media keys are: two event nodes.
    TwoKeyboards,
    /// Reports of its own: descriptor in hex, longest report; `control`: what the till says comes over the control pipe.
    Reports { descriptor: String, longest: usize, control: bool },
    /// A serial line (CDC-ACM).
    Serial,
    /// A printer, class 07, both ways.
    Printer,
}

/// A device, plugged in or not. Dropping it unplugs it and forgets it.
pub(crate) struct Gadget {
    dir: PathBuf,
    functions: Vec<PathBuf>,
    kind: Function,
    controller: Option<String>,
}

fn put(path: impl AsRef<Path>, text: &str) -> Result<(), VmError> {
    fs::write(&path, text).map_err(VmError::file(&path))
}

impl Gadget {
    /// Describes a device; it is not plugged in yet.
    pub(crate) fn new(name: &str, id: (u16, u16), serial: &str, kind: Function) -> Result<Self, VmError> {
        if !Path::new(CONTROLLERS).join("dummy_udc.0").exists() {
            system::run("modprobe", &["libcomposite"])?;
            system::run("modprobe", &["dummy_hcd", PORTS])?;
        }
        let dir = Path::new(CONFIGFS).join(name);
        let folder = |path: &Path| fs::create_dir(path).map_err(VmError::file(path));
        folder(&dir)?;
        put(dir.join("idVendor"), &format!("{:#06x}", id.0))?;
        put(dir.join("idProduct"), &format!("{:#06x}", id.1))?;
        folder(&dir.join("strings/0x409"))?;
        put(dir.join("strings/0x409/serialnumber"), serial)?;
        put(dir.join("strings/0x409/manufacturer"), "Till VM")?;
        put(dir.join("strings/0x409/product"), name)?;
        folder(&dir.join("configs/c.1"))?;
        let mut functions = Vec::new();
        let mut function = |what: &str| -> Result<PathBuf, VmError> {
            let path = dir.join("functions").join(what);
            folder(&path)?;
            functions.push(path.clone());
            Ok(path)
        };
        match &kind {
            Function::Keyboard => keyboard(&function(&format!("hid.{name}"))?)?,
            Function::TwoKeyboards => {
                keyboard(&function(&format!("hid.{name}"))?)?;
                keyboard(&function(&format!("hid.{name}2"))?)?;
            }
            Function::Reports { descriptor, longest, control } => {
                let path = function(&format!("hid.{name}"))?;
                reports(&path, descriptor, *longest)?;
                put(path.join("no_out_endpoint"), if *control { "1" } else { "0" })?;
            }
            Function::Serial => drop(function(&format!("acm.{name}"))?),
            Function::Printer => {
                let path = function(&format!("printer.{name}"))?;
                put(path.join("q_len"), "4")?;
                put(path.join("pnp_string"), "MFG:Till VM;MDL:Receipt;CMD:ESC/POS;CLS:PRINTER;")?;
            }
        }
        for path in &functions {
            let link = dir.join("configs/c.1").join(path.file_name().unwrap_or_default());
            symlink(path, &link).map_err(VmError::file(&link))?;
        }
        Ok(Self { dir, functions, kind, controller: None })
    }

    /// Plugs it in and waits until the system has chosen its configuration.
    pub(crate) fn plug(&mut self) -> Result<(), VmError> {
        let controller = self.attach()?;
        let state = Path::new(CONTROLLERS).join(&controller).join("state");
        let deadline = Instant::now() + PATIENCE;
        while fs::read_to_string(&state).map_err(VmError::file(&state))?.trim() != "configured" {
            if Instant::now() > deadline {
                return Err(VmError::wrong(format!(
                    "{}: the system does not configure it",
                    self.dir.display()
                )));
            }
            sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// Plugs it in, and does not wait; the controller it hangs on.
    pub(crate) fn attach(&mut self) -> Result<String, VmError> {
        let controller = free()?;
        put(self.dir.join("UDC"), &controller)?;
        self.controller = Some(controller.clone());
        Ok(controller)
    }

    /// Whether it is in.
    pub(crate) fn plugged(&self) -> bool {
        self.controller.is_some()
    }

    /// Pulls it out.
    pub(crate) fn unplug(&mut self) -> Result<(), VmError> {
        if self.controller.take().is_none() {
            return Ok(());
        }
        put(self.dir.join("UDC"), "\n")
    }

    /// The device's own end: what its firmware would read and write. There while it is plugged in.
    pub(crate) fn end(&self) -> Result<PathBuf, VmError> {
        self.end_of(0)
    }

    /// That of one of its functions.
    pub(crate) fn end_of(&self, which: usize) -> Result<PathBuf, VmError> {
        let function = self.functions.get(which).ok_or_else(|| VmError::wrong("no such function"))?;
        let path = match self.kind {
            Function::Keyboard | Function::TwoKeyboards | Function::Reports { .. } => {
                let number = fs::read_to_string(function.join("dev")).map_err(VmError::file(function))?;
                let minor = number.trim().rsplit(':').next().unwrap_or_default().to_owned();
                PathBuf::from(format!("/dev/hidg{minor}"))
            }
            Function::Serial => {
                let port = function.join("port_num");
                let number = fs::read_to_string(&port).map_err(VmError::file(&port))?;
                PathBuf::from(format!("/dev/ttyGS{}", number.trim()))
            }
            // One printer at a time.
            Function::Printer => "/dev/g_printer0".into(),
        };
        // Made by devtmpfs in the moment of the plug, or there already.
        let deadline = Instant::now() + PATIENCE;
        while !path.exists() {
            if Instant::now() > deadline {
                return Err(VmError::wrong(format!("{} does not appear", path.display())));
            }
            sleep(Duration::from_millis(5));
        }
        Ok(path)
    }
}

fn keyboard(function: &Path) -> Result<(), VmError> {
    put(function.join("protocol"), "1")?;
    put(function.join("subclass"), "1")?;
    reports(function, KEYBOARD, 8)
}

fn reports(function: &Path, descriptor: &str, longest: usize) -> Result<(), VmError> {
    let bytes = hex::decode(descriptor).map_err(VmError::wrong)?;
    let path = function.join("report_desc");
    fs::write(&path, bytes).map_err(VmError::file(&path))?;
    put(function.join("report_length"), &longest.to_string())
}

/// A controller that nothing is plugged into.
fn free() -> Result<String, VmError> {
    let names = |path: &str| -> Vec<String> {
        let entries = fs::read_dir(path).into_iter().flatten().flatten();
        entries.filter_map(|e| e.file_name().into_string().ok()).collect()
    };
    let used: Vec<String> = names(CONFIGFS)
        .iter()
        .filter_map(|g| {
            Some(fs::read_to_string(Path::new(CONFIGFS).join(g).join("UDC")).ok()?.trim().to_owned())
        })
        .collect();
    let mut all = names(CONTROLLERS);
    all.sort();
    all.into_iter().find(|u| !used.contains(u)).ok_or_else(|| VmError::wrong("no free dummy_udc"))
}

impl Drop for Gadget {
    fn drop(&mut self) {
        let _unplugged = self.unplug();
        // configfs wants it taken apart in this order; what fails shows when the name is used again.
        for link in fs::read_dir(self.dir.join("configs/c.1")).into_iter().flatten().flatten() {
            if link.path().is_symlink() {
                let _gone = fs::remove_file(link.path());
            }
        }
        let mut folders = vec![self.dir.join("configs/c.1")];
        folders.append(&mut self.functions);
        folders.extend([self.dir.join("strings/0x409"), self.dir.clone()]);
        for folder in folders {
            let _gone = fs::remove_dir(folder);
        }
    }
}
