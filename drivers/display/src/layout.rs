//! What is shown, as lines: the customer's words and the amount, exactly or not at all.

use till_plugin::Money;
use till_plugin::driver::{ShowContent, Stage, StageContent};

use crate::profile::{Charset, Profile};
use crate::settings::Words;
use crate::text;

/// Longest text of a line that is kept; the rest is cut.
pub const LONGEST: usize = 256;
/// A lamp of a digit display.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Lamp {
    /// None.
    Off,
    /// Price or total.
    Total,
    /// To be paid.
    Due,
    /// Given back.
    Change,
}

/// What is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Lines, top first, cleaned; longer ones scroll, unless they hold the amount.
    pub lines: [String; 2],
    /// Lamp, for digit displays.
    pub lamp: Lamp,
}

/// An amount that the display has no room for: nothing is shown rather than a part of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the amount {amount} needs {needs} places and the display {profile} has {has}; the screen must show it"
)]
pub struct NoRoom {
    /// What does not fit.
    pub amount: Money,
    /// Columns it takes.
    pub needs: usize,
    /// Columns there are.
    pub has: usize,
    /// Display.
    pub profile: String,
}

/// Lays a content out.
pub fn lay(profile: &Profile, words: &Words, content: &ShowContent) -> Result<Frame, NoRoom> {
    let page = Page { profile, words };
    Ok(match content {
        ShowContent::Amount(amount) => page.stage(Stage::Due, *amount)?,
        ShowContent::Qr { amount, .. } => page.amount(words.scan(), *amount, Lamp::Due)?,
        ShowContent::Stage(StageContent { stage, amount, .. }) => page.stage(*stage, *amount)?,
        ShowContent::Text(lines) => page.text(lines),
        // Clear, and whatever a later daemon means that this driver does not know.
        _ => page.text(&words.idle),
    })
}

/// An empty frame.
pub fn blank() -> Frame {
    Frame { lines: [String::new(), String::new()], lamp: Lamp::Off }
}

struct Page<'a> {
    profile: &'a Profile,
    words: &'a Words,
}

impl Page<'_> {
    fn set(&self) -> Charset {
        self.profile.charset
    }

    fn text(&self, lines: &[String]) -> Frame {
        let mut frame = blank();
        for (line, text) in frame.lines.iter_mut().zip(lines).take(self.profile.lines) {
            let shown = text::clean(self.set(), &text.chars().take(LONGEST).collect::<String>());
            shown.trim_end().clone_into(line);
        }
        frame
    }

    fn stage(&self, stage: Stage, amount: Money) -> Result<Frame, NoRoom> {
        let lamp = match stage {
            Stage::Change | Stage::Refunded => Lamp::Change,
            Stage::Due | Stage::Declined => Lamp::Due,
            _ => Lamp::Total,
        };
        self.amount(self.words.label(stage), amount, lamp)
    }

    /// The label above, the amount at the right end below, with its currency where there is room.
    fn amount(&self, label: &str, amount: Money, lamp: Lamp) -> Result<Frame, NoRoom> {
        let (has, digits) = (self.profile.columns, amount.decimal());
        let needs = self.places(&digits);
        if needs > has {
            return Err(NoRoom { amount, needs, has, profile: self.profile.name.clone() });
        }
        if self.set() == Charset::Digits {
            let blanks = " ".repeat(has - needs);
            return Ok(Frame { lines: [format!("{blanks}{digits}"), String::new()], lamp });
        }
        let label = text::clean(self.set(), label);
        let with_code = amount.to_string();
        let shown = if with_code.len() <= has { &with_code } else { &digits };
        let below = format!("{shown:>has$}");
        let lines = if self.profile.lines == 2 { [label, below] } else { [below, String::new()] };
        Ok(Frame { lines, lamp })
    }

    /// Places that an amount takes: a point stands between the digits of a digit display and takes none.
    fn places(&self, digits: &str) -> usize {
        if self.set() == Charset::Digits { digits.len() - digits.matches('.').count() } else { digits.len() }
    }
}
