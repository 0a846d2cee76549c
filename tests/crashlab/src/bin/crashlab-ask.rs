//! `crashlab-ask SOCKET DIR`: what `tilld journal-probe DIR` does, by asking a process that lives on (`warm.rs`). Small, because
//! it is started for every disk that is judged.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let (Some(socket), Some(dir)) = (args.next(), args.next()) else { return ExitCode::from(2) };
    // No answer is what a child that died has given.
    ask(&socket, &dir).unwrap_or(ExitCode::from(101))
}

fn ask(socket: &str, dir: &str) -> Option<ExitCode> {
    let mut stream = UnixStream::connect(socket).ok()?;
    writeln!(stream, "{dir}").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (code, line) = answer.trim_end().split_once(' ')?;
    println!("{line}");
    Some(ExitCode::from(code.parse::<u8>().ok()?))
}
