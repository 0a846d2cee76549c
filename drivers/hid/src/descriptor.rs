//! Report descriptors: which field stands where in which report.
//!
//! Source: USB Device Class Definition for HID 1.11, §6.2.2 (items) and §8 (report protocol). Where that leaves a choice
//! the Linux kernel's is taken (a usage without a page gets the page in force at its main item; of a delimited set
//! the first usage counts). Nothing is expanded: a descriptor of a few bytes may claim billions of fields, and costs only
//! its own length here.

use thiserror::Error;

use crate::place::Place;

/// Longest descriptor (Linux: `HID_MAX_DESCRIPTOR_SIZE`).
pub const MAX_DESCRIPTOR: usize = 4096;
/// Longest report, bytes, its id included (Linux: `HID_MAX_BUFFER_SIZE`).
pub const MAX_REPORT: usize = 16_384;
/// Most main items that lay out data.
const MAX_FIELDS: usize = 512;
/// Most usage items before one main item.
const MAX_USAGES: usize = 512;
/// Deepest `Push` (Linux: `HID_GLOBAL_STACK_SIZE`).
const MAX_STACK: usize = 4;
/// Deepest nesting of collections.
const MAX_DEPTH: usize = 64;
/// Widest single element, bits (Linux refuses more).
const MAX_SIZE: u32 = 256;

/// Page and id of a usage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Usage {
    /// Page.
    pub page: u16,
    /// Id on its page.
    pub id: u16,
}

/// Which way a report goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// Device to host.
    Input,
    /// Host to device.
    Output,
    /// Asked for and set over the control pipe.
    Feature,
}

/// Why a descriptor cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum DescriptorFault {
    /// Nothing, or more than the kernel takes.
    #[error("it has {0} bytes, 1 to {MAX_DESCRIPTOR} are allowed")]
    Length(usize),
    /// An item runs beyond the end.
    #[error("the item at byte {at} is cut short")]
    Truncated {
        /// Where it begins.
        at: usize,
    },
    /// An item that the standard does not allow there.
    #[error("the item at byte {at} is not allowed there")]
    Item {
        /// Where it begins.
        at: usize,
    },
    /// A report would be longer than the kernel takes, or an element wider.
    #[error("the item at byte {at} makes a report longer than {MAX_REPORT} bytes")]
    TooBig {
        /// Where the item begins.
        at: usize,
    },
    /// More items of a kind than any device has.
    #[error("the item at byte {at} is one too many of its kind")]
    TooMany {
        /// Where the item begins.
        at: usize,
    },
    /// Collections are not closed, or closed twice.
    #[error("its collections do not pair")]
    Unpaired,
}

/// Usages `first` to `last` of one page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Range {
    page: u16,
    first: u16,
    last: u16,
}

/// One main item: `count` elements of `size` bits.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Field {
    kind: Kind,
    report: u8,
    usages: Vec<Range>,
    /// From the first bit behind the report's id.
    bit: u32,
    size: u32,
    count: u32,
    /// Data that changes, one element a usage: neither padding nor an array of indices.
    variable: bool,
}

/// A descriptor taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Descriptor {
    fields: Vec<Field>,
    tops: Vec<Usage>,
    numbered: bool,
}

#[derive(Clone, Copy, Default)]
struct Globals {
    page: u16,
    size: u32,
    count: u32,
    report: u8,
}

#[derive(Default)]
struct Locals {
    /// Usages as written; a page of `None` is filled in at the main item.
    usages: Vec<(Option<u16>, u16, u16)>,
    minimum: Option<(Option<u16>, u16)>,
    /// Inside a delimited set, and whether its first usage was taken.
    set: Option<bool>,
}

struct Parser {
    globals: Globals,
    stack: Vec<Globals>,
    locals: Locals,
    depth: usize,
    /// Bits laid out so far, for each kind and report.
    used: Vec<(Kind, u8, u32)>,
    out: Descriptor,
}

impl Descriptor {
    /// Takes a report descriptor apart.
    pub fn parse(bytes: &[u8]) -> Result<Self, DescriptorFault> {
        if bytes.is_empty() || bytes.len() > MAX_DESCRIPTOR {
            return Err(DescriptorFault::Length(bytes.len()));
        }
        let mut parser = Parser {
            globals: Globals::default(),
            stack: Vec::new(),
            locals: Locals::default(),
            depth: 0,
            used: Vec::new(),
            out: Self { fields: Vec::new(), tops: Vec::new(), numbered: false },
        };
        let mut at = 0;
        while let Some(&head) = bytes.get(at) {
            // A long item (§6.2.2.3) carries its own length; none is defined, so it is passed over.
            if head == 0xFE {
                let length = *bytes.get(at + 1).ok_or(DescriptorFault::Truncated { at })?;
                let next = at + 3 + usize::from(length);
                if next > bytes.len() {
                    return Err(DescriptorFault::Truncated { at });
                }
                at = next;
                continue;
            }
            let length = [0, 1, 2, 4][usize::from(head & 3)];
            let data = bytes.get(at + 1..at + 1 + length).ok_or(DescriptorFault::Truncated { at })?;
            let value = data.iter().rev().fold(0_u32, |value, byte| value << 8 | u32::from(*byte));
            parser.item(head >> 2 & 3, head >> 4, value, length, at)?;
            at += 1 + length;
        }
        if parser.depth != 0 {
            return Err(DescriptorFault::Unpaired);
        }
        Ok(parser.out)
    }

    /// Whether reports begin with their id.
    pub const fn numbered(&self) -> bool {
        self.numbered
    }

    /// Usages of the outermost collections: what the device is.
    pub fn tops(&self) -> &[Usage] {
        &self.tops
    }

    /// Bytes of a report as hidraw gives or takes it: with its id in front where reports are numbered. Zero: there is no
    /// such report.
    pub fn report_bytes(&self, kind: Kind, report: u8) -> usize {
        let bits = self
            .fields
            .iter()
            .filter(|field| field.kind == kind && field.report == report)
            .map(|field| field.bit + field.size * field.count)
            .max();
        bits.map_or(0, |bits| bits.div_ceil(8) as usize + usize::from(self.numbered))
    }

    /// Where the first variable field with this usage stands.
    pub fn find(&self, kind: Kind, usage: Usage) -> Option<Place> {
        self.places(kind, usage).next()
    }

    /// The same within one report.
    pub fn find_in(&self, kind: Kind, report: u8, usage: Usage) -> Option<Place> {
        self.places(kind, usage).find(|place| place.report == report)
    }

    fn places(&self, kind: Kind, usage: Usage) -> impl Iterator<Item = Place> + '_ {
        let id_bits = if self.numbered { 8 } else { 0 };
        self.fields.iter().filter(move |field| field.kind == kind && field.variable).filter_map(
            move |field| {
                let (index, last) = field.index_of(usage)?;
                // The last usage named stands for all elements that are left (§6.2.2.8).
                let count = if last { field.count.checked_sub(index)? } else { 1 };
                (index < field.count && field.size > 0).then(|| Place {
                    kind,
                    report: field.report,
                    numbered: self.numbered,
                    bit: id_bits + field.bit + index * field.size,
                    size: field.size,
                    count,
                    report_bytes: self.report_bytes(kind, field.report),
                })
            },
        )
    }
}

impl Field {
    /// Which element has this usage, and whether it is the last one named.
    fn index_of(&self, usage: Usage) -> Option<(u32, bool)> {
        let mut index = 0_u32;
        for (n, range) in self.usages.iter().enumerate() {
            if range.page == usage.page && (range.first..=range.last).contains(&usage.id) {
                let last = n + 1 == self.usages.len() && usage.id == range.last;
                return Some((index.checked_add(u32::from(usage.id - range.first))?, last));
            }
            index = index.checked_add(u32::from(range.last - range.first) + 1)?;
        }
        None
    }
}

impl Parser {
    fn item(
        &mut self,
        class: u8,
        tag: u8,
        value: u32,
        length: usize,
        at: usize,
    ) -> Result<(), DescriptorFault> {
        match class {
            0 => self.main(tag, value, at),
            1 => self.global(tag, value, at),
            2 => self.local(tag, value, length, at),
            _ => Err(DescriptorFault::Item { at }),
        }
    }

    fn main(&mut self, tag: u8, value: u32, at: usize) -> Result<(), DescriptorFault> {
        let locals = std::mem::take(&mut self.locals);
        let page = self.globals.page;
        let kind = match tag {
            0x8 => Kind::Input,
            0x9 => Kind::Output,
            0xB => Kind::Feature,
            0xA => {
                if self.depth == 0 && value == 1 && self.out.tops.len() < MAX_FIELDS {
                    let top = locals
                        .usages
                        .first()
                        .map(|(own, id, _)| Usage { page: own.unwrap_or(page), id: *id });
                    self.out.tops.extend(top);
                }
                self.depth += 1;
                return if self.depth > MAX_DEPTH { Err(DescriptorFault::TooMany { at }) } else { Ok(()) };
            }
            0xC => {
                self.depth = self.depth.checked_sub(1).ok_or(DescriptorFault::Unpaired)?;
                return Ok(());
            }
            // Reserved main items are passed over, as the kernel does.
            _ => return Ok(()),
        };
        let Globals { size, count, report, .. } = self.globals;
        if size > MAX_SIZE {
            return Err(DescriptorFault::TooBig { at });
        }
        let bits = size.checked_mul(count).ok_or(DescriptorFault::TooBig { at })?;
        let known = self.used.iter().position(|(k, r, _)| (*k, *r) == (kind, report));
        let slot = known.unwrap_or(self.used.len());
        if known.is_none() {
            self.used.push((kind, report, 0));
        }
        let bit = self.used[slot].2;
        let end = bit.checked_add(bits).filter(|end| (end.div_ceil(8) as usize) < MAX_REPORT);
        self.used[slot].2 = end.ok_or(DescriptorFault::TooBig { at })?;
        if self.out.fields.len() == MAX_FIELDS {
            return Err(DescriptorFault::TooMany { at });
        }
        let range =
            |(own, first, last): (Option<u16>, u16, u16)| Range { page: own.unwrap_or(page), first, last };
        self.out.fields.push(Field {
            kind,
            report,
            usages: locals.usages.into_iter().map(range).collect(),
            bit,
            size,
            count,
            // Bit 0 set is a constant, bit 1 clear an array of indices.
            variable: value & 0b11 == 0b10,
        });
        Ok(())
    }

    fn global(&mut self, tag: u8, value: u32, at: usize) -> Result<(), DescriptorFault> {
        match tag {
            0x0 => self.globals.page = u16::try_from(value).map_err(|_| DescriptorFault::Item { at })?,
            0x7 => self.globals.size = value,
            0x8 => {
                let id =
                    u8::try_from(value).ok().filter(|id| *id != 0).ok_or(DescriptorFault::Item { at })?;
                // An id after data without one: two readings of every report; no device has it.
                if !self.out.numbered && !self.out.fields.is_empty() {
                    return Err(DescriptorFault::Item { at });
                }
                self.out.numbered = true;
                self.globals.report = id;
            }
            0x9 => self.globals.count = value,
            0xA if self.stack.len() == MAX_STACK => return Err(DescriptorFault::TooMany { at }),
            0xA => self.stack.push(self.globals),
            0xB => self.globals = self.stack.pop().ok_or(DescriptorFault::Item { at })?,
            // Logical and physical limits, units: not needed to find a field.
            _ => {}
        }
        Ok(())
    }

    fn local(&mut self, tag: u8, value: u32, length: usize, at: usize) -> Result<(), DescriptorFault> {
        let own = (length == 4).then_some((value >> 16) as u16);
        let id = (value & 0xFFFF) as u16;
        let locals = &mut self.locals;
        match tag {
            0x0 => {
                if locals.set == Some(true) {
                    return Ok(());
                }
                locals.set = locals.set.map(|_| true);
                locals.usages.push((own, id, id));
            }
            0x1 => locals.minimum = Some((own, id)),
            0x2 => {
                let (page, first) = locals.minimum.take().ok_or(DescriptorFault::Item { at })?;
                if first > id {
                    return Err(DescriptorFault::Item { at });
                }
                locals.usages.push((page.or(own), first, id));
            }
            0xA => locals.set = (value == 1).then_some(false),
            _ => {}
        }
        if locals.usages.len() > MAX_USAGES { Err(DescriptorFault::TooMany { at }) } else { Ok(()) }
    }
}
