//! A line from standard input that nobody sees.

use std::io::{BufRead, IsTerminal, Read, stdin};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use till_plugin::Sensitive;

use crate::exit::Failure;

/// Longest payment code, bytes.
const MAX: usize = 8192;

/// Switches the terminal's echo back on when it goes, also when Ctrl-C ends the wait.
struct NoEcho(Option<Termios>);

impl NoEcho {
    fn start() -> Self {
        let input = stdin();
        if !input.is_terminal() {
            return Self(None);
        }
        let before = tcgetattr(&input).ok();
        if let Some(mut quiet) = before.clone() {
            quiet.local_modes.remove(LocalModes::ECHO);
            // A terminal that cannot be quiet still reads; the code is on its screen only.
            let _best_effort = tcsetattr(&input, OptionalActions::Now, &quiet);
        }
        Self(before)
    }
}

impl Drop for NoEcho {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            let _best_effort = tcsetattr(stdin(), OptionalActions::Now, before);
            eprintln!();
        }
    }
}

/// Reads a payment code.
pub(crate) async fn read(prompt: &str) -> Result<Sensitive<String>, Failure> {
    read_as(prompt, "payment code").await
}

/// Reads a line; `what` it is, for people. Dropping the future (Ctrl-C) leaves the terminal as it was.
pub(crate) async fn read_as(prompt: &str, what: &str) -> Result<Sensitive<String>, Failure> {
    let _quiet = NoEcho::start();
    if stdin().is_terminal() {
        eprint!("{prompt}");
    }
    let line = tokio::task::spawn_blocking(|| {
        let mut line = Sensitive::new(String::new());
        let result = stdin().lock().take(MAX as u64 + 2).read_line(line.expose_mut());
        result.map(|_| line)
    });
    let mut line = line.await.map_err(std::io::Error::other)??;
    let text = line.expose_mut();
    let end = text.trim_end_matches(['\r', '\n']).len();
    text.truncate(end);
    if text.is_empty() || text.len() > MAX {
        return Err(Failure::usage(format!(
            "standard input gave {} bytes where a {what} was expected: give one line",
            text.len()
        )));
    }
    Ok(line)
}
