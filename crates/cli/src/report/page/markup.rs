//! The HTML elements that the page consists of.

use std::fmt::Write as _;

use crate::report::escape::escape;
use crate::report::picture::{Picture, Use, svg};
use crate::report::table::Table;

/// A picture with its caption, in two widths, of which the style sheet shows one. If drawing fails,
/// the error text replaces the picture.
pub(super) fn figure(wide: &Picture, narrow: Option<&Picture>) -> String {
    let drawing = |picture: &Picture, class: &str| {
        let drawing = svg(picture, Use::Inline).unwrap_or_else(|e| format!("<p>{}</p>", escape(&e.to_string())));
        format!("<div class=\"{class}\">{drawing}</div>\n")
    };
    let drawings = match narrow {
        Some(narrow) => drawing(wide, "wide") + &drawing(narrow, "narrow"),
        None => drawing(wide, "only"),
    };
    let caption = |picture: &Picture, class: &str| format!("<span{class}>{}</span>", escape(&picture.caption));
    // A narrow picture may show less and then has its own caption.
    let captions = match narrow.filter(|n| n.caption != wide.caption) {
        Some(narrow) => caption(wide, " class=\"wide\"") + &caption(narrow, " class=\"narrow\""),
        None => caption(wide, ""),
    };
    format!("<figure>\n{drawings}<figcaption>{captions}</figcaption>\n</figure>\n")
}

/// A table with its caption. On a narrow screen it scrolls by itself, and pinned columns stay
/// visible. Paper does not scroll, so a wide table is also written in parts for printing.
pub(super) fn table(table: &Table) -> String {
    if table.rows.is_empty() {
        return String::new();
    }
    let parts = table.parts(PAPER);
    if parts.len() == 1 {
        return one_table(table, "scroll");
    }
    parts.iter().fold(one_table(table, "scroll screen"), |html, part| html + &one_table(part, "scroll paper"))
}

/// Columns of numbers that fit a printed page.
const PAPER: usize = 8;

fn one_table(table: &Table, class: &str) -> String {
    let columns = table.head.len();
    let pinned = |column: usize| match columns - column {
        _ if column == 0 || table.pinned == 0 => None,
        from_end if from_end > table.pinned => None,
        from_end => Some(if from_end == table.pinned && table.pinned > 1 { "pin first" } else { "pin" }),
    };
    let class_of = |classes: &[Option<&str>]| match classes.iter().flatten().copied().collect::<Vec<_>>().join(" ") {
        none if none.is_empty() => none,
        some => format!(" class=\"{some}\""),
    };
    let mut html = format!(
        "<div class=\"{class}\" tabindex=\"0\" role=\"region\" aria-label=\"Table\"><table>\n<caption><span>{}</span></caption>\n<thead><tr>",
        escape(&table.caption)
    );
    for (column, head) in table.head.iter().enumerate() {
        let _ = match head.is_empty() {
            true => write!(html, "<td></td>"),
            false => write!(
                html,
                "<th scope=\"col\"{}>{}</th>",
                class_of(&[pinned(column)]),
                escape(head).replace(" = ", "&nbsp;=&nbsp;")
            ),
        };
    }
    html += "</tr></thead>\n<tbody>\n";
    for row in &table.rows {
        let class = if row.minor { " class=\"minor\"" } else { "" };
        let _ = write!(html, "<tr{class}><th scope=\"row\">{}</th>", escape(&row.name));
        for (column, cell) in row.cells.iter().enumerate() {
            let class = class_of(&[cell.best.then_some("best"), pinned(column + 1)]);
            let title = if cell.best { " title=\"best of its column\"" } else { "" };
            let _ = write!(html, "<td{class}{title}>{}</td>", escape(&cell.text));
        }
        html += "</tr>\n";
    }
    html + "</tbody></table></div>\n"
}

/// A list of terms and descriptions; empty ones are left out.
pub(super) fn terms(pairs: &[(&str, String)]) -> String {
    let known = pairs.iter().filter(|(_, value)| !value.is_empty());
    let lines: String = known.map(|(t, v)| format!("<dt>{}</dt><dd>{}</dd>\n", escape(t), escape(v))).collect();
    if lines.is_empty() { lines } else { format!("<dl>\n{lines}</dl>\n") }
}

/// A section with a heading; empty if the content is.
pub(super) fn section(id: &str, heading: &str, content: &str) -> String {
    match content.is_empty() {
        true => String::new(),
        false => format!(
            "<section aria-labelledby=\"{id}\">\n<h2 id=\"{id}\">{}</h2>\n{content}</section>\n",
            escape(heading)
        ),
    }
}

/// A paragraph; empty if the text is.
pub(super) fn paragraph(class: &str, text: &str) -> String {
    let class = if class.is_empty() { String::new() } else { format!(" class=\"{class}\"") };
    if text.is_empty() { String::new() } else { format!("<p{class}>{}</p>\n", escape(text)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_things_leave_no_shell() {
        assert_eq!(section("a", "A", ""), "");
        assert_eq!(terms(&[("a", String::new())]), "");
        assert_eq!(paragraph("", ""), "");
        assert_eq!(table(&Table::default()), "");
    }
}
