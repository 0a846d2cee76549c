//! Receipts as the merchant wants them, and as tilld makes them when that does not work: a payment never lacks its receipt.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use till_core::Payment;
use till_core::receipt::{Facts, Shop, Slip, marked};
use till_plugin::document::Document;
use till_receipt::Template;

use crate::config::Config;

/// More than any template has; what is beyond is refused by the template itself.
const READ: u64 = 64 * 1024;

/// What makes receipts.
#[derive(Debug)]
pub struct Receipts {
    /// The shop on them.
    pub shop: Shop,
    template: Option<Template>,
    trouble: Mutex<Option<String>>,
}

/// A receipt to print.
#[derive(Clone, Debug)]
pub(crate) struct Printable {
    /// As the merchant wants it.
    pub document: Document,
    /// As tilld makes it, where that is another one: for a printer that refuses the first.
    pub plain: Option<Document>,
}

impl From<Document> for Printable {
    fn from(document: Document) -> Self {
        Self { document, plain: None }
    }
}

impl Receipts {
    /// With the configured template, if it can be used.
    pub fn new(config: &Config) -> Self {
        let shop = Shop {
            name: config.shop.name.clone(),
            lines: config.shop.lines.clone(),
            terminal: config.terminal.clone(),
            footer: config.shop.footer.clone(),
            language: config.shop.language,
        };
        let (template, trouble) = match config.shop.receipt_template.as_deref().map(template).transpose() {
            Ok(template) => (template, None),
            Err(why) => (None, Some(why)),
        };
        if let Some(why) = &trouble {
            tracing::error!("{why}; receipts are printed in the built-in layout");
        }
        for warning in template.iter().flat_map(Template::warnings) {
            tracing::warn!("receipt template: {warning}");
        }
        Self { shop, template, trouble: Mutex::new(trouble) }
    }

    /// The receipt or slip with this number. `None`: no attempt of the payment has it.
    pub(crate) fn receipt(&self, p: &Payment, number: u64, facts: &Facts) -> Option<Printable> {
        let slip = Slip::of(p, number, &self.shop, facts)?;
        // A merchant's layout cannot make a receipt of training.
        let plain = marked(slip.document(), p);
        let Some(template) = &self.template else { return Some(plain.into()) };
        match template.render(&slip) {
            Ok(document) => Some(Printable { document: marked(document, p), plain: Some(plain) }),
            Err(e) => {
                self.failed(format!("receipt template, receipt {number:08}: {e}"));
                Some(plain.into())
            }
        }
    }

    /// The template did not work.
    pub(crate) fn failed(&self, why: String) {
        tracing::warn!("{why}; the built-in layout was printed");
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = Some(why);
    }

    /// Why the merchant's template is not used, or failed last.
    pub(crate) fn trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Reads and tries a template; the error names the file.
pub(crate) fn template(path: &Path) -> Result<Template, String> {
    let shown = path.display();
    let mut text = String::new();
    File::open(path)
        .and_then(|file| file.take(READ).read_to_string(&mut text))
        .map_err(|e| format!("receipt template {shown}: {e}"))?;
    Template::load(&text).map_err(|e| format!("receipt template {shown}: {e}"))
}
