//! The page: one HTML document with everything in it.
//!
//! It loads nothing: no font, no script, no image; its content security policy says so to the browser. Light
//! and dark follow the reader's system, a button overrides; printing is always light.

mod facts;
mod markup;

use super::data::ReportData;
use super::picture::{Picture, pictures, stylesheet};
use super::table;

pub(crate) use markup::escape;

const STYLE: &str = include_str!("style.css");
const THEME: &str = include_str!("theme.js");
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'";

/// The report as one self-contained HTML document.
///
/// Parts without values are left out; where that needs a reason, the page gives it.
pub fn page(data: &ReportData) -> String {
    let pictures = pictures(data);
    let drawn = |start: &str| -> String {
        pictures.iter().filter(|p| p.name.starts_with(start)).map(|p: &Picture| markup::figure(p)).collect()
    };
    let title = if data.title.is_empty() { "Tickless report" } else { &data.title };
    let mut body = format!("<header>\n<h1>{}</h1>\n", escape(title));
    body += &markup::paragraph("purpose", &data.purpose);
    body += &facts::byline(data);
    body += "</header>\n<main>\n";
    body += &facts::notices(data);
    let accuracy = facts::summary(data) + &drawn("accuracy") + &markup::table(&table::accuracy(data));
    let heading = match table::event_driven(data).next() {
        Some(_) => "Accuracy at every T, and without T",
        None => "Accuracy at every T",
    };
    body += &markup::section("accuracy", heading, &accuracy);
    body += &markup::section("decision", "How soon the answer is known", &drawn("decision"));
    let work = drawn("work") + &markup::table(&table::work(data)) + &facts::no_clock_reason(data);
    body += &markup::section("work", "Work", &work);
    let rates = drawn("rates") + &details("Firing rates as a table", &markup::table(&table::rates(data)));
    body += &markup::section("rates", "Firing rates", &rates);
    body += &markup::section("raster", "One recording through the layers", &drawn("raster"));
    body += &markup::section("input", "What the network sees", &drawn("input"));
    body += &markup::section("training", "Training", &(drawn("training") + &markup::table(&facts::training(data))));
    body += &markup::section("facts", "How this was measured", &facts::facts(data));
    body += "</main>\n";
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n\
         <title>{}</title>\n<style>\n{}{STYLE}</style>\n</head>\n<body>\n\
         <button id=\"theme\" type=\"button\" hidden>Dark</button>\n{body}<script>\n{THEME}</script>\n</body>\n</html>\n",
        escape(title),
        stylesheet(),
    )
}

fn details(summary: &str, content: &str) -> String {
    match content.is_empty() {
        true => String::new(),
        false => format!("<details><summary>{}</summary>\n{content}</details>\n", escape(summary)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;

    #[test]
    fn loads_nothing() {
        let page = page(&fixture::full());
        for loader in ["http:", "https:", "src=", "href=", "url(", "@import", "<link", "<img", "<iframe"] {
            assert!(!page.contains(loader), "{loader}");
        }
    }

    #[test]
    fn text_of_others_stays_text() {
        let page = page(&fixture::hostile());
        assert!(!page.contains("<script>alert") && !page.contains("<b>"));
        assert!(
            page.contains("&lt;script&gt;alert(&#39;x&#39;)") && page.contains("tickless &lt;run&gt; &amp;&amp; rm")
        );
    }

    #[test]
    fn tables_hold_the_given_numbers() {
        let page = page(&fixture::full());
        for number in ["77.8 ± 1.6", "82.4 ± ", "−29.0", "3.54 M", "0.29 ×", "4,172", "15,500", "41.2 %", "24,350"]
        {
            assert!(page.contains(number), "{number}");
        }
    }

    #[test]
    fn every_part_has_its_place_and_missing_parts_none() {
        let full = page(&fixture::full());
        for id in ["accuracy", "work", "rates", "raster", "input", "training", "facts"] {
            assert!(full.contains(&format!("<h2 id=\"{id}\">")), "{id}");
        }
        let mut data = fixture::full();
        data.sample = None;
        for strategy in &mut data.strategies {
            (strategy.event_driven, strategy.raster) = (None, None);
            strategy.layers.clear();
        }
        let less = page(&data);
        for id in ["rates", "raster", "input"] {
            assert!(!less.contains(&format!("<h2 id=\"{id}\">")), "{id}");
        }
        assert!(less.contains("batch norm"), "says why there is no event-driven number");
        assert!(page(&ReportData::default()).contains("Nothing was measured"));
    }

    #[test]
    fn simulated_cameras_are_announced() {
        let mut data = fixture::full();
        assert!(!page(&data).contains("simulated camera"));
        data.dataset.simulated_camera = true;
        assert!(page(&data).contains("simulated camera"));
    }
}
