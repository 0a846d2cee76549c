//! The template before Jinja sees it: only what receipts need is let through, and layout lines learn their line numbers.
//!
//! Without this a template could double a string at each step and eat the machine's memory (Jinja's fuel counts steps, not bytes).

use crate::error::TemplateError;

/// Most bytes of a template.
pub(crate) const MOST: usize = 16 * 1024;
/// Most loops inside each other, and most joining operators in a template: together they bound how long a string can grow.
const NESTING: usize = 3;
const JOINS: usize = 32;
const STATEMENTS: [&str; 6] = ["if", "elif", "else", "endif", "for", "endfor"];

/// Before a literal `@`: the number of its line stands between these. Data cannot hold them.
pub(crate) const LINE_BEGIN: char = '\u{E010}';
pub(crate) const LINE_END: char = '\u{E011}';

/// Characters that stand for something else between template and markup; Unicode gives them no meaning.
pub(crate) const fn is_reserved(c: char) -> bool {
    matches!(c, '\u{E000}'..='\u{E01F}')
}

/// What Jinja gets, and the tags with their lines.
pub(crate) struct Source {
    pub(crate) text: String,
    tags: Vec<(usize, String)>,
}

impl Source {
    /// The line on which a field is named; 1 where it cannot be found.
    pub(crate) fn line_of(&self, field: &str) -> usize {
        let squeezed = |s: &str| s.chars().filter(|c| !c.is_whitespace()).collect::<String>();
        let last = field.rsplit('.').next().unwrap_or(field);
        let named = |wanted: &str| {
            self.tags.iter().find(|(_, tag)| words(&squeezed(tag), wanted)).map(|(line, _)| *line)
        };
        named(field).or_else(|| named(last)).unwrap_or(1)
    }
}

/// Whether `name` stands in `text` as a whole name.
fn words(text: &str, name: &str) -> bool {
    let part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    text.match_indices(name)
        .any(|(at, _)| !part(text[..at].chars().next_back()) && !part(text[at + name.len()..].chars().next()))
}

/// Checks a template and prepares it for Jinja.
pub(crate) fn prepare(text: &str) -> Result<Source, TemplateError> {
    if text.len() > MOST {
        return Err(TemplateError::Size { len: text.len(), most: MOST });
    }
    let text = text.strip_prefix('\u{FEFF}').unwrap_or(text).replace("\r\n", "\n");
    let mut scan =
        Scan { out: String::with_capacity(text.len()), tags: Vec::new(), line: 1, loops: 0, joins: 0 };
    let mut rest = text.as_str();
    while let Some(at) = rest.find('{').map(|_| tag_start(rest)) {
        let (literal, tag) = rest.split_at(at);
        scan.literal(literal)?;
        if tag.is_empty() {
            rest = "";
            break;
        }
        let len = scan.tag(tag)?;
        rest = &tag[len..];
    }
    scan.literal(rest)?;
    Ok(Source { text: scan.out, tags: scan.tags })
}

/// Where the next tag begins; the end where there is none.
fn tag_start(text: &str) -> usize {
    ["{{", "{%", "{#"].iter().filter_map(|open| text.find(open)).min().unwrap_or(text.len())
}

struct Scan {
    out: String,
    tags: Vec<(usize, String)>,
    line: usize,
    loops: usize,
    joins: usize,
}

impl Scan {
    fn literal(&mut self, text: &str) -> Result<(), TemplateError> {
        for c in text.chars() {
            match c {
                '\n' => self.line += 1,
                '@' => {
                    self.out.push(LINE_BEGIN);
                    self.out.push_str(&self.line.to_string());
                    self.out.push(LINE_END);
                }
                c if is_reserved(c) || (c.is_control() && c != '\t') => {
                    let what = format!("character U+{:04X}", u32::from(c));
                    return Err(TemplateError::NotHere { line: self.line, what });
                }
                _ => {}
            }
            self.out.push(c);
        }
        Ok(())
    }

    /// Takes the tag that `text` begins with; gives its length.
    fn tag(&mut self, text: &str) -> Result<usize, TemplateError> {
        let open = &text[..2];
        let close = match open {
            "{{" => "}}",
            "{%" => "%}",
            _ => "#}",
        };
        let begun = self.line;
        let unclosed = TemplateError::Syntax { line: begun, what: format!("`{open}` without `{close}`") };
        let inner = if open == "{#" {
            text[2..].find(close).map(|at| &text[2..2 + at])
        } else {
            self.inside(&text[2..], close)?
        };
        let inner = inner.ok_or(unclosed)?;
        if open == "{%" {
            self.statement(inner.trim_start_matches(['-', '+']).trim_start())?;
        }
        if open != "{#" {
            self.tags.push((begun, inner.to_owned()));
        }
        let len = 4 + inner.len();
        self.out.push_str(&text[..len]);
        self.line = begun + inner.matches('\n').count();
        Ok(len)
    }

    /// What stands before `close`, which may also stand inside quotes.
    fn inside<'t>(&mut self, text: &'t str, close: &str) -> Result<Option<&'t str>, TemplateError> {
        let mut quote = None;
        let mut escaped = false;
        let mut line = self.line;
        for (at, c) in text.char_indices() {
            let no = |what: String| Err(TemplateError::NotHere { line, what });
            match (quote, c) {
                (_, '\n') => line += 1,
                (Some(_), _) if escaped => escaped = false,
                (Some(_), '\\') => escaped = true,
                (Some(q), c) if c == q => quote = None,
                (None, _) if text[at..].starts_with(close) => return Ok(Some(&text[..at])),
                (None, '"' | '\'') => quote = Some(c),
                // The next tag begins: this one was never closed.
                (None, '{') if text[at + 1..].starts_with(['{', '%', '#']) => return Ok(None),
                // Jinja's own ideas of where a tag ends depend on these; a receipt needs none of them.
                (None, '{' | '}' | '*' | '\\') => return no(format!("`{c}`")),
                (None, '~' | '+') => {
                    self.joins += 1;
                    if self.joins > JOINS {
                        return no(format!("joining (`~`, `+`) more than {JOINS} times"));
                    }
                }
                _ => {}
            }
        }
        Ok(None)
    }

    fn statement(&mut self, inner: &str) -> Result<(), TemplateError> {
        let word: String = inner.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        let no = |what: String| Err(TemplateError::NotHere { line: self.line, what });
        if !STATEMENTS.contains(&word.as_str()) {
            return no(if word.is_empty() { "an empty tag".into() } else { format!("`{word}`") });
        }
        if words(inner, "recursive") {
            return no("`recursive`".into());
        }
        match word.as_str() {
            "for" if self.loops == NESTING => return no(format!("a loop inside {NESTING} others")),
            "for" => self.loops += 1,
            "endfor" => self.loops = self.loops.saturating_sub(1),
            _ => {}
        }
        Ok(())
    }
}
