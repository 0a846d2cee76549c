//! What a shop would lose if this printer's line lied. What is on its paper is tested in `till-paper`.

mod wire;
