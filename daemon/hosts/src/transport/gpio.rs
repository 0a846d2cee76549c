//! GPIO chips, found by their label: the numbers of the nodes change between kernels and boots.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use gpiocdev_uapi::v2::get_chip_info;

use super::{OpenError, Opened, device};

/// Opens the one chip with this label.
pub(super) fn open(label: &str) -> Result<Opened, OpenError> {
    let (mut chips, mut closed) = (Vec::new(), Vec::new());
    let nodes = fs::read_dir("/dev").into_iter().flatten().filter_map(|e| Some(e.ok()?.path()));
    for path in nodes.filter(|p| is_chip(p)) {
        match File::open(&path) {
            Ok(file) => {
                if let Ok(info) = get_chip_info(&file) {
                    chips.push((path, info.label.as_os_str().to_string_lossy().into_owned()));
                }
            }
            Err(e) => closed.push(OpenError::file(&path, &e)),
        }
    }
    device::open(&choose(label, &chips, &closed)?)
}

fn is_chip(path: &Path) -> bool {
    let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
    name.strip_prefix("gpiochip").is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
}

/// The one with the label. Two names of one node (a compatibility link of newer kernels) are one chip. One that may not be
/// looked at may be the one: it is said why, or a missing right would look like a wrong label.
fn choose(label: &str, chips: &[(PathBuf, String)], closed: &[OpenError]) -> Result<PathBuf, OpenError> {
    let same = |a: &Path, b: &Path| match (fs::canonicalize(a), fs::canonicalize(b)) {
        (Ok(a), Ok(b)) => a == b,
        _ => a == b,
    };
    let mut fitting: Vec<PathBuf> = Vec::new();
    for (path, found) in chips {
        if found == label && !fitting.iter().any(|f| same(f, path)) {
            fitting.push(path.clone());
        }
    }
    let list = |paths: Vec<String>| if paths.is_empty() { "none".to_owned() } else { paths.join(", ") };
    match fitting.len() {
        1 => Ok(fitting.remove(0)),
        0 => {
            let there = chips.iter().map(|(p, l)| format!("{l} ({})", p.display()));
            let there = there.chain(closed.iter().map(ToString::to_string)).collect();
            Err(OpenError::NoChip { label: label.to_owned(), there: list(there) })
        }
        _ => {
            let there = fitting.iter().map(|p| p.display().to_string()).collect();
            Err(OpenError::ManyChips { label: label.to_owned(), there: list(there) })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chips(all: &[(&str, &str)]) -> Vec<(PathBuf, String)> {
        all.iter().map(|(p, l)| (PathBuf::from(p), (*l).to_owned())).collect()
    }

    #[test]
    fn a_chip_is_found_by_its_label_whatever_its_number() {
        for number in ["/dev/gpiochip0", "/dev/gpiochip4"] {
            let there = chips(&[("/dev/gpiochip9", "raspberrypi-exp-gpio"), (number, "pinctrl-rp1")]);
            assert_eq!(choose("pinctrl-rp1", &there, &[]), Ok(number.into()));
        }
    }

    #[test]
    fn a_missing_chip_names_what_there_is_and_two_are_not_guessed_between() {
        let text = choose("pinctrl", &chips(&[("/dev/gpiochip0", "pl061")]), &[]).unwrap_err().to_string();
        assert!(text.contains("pl061 (/dev/gpiochip0)"), "{text}");
        let two = chips(&[("/dev/gpiochip0", "ftdi"), ("/dev/gpiochip1", "ftdi")]);
        assert!(matches!(choose("ftdi", &two, &[]), Err(OpenError::ManyChips { .. })));
        assert!(choose("x", &[], &[]).unwrap_err().to_string().contains("none"));
    }

    #[test]
    fn a_chip_that_may_not_be_looked_at_is_said_to_be_so() {
        let path = PathBuf::from("/dev/gpiochip0");
        let closed = [OpenError::Permission { path, fix: "add a udev rule".into() }];
        let text = choose("pinctrl-bcm2711", &[], &closed).unwrap_err().to_string();
        assert!(text.contains("/dev/gpiochip0 may not be opened by this service: add a udev rule"), "{text}");
        let there = chips(&[("/dev/gpiochip1", "pinctrl-bcm2711")]);
        assert_eq!(choose("pinctrl-bcm2711", &there, &closed), Ok("/dev/gpiochip1".into()));
    }

    #[test]
    fn only_nodes_of_chips_are_looked_at() {
        assert!(is_chip(Path::new("/dev/gpiochip12")));
        assert!(!["/dev/gpiomem", "/dev/gpiochip", "/dev/gpiochipx"].iter().any(|p| is_chip(Path::new(p))));
    }
}
