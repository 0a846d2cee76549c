//! What is in force, and how it is told.

use crate::hosttime;
use crate::params::limits::ContactlessLimits;
use crate::params::stored::Stored;
use crate::params::{Content, Download};
use std::collections::{BTreeMap, BTreeSet};

/// Downloads in force, at most one of each kind.
#[derive(Default)]
pub(super) struct InForce(BTreeMap<Download, Stored>);

impl InForce {
    /// Takes the place of what was there.
    pub(super) fn put(&mut self, what: Download, stored: Stored) {
        self.0.insert(what, stored);
    }

    /// Contactless limits.
    pub(super) fn limits(&self) -> Option<&ContactlessLimits> {
        match &self.0.get(&Download::ContactlessLimits)?.content {
            Content::Limits(limits) => Some(limits),
            _ => None,
        }
    }

    /// One part for each wanted download; empty when none is wanted.
    pub(super) fn told(&self, wanted: &[Download], troubled: &BTreeSet<Download>) -> String {
        let part = |what: &Download| {
            let failed = if troubled.contains(what) { ", the last download failed" } else { "" };
            match self.0.get(what) {
                Some(stored) => {
                    let day =
                        hosttime::date(stored.wall_ms).map(|day| format!(" ({day})")).unwrap_or_default();
                    format!("; {}{day}{failed}", stored.content.told())
                }
                None => format!("; {what} not downloaded yet{failed}"),
            }
        };
        wanted.iter().map(part).collect()
    }
}
