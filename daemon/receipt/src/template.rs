//! A template that may be used.

use std::io;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Serde, ValueKind};
use minijinja::{Environment, Error, ErrorKind, UndefinedBehavior, Value};
use till_core::receipt::{Language, Slip};
use till_plugin::document::{Block, Document};

use crate::error::{TemplateError, Warning};
use crate::markup;
use crate::samples::{Sample, samples};
use crate::source::{self, Source};

/// Jinja's steps for one receipt; the built-in layout takes about 200.
const FUEL: u64 = 50_000;
/// Longest string that a filter gives back, bytes.
const STRING: usize = 4096;
const NAME: &str = "receipt";

/// A template that was tried on every sample.
pub struct Template {
    jinja: Environment<'static>,
    source: Source,
    warnings: Vec<Warning>,
}

impl std::fmt::Debug for Template {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Template").field("bytes", &self.source.text.len()).finish_non_exhaustive()
    }
}

impl Template {
    /// Checks a template and tries it on receipts of every kind, in both languages.
    pub fn load(text: &str) -> Result<Self, TemplateError> {
        let source = source::prepare(text)?;
        let mut jinja = environment();
        jinja.add_template_owned(NAME, source.text.clone()).map_err(|e| told(&source, &e))?;
        let mut template = Self { jinja, source, warnings: Vec::new() };
        template.fields()?;
        for language in [Language::Chinese, Language::English] {
            let all = samples(language);
            for sample in &all {
                template.render_as(sample.name, &sample.slip).map_err(|error| match error {
                    TemplateError::Layout { .. } | TemplateError::TooMuch { .. } => {
                        TemplateError::Sample { sample: sample.name, error: Box::new(error) }
                    }
                    error => error,
                })?;
            }
            template.warn(&all);
        }
        Ok(template)
    }

    /// What the merchant should know.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// The document of a receipt. An error is no reason not to print: [`Slip::document`] always works.
    pub fn render(&self, slip: &Slip) -> Result<Document, TemplateError> {
        self.render_as("printed", slip)
    }

    fn render_as(&self, name: &str, slip: &Slip) -> Result<Document, TemplateError> {
        let told = |e: Error| told(&self.source, &e);
        let template = self.jinja.get_template(NAME).map_err(told)?;
        let mut out = Bounded(Vec::new());
        template.render_captured_to(Value::from(Serde(slip)), &mut out).map_err(told)?;
        let text = String::from_utf8_lossy(&out.0);
        let document = markup::document(&text)?;
        for (value, what, field) in [(&slip.total, "amount", "total"), (&slip.number, "number", "number")] {
            if !shows(&document, value) {
                return Err(TemplateError::Missing { sample: name.to_owned(), what, field });
            }
        }
        Ok(document)
    }

    /// Refuses fields that no receipt has, also where no sample comes by.
    fn fields(&self) -> Result<(), TemplateError> {
        let template = self.jinja.get_template(NAME).map_err(|e| told(&self.source, &e))?;
        let Some(sample) = samples(Language::Chinese).into_iter().next() else { return Ok(()) };
        let root = Value::from(Serde(&sample.slip));
        let mut named: Vec<String> = template.undeclared_variables(true).into_iter().collect();
        named.sort_by_key(|field| (self.source.line_of(field), field.clone()));
        let known = |field: &String| {
            field
                .split('.')
                .try_fold(root.clone(), |value, key| value.get_attr(key).ok().filter(|v| !v.is_undefined()))
                .is_some()
        };
        match named.into_iter().find(|field| !known(field)) {
            Some(field) => Err(TemplateError::Undefined { line: self.source.line_of(&field), field }),
            None => Ok(()),
        }
    }

    fn warn(&mut self, samples: &[Sample]) {
        let Some(base) = samples.iter().find(|s| s.name == "card") else { return };
        let looks = |change: &dyn Fn(&mut Slip)| {
            let mut slip = base.slip.clone();
            change(&mut slip);
            self.render(&slip).ok()
        };
        let original = looks(&|_| {});
        let mut found = Vec::new();
        let mut same = |warning, other: Option<Document>| {
            if other == original {
                found.push(warning);
            }
        };
        same(Warning::Copy, looks(&|s| s.copy = 1));
        same(Warning::Signature, looks(&|s| s.signature = false));
        same(
            Warning::Change,
            looks(&|s| (s.tendered, s.change) = (Some("¥200.00".into()), Some("¥71.50".into()))),
        );
        same(Warning::Account, looks(&|s| s.parts.iter_mut().for_each(|p| p.account = None)));
        for other in samples.iter().filter(|s| s.slip.kind != "sale") {
            let (kind, title, held) = (other.slip.kind, other.slip.title, other.slip.held);
            same(Warning::Kind(kind), looks(&|s| (s.kind, s.title, s.held) = (kind, title, held)));
        }
        for warning in found {
            if !self.warnings.contains(&warning) {
                self.warnings.push(warning);
            }
        }
    }
}

/// Whether a text stands on the paper.
fn shows(document: &Document, wanted: &str) -> bool {
    document.blocks.iter().any(|block| match block {
        Block::Text { text, .. } => text.contains(wanted),
        Block::Pair { label, value, .. } => label.contains(wanted) || value.contains(wanted),
        Block::Row(cells) => cells.iter().any(|c| c.text.contains(wanted)),
        _ => false,
    })
}

/// Jinja with nothing in it but what is put in here.
fn environment() -> Environment<'static> {
    let mut jinja = Environment::empty();
    jinja.set_undefined_behavior(UndefinedBehavior::Strict);
    jinja.set_fuel(Some(FUEL));
    // A line that holds only a tag prints nothing.
    if let Ok(syntax) = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build() {
        jinja.set_syntax(syntax);
    }
    // Its dumps would hold what is on receipts.
    jinja.set_debug(false);
    jinja.set_formatter(|out, _, value| {
        let text = match value.kind() {
            ValueKind::None => return Ok(()),
            ValueKind::String | ValueKind::Number | ValueKind::Bool => value.to_string(),
            kind => {
                let what = format!("a {kind} cannot be printed: print its parts, or go through it with for");
                return Err(Error::new(ErrorKind::InvalidOperation, what));
            }
        };
        out.write_str(&markup::data(&text)).map_err(|_| Error::new(ErrorKind::WriteFailure, "too much"))
    });
    jinja.add_filter("upper", |text: String| text.to_uppercase());
    jinja.add_filter("lower", |text: String| text.to_lowercase());
    jinja.add_filter("trim", |text: String| text.trim().to_owned());
    jinja.add_filter("length", |value: Value| {
        value.as_str().map(|s| s.chars().count()).or_else(|| value.len()).unwrap_or(0)
    });
    jinja.add_filter(
        "default",
        |value: Value, other: Value| {
            if value.is_none() || value.as_str() == Some("") { other } else { value }
        },
    );
    jinja.add_filter("replace", |text: String, from: String, to: String| {
        let grown =
            if from.is_empty() { usize::MAX } else { text.matches(&from).count().saturating_mul(to.len()) };
        bounded(text.len().saturating_add(grown)).map(|()| text.replace(&from, &to))
    });
    jinja.add_filter("join", |list: Vec<String>, with: String| {
        let each = list.iter().map(|s| s.len().saturating_add(with.len()));
        bounded(each.fold(0, usize::saturating_add)).map(|()| list.join(&with))
    });
    jinja.add_test("none", |value: Value| value.is_none());
    jinja
}

fn bounded(len: usize) -> Result<(), Error> {
    if len > STRING {
        return Err(Error::new(ErrorKind::OutOfFuel, format!("a text of more than {STRING} bytes")));
    }
    Ok(())
}

/// An error of Jinja in our words: where, and what, never a value.
fn told(source: &Source, error: &Error) -> TemplateError {
    let line = error.line().unwrap_or(0);
    let snippet =
        || error.range().and_then(|range| source.text.get(range)).unwrap_or_default().trim().to_owned();
    match error.kind() {
        ErrorKind::UndefinedError => TemplateError::Undefined { line, field: snippet() },
        ErrorKind::OutOfFuel => TemplateError::TooMuch {
            line,
            what: error.detail().map_or_else(|| format!("more than {FUEL} steps"), str::to_owned),
        },
        ErrorKind::WriteFailure => {
            TemplateError::TooMuch { line, what: format!("more than {} bytes", markup::OUTPUT) }
        }
        ErrorKind::UnknownFilter
        | ErrorKind::UnknownTest
        | ErrorKind::UnknownFunction
        | ErrorKind::UnknownMethod => TemplateError::NotHere { line, what: format!("`{}`", snippet()) },
        kind @ (ErrorKind::SyntaxError | ErrorKind::InvalidOperation | ErrorKind::MissingArgument) => {
            TemplateError::Syntax {
                line,
                what: error.detail().map_or_else(|| kind.to_string(), str::to_owned),
            }
        }
        kind => TemplateError::Syntax { line, what: format!("{kind} at `{}`", snippet()) },
    }
}

/// Output that ends.
struct Bounded(Vec<u8>);

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > markup::OUTPUT {
            return Err(io::Error::other("too much"));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
