//! What can be asked about receipt templates.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

/// Commands on receipt templates. None needs a till.
#[derive(Subcommand)]
pub enum TemplateCommand {
    /// Try a template on receipts of every kind. Exit codes: 0 it works (what to think of is said) · 1 it does not.
    Check {
        /// The template, as `shop.receipt-template` names it.
        file: PathBuf,
    },
    /// Draw a sample receipt as it comes out of the printer (PNG, one dot a pixel).
    Preview(Look),
    /// Write the built-in layout as a template, to start from.
    Template {
        /// Language.
        #[arg(long, default_value = "zh")]
        lang: Lang,
    },
}

/// What is drawn.
#[derive(Args)]
pub struct Look {
    /// The template [default: the built-in layout].
    #[arg(long, value_name = "FILE")]
    pub template: Option<PathBuf>,
    /// Paper, mm.
    #[arg(long, default_value = "80")]
    pub width: Width,
    /// Language of the sample.
    #[arg(long, default_value = "zh")]
    pub lang: Lang,
    /// Which sample.
    #[arg(long, default_value = "card", value_parser = ["card", "wallet", "cash", "split", "copy", "reviewed", "hold",
        "void", "refund", "capture", "release", "load", "bare"])]
    pub kind: String,
    /// File to write; one that is there is replaced.
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
}

/// Paper.
#[derive(Copy, Clone, Debug, PartialEq, Eq, ValueEnum)]
pub enum Width {
    /// 58 mm, 384 dots.
    #[value(name = "58")]
    Narrow,
    /// 80 mm, 576 dots.
    #[value(name = "80")]
    Wide,
}

/// Language.
#[derive(Copy, Clone, Debug, PartialEq, Eq, ValueEnum)]
pub enum Lang {
    /// Chinese.
    Zh,
    /// English.
    En,
}
