//! Renders the tables for the terminal.

use super::data::ReportData;
use super::table::{self, Table};

/// Accuracy of each strategy at each T and event-driven, as aligned text.
///
/// An asterisk marks the best value of a column. Empty if nothing was measured.
pub fn accuracy_table(data: &ReportData) -> String {
    render(&table::accuracy(data))
}

/// Accuracy of each strategy at each mixed configuration, as aligned text.
///
/// Empty if none was measured.
pub fn mixed_table(data: &ReportData) -> String {
    render(&table::mixed(data))
}

/// Events, spikes and synaptic operations per recording of the event-driven runs, as aligned text.
///
/// Empty if no strategy ran without a clock.
pub fn work_table(data: &ReportData) -> String {
    render(&table::work(data))
}

/// Renders caption, head, rule and rows, with two spaces between columns.
fn render(table: &Table) -> String {
    if table.rows.is_empty() {
        return String::new();
    }
    let any_best = table.rows.iter().any(|r| r.cells.iter().any(|c| c.best));
    let mut lines: Vec<Vec<String>> = vec![table.head.clone()];
    for row in &table.rows {
        let mut line = vec![row.name.clone()];
        line.extend(row.cells.iter().map(|cell| match (any_best, cell.best) {
            (false, _) => cell.text.clone(),
            (true, false) => format!("{} ", cell.text),
            (true, true) => format!("{}*", cell.text),
        }));
        lines.push(line);
    }
    if any_best {
        lines[0].iter_mut().skip(1).for_each(|head| head.push(' '));
    }
    let columns = lines.iter().map(Vec::len).max().unwrap_or(0);
    let width = |c: usize| lines.iter().filter_map(|l| l.get(c)).map(|t| t.chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = wrap(&table.caption, 100);
    for (number, line) in lines.iter().enumerate() {
        let cells: Vec<String> = line
            .iter()
            .zip(&widths)
            .enumerate()
            .map(|(c, (cell, &w))| if c == 0 { format!("{cell:<w$}") } else { format!("{cell:>w$}") })
            .collect();
        text += cells.join("  ").trim_end();
        text.push('\n');
        if number == 0 {
            text += &"─".repeat(widths.iter().sum::<usize>() + 2 * widths.len().saturating_sub(1));
            text.push('\n');
        }
    }
    if any_best {
        text += "* best of its column\n";
    }
    text
}

/// Breaks a text between words into lines of at most `most` characters.
fn wrap(text: &str, most: usize) -> String {
    let mut wrapped = String::new();
    let mut used = 0;
    for word in text.split_whitespace() {
        let length = word.chars().count();
        if used > 0 {
            let fits = used + 1 + length <= most;
            wrapped.push(if fits { ' ' } else { '\n' });
            used = if fits { used + 1 } else { 0 };
        }
        wrapped += word;
        used += length;
    }
    wrapped + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;

    #[test]
    fn tables_as_the_user_sees_them() {
        let mut data = fixture::full();
        data.strategies.remove(1);
        let expected = "\
Accuracy in % on 220 test samples at T time steps; the leak belongs to time unless the row says
otherwise; event-driven: no T at all, in the simulator; ± standard error.
                         T = 1        T = 2        T = 5       T = 10      T = 100   event-driven   change from T = 10
───────────────────────────────────────────────────────────────────────────────────────────────────────────────────────
SDT                 26.6 ± 1.4   57.6 ± 0.6   81.8 ± 1.2   82.4 ± 1.4*  77.1 ± 0.4     53.4 ± 1.6                −29.0
SDT, leak per step           –            –            –   82.4 ± 1.4   68.9 ± 1.4              –                    –
MTT                 81.8 ± 1.2*  82.5 ± 1.4*  82.5 ± 1.4*  81.7 ± 1.2   80.6 ± 1.0*    77.8 ± 1.6*                −3.9
MTT, leak per step           –            –            –   81.7 ± 1.2   70.2 ± 0.4              –                    –
* best of its column
";
        assert_eq!(accuracy_table(&data), expected);
        let expected = "\
Work per recording, event-driven, in the simulator (mean of 220 recordings). Spike difference: to
the clocked net at T = 10.
     events  spikes, conv1  spikes, conv2  spikes, all  synaptic operations  relative to SDT  spike difference
──────────────────────────────────────────────────────────────────────────────────────────────────────────────
SDT   4,172         48,100         27,100       75,200               3.54 M           1.00 ×            41.2 %
MTT   4,172          9,400          6,100       15,500               1.02 M           0.29 ×            12.1 %
";
        assert_eq!(work_table(&data), expected);
    }

    #[test]
    fn nothing_measured_is_nothing_printed() {
        assert_eq!(accuracy_table(&ReportData::default()), "");
        assert_eq!(work_table(&ReportData::default()), "");
    }
}
