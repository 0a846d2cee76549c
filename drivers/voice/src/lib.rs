//! Speaks amounts and results.
//!
//! `words` makes the words of an amount, `phrase` the sentence of a stage, `queue` decides what is said next and what is
//! not said any more, `clips` and `wav` make sound of recorded words, `plugin` is the thin shell that the daemon loads.

pub mod clips;
pub mod phrase;
pub mod plugin;
pub mod queue;
pub mod settings;
pub mod wav;
pub mod words;
