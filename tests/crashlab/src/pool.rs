//! Worker processes that judge disks, one line a disk. A worker that dies or hangs is an answer too.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use crate::LabError;
use crate::check::Question;

/// Longest that one disk may take. Opening probes for at most 30 s.
const LIMIT: Duration = Duration::from_secs(100);

/// How a worker is started.
#[derive(Debug, Clone)]
pub struct Recipe {
    /// Program.
    pub program: PathBuf,
    /// Arguments.
    pub args: Vec<String>,
    /// Where its standard error goes: read when it dies.
    pub errors: PathBuf,
}

struct Live {
    child: Child,
    input: ChildStdin,
    answers: Receiver<String>,
}

/// One worker, started when it is needed, and anew after each answer that is not a good one.
pub struct Worker {
    recipe: Recipe,
    live: Option<Live>,
}

impl Worker {
    /// Not started yet.
    pub fn new(recipe: Recipe) -> Self {
        Self { recipe, live: None }
    }

    fn start(&self) -> Result<Live, LabError> {
        let errors = std::fs::File::create(&self.recipe.errors).map_err(LabError::file("worker's errors"))?;
        let mut child = Command::new(&self.recipe.program)
            .args(&self.recipe.args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(errors)
            .spawn()
            .map_err(LabError::file(format!("worker {}", self.recipe.program.display())))?;
        let pipes = child.stdin.take().zip(child.stdout.take());
        let (input, output) = pipes.ok_or_else(|| LabError::Lab("worker without pipes".into()))?;
        let (said, answers) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if said.send(line).is_err() {
                    return;
                }
            }
        });
        Ok(Live { child, input, answers })
    }

    /// Has the disk in `dir` judged. `Ok(Err)`: it failed, and how.
    pub fn ask(&mut self, dir: &Path, question: &Question) -> Result<Result<String, String>, LabError> {
        let mut live = match self.live.take() {
            Some(live) => live,
            None => self.start()?,
        };
        let line = format!(
            "{} {} {} {}\n",
            question.need,
            question.shredded,
            u8::from(question.quiet),
            dir.display()
        );
        if live.input.write_all(line.as_bytes()).is_err() {
            return Ok(Err(self.obituary(&mut live, "died before it was asked")));
        }
        match live.answers.recv_timeout(LIMIT) {
            Ok(answer) => {
                if let Some(told) = answer.strip_prefix("fine") {
                    self.live = Some(live);
                    return Ok(Ok(told.trim().to_owned()));
                }
                // sled's threads of a failed open may still be about.
                let _gone = live.child.kill();
                let _reaped = live.child.wait();
                Ok(Err(answer))
            }
            Err(RecvTimeoutError::Timeout) => {
                let said = self.obituary(&mut live, "HUNG");
                Ok(Err(said))
            }
            Err(RecvTimeoutError::Disconnected) => Ok(Err(self.obituary(&mut live, "PANIC"))),
        }
    }

    fn obituary(&self, live: &mut Live, what: &str) -> String {
        let _gone = live.child.kill();
        let status = live.child.wait().map(|s| s.to_string()).unwrap_or_default();
        let errors = std::fs::read_to_string(&self.recipe.errors).unwrap_or_default();
        let last: Vec<&str> = errors.lines().rev().take(3).collect();
        format!("{what}: the worker ended with {status}: {}", last.join(" | "))
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if let Some(mut live) = self.live.take() {
            let _gone = live.child.kill();
            let _reaped = live.child.wait();
        }
    }
}

/// The worker's side: judges what it is asked on standard input until that ends.
pub fn serve(mut judge: impl FnMut(&Path, &Question) -> Result<String, String>) {
    for line in std::io::stdin().lines().map_while(Result::ok) {
        let mut words = line.splitn(4, ' ');
        let mut next = || words.next().unwrap_or_default();
        let (need, shredded, quiet, dir) = (next(), next(), next(), next());
        let number = |text: &str| text.parse().unwrap_or(u64::MAX);
        let question = Question { need: number(need), shredded: number(shredded), quiet: quiet == "1" };
        let answer = match judge(Path::new(dir), &question) {
            Ok(told) => format!("fine {told}"),
            Err(why) => format!("FAILED {why}"),
        };
        // One line an answer, whatever an error's text holds.
        println!("{}", answer.replace('\n', " "));
    }
}
