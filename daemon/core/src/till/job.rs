//! Jobs of the printer: receipts and slips that are not certainly on paper.

use serde::{Deserialize, Serialize};

use crate::payment::PaymentId;

/// Job numbers above this are copies; those below are receipt numbers.
pub const COPIES: u64 = 1 << 32;

/// Job numbers above this are settlement slips.
const SLIPS: u64 = 2 << 32;

/// The print job of a batch's own settlement slip; its copies are numbered like all copies.
pub(crate) const fn slip_job(batch: u32) -> u64 {
    SLIPS + batch as u64
}

/// A receipt that is not certainly printed yet.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// Whose receipt; all zeros: nobody's, it is a settlement slip.
    pub payment: PaymentId,
    /// The batch whose settlement slip it is.
    pub batch: Option<u32>,
    /// Receipt number that is printed; 0: none.
    pub receipt: u64,
    /// 0: the original; n: the n-th copy.
    pub copy: u32,
    /// Wall clock when it was asked for, Unix ms.
    pub since_wall_ms: i64,
    /// It went to a printer before; paper may hold a part of it.
    pub sent: bool,
}

impl Job {
    pub(super) const fn receipt(payment: PaymentId, receipt: u64, since_wall_ms: i64) -> Self {
        Self { payment, batch: None, receipt, copy: 0, since_wall_ms, sent: false }
    }

    pub(super) const fn slip(batch: u32, copy: u32, since_wall_ms: i64) -> Self {
        Self { payment: PaymentId([0; 16]), batch: Some(batch), receipt: 0, copy, since_wall_ms, sent: false }
    }
}
