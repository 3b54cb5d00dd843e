//! The picture of firing rates: a group of bars per layer, one bar per strategy.

use super::axes::{KEY_ROW, LABEL, NAME, Panel, Scale, decimals, extent, key, short, ticks, width};
use super::{Align, Format, Ink, Picture, rows, series};
use crate::report::data::{LayerRates, ReportData};
use crate::report::format::rate;
use crate::report::table::layer_names;

/// Size of the numbers at the bars, in pixels. Thinner bars have no number.
const TEXT: f64 = 11.0;

pub(super) fn picture(data: &ReportData, format: Format) -> Option<Picture> {
    let active: Vec<_> = rows(data).into_iter().filter(|(_, s)| !s.layers.is_empty()).collect();
    let layers = layer_names(active.iter().flat_map(|(_, s)| s.layers.iter().map(|l| l.layer.as_str())));
    let rates = active.iter().flat_map(|(_, s)| &s.layers).flat_map(|l| [l.rate, l.event_driven_rate.unwrap_or(0.0)]);
    let (_, high) = extent(rates)?;
    let most = format.choose(22, 12);
    let bar = if layers.len() * active.len() > 60 { 9.0 } else { 14.0 };
    let group = bar * active.len() as f64 + 16.0;
    let left = layers.iter().map(|l| width(&short(l, most), NAME)).fold(30.0, f64::max) + 20.0;
    let end = format.width() - format.choose(90.0, 52.0);
    let mut picture = Picture::new("rates", "Firing rate of each layer", format.width(), 0.0);
    let names: Vec<(usize, &str)> = active.iter().map(|(i, s)| (*i, s.name.as_str())).collect();
    let right = format.width() - 4.0;
    let (key_end, mut key_row) =
        key(&mut picture, &names, format.choose(left + 6.0, 12.0), 20.0, format.choose(right - 120.0, right));
    let event_driven = active.iter().any(|(_, s)| s.layers.iter().any(|l| l.event_driven_rate.is_some()));
    if event_driven {
        let fits = key_end + 14.0 + width("event-driven", LABEL) <= right;
        let at = if fits { key_end } else { 8.0 };
        key_row += if fits { 0.0 } else { KEY_ROW };
        tick_mark(&mut picture, at + 4.0, key_row - 7.0, 14.0);
        picture.text((at + 14.0, key_row), "event-driven", LABEL, Ink::SOFT, Align::Left);
    }
    let first = key_row + 32.0;
    let bottom = first + group * layers.len() as f64;
    picture.resize(bottom + 56.0);
    let (x_ticks, range) = ticks(0.0, high.max(0.0), format.choose(6, 4));
    let x = Scale::new(range, (left, end));
    let digits = decimals(&x_ticks);
    for tick in &x_ticks {
        picture.line([(x.at(*tick), first - 6.0), (x.at(*tick), bottom)], Ink::RULE, 1.0);
    }
    for (at, label) in Panel::apart(x_ticks.iter().map(|t| (x.at(*t), format!("{t:.digits$}")))) {
        picture.text((at, bottom + 16.0), label, LABEL, Ink::SOFT, Align::Centre);
    }
    picture.text(
        ((left + end) / 2.0, bottom + 39.0),
        "spikes per neuron and recording",
        LABEL,
        Ink::SOFT,
        Align::Centre,
    );
    for (row, name) in layers.iter().enumerate() {
        let top = first + group * row as f64;
        picture.text((left - 12.0, top + group / 2.0 - 3.0), short(name, most), NAME, Ink::TEXT, Align::Right);
        for (place, (index, strategy)) in active.iter().enumerate() {
            if let Some(layer) = strategy.layers.iter().find(|l| l.layer == *name) {
                draw(&mut picture, layer, *index, &x, top + 5.0 + bar * place as f64, bar);
            }
        }
    }
    picture.line([(left, first - 6.0), (left, bottom)], Ink::SOFT, 1.0);
    let rates_in_words = |(_, s): &(usize, &crate::report::data::StrategyResult)| {
        let layers: Vec<String> = s.layers.iter().map(|l| format!("{} {}", l.layer, rate(l.rate))).collect();
        format!("{}: {}", s.name, layers.join(", "))
    };
    picture.alternative = format!(
        "Spikes per neuron and recording. {}.",
        active.iter().map(rates_in_words).collect::<Vec<_>>().join("; ")
    );
    picture.caption = format!("Spikes per neuron and recording, layer by layer. Bars: clocked at T = {}.", data.t_max);
    if event_driven {
        picture.caption += " Ticks: the same weights event by event, in the simulator.";
    }
    if active.iter().any(|(_, s)| s.layers.iter().any(|l| l.silent)) {
        picture.caption += " A silent layer never fired: nothing reaches the layers behind it.";
    }
    Some(picture)
}

fn draw(picture: &mut Picture, layer: &LayerRates, index: usize, x: &Scale, top: f64, height: f64) {
    let (from, to) = (x.at(0.0), x.at(layer.rate));
    let to = if layer.rate.is_finite() && !layer.silent { to } else { from };
    if to > from {
        picture.rect(from, top + 1.0, to - from, height - 2.0, series(index));
    }
    let event = layer.event_driven_rate.filter(|r| r.is_finite());
    if let Some(event) = event.filter(|_| !layer.silent) {
        tick_mark(picture, x.at(event), top - 0.5, height + 1.0);
    }
    let text = match layer.silent {
        true => "silent".to_string(),
        false if height < TEXT => return,
        false => rate(layer.rate),
    };
    let room = width(&text, TEXT) + 16.0;
    let behind = event.map(|e| x.at(e)).filter(|&e| e > to - 2.0 && e < to + room).unwrap_or(to);
    picture.text((behind + 8.0, top + height / 2.0), text, TEXT, Ink::SOFT, Align::Left);
}

fn tick_mark(picture: &mut Picture, x: f64, top: f64, height: f64) {
    picture.rect(x - 2.0, top, 4.0, height, Ink::PAPER);
    picture.rect(x - 1.0, top, 2.0, height, Ink::TEXT);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;

    #[test]
    fn silent_layers_are_named() {
        let mut data = fixture::full();
        data.strategies[0].layers[1].silent = true;
        let picture = picture(&data, Format::Wide).unwrap();
        assert!(picture.caption.contains("silent layer"));
        assert!(picture.alternative.contains("MTT: conv1 1.69"), "{}", picture.alternative);
    }

    #[test]
    fn a_deep_network_still_fits() {
        let mut data = fixture::full();
        for strategy in &mut data.strategies {
            let layer = strategy.layers[0].clone();
            strategy.layers =
                (0..19).map(|i| LayerRates { layer: format!("stage{i}.conv"), ..layer.clone() }).collect();
        }
        assert!(picture(&data, Format::Wide).unwrap().size.1 < 1_250.0);
    }
}
