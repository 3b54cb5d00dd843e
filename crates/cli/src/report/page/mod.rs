//! The page: one HTML document that contains everything.
//!
//! It loads no font, script or image. Its content security policy tells the browser so, and allows
//! only this module's style sheet and script, by their hashes. The theme follows the reader's
//! system, a button overrides it, and printing is always light.

mod explore;
mod facts;
mod markup;

use super::data::ReportData;
use super::escape::escape;
use super::picture::{Format, pictures, stylesheet};
use super::table;
use base64::prelude::{BASE64_STANDARD, Engine};
use sha2::{Digest, Sha256};

const STYLE: &str = include_str!("style.css");
const THEME: &str = include_str!("theme.js");
const EXPLORE: &str = include_str!("explore.js");

/// Renders the report as one self-contained HTML document.
///
/// Parts without values are left out; if that needs a reason, the page states it.
pub fn page(data: &ReportData) -> String {
    let (wide, narrow) = (pictures(data, Format::Wide), pictures(data, Format::Narrow));
    let drawn = |start: &str| -> String {
        let same = |name: &str| narrow.iter().find(|n| n.name.strip_suffix("-narrow") == Some(name));
        wide.iter().filter(|p| p.name.starts_with(start)).map(|p| markup::figure(p, same(&p.name))).collect()
    };
    let title = if data.title.is_empty() { "Tickless report" } else { &data.title };
    let mut body = format!("<header>\n<h1>{}</h1>\n", escape(title));
    body += &markup::paragraph("purpose", &data.purpose);
    body += &facts::byline(data);
    body += "</header>\n<main>\n";
    body += &facts::notices(data);
    let accuracy = facts::summary(data) + &drawn("accuracy") + &markup::table(&table::accuracy(data));
    let accuracy = accuracy + &markup::table(&table::mixed(data));
    let heading = match table::event_driven(data).next() {
        Some(_) => "Accuracy at every T, and without T",
        None => "Accuracy at every T",
    };
    body += &markup::section("accuracy", heading, &accuracy);
    body += &markup::section("explore", "Explore", &(drawn("frontier") + &explore::explore(data)));
    let exits = details("Early exit as a table", &markup::table(&table::exits(data)));
    body += &markup::section("decision", "How soon the answer is known", &(drawn("decision") + &exits));
    let work = drawn("work") + &markup::table(&table::work(data)) + &facts::no_clock_reason(data);
    body += &markup::section("work", "Work", &work);
    let rates = drawn("rates") + &details("Firing rates as a table", &markup::table(&table::rates(data)));
    body += &markup::section("rates", "Firing rates", &rates);
    body += &markup::section("raster", "One recording through the layers", &drawn("raster"));
    body += &markup::section("input", "What the network sees", &drawn("input"));
    body += &markup::section("training", "Training", &(drawn("training") + &markup::table(&facts::training(data))));
    body += &markup::section("facts", "How this was measured", &facts::facts(data));
    body += "</main>\n";
    let style = format!("\n{}{STYLE}", stylesheet());
    let script = format!("\n{THEME}{EXPLORE}");
    let policy = format!("default-src 'none'; style-src '{}'; script-src '{}'", hash(&style), hash(&script));
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{policy}\">\n\
         <title>{}</title>\n<style>{style}</style>\n</head>\n<body>\n\
         <button id=\"theme\" type=\"button\" hidden>Dark</button>\n{body}<script>{script}</script>\n</body>\n</html>\n",
        escape(title),
    )
}

/// The name of an inline script or style sheet in a content security policy: the SHA-256 of its
/// text.
fn hash(text: &str) -> String {
    format!("sha256-{}", BASE64_STANDARD.encode(Sha256::digest(text.as_bytes())))
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
    use crate::report::data::MeanPoint;
    use crate::report::fixture;

    #[test]
    fn loads_nothing() {
        let page = page(&fixture::full());
        for loader in ["http:", "https:", "src=", "href=", "url(", "@import", "<link", "<img", "<iframe"] {
            assert!(!page.contains(loader), "{loader}");
        }
    }

    /// The texts between `<tag>` and `</tag>`.
    fn inline<'a>(page: &'a str, tag: &str) -> Vec<&'a str> {
        let (open, close) = (format!("<{tag}>"), format!("</{tag}>"));
        page.split(&open).skip(1).map(|rest| rest.split(&close).next().unwrap()).collect()
    }

    #[test]
    fn the_policy_allows_this_script_and_style_sheet_and_no_other() {
        // The value that `echo -n abc | openssl dgst -sha256 -binary | base64` prints.
        assert_eq!(hash("abc"), "sha256-ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=");
        for data in [fixture::full(), fixture::hostile(), ReportData::default()] {
            let page = page(&data);
            let policy = page.split("Content-Security-Policy\" content=\"").nth(1).unwrap().split('"').next().unwrap();
            assert!(!policy.contains("unsafe"), "{policy}");
            for (tag, source) in [("script", "script-src"), ("style", "style-src")] {
                let [text] = inline(&page, tag)[..] else { panic!("one {tag}") };
                assert!(policy.contains(&format!("{source} '{}'", hash(text))), "{tag}: {policy}");
            }
            // Inline handlers and style attributes would need a policy of their own.
            let handler = |rest: &str| {
                rest.split_once("=\"").is_some_and(|(name, _)| name.bytes().all(|b| b.is_ascii_lowercase()))
            };
            assert!(
                !page.contains(" style=\"") && !page.split(" on").skip(1).any(handler),
                "an inline handler or style"
            );
        }
    }

    #[test]
    fn a_wide_table_pins_what_is_event_driven_and_stands_in_parts_on_paper() {
        let mut data = fixture::full();
        for s in &mut data.strategies {
            let first = s.points[0].clone();
            s.points = (1..=30).map(|steps| MeanPoint { steps, ..first.clone() }).collect();
        }
        let page = page(&data);
        assert_eq!(
            page.matches("class=\"pin first\">event-driven</th>").count(),
            2,
            "on the screen, and last on paper"
        );
        assert_eq!(page.matches("<div class=\"scroll screen\"").count(), 1);
        let paper: Vec<&str> = page.split("<div class=\"scroll paper\"").skip(1).collect();
        assert!(paper.len() > 3);
        for part in &paper {
            let head = part.split("</thead>").next().unwrap();
            assert!(head.matches("<th scope=\"col\"").count() <= 8, "{head}");
            assert!(part.contains("<th scope=\"row\">MTT"), "every part names its rows");
        }
        let all: usize =
            paper.iter().map(|p| p.split("</thead>").next().unwrap().matches("T&nbsp;=&nbsp;").count()).sum();
        assert_eq!(all, 30 + 1, "every T stands on one part, and T_max in the head of the change");
        assert!(super::STYLE.contains(".pin") && super::STYLE.contains(".paper"));
    }

    #[test]
    fn every_picture_is_there_for_a_desk_and_for_a_telephone() {
        let page = page(&fixture::full());
        let ids = |text: &str| page.matches(text).count();
        assert_eq!((ids("<div class=\"wide\"><svg"), ids("<div class=\"narrow\"><svg")), (9, 9));
        let mut captions = page.split("<figcaption>").filter(|c| c.contains("4,000 of the 48,100 of conv1"));
        assert!(captions.next().is_some_and(|c| c.contains("1,500 of the 48,100 of conv1")), "each says what it draws");
        let mut names: Vec<&str> = page.split(" id=\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all, "no name stands twice");
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
