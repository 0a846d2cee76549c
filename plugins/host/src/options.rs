//! The command line. Written by the daemon, so it is strict and small.

use std::ffi::OsString;
use std::os::fd::RawFd;
use std::path::PathBuf;

use till_plugin_abi1::PluginKind;

/// What the host is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Socket to the daemon.
    pub socket: RawFd,
    /// The opened transport.
    pub transport: Option<RawFd>,
    /// The `.so`.
    pub plugin: PathBuf,
    /// Id that it must have.
    pub id: String,
    /// Kind that it must have.
    pub kind: PluginKind,
    /// Process id of the daemon.
    pub parent: u32,
    /// The plugin may open network connections.
    pub network: bool,
    /// Files and folders that the plugin may read.
    pub read: Vec<PathBuf>,
    /// Address space, bytes.
    pub memory: u64,
    /// Open files.
    pub files: u64,
    /// Processes and threads of this user.
    pub tasks: u64,
    /// Whether the wall clock is trusted.
    pub clock: Clock,
}

/// Where the clock-trusted flag comes from.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Clock {
    /// The kernel.
    Kernel,
    /// Trusted.
    Always,
    /// Not trusted.
    Never,
}

/// A wrong command line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OptionsError {
    /// An unknown option.
    #[error("unknown option {0:?}; this program is started by tilld, not by hand")]
    Unknown(String),
    /// No or a wrong value.
    #[error("option {0} needs a proper value; this program is started by tilld, not by hand")]
    Value(String),
    /// An option is missing.
    #[error("option {0} is missing; this program is started by tilld, not by hand")]
    Missing(&'static str),
}

impl Options {
    /// Reads arguments (without the program's name).
    pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, OptionsError> {
        let (mut socket, mut transport, mut plugin, mut id, mut kind, mut parent) =
            (None, None, None, None, None, None);
        let mut options = Self {
            socket: 0,
            transport: None,
            plugin: PathBuf::new(),
            id: String::new(),
            kind: PluginKind::Driver,
            parent: 0,
            network: false,
            read: Vec::new(),
            memory: 256 << 20,
            files: 64,
            tasks: 512,
            clock: Clock::Kernel,
        };
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            let name = argument.to_string_lossy().into_owned();
            let bad = || OptionsError::Value(name.clone());
            if name == "--network" {
                options.network = true;
                continue;
            }
            let known = [
                "--fd",
                "--transport-fd",
                "--plugin",
                "--id",
                "--kind",
                "--parent",
                "--read",
                "--memory",
                "--files",
                "--tasks",
                "--clock",
            ];
            if !known.contains(&name.as_str()) {
                return Err(OptionsError::Unknown(name));
            }
            let value = arguments.next().ok_or_else(bad)?;
            let text = || value.to_str().ok_or_else(bad);
            let number = || text()?.parse::<u64>().map_err(|_| bad());
            let fd = || text()?.parse::<RawFd>().ok().filter(|fd| *fd > 2).ok_or_else(bad);
            match name.as_str() {
                "--fd" => socket = Some(fd()?),
                "--transport-fd" => transport = Some(fd()?),
                "--plugin" => plugin = Some(PathBuf::from(value)),
                "--id" => id = Some(text()?.to_owned()),
                "--kind" => {
                    kind = Some(match text()? {
                        "driver" => PluginKind::Driver,
                        "channel" => PluginKind::Channel,
                        _ => return Err(bad()),
                    });
                }
                "--parent" => parent = Some(u32::try_from(number()?).map_err(|_| bad())?),
                "--read" => options.read.push(PathBuf::from(value)),
                "--memory" => options.memory = number()?,
                "--files" => options.files = number()?,
                "--tasks" => options.tasks = number()?,
                _ => {
                    options.clock = match text()? {
                        "kernel" => Clock::Kernel,
                        "always" => Clock::Always,
                        "never" => Clock::Never,
                        _ => return Err(bad()),
                    };
                }
            }
        }
        options.transport = transport;
        options.socket = socket.ok_or(OptionsError::Missing("--fd"))?;
        options.plugin = plugin.ok_or(OptionsError::Missing("--plugin"))?;
        options.id = id.ok_or(OptionsError::Missing("--id"))?;
        options.kind = kind.ok_or(OptionsError::Missing("--kind"))?;
        options.parent = parent.ok_or(OptionsError::Missing("--parent"))?;
        Ok(options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Options, OptionsError> {
        Options::parse(text.split_ascii_whitespace().map(OsString::from))
    }

    const WHOLE: &str = "--fd 3 --transport-fd 4 --plugin /p/x.so --id org.example.x --kind channel --parent 77 \
                         --network --read /a --read /b --clock always";

    #[test]
    fn a_whole_line_is_read() {
        let o = parse(WHOLE).unwrap();
        assert_eq!((o.socket, o.transport, o.parent, o.network), (3, Some(4), 77, true));
        assert_eq!(o.read, [PathBuf::from("/a"), PathBuf::from("/b")]);
        assert_eq!((o.kind, o.clock), (PluginKind::Channel, Clock::Always));
    }

    #[test]
    fn nothing_is_guessed() {
        assert_eq!(parse("--fd 3"), Err(OptionsError::Missing("--plugin")));
        assert_eq!(parse("--fd"), Err(OptionsError::Value("--fd".into())));
        assert_eq!(parse("--fd 1"), Err(OptionsError::Value("--fd".into())));
        assert_eq!(parse(&WHOLE.replace("channel", "printer")), Err(OptionsError::Value("--kind".into())));
        assert_eq!(parse("--nope 1"), Err(OptionsError::Unknown("--nope".into())));
    }
}
