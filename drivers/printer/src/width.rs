//! Columns: measuring, wrapping and filling lines of text for a fixed-pitch printer.
//!
//! All widths are in columns of the normal font; a Chinese character takes two. Text given here is already
//! [cleaned](crate::text::Charset::clean).

use crate::text::Charset;

/// Where text stands in its columns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Side {
    /// At the left edge.
    #[default]
    Left,
    /// In the middle (the odd column to the right).
    Centre,
    /// At the right edge.
    Right,
}

/// Columns that `text` takes.
pub fn width(set: Charset, text: &str) -> usize {
    text.chars().map(|c| set.width(c)).sum()
}

/// Breaks `text` into lines of at most `columns`.
///
/// Latin words stay whole where they fit on a line of their own; a Chinese line may break between any two characters. Line feeds in
/// the text break always. An empty text is one empty line. No character that has a width is ever lost.
pub fn wrap(set: Charset, text: &str, columns: usize) -> Vec<String> {
    let columns = columns.max(2);
    text.split('\n').flat_map(|line| wrap_line(set, line, columns)).collect()
}

fn wrap_line(set: Charset, text: &str, columns: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    let mut used = 0;
    for word in words(set, text) {
        let wide = width(set, word);
        if used + wide <= columns {
            line.push_str(word);
            used += wide;
            continue;
        }
        if word.trim().is_empty() {
            // The space at which the line breaks is not printed.
            lines.push(std::mem::take(&mut line));
            used = 0;
            continue;
        }
        if used > 0 && wide <= columns {
            lines.push(take_trimmed(&mut line));
            used = 0;
        }
        for c in word.chars() {
            let wide = set.width(c);
            if used + wide > columns {
                lines.push(take_trimmed(&mut line));
                used = 0;
            }
            line.push(c);
            used += wide;
        }
    }
    if lines.is_empty() || !line.is_empty() {
        lines.push(line);
    }
    lines
}

fn take_trimmed(line: &mut String) -> String {
    let whole = std::mem::take(line);
    whole.trim_end_matches(' ').to_owned()
}

/// Pieces that stay together: runs of narrow letters, runs of spaces, single wide characters.
fn words(set: Charset, text: &str) -> impl Iterator<Item = &str> {
    #[derive(PartialEq, Clone, Copy)]
    enum Kind {
        Space,
        Narrow,
        Wide,
    }
    let kind = move |c: char| match c {
        ' ' => Kind::Space,
        c if set.width(c) > 1 => Kind::Wide,
        _ => Kind::Narrow,
    };
    let mut rest = text;
    std::iter::from_fn(move || {
        let mut chars = rest.char_indices();
        let (_, first) = chars.next()?;
        let this = kind(first);
        let end =
            chars.find(|(_, c)| this == Kind::Wide || kind(*c) != this).map_or(rest.len(), |(at, _)| at);
        let (word, tail) = rest.split_at(end);
        rest = tail;
        Some(word)
    })
}

/// `text` filled with spaces to exactly `columns`; a text that is too wide comes back as it is.
pub fn fill(set: Charset, text: &str, columns: usize, side: Side) -> String {
    let spare = columns.saturating_sub(width(set, text));
    let before = match side {
        Side::Left => 0,
        Side::Centre => spare / 2,
        Side::Right => spare,
    };
    format!("{}{text}{}", " ".repeat(before), " ".repeat(spare - before))
}

/// `left` and `right` on the outer edges of `columns`.
///
/// Where both do not fit on one line, the left text wraps and the right one stands on the last line, or alone on the next: an amount is
/// never broken off from its digits unless it is wider than the paper.
pub fn pair(set: Charset, left: &str, right: &str, columns: usize) -> Vec<String> {
    let columns = columns.max(2);
    let right = right.replace('\n', " ");
    let right_wide = width(set, &right);
    let mut lines = wrap(set, left, columns);
    let last = lines.pop().unwrap_or_default();
    let last_wide = width(set, &last);
    let gap = usize::from(last_wide > 0 && right_wide > 0);
    if last_wide + gap + right_wide <= columns {
        let space = columns - last_wide - right_wide;
        lines.push(format!("{last}{}{right}", " ".repeat(space)));
    } else {
        if !last.is_empty() {
            lines.push(last);
        }
        lines.extend(wrap(set, &right, columns).iter().map(|line| fill(set, line, columns, Side::Right)));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const GB: Charset = Charset::Gb18030;

    #[test]
    fn amounts_line_up_under_chinese_names() {
        assert_eq!(pair(GB, "苹果", "12.00", 16), ["苹果       12.00"]);
        assert_eq!(pair(GB, "abcd", "12.00", 16), ["abcd       12.00"]);
    }

    #[test]
    fn a_long_name_wraps_and_the_amount_stays_whole() {
        assert_eq!(pair(GB, "云南高山古树普洱茶", "128.50", 16), ["云南高山古树普洱", "茶        128.50"]);
        assert_eq!(pair(GB, "云南高山古树普洱", "128.50", 16), ["云南高山古树普洱", "          128.50"]);
    }

    #[test]
    fn latin_words_stay_whole_and_chinese_breaks_anywhere() {
        assert_eq!(wrap(GB, "green tea and cake", 10), ["green tea", "and cake"]);
        assert_eq!(wrap(GB, "一二三四五六", 5), ["一二", "三四", "五六"]);
        assert_eq!(wrap(GB, "a\n\nb", 5), ["a", "", "b"]);
        assert_eq!(wrap(GB, "abcdefghij", 4), ["abcd", "efgh", "ij"]);
    }

    #[test]
    fn centre_and_right_count_chinese_as_two() {
        assert_eq!(fill(GB, "茶", 6, Side::Centre), "  茶  ");
        assert_eq!(fill(GB, "茶", 6, Side::Right), "    茶");
        assert_eq!(fill(GB, "茶茶", 2, Side::Right), "茶茶");
    }

    proptest! {
        #[test]
        fn no_line_is_wider_than_the_paper_and_no_letter_is_lost(text in "[a-c 茶水\n]{0,60}", columns in 2usize..20) {
            let lines = wrap(GB, &text, columns);
            for line in &lines {
                prop_assert!(width(GB, line) <= columns, "{line:?}");
            }
            let letters = |s: &str| s.chars().filter(|c| !c.is_whitespace()).collect::<String>();
            prop_assert_eq!(letters(&lines.concat()), letters(&text));
        }

        #[test]
        fn both_sides_of_a_pair_reach_the_paper(left in "[a-c 茶水]{0,40}", right in "[0-9.￥]{0,12}", columns in 14usize..50) {
            let lines = pair(GB, &left, &right, columns);
            for line in &lines {
                prop_assert!(width(GB, line) <= columns, "{line:?}");
            }
            prop_assert!(right.is_empty() || lines.iter().any(|l| l.ends_with(&right)) || width(GB, &right) > columns);
        }
    }
}
