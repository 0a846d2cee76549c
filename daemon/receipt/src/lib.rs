//! Merchants' receipt templates: a text file in, [`Document`](till_plugin::document::Document)s out. No I/O, no clock.
//!
//! The language is Jinja's (`minijinja`) cut down to what a receipt needs: fields, conditions, loops, a few filters. What stands
//! outside `{{ }}` is the merchant's and may lay out (`@centre big: …`); what comes out of `{{ }}` is data and never lays out anything,
//! whatever is in it. Everything is bounded: size, steps, nesting, what comes out. docs/integrators.md has the language for
//! merchants, decision 0026 the reasons.
//!
//! A template is tried on sample receipts of every kind when it is loaded ([`Template::load`]), so that a wrong field is found
//! then and not at the till. Should one fail at the till all the same, the caller prints [`Slip::document`].

mod error;
mod markup;
mod samples;
mod source;
mod template;

pub use error::{TemplateError, Warning};
pub use samples::{Sample, samples};
pub use template::Template;
pub use till_core::receipt::{Language, Slip};

/// The built-in layout as a template, to start from.
pub const fn default_template(language: Language) -> &'static str {
    match language {
        Language::Chinese => include_str!("../templates/receipt.zh.txt"),
        Language::English => include_str!("../templates/receipt.en.txt"),
    }
}
