//! Asking the system's own programs: briefly, in English, and never more than is bounded.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::process::Command;

/// What a program said.
pub(crate) struct Said {
    /// Exit code; None: killed by a signal.
    pub(crate) code: Option<i32>,
    /// Standard output.
    pub(crate) out: String,
    /// Standard error.
    pub(crate) err: String,
}

/// Most that is read of each of its outputs, bytes.
pub(crate) const MOST: u64 = 4 << 20;

/// Runs a program to its end; Err: why that could not be. It is killed when it takes longer.
pub(crate) async fn run(
    program: &Path,
    arguments: &[&std::ffi::OsStr],
    env: &[(&str, &std::ffi::OsStr)],
    longest: Duration,
) -> Result<Said, String> {
    let name = program.display();
    let mut child = Command::new(program)
        .args(arguments)
        .env("LC_ALL", "C.UTF-8")
        .env("SYSTEMD_PAGER", "")
        .envs(env.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|e| format!("{name}: {e}"))?;
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let all = async {
        let (out, err) = tokio::join!(read(out), read(err));
        (child.wait().await, out, err)
    };
    match tokio::time::timeout(longest, all).await {
        Ok((Ok(status), out, err)) => Ok(Said { code: status.code(), out, err }),
        Ok((Err(e), ..)) => Err(format!("{name}: {e}")),
        Err(_) => Err(format!("{name} was not done after {} s", longest.as_secs())),
    }
}

async fn read(from: Option<impl tokio::io::AsyncRead + Unpin>) -> String {
    let Some(from) = from else { return String::new() };
    let mut bytes = Vec::new();
    let mut from = from.take(MOST);
    // What came before a failure is what there is.
    let _what_there_is = from.read_to_end(&mut bytes).await;
    // Nobody is left hanging on a full pipe.
    let mut rest = from.into_inner();
    let _nobody_reads = tokio::io::copy(&mut rest, &mut tokio::io::sink()).await;
    String::from_utf8_lossy(&bytes).into_owned()
}
