//! Training: loss and accuracy per epoch.

use super::axes::{LABEL, Panel, Scale, extent, key, ticks};
use super::{Align, Ink, Picture, Spot, series};
use crate::report::data::{EpochPoint, ReportData, StrategyResult};
use crate::report::format::decimal;

const SIZE: Spot = (960.0, 380.0);
const LOSS: Panel = Panel { left: 60.0, top: 92.0, right: 452.0, bottom: 312.0 };
const ACCURACY: Panel = Panel { left: 544.0, top: 92.0, right: 936.0, bottom: 312.0 };
const DASH: Spot = (5.0, 4.0);

/// A line of a panel: strategy, dashed, (epoch, value).
type Curve = (usize, bool, Vec<Spot>);

pub(super) fn picture(data: &ReportData) -> Option<Picture> {
    let trained: Vec<(usize, &StrategyResult)> =
        data.strategies.iter().enumerate().filter(|(_, s)| !s.curve.is_empty()).collect();
    let validated = trained.iter().any(|(_, s)| s.curve.iter().any(|e| e.validation_accuracy.is_some()));
    let line = |(index, s): &(usize, &StrategyResult), dashed: bool, value: &dyn Fn(&EpochPoint) -> Option<f64>| {
        let finite = |e: &EpochPoint| value(e).filter(|v| v.is_finite()).map(|v| (e.epoch as f64, v));
        (*index, dashed, s.curve.iter().filter_map(finite).collect::<Vec<Spot>>())
    };
    let loss: Vec<Curve> = trained.iter().map(|s| line(s, false, &|e| Some(e.train_loss))).collect();
    let training = trained.iter().map(|s| line(s, validated, &|e| Some(e.train_accuracy)));
    let validation = trained.iter().map(|s| line(s, false, &|e| e.validation_accuracy));
    let accuracy: Vec<Curve> = training.chain(validation).collect();
    let epochs = extent(loss.iter().chain(&accuracy).flat_map(|c| c.2.iter().map(|p| p.0)))?;
    let mut picture = Picture::new("training", "Loss and accuracy per epoch", SIZE.0, SIZE.1);
    let names: Vec<(usize, &str)> = trained.iter().map(|(i, s)| (*i, s.name.as_str())).collect();
    key(&mut picture, &names, LOSS.left - 29.0, 22.0, 640.0);
    if validated {
        let right = ACCURACY.right;
        for (text, from, dashed) in [("validation", right - 206.0, false), ("training", right - 60.0, true)] {
            let stroke = [(from - 46.0, 22.0), (from - 12.0, 22.0)];
            if dashed {
                picture.dashed(stroke, Ink::SOFT, 1.5, DASH)
            } else {
                picture.line(stroke, Ink::SOFT, 2.0)
            }
            picture.text((from, 22.0), text, LABEL, Ink::SOFT, Align::Left);
        }
    }
    panel(&mut picture, LOSS, &loss, epochs, "training loss", None);
    panel(&mut picture, ACCURACY, &accuracy, epochs, "accuracy, %", Some(100.0));
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
    panel.x_axis(picture, &labels, "epoch");
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
        assert!(picture(&data).unwrap().alternative.contains("SDT: loss –"));
    }

    #[test]
    fn one_epoch_is_a_mark() {
        let mut data = fixture::full();
        data.strategies.iter_mut().for_each(|s| s.curve.truncate(1));
        assert!(picture(&data).is_some());
    }
}
