//! A payment code or password that a front-end hands over through a pipe: read with a bound and a deadline, wiped everywhere.

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use till_plugin::Sensitive;

use super::errors::Error;

/// Longest code, bytes.
const MAX: usize = 8192;
/// Until the writing end must be closed.
const PATIENCE: Duration = Duration::from_secs(2);

/// Reads all of a payment code.
pub(super) async fn read(fd: OwnedFd) -> Result<Sensitive<String>, Error> {
    read_as(fd, "payment code").await
}

/// Reads all of it; `what` it is, for the caller.
pub(super) async fn read_as(fd: OwnedFd, what: &'static str) -> Result<Sensitive<String>, Error> {
    let done = tokio::task::spawn_blocking(move || read_blocking(&fd, PATIENCE, what)).await;
    done.map_err(|e| Error::Stopping(e.to_string()))?
}

fn read_blocking(fd: &OwnedFd, patience: Duration, what: &str) -> Result<Sensitive<String>, Error> {
    let unreadable = |e: rustix::io::Errno| {
        Error::InvalidArgs(format!("the {what}'s file descriptor cannot be read: {e}"))
    };
    let end = Instant::now() + patience;
    let mut bytes = Sensitive::new(vec![0; MAX + 1]);
    let mut length = 0;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let wait = Timespec {
            tv_sec: i64::try_from(left.as_secs()).unwrap_or(0),
            tv_nsec: left.subsec_nanos().into(),
        };
        let ready = poll(&mut [PollFd::new(fd, PollFlags::IN)], Some(&wait)).map_err(unreadable)?;
        if ready == 0 {
            return Err(Error::Timeout(format!(
                "the {what}'s pipe was not closed within two seconds: write the {what}, then close"
            )));
        }
        match rustix::io::read(fd, &mut bytes.expose_mut()[length..]).map_err(unreadable)? {
            0 => break,
            n => length += n,
        }
        if length > MAX {
            return Err(Error::NotPayable(format!("more than {MAX} bytes are no {what}")));
        }
    }
    let text = std::str::from_utf8(&bytes.expose()[..length])
        .map_err(|_| Error::NotPayable(format!("{length} bytes that are not text are no {what}")))?;
    Ok(Sensitive::new(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn given(bytes: &[u8]) -> Result<Sensitive<String>, Error> {
        let (reader, mut writer) = std::io::pipe().unwrap();
        let bytes = bytes.to_vec();
        let writing = std::thread::spawn(move || {
            // The reader may have had enough.
            let _refused = writer.write_all(&bytes);
        });
        let read = read_blocking(&reader.into(), PATIENCE, "code");
        writing.join().unwrap();
        read
    }

    #[test]
    fn a_code_is_read_to_its_end() {
        assert_eq!(given(b"281234567890123456").unwrap().expose(), "281234567890123456");
        assert_eq!(given(b"").unwrap().expose(), "");
        assert_eq!(given(&[b'2'; MAX]).unwrap().expose().len(), MAX);
    }

    #[test]
    fn too_much_and_no_text_are_refused() {
        assert!(matches!(given(&[b'2'; MAX + 1]), Err(Error::NotPayable(_))));
        assert!(matches!(given(&[0xff, 0xfe]), Err(Error::NotPayable(_))));
    }

    #[test]
    fn a_pipe_that_stays_open_is_not_waited_for() {
        let (reader, writer) = std::io::pipe().unwrap();
        let read = read_blocking(&reader.into(), Duration::from_millis(20), "code");
        assert!(matches!(read, Err(Error::Timeout(_))));
        drop(writer);
    }
}
