//! Plugins of released generations keep loading: every `plugins/fixtures/released/*/<target>/*.so` that is in the tree.
//!
//! See `plugins/fixtures/README.md` for when one is added. This test needs no supervisor: it speaks the frames itself,
//! so that it says something about the host and the protocol alone.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use till_plugin::proto::{Create, FrameBuffer, FromHost, PROTOCOL, ToHost, decode, encode_frame, method};
use till_plugin_abi1::{DESCRIPTOR_SYMBOL, Descriptor, PluginKind};

/// `<id> <kind>` of a library, read the way the host reads it.
#[allow(unsafe_code)]
fn identity(so: &Path) -> (String, &'static str) {
    // SAFETY: a plugin of our own, from our own tree; the descriptor is plain data.
    let descriptor = unsafe {
        let library = libloading::Library::new(so).unwrap();
        let symbol = library.get::<*const Descriptor>(DESCRIPTOR_SYMBOL).unwrap();
        let descriptor = *symbol.into_raw().into_raw().cast::<Descriptor>();
        std::mem::forget(library);
        descriptor
    };
    let kind = match descriptor.check().unwrap() {
        PluginKind::Driver => "driver",
        PluginKind::Channel => "channel",
    };
    (Descriptor::text(&descriptor.id), kind)
}

struct Host {
    socket: UnixStream,
    frames: FrameBuffer,
    child: std::process::Child,
}

impl Host {
    fn start(so: &Path) -> Self {
        let (id, kind) = identity(so);
        let (socket, theirs) = UnixStream::pair().unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        // The socket as standard input, which the shell moves to descriptor 3.
        let child = Command::new("/bin/sh")
            .args(["-c", "exec \"$@\" 3<&0 0</dev/null", "sh"])
            .arg(env!("CARGO_BIN_EXE_till-plugin-host"))
            .args([
                "--fd",
                "3",
                "--id",
                &id,
                "--kind",
                kind,
                "--parent",
                &std::process::id().to_string(),
                "--plugin",
            ])
            .arg(so)
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .spawn()
            .unwrap();
        Self { socket, frames: FrameBuffer::new(), child }
    }

    fn send(&mut self, message: &ToHost) {
        self.socket.write_all(&encode_frame(message).unwrap()).unwrap();
    }

    /// The next message that is no log line.
    fn next(&mut self) -> FromHost {
        let mut bytes = [0; 4096];
        loop {
            match self.frames.take().unwrap() {
                Some(FromHost::Log { .. } | FromHost::Event { .. }) => {}
                Some(message) => return message,
                None => {
                    let n = self.socket.read(&mut bytes).unwrap();
                    assert!(n > 0, "the host ended");
                    self.frames.push(&bytes[..n]);
                }
            }
        }
    }
}

fn speaks(so: &Path) {
    let mut host = Host::start(so);
    let FromHost::Hello(hello) = host.next() else { panic!("{}: no hello", so.display()) };
    assert_eq!(hello.protocol, PROTOCOL);
    let create = Create { settings: "{}".into(), secrets: Vec::new(), transport: None, store: Vec::new() };
    host.send(&ToHost::Create(create));
    let FromHost::Created { description } = host.next() else { panic!("{}: not created", so.display()) };
    assert!(!description.is_empty());
    host.send(&ToHost::Call { id: 1, method: method::STATISTICS_1, timeout_ms: 5000, payload: Vec::new() });
    let FromHost::Reply { id: 1, result: Ok(reply) } = host.next() else {
        panic!("{}: no reply", so.display())
    };
    decode::<Vec<(String, u64)>>(&reply).unwrap();
    host.send(&ToHost::Ping { nonce: 7 });
    assert!(matches!(host.next(), FromHost::Pong { nonce: 7, .. }));
    host.send(&ToHost::Stop);
    assert_eq!(host.child.wait().unwrap().code(), Some(0));
}

#[test]
fn todays_fixtures_speak_protocol_1() {
    for package in ["till-fixture-good", "till-fixture-goodchannel"] {
        let dir = tempfile::tempdir().unwrap();
        let so = dir.path().join("plugin.so");
        till_fixture_kit::put(&so, &fs::read(till_fixture_kit::library(package)).unwrap());
        speaks(&so);
    }
}

#[test]
fn plugins_of_every_release_still_load_and_answer() {
    let released = till_fixture_kit::workspace().join("plugins/fixtures/released");
    let list = |dir: &Path| -> Vec<PathBuf> {
        let mut all: Vec<_> =
            fs::read_dir(dir).map(|d| d.filter_map(|e| Some(e.ok()?.path())).collect()).unwrap_or_default();
        all.sort();
        all
    };
    let mut tried = 0;
    for release in list(&released) {
        for so in list(&release.join(till_plugin::TARGET)) {
            if so.extension().is_some_and(|e| e == "so") {
                // Copied, because a checkout may be writable by a group.
                let dir = tempfile::tempdir().unwrap();
                let copy = dir.path().join("plugin.so");
                till_fixture_kit::put(&copy, &fs::read(&so).unwrap());
                println!("{}", so.display());
                speaks(&copy);
                tried += 1;
            }
        }
    }
    if tried == 0 {
        println!("skipped: no released plugins for {} in the tree yet", till_plugin::TARGET);
    }
}
