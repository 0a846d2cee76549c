//! One field of a report: read and set by its place, never beyond the report's end.

use thiserror::Error;

use crate::descriptor::Kind;

/// Why a report does not give a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ReportFault {
    /// The report has not the length that its descriptor says.
    #[error("the report has {found} bytes, its descriptor says {expected}")]
    Length {
        /// As it came.
        found: usize,
        /// As the descriptor says.
        expected: usize,
    },
    /// The report is another one.
    #[error("the report has another id")]
    OtherReport,
    /// The field is not made of whole bytes.
    #[error("the field is not made of whole bytes")]
    NotBytes,
}

/// Where `count` elements of `size` bits with one usage stand in a report, counted from the report's first byte as
/// hidraw has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Which way the report goes.
    pub kind: Kind,
    /// The report's id; 0 where reports are not numbered.
    pub report: u8,
    pub(crate) numbered: bool,
    pub(crate) bit: u32,
    /// Bits of one element.
    pub size: u32,
    /// Elements.
    pub count: u32,
    /// Bytes of the whole report, its id included.
    pub report_bytes: usize,
}

impl Place {
    /// Whether a report is the one that this field is in.
    pub fn is_in(&self, report: &[u8]) -> bool {
        !self.numbered || report.first() == Some(&self.report)
    }

    fn check(&self, report: &[u8]) -> Result<(), ReportFault> {
        if !self.is_in(report) {
            return Err(ReportFault::OtherReport);
        }
        if report.len() != self.report_bytes {
            return Err(ReportFault::Length { found: report.len(), expected: self.report_bytes });
        }
        Ok(())
    }

    /// The field's bytes, for one whose elements are bytes.
    pub fn bytes<'a>(&self, report: &'a [u8]) -> Result<&'a [u8], ReportFault> {
        self.check(report)?;
        if self.size != 8 || !self.bit.is_multiple_of(8) {
            return Err(ReportFault::NotBytes);
        }
        let from = self.bit as usize / 8;
        report.get(from..from + self.count as usize).ok_or(ReportFault::NotBytes)
    }

    /// The value of one element of at most 32 bits, unsigned.
    pub fn value(&self, report: &[u8], element: u32) -> Result<u32, ReportFault> {
        self.check(report)?;
        if self.size > 32 || element >= self.count {
            return Err(ReportFault::NotBytes);
        }
        let first = self.bit + element * self.size;
        let mut value = 0;
        for n in 0..self.size {
            let bit = first + n;
            let byte = report.get(bit as usize / 8).ok_or(ReportFault::NotBytes)?;
            value |= u32::from(byte >> (bit % 8) & 1) << n;
        }
        Ok(value)
    }

    /// Whether any element is not zero.
    pub fn any(&self, report: &[u8]) -> Result<bool, ReportFault> {
        for element in 0..self.count {
            if self.value(report, element)? != 0 {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// An output report of zeros with its id, as hidraw takes it: the first byte is the id, 0 where there is none.
    pub fn empty_report(&self) -> Vec<u8> {
        let mut report = vec![0; self.report_bytes + usize::from(!self.numbered)];
        if self.numbered
            && let Some(first) = report.first_mut()
        {
            *first = self.report;
        }
        report
    }

    /// Sets or clears the lowest bit of the first element in a report made by [`Self::empty_report`].
    pub fn set(&self, report: &mut [u8], on: bool) {
        let bit = self.bit as usize + if self.numbered { 0 } else { 8 };
        if let Some(byte) = report.get_mut(bit / 8) {
            let mask = 1 << (bit % 8);
            *byte = if on { *byte | mask } else { *byte & !mask };
        }
    }
}
