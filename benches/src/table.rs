//! The one table: what, how much, beside what, ratio, aim.

/// A line of the table.
#[derive(Clone, Debug, Default)]
pub struct Row {
    cells: [String; 5],
}

/// Head of the table.
const HEAD: [&str; 5] = ["measured", "", "beside", "ratio", "aim"];

impl Row {
    /// What was measured, and the figure.
    pub fn new(what: impl Into<String>, figure: impl Into<String>) -> Self {
        Self { cells: [what.into(), figure.into(), String::new(), String::new(), String::new()] }
    }

    /// What it is compared with.
    #[must_use]
    pub fn beside(mut self, what: impl Into<String>, ratio: f64) -> Self {
        self.cells[2] = what.into();
        self.cells[3] = format!("{ratio:.2}");
        self
    }

    /// Its cells on one line, for a program that hands its rows to another.
    #[must_use]
    pub fn line(&self) -> String {
        self.cells.join("\t")
    }

    /// Such a line's row.
    #[must_use]
    pub fn from_line(line: &str) -> Self {
        let mut cells = line.split('\t').map(str::to_owned);
        Self { cells: [(); 5].map(|()| cells.next().unwrap_or_default()) }
    }

    /// The aim, and whether it is met.
    #[must_use]
    pub fn aim(mut self, aim: &str, met: bool) -> Self {
        self.cells[4] = format!("{aim}: {}", if met { "met" } else { "MISSED" });
        self
    }
}

/// The table as Markdown that reads well in a terminal.
#[must_use]
pub fn render(rows: &[Row]) -> String {
    let head = HEAD.map(str::to_owned);
    let all = || std::iter::once(&head).chain(rows.iter().map(|r| &r.cells));
    let width = |column: usize| all().map(|c| c[column].chars().count()).max().unwrap_or(0).max(3);
    let widths: Vec<usize> = (0..HEAD.len()).map(width).collect();
    let line = |cells: &[String; 5]| {
        let cells: Vec<String> =
            cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        format!("| {} |\n", cells.join(" | "))
    };
    let rule: Vec<String> = widths.iter().map(|width| "-".repeat(width + 2)).collect();
    let mut text = line(&head);
    text.push_str(&["|", &rule.join("|"), "|\n"].concat());
    for row in rows {
        text.push_str(&line(&row.cells));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_aim_that_is_missed_stands_out_and_columns_stay_columns() {
        let rows = [
            Row::new("one", "5.0 µs").beside("bare, 5.0 µs", 1.0).aim("≤ 2", true),
            Row::new("another that is long", "9 ms").aim("< 5 ms", false),
        ];
        let text = render(&rows);
        assert_eq!(render(&rows.clone().map(|row| Row::from_line(&row.line()))), text);
        assert!(text.contains("≤ 2: met") && text.contains("< 5 ms: MISSED"), "{text}");
        let widths: Vec<usize> = text.lines().map(|l| l.chars().count()).collect();
        assert!(widths.windows(2).all(|w| w[0] == w[1]), "{text}");
    }
}
