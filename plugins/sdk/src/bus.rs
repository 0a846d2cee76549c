//! Transactions on a bus: what a transport of kind [`TransportKind::I2c`] or [`TransportKind::Spi`] carries.
//!
//! The transport is a socket of packets. Each packet that the plugin writes is one transaction, each packet that it reads is the
//! answer to one. tilld has the bus: on I2C the transport leads to one address, on SPI to one chip select, and to nothing else of it.
//!
//! | request | |
//! |---|---|
//! | 1 byte | a number of the plugin's choice, given back in the answer |
//! | then for each operation | `01` length bytes: write · `02` length: read · `03` length bytes: write and read at once (SPI) · `04` µs: pause (SPI) |
//!
//! Lengths and times are 2 bytes, the high one first. What is between two operations is not a stop: chip select stays, I2C has a
//! repeated start where the direction changes. The answer is the number, a byte, and behind `00` all that was read, else a text for
//! people: `01` nobody acknowledged, `02` another master won, `03` the bus hung, `04` refused: no such transaction, `05` any other error.
//! On SPI the highest bit goes first. A bus that is gone ends the transport.
//!
//! [`TransportKind::I2c`]: crate::host::TransportKind::I2c
//! [`TransportKind::Spi`]: crate::host::TransportKind::Spi

use std::time::Duration;

use zeroize::Zeroizing;

/// Most bytes that one transaction writes, and that it reads.
pub const MOST: usize = 4096;
/// Most operations of one transaction.
pub const OPERATIONS: usize = 16;
/// Longest packet, either way.
pub const PACKET: usize = 1 + MOST + 3 * OPERATIONS;
/// Longest text of a fault, bytes.
const TEXT: usize = 200;

/// A part of a transaction.
#[derive(Clone, PartialEq, Eq)]
pub enum Operation {
    /// Bytes to the device.
    Write(Zeroizing<Vec<u8>>),
    /// So many bytes from it.
    Read(u16),
    /// Bytes to the device while as many come from it. SPI only.
    Transfer(Zeroizing<Vec<u8>>),
    /// Nothing for so long, in whole microseconds. SPI only.
    Pause(u16),
}

impl std::fmt::Debug for Operation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Write(bytes) => write!(f, "Write({} bytes)", bytes.len()),
            Self::Read(count) => write!(f, "Read({count} bytes)"),
            Self::Transfer(bytes) => write!(f, "Transfer({} bytes)", bytes.len()),
            Self::Pause(us) => write!(f, "Pause({us} µs)"),
        }
    }
}

impl Operation {
    /// A pause, rounded up; at most 65,535 µs.
    pub fn pause(time: Duration) -> Self {
        Self::Pause(u16::try_from(time.as_nanos().div_ceil(1000)).unwrap_or(u16::MAX))
    }

    fn written(&self) -> usize {
        match self {
            Self::Write(bytes) | Self::Transfer(bytes) => bytes.len(),
            Self::Read(_) | Self::Pause(_) => 0,
        }
    }

    fn read(&self) -> usize {
        match self {
            Self::Read(count) => usize::from(*count),
            Self::Transfer(bytes) => bytes.len(),
            Self::Write(_) | Self::Pause(_) => 0,
        }
    }
}

/// A transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Comes back in the answer.
    pub number: u8,
    /// One after the other.
    pub operations: Vec<Operation>,
}

/// The bytes or the operations are no transaction.
#[derive(Copy, Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Nothing in it, not even a number.
    #[error("an empty packet")]
    Empty,
    /// An operation is cut short or unknown.
    #[error("operation {0} is cut short or unknown")]
    Operation(usize),
    /// More than [`OPERATIONS`], or none.
    #[error("{0} operations: one transaction has 1 to {OPERATIONS}")]
    Operations(usize),
    /// More bytes than [`MOST`], or none in an operation that needs some.
    #[error("{0} bytes: one transaction writes and reads at most {MOST}, and no operation is empty")]
    Bytes(usize),
    /// The answer has an unknown code.
    #[error("answer code {0:#04x}")]
    Code(u8),
}

impl Request {
    /// How many bytes its answer brings.
    pub fn read(&self) -> usize {
        self.operations.iter().map(Operation::read).sum()
    }

    fn check(&self) -> Result<(), Malformed> {
        let count = self.operations.len();
        if count == 0 || count > OPERATIONS {
            return Err(Malformed::Operations(count));
        }
        let written = self.operations.iter().map(Operation::written).sum();
        for sum in [written, self.read()] {
            if sum > MOST {
                return Err(Malformed::Bytes(sum));
            }
        }
        let empty = |o: &Operation| o.written() + o.read() == 0 && !matches!(o, Operation::Pause(_));
        if self.operations.iter().any(empty) { Err(Malformed::Bytes(0)) } else { Ok(()) }
    }

    /// As a packet.
    pub fn encode(&self) -> Result<Zeroizing<Vec<u8>>, Malformed> {
        self.check()?;
        let mut packet = Zeroizing::new(Vec::with_capacity(PACKET));
        packet.push(self.number);
        for operation in &self.operations {
            let (code, length, bytes): (u8, u16, &[u8]) = match operation {
                Operation::Write(bytes) => (1, length(bytes), bytes),
                Operation::Read(count) => (2, *count, &[]),
                Operation::Transfer(bytes) => (3, length(bytes), bytes),
                Operation::Pause(us) => (4, *us, &[]),
            };
            packet.push(code);
            packet.extend_from_slice(&length.to_be_bytes());
            packet.extend_from_slice(bytes);
        }
        Ok(packet)
    }

    /// From a packet.
    pub fn decode(packet: &[u8]) -> Result<Self, Malformed> {
        let (number, mut rest) = packet.split_first().ok_or(Malformed::Empty)?;
        let mut operations = Vec::new();
        while let Some((head, behind)) = rest.split_first_chunk::<3>() {
            let at = operations.len();
            if at == OPERATIONS {
                return Err(Malformed::Operations(at + 1));
            }
            let value = u16::from_be_bytes([head[1], head[2]]);
            let count = if matches!(head[0], 1 | 3) { usize::from(value) } else { 0 };
            let (bytes, behind) = behind.split_at_checked(count).ok_or(Malformed::Operation(at))?;
            let bytes = || Zeroizing::new(bytes.to_vec());
            operations.push(match head[0] {
                1 => Operation::Write(bytes()),
                2 => Operation::Read(value),
                3 => Operation::Transfer(bytes()),
                4 => Operation::Pause(value),
                _ => return Err(Malformed::Operation(at)),
            });
            rest = behind;
        }
        if !rest.is_empty() {
            return Err(Malformed::Operation(operations.len()));
        }
        let request = Self { number: *number, operations };
        request.check()?;
        Ok(request)
    }
}

fn length(bytes: &[u8]) -> u16 {
    u16::try_from(bytes.len()).unwrap_or(u16::MAX)
}

/// Why a transaction did not happen.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Nobody acknowledged: not there, asleep or busy.
    NoAcknowledge,
    /// Another master won.
    Arbitration,
    /// The bus hung.
    Timeout,
    /// No such transaction on this bus.
    Refused,
    /// Anything else.
    Other,
}

/// A transaction that did not happen, or not to its end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Fault {
    /// Why.
    pub cause: Cause,
    /// For people.
    pub text: String,
}

/// What came of a transaction.
#[derive(Clone, PartialEq, Eq)]
pub struct Reply {
    /// Of its request.
    pub number: u8,
    /// All that was read, one behind the other.
    pub result: Result<Zeroizing<Vec<u8>>, Fault>,
}

impl std::fmt::Debug for Reply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.result {
            Ok(bytes) => write!(f, "Reply({}, {} bytes)", self.number, bytes.len()),
            Err(fault) => write!(f, "Reply({}, {fault:?})", self.number),
        }
    }
}

impl Reply {
    /// As a packet.
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        let mut packet = Zeroizing::new(Vec::with_capacity(2 + MOST));
        packet.push(self.number);
        match &self.result {
            Ok(bytes) => {
                packet.push(0);
                packet.extend_from_slice(bytes);
            }
            Err(fault) => {
                packet.push(match fault.cause {
                    Cause::NoAcknowledge => 1,
                    Cause::Arbitration => 2,
                    Cause::Timeout => 3,
                    Cause::Refused => 4,
                    Cause::Other => 5,
                });
                let cut = fault.text.floor_char_boundary(TEXT);
                packet.extend_from_slice(fault.text.get(..cut).unwrap_or_default().as_bytes());
            }
        }
        packet
    }

    /// From a packet.
    pub fn decode(packet: &[u8]) -> Result<Self, Malformed> {
        let [number, code, rest @ ..] = packet else { return Err(Malformed::Empty) };
        let cause = match code {
            0 if rest.len() > MOST => return Err(Malformed::Bytes(rest.len())),
            0 => return Ok(Self { number: *number, result: Ok(Zeroizing::new(rest.to_vec())) }),
            1 => Cause::NoAcknowledge,
            2 => Cause::Arbitration,
            3 => Cause::Timeout,
            4 => Cause::Refused,
            5 => Cause::Other,
            code => return Err(Malformed::Code(*code)),
        };
        let text = rest.get(..rest.len().min(TEXT)).unwrap_or_default();
        let text = String::from_utf8_lossy(text).into_owned();
        Ok(Self { number: *number, result: Err(Fault { cause, text }) })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn operation() -> impl Strategy<Value = Operation> {
        let bytes = || proptest::collection::vec(any::<u8>(), 1..200).prop_map(Zeroizing::new);
        prop_oneof![
            bytes().prop_map(Operation::Write),
            (1_u16..200).prop_map(Operation::Read),
            bytes().prop_map(Operation::Transfer),
            any::<u16>().prop_map(Operation::Pause),
        ]
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(number: u8, operations in proptest::collection::vec(operation(), 1..=OPERATIONS)) {
            let request = Request { number, operations };
            prop_assert_eq!(Request::decode(&request.encode().unwrap()), Ok(request));
        }

        #[test]
        fn any_packet_is_a_transaction_or_refused(packet in proptest::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(request) = Request::decode(&packet) {
                let again = request.encode().unwrap();
                prop_assert_eq!(again.as_slice(), packet.as_slice());
            }
            let _no_panic = Reply::decode(&packet);
        }
    }

    /// Released plugins and other languages speak these bytes.
    #[test]
    fn the_bytes_are_as_documented() {
        let bytes = |b: &[u8]| Zeroizing::new(b.to_vec());
        let operations = vec![
            Operation::Write(bytes(&[0xAA])),
            Operation::Read(0x102),
            Operation::Transfer(bytes(&[0xBB, 0xCC])),
            Operation::pause(Duration::from_nanos(1_500)),
        ];
        let packet = Request { number: 7, operations }.encode().unwrap();
        assert_eq!(hex::encode(packet.as_slice()), "07010001aa0201020300 02bbcc040002".replace(' ', ""));
        let done = Reply { number: 7, result: Ok(bytes(&[1, 2])) };
        assert_eq!(done.encode().as_slice(), [7, 0, 1, 2]);
        for (code, cause) in [
            (1, Cause::NoAcknowledge),
            (2, Cause::Arbitration),
            (3, Cause::Timeout),
            (4, Cause::Refused),
            (5, Cause::Other),
        ] {
            let reply = Reply { number: 7, result: Err(Fault { cause, text: "总线".into() }) };
            assert_eq!(reply.encode().as_slice(), [&[7, code], "总线".as_bytes()].concat());
            assert_eq!(Reply::decode(&reply.encode()), Ok(reply));
        }
        assert_eq!(Reply::decode(&[7, 6]), Err(Malformed::Code(6)));
    }

    #[test]
    fn what_is_too_much_is_refused() {
        let many = |count, of: Operation| Request { number: 0, operations: vec![of; count] };
        assert_eq!(many(17, Operation::Read(1)).encode(), Err(Malformed::Operations(17)));
        assert_eq!(many(0, Operation::Read(1)).encode(), Err(Malformed::Operations(0)));
        assert_eq!(many(1, Operation::Read(4097)).encode(), Err(Malformed::Bytes(4097)));
        assert_eq!(many(2, Operation::Read(2049)).encode(), Err(Malformed::Bytes(4098)));
        assert_eq!(many(1, Operation::Read(0)).encode(), Err(Malformed::Bytes(0)));
        assert_eq!(Request::decode(&[0, 1, 0, 2, 9]), Err(Malformed::Operation(0)));
        assert_eq!(Request::decode(&[0, 5, 0, 2]), Err(Malformed::Operation(0)));
    }

    #[test]
    fn nothing_that_passes_is_shown() {
        let secret = Zeroizing::new(b"6200000000000005".to_vec());
        let request = Request { number: 0, operations: vec![Operation::Write(secret.clone())] };
        let reply = Reply { number: 0, result: Ok(secret) };
        assert!(!format!("{request:?}{reply:?}").contains("54, 50"), "{request:?}{reply:?}");
    }
}
