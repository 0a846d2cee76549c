//! How to tell where a message ends, for the protocols that channels speak.

use std::ops::Range;

fn head_end(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|w| w == b"\r\n\r\n").map(|at| at + 4)
}

/// An HTTP/1.1 message whose body has a stated length, or none.
pub fn http_whole(bytes: &[u8]) -> bool {
    let Some(body) = head_end(bytes) else { return false };
    let head = String::from_utf8_lossy(&bytes[..body]).to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
    bytes.len() - body >= length.unwrap_or(0_usize)
}

/// The body of an HTTP message.
pub fn http_body(bytes: &[u8]) -> Range<usize> {
    head_end(bytes).unwrap_or(bytes.len())..bytes.len()
}

/// HTTP answers that never end: in their head, by their length, by chunks, by the connection's end, as no HTTP at all.
pub fn http_endless() -> Vec<(Vec<u8>, Vec<u8>)> {
    let begin = |text: &str| text.as_bytes().to_vec();
    vec![
        (begin("HTTP/1.1 200 OK\r\nX: "), vec![b'x'; 4096]),
        (begin("HTTP/1.1 200 OK\r\n"), b"A: b\r\n".repeat(512)),
        (begin("HTTP/1.1 200 OK\r\nContent-Length: 10485760\r\n\r\n"), vec![b' '; 4096]),
        (
            begin("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
            [&b"1000\r\n"[..], &[b' '; 4096], b"\r\n"].concat(),
        ),
        (begin("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"), b"1\r\n{\r\n".repeat(512)),
        (begin("HTTP/1.1 200 OK\r\n\r\n"), vec![b'{'; 4096]),
        (Vec::new(), b"HTTP/1.1 100 Continue\r\n\r\n".repeat(128)),
        (Vec::new(), vec![0xFF; 4096]),
    ]
}

/// A message behind a length of two bytes, highest first.
pub fn frame_whole(bytes: &[u8]) -> bool {
    bytes.first_chunk::<2>().is_some_and(|length| bytes.len() >= 2 + usize::from(u16::from_be_bytes(*length)))
}
