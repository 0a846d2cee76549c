//! An ear: keeps what a voice is told, as lines of text and as bytes of sound.

use super::Machine;

/// Most bytes that are kept.
const MOST: usize = 8 << 20;

/// What was heard.
#[derive(Clone, Debug, Default)]
pub struct Listener {
    bytes: Vec<u8>,
    half: Vec<u8>,
    lines: Vec<String>,
}

impl Listener {
    /// Sentences, where the voice sends text: whole lines only.
    pub fn lines(&self) -> &[String] {
        &self.lines
    }

    /// Everything that came, where the voice sends sound.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl Machine for Listener {
    fn receive(&mut self, bytes: &[u8]) -> Vec<u8> {
        let room = MOST.saturating_sub(self.bytes.len());
        self.bytes.extend(bytes.iter().take(room));
        for byte in bytes {
            if *byte == b'\n' {
                self.lines.push(String::from_utf8_lossy(&std::mem::take(&mut self.half)).into_owned());
            } else if self.half.len() < 4096 {
                self.half.push(*byte);
            }
        }
        Vec::new()
    }

    fn left(&mut self) {
        self.half.clear();
    }
}
