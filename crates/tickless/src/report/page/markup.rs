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

/// A drawing with its caption; where drawing fails, the reason stands in its place.
pub(super) fn figure(picture: &Picture) -> String {
    let drawing = svg(picture, Use::Inline).unwrap_or_else(|e| format!("<p>{}</p>", escape(&e.to_string())));
    format!("<figure>\n{drawing}<figcaption>{}</figcaption>\n</figure>\n", escape(&picture.caption))
}

/// A table with caption; scrolls by itself where the screen is narrow.
pub(super) fn table(table: &Table) -> String {
    if table.rows.is_empty() {
        return String::new();
    }
    let mut html = format!(
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Table\"><table>\n<caption><span>{}</span></caption>\n<thead><tr>",
        escape(&table.caption)
    );
    for head in &table.head {
        let _ = match head.is_empty() {
            true => write!(html, "<td></td>"),
            false => write!(html, "<th scope=\"col\">{}</th>", escape(head).replace(" = ", "&nbsp;=&nbsp;")),
        };
    }
    html += "</tr></thead>\n<tbody>\n";
    for row in &table.rows {
        let class = if row.minor { " class=\"minor\"" } else { "" };
        let _ = write!(html, "<tr{class}><th scope=\"row\">{}</th>", escape(&row.name));
        for cell in &row.cells {
            let class = if cell.best { " class=\"best\" title=\"best of its column\"" } else { "" };
            let _ = write!(html, "<td{class}>{}</td>", escape(&cell.text));
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
