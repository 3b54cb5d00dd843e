//! The text of the page: findings, warnings, and how to repeat the report.

use super::markup::{paragraph, terms};
use crate::report::data::ReportData;
use crate::report::escape::escape;
use crate::report::format::{count, decimal, duration, grouped, signed};
use crate::report::table::{Row, Table, baseline, event_driven, without_clock};

/// One unobtrusive line below the title: data set, network, version, date.
pub(super) fn byline(data: &ReportData) -> String {
    let version = match data.origin.tickless_version.as_str() {
        "" => String::new(),
        version => format!("Tickless {version}"),
    };
    let parts = [&data.dataset.name, &data.network.name, &version, &data.origin.date];
    let known: Vec<&str> = parts.into_iter().map(String::as_str).filter(|p| !p.is_empty()).collect();
    paragraph("byline", &known.join(" · "))
}

/// Warnings that a reader needs before the numbers.
pub(super) fn notices(data: &ReportData) -> String {
    let mut notices = Vec::new();
    if data.strategies.iter().all(|s| s.points.is_empty() && s.event_driven.is_none()) {
        notices.push(("Nothing was measured.", "The experiment holds no accuracy; run its evaluation first."));
    }
    if data.dataset.simulated_camera {
        notices.push((
            "Simulated events.",
            "No event camera recorded this data: a simulated camera turned images into events. Expect other numbers \
             from a real one.",
        ));
    }
    if event_driven(data).next().is_some() {
        notices.push((
            "Event-driven means the simulator.",
            "The numbers without a clock come from Tickless's simulator, not from a chip.",
        ));
    }
    let lines: String = notices
        .iter()
        .map(|(what, why)| format!("<p><strong>{}</strong> {}</p>\n", escape(what), escape(why)))
        .collect();
    if lines.is_empty() { lines } else { format!("<aside class=\"notice\">\n{lines}</aside>\n") }
}

/// The findings: one sentence per strategy.
pub(super) fn summary(data: &ReportData) -> String {
    let base = baseline(data).map(|(s, e)| (s.name.as_str(), e.synaptic_operations));
    let mut lines = String::new();
    for (strategy, event) in event_driven(data) {
        let Some(change) = without_clock(strategy, data.t_max) else { continue };
        let mut line = format!(
            "<strong>{}</strong> without a clock: {} %, {} points from T = {}",
            escape(&strategy.name),
            decimal(event.accuracy, 1),
            signed(change, 1),
            strategy.t_max(data.t_max)
        );
        if let Some((name, operations)) = base.filter(|(name, _)| *name != strategy.name) {
            let share = event.synaptic_operations / operations;
            if share.is_finite() {
                line += &format!(", with {} × the synaptic operations of {}", decimal(share, 2), escape(name));
            }
        }
        lines += &format!("<li>{line}.</li>\n");
    }
    if lines.is_empty() { lines } else { format!("<ul class=\"summary\">\n{lines}</ul>\n") }
}

/// Explains why strategies have no event-driven numbers, if some have none.
pub(super) fn no_clock_reason(data: &ReportData) -> String {
    let missing: Vec<&str> = data
        .strategies
        .iter()
        .filter(|s| s.event_driven.is_none() && !s.points.is_empty())
        .map(|s| s.name.as_str())
        .collect();
    if missing.is_empty() {
        return String::new();
    }
    let who =
        if missing.len() == data.strategies.len() { String::new() } else { format!(" of {}", missing.join(", ")) };
    let text = format!(
        "There is no event-driven run{who}. A network can run without a clock only when it has no biases and no batch \
         norm left: fold the norm and fine-tune first."
    );
    paragraph("remark", &text)
}

/// A table of seeds, iterations, epochs and training time per strategy.
pub(super) fn training(data: &ReportData) -> Table {
    let mut table = Table {
        caption: "Training of each strategy.".into(),
        head: ["", "seeds", "iterations per run", "epochs", "time, all runs"].map(String::from).into(),
        ..Table::default()
    };
    for s in &data.strategies {
        if s.iterations == 0 && s.curve.is_empty() {
            continue;
        }
        let seeds: Vec<String> = s.seeds.iter().map(u64::to_string).collect();
        let epochs = s.curve.iter().map(|e| e.epoch).max().unwrap_or(0);
        let cells = [seeds.join(", "), grouped(s.iterations as f64), grouped(epochs as f64), duration(s.train_seconds)];
        table.rows.push(Row { name: s.name.clone(), minor: false, cells: cells.map(Into::into).into() });
    }
    table
}

/// Data set, network, machine, remarks, and the command that repeats the report.
pub(super) fn facts(data: &ReportData) -> String {
    let (set, network, machine) = (&data.dataset, &data.network, &data.origin.machine);
    let unless_zero = |n: usize| if n == 0 { String::new() } else { grouped(n as f64) };
    let positive = |n: f64, text: String| if n.is_finite() && n > 0.0 { text } else { String::new() };
    let mut html = terms(&[
        ("Data set", set.name.clone()),
        ("About it", set.description.clone()),
        ("Camera", if set.simulated_camera { "simulated".into() } else { String::new() }),
        ("Classes", unless_zero(set.classes)),
        ("Test samples", unless_zero(set.test_samples)),
        ("Events per recording", positive(set.mean_events, format!("{} on average", grouped(set.mean_events)))),
        ("Network", network.name.clone()),
        ("Neuron", network.neuron.clone()),
        ("Stages", unless_zero(network.stages)),
        ("Trainable values", unless_zero(network.trainable_values)),
        ("Largest T trained", unless_zero(data.t_max)),
    ]);
    if !network.layers.is_empty() {
        html += &format!("<details><summary>{}</summary>\n<pre>", count(network.layers.len(), "layer"));
        html += &escape(&network.layers.join("\n"));
        html += "</pre></details>\n";
    }
    let threads =
        if machine.threads == 0 { String::new() } else { format!(", {} used", count(machine.threads, "thread")) };
    let cores = if machine.cores == 0 { String::new() } else { format!(", {}{threads}", count(machine.cores, "core")) };
    html += &terms(&[
        ("Processor", if machine.cpu.is_empty() { String::new() } else { format!("{}{cores}", machine.cpu) }),
        ("Memory", positive(machine.memory_gb, format!("{} GB", decimal(machine.memory_gb, 0)))),
        ("System", machine.os.clone()),
        ("Tickless", data.origin.tickless_version.clone()),
        ("Date", data.origin.date.clone()),
    ]);
    if !data.command.is_empty() {
        html += &format!("<p>To repeat it:</p>\n<pre>{}</pre>\n", escape(&data.command));
    }
    html + &data.notes.iter().map(|n| paragraph("remark", n)).collect::<String>()
}
