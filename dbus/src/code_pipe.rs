//! A payment code on its way to `org.tilld.Payment1.PayCode`: through a pipe, never in a bus message.

use std::io::{self, Write};
use std::os::fd::OwnedFd;

/// Longest code, bytes; a pipe holds it whole, so that writing never waits for the reader.
pub const MAX_CODE: usize = 8192;

/// A pipe with the code in it, its writing end closed: pass it as `Fd::from(pipe.as_fd())`.
pub fn code_pipe(code: &str) -> io::Result<OwnedFd> {
    if code.len() > MAX_CODE {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("a code of {} bytes is no payment code", code.len()),
        ));
    }
    let (reader, mut writer) = io::pipe()?;
    writer.write_all(code.as_bytes())?;
    Ok(reader.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn the_code_arrives_whole_and_the_pipe_ends() {
        let code = "2".repeat(MAX_CODE);
        let mut text = String::new();
        std::fs::File::from(code_pipe(&code).unwrap()).read_to_string(&mut text).unwrap();
        assert_eq!(text, code);
        assert!(code_pipe(&"2".repeat(MAX_CODE + 1)).is_err());
    }
}
