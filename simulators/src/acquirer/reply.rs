//! What is done to the connection for one answer, scripted faults included.

use super::framing::Frame;
use super::host::{Answer, Host};
use super::money::Fen;
use super::settlement::falsify;
use crate::faults::{Fault, Hold};
use std::time::Duration;

/// One thing done to the connection.
pub(super) enum Step {
    Write(Vec<u8>),
    Pause(Duration),
    Hold(Hold),
    /// FIN.
    Close,
    /// RST.
    Reset,
}

/// Puts field 64 on and frames the answer.
fn seal(host: &Host, frame: &Frame, answer: &Answer, spoil: bool) -> Result<Vec<u8>, String> {
    let mut message = answer.message.clone();
    if let Some(mak) = &answer.mak {
        message.set(64, [0; 8]);
        let body = message.encode(&host.table).map_err(|e| e.to_string())?;
        let covered = body.get(..body.len().saturating_sub(8)).unwrap_or_default();
        let mut mac = host.mac.mac(mak, covered).map_err(|e| e.to_string())?;
        if spoil {
            mac[0] = if mac[0] == b'0' { b'1' } else { b'0' };
        }
        message.set(64, mac);
    }
    let body = message.encode(&host.table).map_err(|e| e.to_string())?;
    let mut answer = frame.answer(body);
    // Work asked for in the low nibble of the header's third byte.
    if host.parameters.asks > 0 {
        answer.header[2] = answer.header[2] & 0xF0 | host.parameters.asks.min(9);
    }
    answer.to_wire().map_err(|e| e.to_string())
}

fn other_trace(trace: &str) -> String {
    let number: u32 = trace.parse().unwrap_or(0);
    format!("{:06}", number % 999_999 + 1)
}

/// The steps for an answer under a fault.
pub(super) fn lay_out(
    host: &Host,
    frame: &Frame,
    mut answer: Answer,
    fault: Option<&Fault>,
    hold: Option<Hold>,
) -> Result<Vec<Step>, String> {
    match fault {
        Some(Fault::WrongAmount { by }) => {
            let amount =
                Fen::from_field(answer.message.text(4)).and_then(|a| a.plus(Fen::new(*by)).to_field());
            if let Some(amount) = amount {
                answer.message.set(4, amount);
            }
            if answer.message.mti() == "0510"
                && let Some(totals) = falsify(answer.message.text(48), Fen::new(*by))
            {
                answer.message.set(48, totals);
            }
        }
        Some(Fault::WrongReference {}) => {
            let trace = other_trace(answer.message.text(11));
            answer.message.set(11, trace);
        }
        Some(Fault::Unsigned {}) => answer.mak = None,
        Some(Fault::Answer { code, booked: true, .. }) => {
            answer.message.set(39, code.as_str()).remove(38);
        }
        _ => {}
    }
    let wire = seal(host, frame, &answer, matches!(fault, Some(Fault::WrongSignature {})))?;
    Ok(match fault {
        Some(Fault::DropAfterBooking {}) => vec![Step::Close],
        Some(Fault::Reset { .. }) => vec![Step::Reset],
        Some(Fault::DelayReply { ms }) => vec![Step::Pause(Duration::from_millis(*ms)), Step::Write(wire)],
        Some(Fault::HoldReply {}) => hold.into_iter().map(Step::Hold).chain([Step::Write(wire)]).collect(),
        Some(Fault::HalfReply {}) => {
            vec![Step::Write(wire.get(..wire.len() / 2).unwrap_or_default().to_vec()), Step::Close]
        }
        Some(Fault::Slow { ms_per_byte }) => {
            let pause = Duration::from_millis(*ms_per_byte);
            wire.iter().flat_map(|byte| [Step::Pause(pause), Step::Write(vec![*byte])]).collect()
        }
        Some(Fault::MergedReplies {}) => {
            let trace = other_trace(answer.message.text(11));
            answer.message.set(11, trace);
            let stale = seal(host, frame, &answer, false)?;
            vec![Step::Write([stale, wire].concat())]
        }
        Some(Fault::DuplicateReply {}) => vec![Step::Write([wire.clone(), wire].concat())],
        // A length that fits, and nothing behind it that is a message.
        Some(Fault::Garbage {}) => vec![Step::Write([&[0x00, 0x20][..], &[0xA5; 32]].concat())],
        _ => vec![Step::Write(wire)],
    })
}
