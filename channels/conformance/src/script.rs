//! What adapters of simulated wallets have in common.

use till_plugin::Instrument;
use till_plugin::instrument::ScannedCode;
use till_plugin::testing::TestHost;
use till_simulators::faults::{Fault, Plan, Rule};

/// What every HTTP gateway and the way to it can do to one answer. Of each it is unknown what it was an answer to.
pub fn broken() -> Vec<Fault> {
    vec![
        Fault::DropBeforeBooking {},
        Fault::DropAfterBooking {},
        Fault::WrongSignature {},
        Fault::Unsigned {},
        Fault::WrongAmount { by: 1 },
        Fault::WrongAmount { by: -1 },
        Fault::WrongReference {},
        Fault::HalfReply {},
        Fault::Garbage {},
        Fault::HttpStatus { status: 502 },
        Fault::Reset { booked: false },
        Fault::Reset { booked: true },
    ]
}

/// The lies among them that every gateway knows to tell.
pub fn lies() -> Vec<Fault> {
    vec![
        Fault::WrongSignature {},
        Fault::Unsigned {},
        Fault::WrongAmount { by: 1 },
        Fault::WrongAmount { by: -1 },
        Fault::WrongReference {},
    ]
}

/// This code is the answer.
pub fn answer(code: &str, sub_code: Option<&str>, booked: bool) -> Fault {
    Fault::Answer {
        code: code.into(),
        sub_code: sub_code.map(str::to_owned),
        fields: std::collections::BTreeMap::new(),
        booked,
    }
}

/// Strikes the next request of that operation once.
pub fn once(plan: &Plan, operation: &str, fault: &Fault) {
    plan.add(Rule::once(operation, fault.clone())).unwrap();
}

/// A code as scanned.
pub fn scan(code: &str) -> Instrument {
    Instrument::Code(ScannedCode { text: code.to_owned().into(), symbology: None })
}

/// The line in the middle of a PEM, by which its key would be recognised in another text.
pub fn pem_line(pem: &str) -> Vec<u8> {
    let lines: Vec<&str> = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    lines[lines.len() / 2].as_bytes().to_vec()
}

/// How far the clock of [`TestHost`] is from this machine's, milliseconds: a simulator is set to it.
pub fn clock_offset_ms() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    TestHost::new().host().now().wall_ms - i64::try_from(now.as_millis()).unwrap()
}
