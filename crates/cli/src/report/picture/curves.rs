//! The picture of training: loss and accuracy per epoch.

use super::axes::{DASH, KEY_ROW, LABEL, Panel, Scale, Stroke, extent, key, line_key, ticks};
use super::{Align, Format, Ink, Picture, Spot, rows, series};
use crate::report::data::{EpochPoint, ReportData, StrategyResult};
use crate::report::format::{count, decimal};

const KINDS: [(&str, Stroke); 2] = [("validation", Stroke::Solid), ("training", Stroke::Dashed)];

/// A line of a panel: strategy, whether dashed, and (epoch, value, standard error).
type Curve = (usize, bool, Vec<(f64, f64, f64)>);

/// Two panels: side by side in a wide picture, one below the other in a narrow one.
pub(super) fn side_by_side(format: Format, top: f64) -> [Panel; 2] {
    let bottom = top + 220.0;
    let right = format.width() - format.choose(24.0, 8.0);
    match format {
        Format::Wide => {
            let first = Panel { left: 60.0, top, right: 452.0, bottom };
            [first, Panel { left: 544.0, right, ..first }]
        }
        Format::Narrow => {
            let first = Panel { left: 46.0, top, right, bottom };
            [first, Panel { top: bottom + 110.0, bottom: bottom + 330.0, ..first }]
        }
    }
}

pub(super) fn picture(data: &ReportData, format: Format) -> Option<Picture> {
    let trained: Vec<(usize, &StrategyResult)> = rows(data).into_iter().filter(|(_, s)| !s.curve.is_empty()).collect();
    let validated = trained.iter().any(|(_, s)| s.curve.iter().any(|e| e.validation_accuracy.is_some()));
    let line = |(index, s): &(usize, &StrategyResult), which: usize, value: &dyn Fn(&EpochPoint) -> Option<f64>| {
        let error = |e: &EpochPoint| e.standard_errors.map_or(0.0, |all| all[which]).max(0.0);
        let finite = |e: &EpochPoint| value(e).filter(|v| v.is_finite()).map(|v| (e.epoch as f64, v, error(e)));
        (*index, validated && which == 1, s.curve.iter().filter_map(finite).collect())
    };
    let loss: Vec<Curve> = trained.iter().map(|s| line(s, 0, &|e| Some(e.train_loss))).collect();
    let training = trained.iter().map(|s| line(s, 1, &|e| Some(e.train_accuracy)));
    let validation = trained.iter().map(|s| line(s, 2, &|e| e.validation_accuracy));
    let accuracy: Vec<Curve> = training.chain(validation).collect();
    let epochs = extent(loss.iter().chain(&accuracy).flat_map(|c| c.2.iter().map(|p| p.0)))?;
    let mut picture = Picture::new("training", "Loss and accuracy per epoch", format.width(), 0.0);
    let names: Vec<(usize, &str)> = trained.iter().map(|(i, s)| (*i, s.name.as_str())).collect();
    let right = format.width() - 4.0;
    let wide_right = if validated { 660.0 } else { right };
    let (_, mut row) = key(&mut picture, &names, format.choose(31.0, 12.0), 22.0, format.choose(wide_right, right));
    if validated {
        row = match format {
            Format::Wide => line_key(&mut picture, &KINDS, 690.0, 22.0, right).1.max(row),
            Format::Narrow => line_key(&mut picture, &KINDS, 6.0, row + KEY_ROW, right).1,
        };
    }
    let [first, second] = side_by_side(format, row + 70.0);
    picture.resize(second.bottom + 68.0);
    panel(&mut picture, first, &loss, epochs, "training loss", None);
    panel(&mut picture, second, &accuracy, epochs, "accuracy, %", Some(100.0));
    let last = |(_, s): &(usize, &StrategyResult)| {
        let last = s.curve.last()?;
        Some(format!(
            "{}: loss {}, training accuracy {}",
            s.name,
            decimal(last.train_loss, 3),
            decimal(last.train_accuracy, 1)
        ))
    };
    picture.alternative =
        format!("After the last epoch: {}.", trained.iter().filter_map(last).collect::<Vec<_>>().join("; "));
    picture.caption = String::from("Training loss and accuracy per epoch.");
    if validated {
        picture.caption += " Solid: validation; dashed: training.";
    }
    if loss.iter().chain(&accuracy).any(|c| c.2.iter().any(|p| p.2 > 0.0)) {
        let runs = trained.iter().map(|(_, s)| s.seeds.len()).max().unwrap_or(0);
        picture.caption += &format!(" Means of up to {}; bands: one standard error.", count(runs, "run"));
    }
    Some(picture)
}

fn panel(picture: &mut Picture, panel: Panel, curves: &[Curve], epochs: Spot, what: &str, most: Option<f64>) {
    let Some((low, high)) = extent(curves.iter().flat_map(|c| c.2.iter().map(|p| p.1))) else {
        picture.text((panel.left, panel.top), format!("{what}: no finite value"), LABEL, Ink::SOFT, Align::Left);
        return;
    };
    let low = if low >= 0.0 && (most.is_none() || low < high / 2.0) { 0.0 } else { low };
    let (y_ticks, range) = ticks(low, high, 5);
    let y = Scale::new(range, (panel.bottom, panel.top));
    let x = Scale::new(epochs, (panel.left + 8.0, panel.right - 8.0));
    panel.y_axis(picture, &y, &y_ticks, what);
    let whole =
        ticks(epochs.0, epochs.1, 6).0.into_iter().filter(|t| t.fract() == 0.0 && (epochs.0..=epochs.1).contains(t));
    let mut labels: Vec<(f64, String)> = whole.filter(|t| *t >= 1.0).map(|t| (x.at(t), format!("{t}"))).collect();
    if labels.is_empty() {
        labels.push((x.at(epochs.0), format!("{}", epochs.0)));
    }
    panel.x_axis(picture, &Panel::apart(labels), "epoch");
    for (index, dashed, points) in curves.iter().filter(|c| c.2.iter().any(|p| p.2 > 0.0)) {
        let edge = |p: &(f64, f64, f64)| (x.at(p.0), y.at(p.1 + p.2), y.at(p.1 - p.2));
        let edges: Vec<_> = points.iter().map(edge).collect();
        picture.band(&edges, series(*index).at(if *dashed { 0.1 } else { 0.2 }));
    }
    for (index, dashed, points) in curves {
        let spots: Vec<Spot> = points.iter().map(|p| (x.at(p.0), y.at(p.1))).collect();
        match spots.as_slice() {
            [one] => picture.mark(*index, *one, *dashed),
            _ if *dashed => picture.dashed(spots, series(*index).at(0.75), 1.5, DASH),
            _ => picture.line(spots, series(*index), 2.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;

    #[test]
    fn a_diverged_run_leaves_the_others() {
        let mut data = fixture::full();
        data.strategies[0].curve.iter_mut().for_each(|e| e.train_loss = f64::NAN);
        assert!(picture(&data, Format::Wide).unwrap().alternative.contains("SDT: loss –"));
    }

    #[test]
    fn one_epoch_is_a_mark() {
        let mut data = fixture::full();
        data.strategies.iter_mut().for_each(|s| s.curve.truncate(1));
        assert!(picture(&data, Format::Wide).is_some());
    }
}
