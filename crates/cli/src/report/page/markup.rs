//! The pieces of HTML the page is made of.

use std::fmt::Write as _;

use crate::report::picture::{Picture, Use, svg};
use crate::report::table::Table;

/// Text as it may stand in HTML and XML, in elements and in attributes; control characters go.
pub(crate) fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c if c.is_control() && c != '\n' && c != '\t' => {}
            c => safe.push(c),
        }
    }
    safe
}

/// A drawing with its caption, in two widths of which the page's style shows one; where drawing fails, the reason
/// stands in its place.
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
    // A narrow drawing may show less, and says so.
    let captions = match narrow.filter(|n| n.caption != wide.caption) {
        Some(narrow) => caption(wide, " class=\"wide\"") + &caption(narrow, " class=\"narrow\""),
        None => caption(wide, ""),
    };
    format!("<figure>\n{drawings}<figcaption>{captions}</figcaption>\n</figure>\n")
}

/// A table with caption. It scrolls by itself where the screen is narrow, with its last columns pinned where the table
/// says so; on paper, which does not scroll, a wide one stands as several.
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

/// Columns of numbers that fit on paper.
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

/// Terms and their descriptions; empty ones are left out.
pub(super) fn terms(pairs: &[(&str, String)]) -> String {
    let known = pairs.iter().filter(|(_, value)| !value.is_empty());
    let lines: String = known.map(|(t, v)| format!("<dt>{}</dt><dd>{}</dd>\n", escape(t), escape(v))).collect();
    if lines.is_empty() { lines } else { format!("<dl>\n{lines}</dl>\n") }
}

/// A heading and what belongs to it; nothing where there is nothing.
pub(super) fn section(id: &str, heading: &str, content: &str) -> String {
    match content.is_empty() {
        true => String::new(),
        false => format!(
            "<section aria-labelledby=\"{id}\">\n<h2 id=\"{id}\">{}</h2>\n{content}</section>\n",
            escape(heading)
        ),
    }
}

/// A paragraph, unless the text is empty.
pub(super) fn paragraph(class: &str, text: &str) -> String {
    let class = if class.is_empty() { String::new() } else { format!(" class=\"{class}\"") };
    if text.is_empty() { String::new() } else { format!("<p{class}>{}</p>\n", escape(text)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_escapes_the_escaping() {
        assert_eq!(escape("<a href='x'>&\"\u{0}\u{1b}"), "&lt;a href=&#39;x&#39;&gt;&amp;&quot;");
    }

    #[test]
    fn empty_things_leave_no_shell() {
        assert_eq!(section("a", "A", ""), "");
        assert_eq!(terms(&[("a", String::new())]), "");
        assert_eq!(paragraph("", ""), "");
        assert_eq!(table(&Table::default()), "");
    }
}
