//! What a plugin author depends on: types, traits, messages and the export macro.
