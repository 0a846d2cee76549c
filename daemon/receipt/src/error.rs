//! What can be wrong with a template.

/// Why a template cannot be used, or did not work for one receipt. Never holds a value of a receipt.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// Too much source.
    #[error("the template has {len} bytes: {most} are allowed")]
    Size {
        /// Bytes.
        len: usize,
        /// Most.
        most: usize,
    },
    /// Jinja does not understand it.
    #[error("line {line}: {what}")]
    Syntax {
        /// Line of the template.
        line: usize,
        /// What.
        what: String,
    },
    /// Something that Jinja has and receipts do not.
    #[error("line {line}: {what} is not part of receipt templates: there are fields, if, for and filters")]
    NotHere {
        /// Line of the template.
        line: usize,
        /// What.
        what: String,
    },
    /// There is no such field.
    #[error("line {line}: there is no field `{field}`: docs/integrators.md lists the fields of receipts")]
    Undefined {
        /// Line of the template.
        line: usize,
        /// As the template names it.
        field: String,
    },
    /// A layout line is wrong.
    #[error("line {line}: {what}")]
    Layout {
        /// Line of the template.
        line: usize,
        /// What, and what is right.
        what: String,
    },
    /// It went on for too long, or made too much.
    #[error("line {line}: the template makes too much ({what})")]
    TooMuch {
        /// Line of the template; 0: not known.
        line: usize,
        /// Of what.
        what: String,
    },
    /// A receipt without this is none.
    #[error("the {sample} receipt does not show the {what}: print {{{{ {field} }}}} on every receipt")]
    Missing {
        /// Which sample or `printed`.
        sample: String,
        /// What is missing.
        what: &'static str,
        /// Its field.
        field: &'static str,
    },
    /// It cannot be laid out for a sample.
    #[error("with the {sample} receipt: {error}")]
    Sample {
        /// Which.
        sample: &'static str,
        /// What happened.
        error: Box<TemplateError>,
    },
}

/// What a merchant should know of a template that works.
#[derive(Copy, Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Warning {
    /// Copies look like originals.
    #[error("a copy looks like the original: print {{{{ copy }}}} where it is not 0")]
    Copy,
    /// A slip of one kind looks like a sale's.
    #[error("a {0} looks like a sale: print {{{{ title }}}}")]
    Kind(&'static str),
    /// Nothing to sign on.
    #[error("there is no line to sign on: print one where {{{{ signature }}}} holds")]
    Signature,
    /// Change is not shown.
    #[error("cash handed over and change are not shown: {{{{ tendered }}}}, {{{{ change }}}}")]
    Change,
    /// The account is not shown.
    #[error("the card or account is not shown: {{{{ part.account }}}} of each of the parts")]
    Account,
}
