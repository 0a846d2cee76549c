//! The little HTTP/1.1 the wallet channels speak (RFC 9112), bytes in and bytes out.
//!
//! One request a connection, one answer, nothing followed and nothing repeated: a redirect, a retry on a stale pooled
//! connection or an unasked-for encoding would each blur whether a pay left the machine once.

use thiserror::Error;
use zeroize::Zeroizing;

/// Longest status line and headers together.
const HEAD_CAP: usize = 16 * 1024;
/// Longest body. Answers are under 4 KiB; a host that sends more than this is not the gateway.
pub const BODY_CAP: usize = 64 * 1024;
const MOST_HEADERS: usize = 64;

/// Why the bytes are no usable answer. After the request has left, each of these means: outcome unknown.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum HttpError {
    /// Not HTTP/1.1, or not of a form this channel accepts.
    #[error("the gateway's HTTP answer is not acceptable: {0}")]
    Protocol(&'static str),
    /// Larger than any answer.
    #[error("the gateway's answer is larger than {BODY_CAP} bytes")]
    TooLarge,
    /// A status other than 200.
    #[error("the gateway answered HTTP status {0}")]
    Status(u16),
    /// The connection ended inside the answer.
    #[error("the connection ended in the middle of the gateway's answer")]
    Cut,
}

/// One request.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// `GET` or `POST`.
    pub method: &'static str,
    /// Path with its query, as signed.
    pub path: &'a str,
    /// Headers beside host, length, encoding and connection. Control characters in a value are left out.
    pub headers: &'a [(&'a str, &'a str)],
    /// The body; a `GET` has none.
    pub body: &'a [u8],
}

impl Request<'_> {
    /// The request's bytes.
    pub fn bytes(&self, host: &str) -> Zeroizing<Vec<u8>> {
        let mut head = format!("{} {} HTTP/1.1\r\nHost: {host}\r\n", self.method, self.path);
        for (name, value) in self.headers {
            head.push_str(name);
            head.push_str(": ");
            head.extend(value.chars().filter(|c| !c.is_control()));
            head.push_str("\r\n");
        }
        if self.method != "GET" {
            head.push_str("Content-Length: ");
            head.push_str(&self.body.len().to_string());
            head.push_str("\r\n");
        }
        head.push_str("Accept-Encoding: identity\r\nConnection: close\r\n\r\n");
        let mut bytes = Zeroizing::new(Vec::with_capacity(head.len() + self.body.len()));
        bytes.extend_from_slice(head.as_bytes());
        bytes.extend_from_slice(self.body);
        bytes
    }
}

/// A whole answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Its status.
    pub status: u16,
    /// Its headers, in order.
    headers: Vec<(String, String)>,
    /// Its body; empty where there is none.
    pub body: Vec<u8>,
}

impl Reply {
    /// An answer from its parts.
    pub fn new(status: u16, headers: &[(&str, &str)], body: Vec<u8>) -> Self {
        let headers = headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        Self { status, headers, body }
    }

    /// The one header of that name. Nothing when it is absent or there twice: which of the two was meant?
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name));
        let value = found.next()?.1.as_str();
        found.next().is_none().then_some(value)
    }
}

/// How the body ends.
#[derive(Clone, Copy, Debug)]
enum Framing {
    Length(usize),
    Chunked,
    ToEnd,
}

/// Collects an answer from however it is cut into pieces.
#[derive(Debug, Default)]
pub struct Answer {
    bytes: Vec<u8>,
    any_status: bool,
}

impl Answer {
    /// Takes an answer of any status for an answer, not only `200`.
    pub fn of_any_status() -> Self {
        Self { bytes: Vec::new(), any_status: true }
    }

    /// Status and headers, with the body that [`Answer::feed`] or [`Answer::end`] gave.
    pub fn reply(&self, body: Vec<u8>) -> Result<Reply, HttpError> {
        let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
        let mut response = httparse::Response::new(&mut headers);
        let malformed = HttpError::Protocol("status line or headers are malformed");
        let (Ok(httparse::Status::Complete(_)), Some(status)) = (response.parse(&self.bytes), response.code)
        else {
            return Err(malformed);
        };
        let text = |value: &[u8]| std::str::from_utf8(value).ok().map(|v| v.trim().to_owned());
        let headers = response.headers.iter().filter_map(|h| Some((h.name.to_owned(), text(h.value)?)));
        Ok(Reply { status, headers: headers.collect(), body })
    }

    /// Adds received bytes. The body, once it is whole.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<Option<Vec<u8>>, HttpError> {
        // Chunk framing at its worst (one byte a chunk) is six bytes for one.
        if self.bytes.len() + bytes.len() > HEAD_CAP + BODY_CAP * 6 {
            return Err(HttpError::TooLarge);
        }
        self.bytes.extend_from_slice(bytes);
        self.read(false)
    }

    /// The other end has closed properly: the body, if that is how it ends.
    pub fn end(&mut self) -> Result<Vec<u8>, HttpError> {
        self.read(true)?.ok_or(HttpError::Cut)
    }

    fn read(&mut self, ended: bool) -> Result<Option<Vec<u8>>, HttpError> {
        loop {
            let Some((size, status, framing)) = head(&self.bytes)? else { return Ok(None) };
            // An interim answer precedes the real one; switching protocols was never asked for.
            if (100..200).contains(&status) {
                if status == 101 {
                    return Err(HttpError::Protocol("it switches protocols"));
                }
                self.bytes.drain(..size);
                continue;
            }
            if status != 200 && !self.any_status {
                return Err(HttpError::Status(status));
            }
            // RFC 9112 §6.3: these have no body, whatever their headers say.
            let framing = if matches!(status, 204 | 304) { Framing::Length(0) } else { framing };
            return body(self.bytes.get(size..).unwrap_or_default(), framing, ended);
        }
    }
}

fn head(bytes: &[u8]) -> Result<Option<(usize, u16, Framing)>, HttpError> {
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let size = match response.parse(bytes) {
        Ok(httparse::Status::Complete(size)) => size,
        Ok(httparse::Status::Partial) if bytes.len() <= HEAD_CAP => return Ok(None),
        Ok(httparse::Status::Partial) => return Err(HttpError::Protocol("its headers do not end")),
        Err(_) => return Err(HttpError::Protocol("status line or headers are malformed")),
    };
    let status = response.code.ok_or(HttpError::Protocol("it has no status"))?;
    let mut length = None;
    let mut chunked = false;
    for header in response.headers.iter() {
        let value = std::str::from_utf8(header.value).unwrap_or("?").trim();
        if header.name.eq_ignore_ascii_case("content-length") {
            let digits = !value.is_empty() && value.len() <= 10 && value.bytes().all(|b| b.is_ascii_digit());
            let n = value
                .parse()
                .ok()
                .filter(|_| digits)
                .ok_or(HttpError::Protocol("its length is not a number"))?;
            if length.replace(n).is_some_and(|before| before != n) {
                return Err(HttpError::Protocol("it states two lengths"));
            }
        } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
            if chunked || !value.eq_ignore_ascii_case("chunked") {
                return Err(HttpError::Protocol("its transfer encoding is not chunked"));
            }
            chunked = true;
        } else if header.name.eq_ignore_ascii_case("content-encoding")
            && !value.eq_ignore_ascii_case("identity")
        {
            return Err(HttpError::Protocol("it is compressed though that was not accepted"));
        }
    }
    let framing = match (length, chunked) {
        // Both together is how requests and answers are smuggled (RFC 9112 §6.3).
        (Some(_), true) => return Err(HttpError::Protocol("it states a length and is chunked")),
        (Some(n), false) if n > BODY_CAP => return Err(HttpError::TooLarge),
        (Some(n), false) => Framing::Length(n),
        (None, true) => Framing::Chunked,
        (None, false) => Framing::ToEnd,
    };
    Ok(Some((size, status, framing)))
}

fn body(bytes: &[u8], framing: Framing, ended: bool) -> Result<Option<Vec<u8>>, HttpError> {
    match framing {
        Framing::Length(n) => match bytes.len() {
            have if have < n => Ok(None),
            have if have == n => Ok(Some(bytes.to_vec())),
            _ => Err(HttpError::Protocol("bytes follow its end")),
        },
        Framing::Chunked => chunks(bytes),
        Framing::ToEnd if bytes.len() > BODY_CAP => Err(HttpError::TooLarge),
        Framing::ToEnd => Ok(ended.then(|| bytes.to_vec())),
    }
}

fn chunks(mut rest: &[u8]) -> Result<Option<Vec<u8>>, HttpError> {
    let mut out = Vec::new();
    loop {
        let (start, size) = match httparse::parse_chunk_size(rest) {
            Ok(httparse::Status::Complete(found)) => found,
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(_) => return Err(HttpError::Protocol("a chunk size is malformed")),
        };
        rest = rest.get(start..).unwrap_or_default();
        if size == 0 {
            // Trailers are not used: the end is an empty line at once.
            return match rest {
                b"\r\n" => Ok(Some(out)),
                b"" | b"\r" => Ok(None),
                _ => Err(HttpError::Protocol("something other than its end follows the last chunk")),
            };
        }
        let size =
            usize::try_from(size).ok().filter(|n| out.len() + n <= BODY_CAP).ok_or(HttpError::TooLarge)?;
        let Some((data, after)) = rest.split_at_checked(size) else { return Ok(None) };
        out.extend_from_slice(data);
        rest = match after {
            [b'\r', b'\n', rest @ ..] => rest,
            b"" | b"\r" => return Ok(None),
            _ => return Err(HttpError::Protocol("a chunk is longer than it says")),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(bytes: &[u8]) -> Result<Option<Vec<u8>>, HttpError> {
        Answer::default().feed(bytes)
    }

    const GOOD: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n{\"\"}";
    const CHUNKED: &[u8] =
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n3;x=y\r\n\"\"}\r\n0\r\n\r\n";

    #[test]
    fn an_answer_is_the_same_however_it_is_cut_and_never_early() {
        for whole in [GOOD, CHUNKED] {
            let mut answer = Answer::default();
            for (i, byte) in whole.iter().enumerate() {
                let got = answer.feed(&[*byte]).unwrap();
                assert_eq!(got.is_some(), i + 1 == whole.len(), "byte {i}");
                assert_eq!(got.unwrap_or(b"{\"\"}".to_vec()), b"{\"\"}");
            }
        }
    }

    #[test]
    fn half_an_answer_is_no_answer() {
        for whole in [GOOD, CHUNKED] {
            for cut in 0..whole.len() {
                let mut answer = Answer::default();
                assert_eq!(answer.feed(&whole[..cut]).unwrap(), None);
                assert_eq!(answer.end(), Err(HttpError::Cut), "cut at {cut}");
            }
        }
    }

    #[test]
    fn a_body_may_end_with_the_connection() {
        let mut answer = Answer::default();
        assert_eq!(answer.feed(b"HTTP/1.1 200 OK\r\n\r\n{}").unwrap(), None);
        assert_eq!(answer.end().unwrap(), b"{}");
    }

    #[test]
    fn an_interim_answer_is_not_the_answer() {
        let mut bytes = b"HTTP/1.1 100 Continue\r\n\r\n".to_vec();
        bytes.extend_from_slice(GOOD);
        assert_eq!(all(&bytes).unwrap().unwrap(), b"{\"\"}");
    }

    #[test]
    fn whatever_is_not_plain_is_refused() {
        for bad in [
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}",
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
            "HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\n{}",
            "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n{}",
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}x",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n",
            "HTTP/1.1 101 Switching Protocols\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}x0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            "SMTP ready\r\n",
        ] {
            assert!(matches!(all(bad.as_bytes()), Err(HttpError::Protocol(_))), "{bad:?}");
        }
        assert_eq!(
            all(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n"),
            Err(HttpError::Status(502))
        );
        assert_eq!(all(b"HTTP/1.1 302 Found\r\nLocation: http://x/\r\n\r\n"), Err(HttpError::Status(302)));
    }

    #[test]
    fn c15_a_flood_is_refused_before_it_fills_memory() {
        assert_eq!(all(b"HTTP/1.1 200 OK\r\nContent-Length: 4294967296\r\n\r\n"), Err(HttpError::TooLarge));
        assert_eq!(
            all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFF\r\n"),
            Err(HttpError::TooLarge)
        );
        let mut answer = Answer::default();
        answer.feed(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
        let flood = vec![b'x'; 8192];
        assert!((0..1000).any(|_| answer.feed(&flood) == Err(HttpError::TooLarge)));
        assert!(answer.bytes.len() <= HEAD_CAP + BODY_CAP * 6);
        let mut answer = Answer::default();
        assert!((0..1000).any(|_| answer.feed(b"X").is_err() || answer.feed(&flood).is_err()));
    }

    #[test]
    fn an_answer_of_any_status_is_given_with_its_headers_where_that_was_asked_for() {
        let mut answer = Answer::of_any_status();
        let wire =
            b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\nSeal: a\r\nTwice: 1\r\nTwice: 2\r\n\r\n{}";
        let body = answer.feed(wire).unwrap().unwrap();
        let reply = answer.reply(body).unwrap();
        assert_eq!((reply.status, reply.body.as_slice()), (403, &b"{}"[..]));
        assert_eq!(
            (reply.header("seal"), reply.header("twice"), reply.header("no")),
            (Some("a"), None, None)
        );
        assert_eq!(all(wire), Err(HttpError::Status(403)));
        // No body and no length: whole with the end of its head.
        let mut empty = Answer::of_any_status();
        assert_eq!(empty.feed(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap(), Some(Vec::new()));
        assert!(Answer::of_any_status().feed(b"HTTP/1.1 204 No Content\r\n\r\nx").is_err());
    }

    #[test]
    fn a_header_s_value_cannot_smuggle_another_header() {
        let request = Request { method: "GET", path: "/", headers: &[("A", "b\r\nEvil: 1")], body: b"" };
        let bytes = String::from_utf8(request.bytes("h").to_vec()).unwrap();
        assert!(bytes.contains("A: bEvil: 1\r\n") && !bytes.contains("Content-Length"), "{bytes}");
    }

    proptest! {
        #[test]
        fn c15_no_bytes_crash_it(bytes in proptest::collection::vec(any::<u8>(), 0..600), cut in 0_usize..600) {
            let mut answer = Answer::default();
            let cut = cut.min(bytes.len());
            let _ = answer.feed(&bytes[..cut]);
            let _ = answer.feed(&bytes[cut..]);
            let _ = answer.end();
        }

        #[test]
        fn any_body_in_any_chunks_comes_out_whole(parts in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..60), 0..12)) {
            use std::io::Write as _;
            let mut wire = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
            for part in &parts {
                write!(wire, "{:x}\r\n", part.len()).unwrap();
                wire.extend_from_slice(part);
                wire.extend_from_slice(b"\r\n");
            }
            wire.extend_from_slice(b"0\r\n\r\n");
            prop_assert_eq!(all(&wire).unwrap(), Some(parts.concat()));
        }
    }
}
