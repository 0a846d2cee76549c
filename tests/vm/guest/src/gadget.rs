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
    /// Reports of its own: descriptor in hex, longest report.
    Reports { descriptor: String, longest: usize },
    /// A serial line (CDC-ACM).
    Serial,
    /// A printer, class 07, both ways.
    Printer,
}

/// A device, plugged in or not. Dropping it unplugs it and forgets it.
pub(crate) struct Gadget {
    dir: PathBuf,
    function: PathBuf,
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
        let what = match kind {
            Function::Keyboard | Function::Reports { .. } => "hid",
            Function::Serial => "acm",
            Function::Printer => "printer",
        };
        let function = dir.join(format!("functions/{what}.{name}"));
        folder(&function)?;
        match &kind {
            Function::Keyboard => {
                put(function.join("protocol"), "1")?;
                put(function.join("subclass"), "1")?;
                reports(&function, KEYBOARD, 8)?;
            }
            Function::Reports { descriptor, longest } => reports(&function, descriptor, *longest)?,
            Function::Serial => {}
            Function::Printer => {
                put(function.join("q_len"), "4")?;
                put(function.join("pnp_string"), "MFG:Till VM;MDL:Receipt;CMD:ESC/POS;CLS:PRINTER;")?;
            }
        }
        let link = dir.join("configs/c.1").join(format!("{what}.{name}"));
        symlink(&function, &link).map_err(VmError::file(&link))?;
        Ok(Self { dir, function, kind, controller: None })
    }

    /// Plugs it in and waits until the system has chosen its configuration.
    pub(crate) fn plug(&mut self) -> Result<(), VmError> {
        let controller = free()?;
        put(self.dir.join("UDC"), &controller)?;
        let state = Path::new(CONTROLLERS).join(&controller).join("state");
        self.controller = Some(controller);
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

    /// Pulls it out.
    pub(crate) fn unplug(&mut self) -> Result<(), VmError> {
        if self.controller.take().is_none() {
            return Ok(());
        }
        put(self.dir.join("UDC"), "\n")
    }

    /// The device's own end: what its firmware would read and write. There while it is plugged in.
    pub(crate) fn end(&self) -> Result<PathBuf, VmError> {
        let path = match self.kind {
            Function::Keyboard | Function::Reports { .. } => {
                let number =
                    fs::read_to_string(self.function.join("dev")).map_err(VmError::file(&self.function))?;
                let minor = number.trim().rsplit(':').next().unwrap_or_default().to_owned();
                PathBuf::from(format!("/dev/hidg{minor}"))
            }
            Function::Serial => {
                let port = self.function.join("port_num");
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
        for folder in
            [&self.dir.join("configs/c.1"), &self.function, &self.dir.join("strings/0x409"), &self.dir]
        {
            let _gone = fs::remove_dir(folder);
        }
    }
}
