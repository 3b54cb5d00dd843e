//! Augmented images and events per second, on one core.

use divan::{Bencher, counter::ItemsCount};
use tickless_events::augment::{EventAugment, ImageAugment, stream};
use tickless_events::{Event, Image, Recording, Sensor, rng::Rng};

fn main() {
    divan::main();
}

/// Images of 32×32 pixels in three channels.
#[divan::bench(args = ["crop and flip", "with AutoAugment and cutout"])]
fn images(bencher: Bencher<'_, '_>, what: &str) {
    const IMAGES: u64 = 1000;
    let change = if what == "crop and flip" { ImageAugment::CIFAR } else { ImageAugment::PAPER };
    let mut rng = Rng::new(1, 0);
    let pixels = (0..3 * 32 * 32).map(|_| rng.below(256) as u8).collect();
    let image = Image::new(3, 32, 32, pixels).expect("as many pixels as the shape has");
    let change = |i| change.apply(&image, &mut stream(0, 0, i)).pixels()[0];
    let run = || (0..IMAGES).map(|i| usize::from(change(i))).sum::<usize>();
    bencher.counter(ItemsCount::new(IMAGES as usize)).bench_local(run);
}

/// Events of a recording on a 128×128 sensor.
#[divan::bench(args = ["flips and roll", "drop", "jitter in space", "jitter in time"])]
fn events(bencher: Bencher<'_, '_>, what: &str) {
    const EVENTS: usize = 100_000;
    let none = EventAugment::default();
    let change = match what {
        "flips and roll" => EventAugment { flip_x: 0.5, flip_y: 0.5, flip_polarity: 0.5, roll_px: 20, ..none },
        "drop" => EventAugment { drop: 0.1, ..none },
        "jitter in space" => EventAugment { jitter_px: 1.0, ..none },
        _ => EventAugment { jitter_us: 1000.0, ..none },
    };
    let mut rng = Rng::new(1, 0);
    let mut event = |i| Event { t_us: 3 * i, x: rng.below(128) as u16, y: rng.below(128) as u16, on: rng.coin() };
    let events: Vec<Event> = (0..EVENTS as u64).map(&mut event).collect();
    let sensor = Sensor { width: 128, height: 128 };
    let (recording, _) = Recording::from_events(sensor, &events).expect("events on the sensor");
    bencher
        .counter(ItemsCount::new(EVENTS))
        .bench_local(|| change.apply(recording.clone(), &mut stream(0, 0, 0)).expect("a recording stays one").len());
}
