//! What the doctor says.

use crate::doctor::finding::{Finding, Level, Text};
use crate::look::{Look, Tone, clean, line};
use crate::redact::digits;
use crate::table::width;

/// Columns of a terminal.
const COLUMNS: usize = 80;
/// Columns before a text.
const MARGIN: usize = 16;

/// Everything that was looked at, with fixes; at the end how many of each.
pub fn doctor(look: &Look, findings: &[Finding]) -> String {
    let mut out = String::new();
    for finding in findings {
        one(look, &mut out, finding);
    }
    let count = |level| findings.iter().filter(|f| f.level == level).count();
    let (fix, unseen, note, well) =
        (count(Level::Fix), count(Level::Unseen), count(Level::Note), count(Level::Well));
    line(&mut out, "");
    let text = if look.chinese {
        format!("{fix} 项须处理，{unseen} 项无法查看，{note} 项须知，{well} 项正常")
    } else {
        format!("{fix} to fix, {unseen} not to be seen, {note} to know, {well} well")
    };
    line(&mut out, &look.paint(&text, Tone::Strong));
    out
}

fn one(look: &Look, out: &mut String, f: &Finding) {
    let (mark, tone) = match f.level {
        Level::Well => (look.say("well", "正常"), Tone::Good),
        Level::Note => (look.say("note", "须知"), Tone::Plain),
        Level::Unseen => (look.say("?", "未知"), Tone::Warn),
        Level::Fix => (look.say("FIX", "处理"), Tone::Bad),
    };
    let pad = |text: &str, to: usize| " ".repeat(to.saturating_sub(width(text)));
    let head = format!(
        "{}{}{}{}",
        look.paint(mark, tone),
        pad(mark, 6),
        look.paint(f.area(), Tone::Strong),
        pad(f.area(), MARGIN - 6),
    );
    let said = |t: &Text| clean(&digits(look.say(&t.en, &t.zh)));
    let subject = clean(&digits(&f.subject));
    let text = match (subject.is_empty(), said(&f.text)) {
        (true, text) => text,
        (false, text) if text.is_empty() => subject,
        (false, text) => format!("{subject}: {text}"),
    };
    let mut lines = wrap(&text, COLUMNS - MARGIN).into_iter();
    line(out, &format!("{head}{}", lines.next().unwrap_or_default()));
    for rest in lines {
        line(out, &format!("{}{rest}", " ".repeat(MARGIN)));
    }
    if let Some(fix) = &f.fix {
        for (n, part) in wrap(&said(fix), COLUMNS - MARGIN - 2).into_iter().enumerate() {
            let arrow = if n == 0 { "→ " } else { "  " };
            line(out, &format!("{}{arrow}{part}", " ".repeat(MARGIN)));
        }
    }
}

/// Lines of at most so many columns; what stands between backticks is to be copied, and stays whole.
fn wrap(text: &str, columns: usize) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut inside = false;
    for word in text.split_whitespace() {
        match words.last_mut().filter(|_| inside) {
            Some(last) => {
                last.push(' ');
                last.push_str(word);
            }
            None => words.push(word.to_owned()),
        }
        inside ^= word.matches('`').count() % 2 == 1;
    }
    let mut lines: Vec<String> = Vec::new();
    for word in words {
        match lines.last_mut() {
            Some(last) if width(last) + 1 + width(&word) <= columns => {
                last.push(' ');
                last.push_str(&word);
            }
            _ => lines.push(word),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_at_the_edge_and_commands_stay_whole() {
        let lines = wrap("look at it with `journalctl -u tilld -n 50 --no-pager` and then `a b`, twice", 30);
        assert_eq!(
            lines,
            ["look at it with", "`journalctl -u tilld -n 50 --no-pager`", "and then `a b`, twice"]
        );
        assert!(wrap("", 10).is_empty());
    }
}
