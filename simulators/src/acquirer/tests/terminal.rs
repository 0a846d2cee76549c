//! A terminal for tests: blocking, one request after the other.

use super::super::fields::FieldTable;
use super::super::framing::Frame;
use super::super::keys::{KeyForm, WorkingKeys, check_value};
use super::super::mac::MacAlgorithm;
use super::super::message::Message;
use super::super::sm4;
use des::cipher::{BlockCipherDecrypt, KeyInit};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

pub(super) const PAN: &str = "6200000000000005";
const TMK: &str = "0123456789ABCDEFFEDCBA9876543210";

pub(super) struct Terminal {
    pub(super) stream: TcpStream,
    pub(super) keys: Option<WorkingKeys>,
    pub(super) batch: String,
    pub(super) tid: &'static str,
    mac: MacAlgorithm,
    table: FieldTable,
    addr: SocketAddr,
}

impl Terminal {
    pub(super) fn connect(addr: SocketAddr) -> Self {
        Self::with_mac(addr, MacAlgorithm::CupEcb)
    }

    pub(super) fn with_mac(addr: SocketAddr, mac: MacAlgorithm) -> Self {
        let stream = TcpStream::connect(addr).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        Self {
            stream,
            keys: None,
            batch: "000001".into(),
            tid: "12345678",
            mac,
            table: if mac.is_sm4() { FieldTable::cup_sm4() } else { FieldTable::cup() }.unwrap(),
            addr,
        }
    }

    /// Connected and signed in.
    pub(super) fn signed_in(addr: SocketAddr) -> Self {
        let mut terminal = Self::connect(addr);
        terminal.sign_in("003");
        terminal
    }

    pub(super) fn reconnect(&mut self) {
        self.stream = Self::connect(self.addr).stream;
    }

    pub(super) fn message(&self, mti: &str, fields: &[(u8, &str)]) -> Message {
        let mut message = Message::new(mti).unwrap();
        message.set(41, self.tid).set(42, "123456789012345");
        for (field, value) in fields {
            message.set(*field, *value);
        }
        message
    }

    pub(super) fn sign_in(&mut self, form: &str) -> Message {
        let field60 = format!("00000000{form}");
        let reply = self.ask(&self.message("0800", &[(11, "000001"), (60, &field60), (63, "01 ")]));
        assert_eq!(reply.text(39), "00");
        self.batch = reply.text(60)[2..8].to_owned();
        self.keys = Some(open(KeyForm::from_code(form).unwrap(), reply.get(62).unwrap()));
        reply
    }

    /// A payment of this kind (field 60.1) with the fields every payment has.
    pub(super) fn payment(&self, mti: &str, kind: &str, f3: &str, trace: &str, amount: &str) -> Message {
        let field60 = format!("{kind}{}00060", self.batch);
        let track = format!("{PAN}=29122010000000000");
        let f25 = if matches!(kind, "10" | "11" | "20" | "21" | "24") { "06" } else { "00" };
        let fields = [
            (2, PAN),
            (3, f3),
            (4, amount),
            (11, trace),
            (14, "2912"),
            (22, "022"),
            (25, f25),
            (35, &track),
            (49, "156"),
            (53, "0000000000000000"),
            (60, &field60),
        ];
        self.message(mti, &fields)
    }

    pub(super) fn sale(&self, trace: &str, amount: &str) -> Message {
        self.payment("0200", "22", "000000", trace, amount)
    }

    pub(super) fn void_of(&self, original: &Message, trace: &str) -> Message {
        let mut void = self.payment("0200", "23", "200000", trace, original.text(4));
        let field61 = format!("{}{}", self.batch, original.text(11));
        void.copy(original, &[2, 37, 38]).set(61, field61);
        void
    }

    pub(super) fn reversal_of(&self, request: &Message, reason: &str) -> Message {
        let mut reversal = self.message("0400", &[(39, reason)]);
        reversal.copy(request, &[2, 3, 4, 11, 14, 22, 25, 49, 60, 61]);
        reversal
    }

    /// With field 64 under this sign-in's MAC key.
    pub(super) fn sealed(&self, request: &Message) -> Message {
        let mut request = request.clone();
        request.set(64, [0; 8]);
        let body = request.encode(&self.table).unwrap();
        let mac = self.mac.mac(&self.keys.as_ref().unwrap().mak, &body[..body.len() - 8]).unwrap();
        request.set(64, mac);
        request
    }

    /// Seals, sends, takes the answer and checks its MAC.
    pub(super) fn pay(&mut self, request: &Message) -> Message {
        let reply = self.ask(&self.sealed(request));
        assert!(self.mac_is_right(&reply), "{reply:?}");
        assert_eq!(reply.text(11), request.text(11));
        reply
    }

    pub(super) fn mac_is_right(&self, reply: &Message) -> bool {
        self.sealed(reply).get(64) == reply.get(64)
    }

    pub(super) fn ask(&mut self, request: &Message) -> Message {
        self.send(request);
        self.receive().expect("an answer")
    }

    pub(super) fn wire(&self, request: &Message) -> Vec<u8> {
        let frame = Frame {
            tpdu: [0x60, 0, 3, 0, 0],
            header: [0x60, 0x31, 0, 0x31, 1, 0],
            body: request.encode(&self.table).unwrap(),
        };
        frame.to_wire().unwrap()
    }

    pub(super) fn send(&mut self, request: &Message) {
        let wire = self.wire(request);
        self.stream.write_all(&wire).unwrap();
    }

    /// One answer; `None` when the host hung up.
    pub(super) fn receive(&mut self) -> Option<Message> {
        let frame = self.frame()?;
        Some(Message::decode(&self.table, &frame.body).unwrap())
    }

    /// One answer as a frame.
    pub(super) fn frame(&mut self) -> Option<Frame> {
        let mut prefix = [0; 2];
        self.stream.read_exact(&mut prefix).ok()?;
        let mut payload = vec![0; usize::from(u16::from_be_bytes(prefix))];
        self.stream.read_exact(&mut payload).ok()?;
        let frame = Frame::parse(&payload).unwrap();
        assert_eq!(frame.tpdu, [0x60, 0, 0, 0, 3], "the answer goes back to its source");
        Some(frame)
    }
}

/// What a terminal does with field 62: unwraps, checks both check values, installs.
fn open(form: KeyForm, field62: &[u8]) -> WorkingKeys {
    if form == KeyForm::Sm4 {
        return open_sm4(field62);
    }
    let tmk = des::TdesEde2::new_from_slice(&hex::decode(TMK).unwrap()).unwrap();
    let clear = |wrapped: &[u8]| -> Vec<u8> {
        let block = |chunk: &[u8]| {
            let mut block = <[u8; 8]>::try_from(chunk).unwrap().into();
            tmk.decrypt_block(&mut block);
            <[u8; 8]>::from(block)
        };
        wrapped.chunks_exact(8).flat_map(block).collect()
    };
    let size = if form == KeyForm::Single { 8 } else { 16 };
    let (pik, rest) = field62.split_at(size);
    let (pik_cv, rest) = rest.split_at(4);
    let (mak, rest) = rest.split_at(size);
    let mak = if mak[mak.len() - 8..] == [0; 8] { &mak[..8] } else { mak };
    let keys =
        WorkingKeys { pik: clear(pik), mak: clear(mak), tdk: clear(rest.get(4..20).unwrap_or_default()) };
    assert_eq!(check_value(&keys.pik).unwrap(), pik_cv);
    assert_eq!(check_value(&keys.mak).unwrap(), rest[..4]);
    keys
}

fn open_sm4(field62: &[u8]) -> WorkingKeys {
    let tmk = hex::decode(TMK).unwrap();
    assert_eq!(field62.len(), 40);
    let clear = |at: usize| {
        let key = sm4::decrypt(&tmk, field62[at..at + 16].try_into().unwrap()).unwrap();
        let check = sm4::encrypt(&key, [0; 16]).unwrap();
        assert_eq!(check[..4], field62[at + 16..at + 20]);
        key.to_vec()
    };
    WorkingKeys { pik: clear(0), mak: clear(20), tdk: Vec::new() }
}
