//! The part of the page to explore: a slider over T that the accuracy and the confusion matrix follow,
//! and one recording that plays.
//!
//! This file writes the elements in the state of T_max and of the end of the recording, which is what a
//! reader without scripts, and paper, show. `explore.js` changes their texts; it reads its values from
//! a data block. Drawings have no text, so that they can stretch to any width.

use super::markup::paragraph;
use crate::report::data::{Course, MeanPoint, Raster, ReportData, StrategyResult};
use crate::report::escape::escape;
use crate::report::format::{compact, decimal, grouped, span, with_error};
use crate::report::picture::frontier::{Place, places};
use crate::report::picture::{self, Format};
use crate::report::table::leaks;
use serde::Serialize;
use std::collections::HashSet;
use std::fmt::Write as _;
use tickless::net::LeakRule;

/// Most classes whose confusions are a matrix; of more classes the most frequent ones are listed.
const MATRIX: usize = 25;
/// Most confusions of a list.
const LISTED: usize = 40;
/// Most spikes of a layer that are drawn.
const SPIKES: usize = 4000;
/// Width of a drawing and height of one of its bands, in its own units.
const WIDTH: f64 = 1000.0;
const HEIGHT: f64 = 100.0;

/// The values that the script reads.
#[derive(Serialize)]
struct Values {
    classes: Vec<String>,
    matrix: bool,
    rows: Vec<RowValues>,
}

/// One row of the report.
#[derive(Serialize)]
struct RowValues {
    name: String,
    points: Vec<PointValues>,
    course: Option<CourseValues>,
}

/// The results at one position of the slider.
#[derive(Serialize)]
struct PointValues {
    /// `T = 4`, or `no clock`.
    at: String,
    leak: Option<LeakRule>,
    accuracy: String,
    /// The sentence beside the slider.
    said: String,
    answers: Option<AnswerValues>,
    /// The position in the wide and in the narrow drawing of the frontier, in units of the drawing.
    place: Option<[f64; 4]>,
}

/// The answers at one position.
#[derive(Serialize)]
struct AnswerValues {
    samples: Vec<usize>,
    right: Vec<usize>,
    /// Label, class, count of the confusions.
    wrong: Vec<[usize; 3]>,
}

/// The texts of a recording that plays.
#[derive(Serialize)]
struct CourseValues {
    /// The moments in words.
    at: Vec<String>,
    /// Percent of each class at each moment.
    percent: Vec<Vec<u8>>,
    /// Name of each layer, and its spikes up to each moment.
    spikes: Vec<(String, Vec<usize>)>,
}

/// The content of the section; empty if there is nothing to explore.
pub(super) fn explore(data: &ReportData) -> String {
    let places = [places(data, Format::Wide), places(data, Format::Narrow)];
    let rows: Vec<(usize, &StrategyResult)> = data.strategies.iter().enumerate().filter(|(_, s)| is_there(s)).collect();
    if rows.is_empty() {
        return String::new();
    }
    let classes = data.dataset.classes.max(data.dataset.class_names.len());
    let matrix = classes <= MATRIX;
    let values = Values {
        classes: data.dataset.class_names.clone(),
        matrix,
        rows: rows.iter().map(|(k, s)| row_values(*k, s, &places, matrix)).collect(),
    };
    let mut html = controls(&rows, &values, data);
    html += &answers(&rows, &values, data);
    for (k, (_, s)) in rows.iter().enumerate() {
        html += &course(k, s, data);
    }
    // `<` is written as an escape, so that no text can end the block.
    let json = serde_json::to_string(&values).unwrap_or_default().replace('<', "\\u003c");
    html + &format!("<script type=\"application/json\" id=\"explore-values\">{json}</script>\n")
}

fn is_there(s: &StrategyResult) -> bool {
    s.course.is_some()
        || s.points.iter().any(|p| p.confusion.is_some())
        || s.event_driven.as_ref().is_some_and(|e| e.confusion.is_some())
}

fn row_values(strategy: usize, s: &StrategyResult, places: &[Vec<Place>; 2], matrix: bool) -> RowValues {
    let place = |point: Option<usize>| {
        let find = |all: &[Place]| all.iter().find(|p| p.strategy == strategy && p.point == point).map(|p| p.at);
        let (wide, narrow) = (find(&places[0])?, find(&places[1])?);
        let fine = f64::from(picture::FINE);
        Some([wide.0, wide.1, narrow.0, narrow.1].map(|v| (v * fine).round()))
    };
    let mut points: Vec<(usize, &MeanPoint)> = s.points.iter().enumerate().collect();
    points.sort_by_key(|(_, p)| p.steps);
    let mut all: Vec<PointValues> = points
        .into_iter()
        .map(|(k, p)| PointValues {
            at: format!("T = {}", p.steps),
            leak: Some(p.leak),
            accuracy: with_error(p.accuracy, p.standard_error, 1),
            said: said((p.accuracy, p.standard_error), p.top5, p.calibration_error, p.operations),
            answers: p.confusion.as_ref().map(|m| answer_values(m, matrix)),
            place: place(Some(k)),
        })
        .collect();
    if let Some(e) = &s.event_driven {
        all.push(PointValues {
            at: "no clock".into(),
            leak: None,
            accuracy: with_error(e.accuracy, e.standard_error, 1),
            said: said((e.accuracy, e.standard_error), None, e.calibration_error, Some(e.synaptic_operations)),
            answers: e.confusion.as_ref().map(|m| answer_values(m, matrix)),
            place: place(None),
        });
    }
    let course = s.course.as_ref().map(|c| course_values(c, s.raster.as_ref()));
    RowValues { name: s.name.clone(), points: all, course }
}

/// The sentence beside the slider.
fn said(accuracy: (f64, Option<f64>), top5: Option<f64>, error: Option<f64>, operations: Option<f64>) -> String {
    let mut text = format!("{} % correct", with_error(accuracy.0, accuracy.1, 1));
    if let Some(top) = top5 {
        let _ = write!(text, "; label among the first five: {} %", decimal(top, 1));
    }
    if let Some(error) = error {
        let _ = write!(text, "; expected calibration error {} points", decimal(error, 1));
    }
    if let Some(operations) = operations.filter(|o| o.is_finite()) {
        let _ = write!(text, "; {} synaptic operations per sample", compact(operations));
    }
    text + "."
}

fn answer_values(confusion: &[Vec<usize>], matrix: bool) -> AnswerValues {
    let mut wrong = Vec::new();
    for (label, row) in confusion.iter().enumerate() {
        wrong.extend(row.iter().enumerate().filter(|(c, n)| *c != label && **n > 0).map(|(c, n)| [label, c, *n]));
    }
    if !matrix {
        wrong.sort_by_key(|[label, class, n]| (std::cmp::Reverse(*n), *label, *class));
        wrong.truncate(LISTED);
    }
    AnswerValues {
        samples: confusion.iter().map(|row| row.iter().sum()).collect(),
        right: confusion.iter().enumerate().map(|(k, row)| row.get(k).copied().unwrap_or(0)).collect(),
        wrong,
    }
}

/// The position that the page shows first: T_max, else the last one.
fn first_shown(row: &RowValues, t_max: usize) -> usize {
    let at = format!("T = {t_max}");
    row.points.iter().position(|p| p.at == at).unwrap_or(row.points.len().saturating_sub(1))
}

fn controls(rows: &[(usize, &StrategyResult)], values: &Values, data: &ReportData) -> String {
    let Some((row, (_, s))) = values.rows.first().zip(rows.first()) else { return String::new() };
    let mut html = String::from("<div class=\"controls\" id=\"explore-controls\" hidden>\n");
    let options = |all: &[(String, String)]| -> String {
        all.iter()
            .map(|(value, text)| format!("<option value=\"{}\">{}</option>", escape(value), escape(text)))
            .collect()
    };
    if rows.len() > 1 {
        let all: Vec<_> = rows.iter().enumerate().map(|(k, (_, s))| (k.to_string(), s.name.clone())).collect();
        let _ = writeln!(html, "<label>Row <select id=\"explore-row\">{}</select></label>", options(&all));
    }
    let mut rules: Vec<LeakRule> = rows.iter().flat_map(|(_, s)| leaks(s)).collect();
    rules.dedup();
    if rules.contains(&LeakRule::Step) && rules.contains(&LeakRule::Time) {
        let all = [("time", "leak per time"), ("step", "leak per step")].map(|(v, t)| (v.to_owned(), t.to_owned()));
        let _ = writeln!(html, "<label>Leak <select id=\"explore-leak\">{}</select></label>", options(&all));
    }
    let shown = first_shown(row, s.t_max(data.t_max));
    let at = row.points.get(shown);
    let last = row.points.len().saturating_sub(1);
    let text = |f: &dyn Fn(&PointValues) -> String| escape(&at.map_or(String::new(), f));
    let _ = write!(
        html,
        "<label class=\"slider\">Time steps <input type=\"range\" id=\"explore-t\" min=\"0\" max=\"{last}\" \
         step=\"1\" value=\"{shown}\" aria-valuetext=\"{}\" aria-describedby=\"explore-said\"></label>\n\
         <strong id=\"explore-at\">{}</strong>\n</div>\n\
         <p id=\"explore-said\" role=\"status\" aria-live=\"polite\">{}: {}, {}</p>\n",
        text(&|p| p.at.clone()),
        text(&|p| p.at.clone()),
        escape(&row.name),
        text(&|p| p.at.clone()),
        text(&|p| p.said.clone()),
    );
    html
}

/// The confusion matrix, or the most frequent confusions, at the first position.
fn answers(rows: &[(usize, &StrategyResult)], values: &Values, data: &ReportData) -> String {
    let Some((row, (_, s))) = values.rows.first().zip(rows.first()) else { return String::new() };
    if !values.rows.iter().any(|r| r.points.iter().any(|p| p.answers.is_some())) {
        return String::new();
    }
    let name = |k: usize| values.classes.get(k).cloned().unwrap_or_else(|| k.to_string());
    let answers = row.points.get(first_shown(row, s.t_max(data.t_max))).and_then(|p| p.answers.as_ref());
    let mut html = String::from(
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Confusion matrix\"><table id=\"explore-confusion\" class=\"confusion\">\n",
    );
    if values.matrix {
        let classes = values.classes.len().max(answers.map_or(0, |a| a.samples.len()));
        html += "<caption><span>Test samples of each label (rows) by the class that the network answered (columns).</span></caption>\n\
                 <thead><tr><th scope=\"col\">label</th><th scope=\"col\">% correct</th>";
        html += &(0..classes).map(|k| format!("<th scope=\"col\">{}</th>", escape(&name(k)))).collect::<String>();
        html += "</tr></thead>\n<tbody>\n";
        for label in 0..classes {
            let (n, right) = answers.map_or((0, 0), |a| (a.samples[label], a.right[label]));
            let _ = write!(html, "<tr><th scope=\"row\">{}</th><td>{}</td>", escape(&name(label)), share(right, n));
            for class in 0..classes {
                let count = match answers {
                    _ if class == label => right,
                    Some(a) => a.wrong.iter().find(|w| w[0] == label && w[1] == class).map_or(0, |w| w[2]),
                    None => 0,
                };
                let text = if count == 0 { String::new() } else { count.to_string() };
                let _ = write!(html, "<td{}>{text}</td>", shade(count, n, class == label));
            }
            html += "</tr>\n";
        }
    } else {
        html += "<caption><span>The most frequent confusions.</span></caption>\n\
                 <thead><tr><th scope=\"col\">label</th><th scope=\"col\">answered</th><th scope=\"col\">samples</th></tr></thead>\n<tbody>\n";
        for [label, class, n] in answers.iter().flat_map(|a| &a.wrong) {
            let _ = writeln!(
                html,
                "<tr><th scope=\"row\">{}</th><td>{}</td><td>{n}</td></tr>",
                escape(&name(*label)),
                escape(&name(*class))
            );
        }
    }
    html + "</tbody></table></div>\n"
}

/// Percent correct with its standard error.
fn share(right: usize, n: usize) -> String {
    if n == 0 {
        return "–".into();
    }
    let accuracy = 100.0 * right as f64 / n as f64;
    with_error(accuracy, tickless::net::answers::standard_error(right, n), 1)
}

/// The class of a cell: nine shades of the share of its row, of one colour on the diagonal and of
/// another beside it.
fn shade(count: usize, of: usize, diagonal: bool) -> String {
    let level = (9 * count).checked_div(of).unwrap_or(0).max(usize::from(count > 0));
    match level {
        0 => String::new(),
        _ => format!(" class=\"{}{level}\"", if diagonal { "r" } else { "w" }),
    }
}

fn course_values(c: &Course, raster: Option<&Raster>) -> CourseValues {
    let percent = |p: &Vec<f32>| p.iter().map(|v| (100.0 * v.clamp(0.0, 1.0)).round() as u8).collect();
    let spikes = raster.map_or(Vec::new(), |r| {
        let up_to = |l: &crate::report::data::RasterLayer| {
            c.moments.iter().map(|at| l.spikes.iter().filter(|s| s.0 <= *at).count()).collect()
        };
        r.layers.iter().map(|l| (l.name.clone(), up_to(l))).collect()
    });
    CourseValues {
        at: c.moments.iter().map(|us| span(*us as f64)).collect(),
        percent: c.probabilities.iter().map(percent).collect(),
        spikes,
    }
}

/// One recording: probabilities, spikes and membranes over time.
fn course(k: usize, s: &StrategyResult, data: &ReportData) -> String {
    let Some(c) = s.course.as_ref().filter(|c| c.moments.len() > 1) else { return String::new() };
    let (last, end) = (c.moments.len() - 1, *c.moments.last().unwrap_or(&1));
    let x = |us: u64| (us as f64 / end.max(1) as f64 * WIDTH).clamp(0.0, WIDTH);
    let name = |class: usize| data.dataset.class_names.get(class).cloned().unwrap_or_else(|| class.to_string());
    let label =
        s.raster.as_ref().map_or(String::new(), |r| format!(" Its label: {}; the answer: {}.", r.label, r.predicted));
    let hidden = if k == 0 { "" } else { " hidden" };
    let mut html = format!(
        "<div class=\"course\" data-row=\"{k}\"{hidden}>\n<h3>One recording, event by event ({})</h3>\n",
        escape(&s.name)
    );
    html += &paragraph("remark", &format!("{} in the simulator.{label}", span(end as f64)));
    let _ = write!(
        html,
        "<div class=\"controls\" hidden><button type=\"button\" class=\"play\" aria-pressed=\"false\">Play</button>\n\
         <label class=\"slider\">Time <input type=\"range\" class=\"moment\" min=\"0\" max=\"{last}\" step=\"1\" value=\"{last}\" \
         aria-valuetext=\"{}\"></label></div>\n<p class=\"now-said\" role=\"status\" aria-live=\"off\"></p>\n",
        escape(&span(end as f64))
    );
    let classes = c.probabilities.first().map_or(0, Vec::len);
    let final_class = c.probabilities.last().and_then(|p| (0..p.len()).max_by(|a, b| p[*a].total_cmp(&p[*b])));
    let lines: String = (0..classes)
        .map(|class| {
            let spot = |(at, p): (&u64, &Vec<f32>)| (x(*at), HEIGHT * (1.0 - f64::from(p[class].clamp(0.0, 1.0))));
            let spots: Vec<_> = c.moments.iter().zip(&c.probabilities).map(spot).collect();
            format!(
                "<path class=\"{}\" d=\"{}\"/>",
                if Some(class) == final_class { "first" } else { "other" },
                path(&spots)
            )
        })
        .collect();
    html += &drawing("Probability of each class", "The class of the final answer is drawn bold.", &lines);
    html += "<ul class=\"classes\">\n";
    // The bars of many classes would fill the page, so only the likeliest have one.
    let mut listed: Vec<usize> = (0..classes).collect();
    if let Some(p) = c.probabilities.last().filter(|_| classes > MATRIX) {
        listed.sort_by(|a, b| p[*b].total_cmp(&p[*a]));
        listed.truncate(10);
    }
    for class in listed {
        let value = c.probabilities.last().and_then(|p| p.get(class)).copied().unwrap_or(0.0);
        let percent = (100.0 * value.clamp(0.0, 1.0)).round();
        let _ = writeln!(
            html,
            "<li data-class=\"{class}\"><span>{}</span><meter min=\"0\" max=\"100\" value=\"{percent}\"></meter><span>{percent} %</span></li>",
            escape(&name(class))
        );
    }
    html += "</ul>\n";
    for l in s.raster.iter().flat_map(|r| &r.layers) {
        let every = l.spikes.len().div_ceil(SPIKES).max(1);
        let dot = |(t, i): &(u64, u32)| {
            let y = f64::from(*i) / f64::from(l.neurons.max(1)) * (HEIGHT - 2.0);
            (x(*t).round() as u32, y.round() as u32)
        };
        let mut dots: Vec<(u32, u32)> =
            l.spikes.iter().step_by(every).map(dot).collect::<HashSet<_>>().into_iter().collect();
        dots.sort_unstable();
        let d: String = dots.iter().map(|(x, y)| format!("M{x} {y}h2")).collect();
        let about = match every {
            1 => format!("{} spikes of {} neurons.", grouped(l.spikes.len() as f64), grouped(f64::from(l.neurons))),
            n => format!(
                "One of {n} of {} spikes of {} neurons.",
                grouped(l.spikes.len() as f64),
                grouped(f64::from(l.neurons))
            ),
        };
        html += &drawing(&format!("Spikes of {}", l.name), &about, &format!("<path class=\"spike\" d=\"{d}\"/>"));
    }
    for m in &c.membranes {
        let finite = m.potentials.iter().copied().filter(|v| v.is_finite());
        let low = finite.clone().fold(0.0f32, f32::min);
        let high = finite.fold(m.threshold.max(1e-6), f32::max);
        let y = |v: f32| HEIGHT * f64::from(((high - v) / (high - low)).clamp(0.0, 1.0));
        let spots: Vec<_> = c.moments.iter().zip(&m.potentials).map(|(at, v)| (x(*at), y(*v))).collect();
        let theta = y(m.threshold);
        let lines = format!(
            "<path class=\"threshold\" d=\"M0 {theta:.1}H{WIDTH}\"/><path class=\"first\" d=\"{}\"/>",
            path(&spots)
        );
        let about =
            format!("The neuron of {} with the most spikes (number {}). Dashed: its threshold.", m.layer, m.neuron);
        html += &drawing(&format!("Membrane potential, {}", m.layer), &about, &lines);
    }
    html + "</div>\n"
}

/// A line through points.
fn path(spots: &[(f64, f64)]) -> String {
    let point = |(k, (x, y)): (usize, &(f64, f64))| format!("{}{x:.0} {y:.1}", if k == 0 { "M" } else { "L" });
    spots.iter().enumerate().map(point).collect()
}

/// A drawing without text, with its title and what it shows. The script moves the line `now` and the
/// band that dims the later moments.
fn drawing(title: &str, about: &str, content: &str) -> String {
    format!(
        "<figure class=\"strip\"><figcaption><strong>{title}.</strong> {about}</figcaption>\n\
         <svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"{title}. {about}\">{content}\
         <rect class=\"later\" x=\"{WIDTH}\" y=\"0\" width=\"{WIDTH}\" height=\"{HEIGHT}\"/><path class=\"now\" d=\"M{WIDTH} 0V{HEIGHT}\"/></svg></figure>\n",
        title = escape(title),
        about = escape(about)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;

    #[test]
    fn a_report_without_answers_has_nothing_to_explore() {
        assert_eq!(explore(&fixture::full()), "");
        assert_eq!(explore(&ReportData::default()), "");
    }

    #[test]
    fn the_page_shows_t_max_before_the_script_runs() {
        let html = explore(&fixture::explored());
        assert!(html.contains("<strong id=\"explore-at\">T = 10</strong>"));
        // 22 samples a class, of which 82.4 % were right at T = 10.
        assert!(html.contains("<td>81.8 ± 8.2</td>"), "{html}");
        assert!(html.contains("class=\"r7\">18</td>"));
    }

    #[test]
    fn the_values_of_every_t_and_of_the_run_without_a_clock_are_there() {
        let html = explore(&fixture::explored());
        let json = html.split("id=\"explore-values\">").nth(1).unwrap().split("</script>").next().unwrap();
        let values: serde_json::Value = serde_json::from_str(json).unwrap();
        let points = values["rows"][2]["points"].as_array().unwrap();
        let at: Vec<&str> = points.iter().map(|p| p["at"].as_str().unwrap()).collect();
        assert_eq!(at, ["T = 1", "T = 2", "T = 5", "T = 10", "T = 100", "T = 100", "no clock"]);
        for p in points {
            let a = &p["answers"];
            let sum = |key: &str| a[key].as_array().unwrap().iter().map(|v| v.as_u64().unwrap()).sum::<u64>();
            let wrong: u64 = a["wrong"].as_array().unwrap().iter().map(|w| w[2].as_u64().unwrap()).sum();
            assert_eq!(sum("right") + wrong, sum("samples"));
            assert!(p["place"].as_array().is_some_and(|p| p.len() == 4));
        }
        assert_eq!(values["rows"][0]["course"]["spikes"].as_array().unwrap().len(), 3);
    }

    #[test]
    fn text_of_others_stays_text() {
        let mut data = fixture::explored();
        data.dataset.class_names[3] = "</script><script>alert(1)</script>".into();
        data.strategies[0].name = "<img src=x onerror=alert(1)>".into();
        let html = explore(&data);
        assert!(!html.contains("<img") && !html.contains("<script>alert"));
    }

    #[test]
    fn many_classes_are_listed_by_their_confusions() {
        let mut data = fixture::explored();
        data.dataset.class_names = (0..40).map(|k| format!("class {k}")).collect();
        data.dataset.classes = 40;
        let html = explore(&data);
        assert!(html.contains("The most frequent confusions") && html.contains("<th scope=\"row\">class "));
    }
}
