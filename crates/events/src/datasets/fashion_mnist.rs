//! Fashion-MNIST: images of clothes (Zalando, 2017) in the layout of MNIST.

use super::mnist::{IdxDataset, NEEDS, fits, is_fashion};
use super::{DatasetInfo, Samples};

pub(super) const INFO: DatasetInfo = DatasetInfo {
    name: "fashion-mnist",
    about: "Fashion-MNIST, grey images of clothes (28x28, 10 classes)",
    needs: NEEDS,
    folder: "fashion-mnist",
    samples: Samples::images(1, 28, NAMES.len()),
    settings: &[],
    fits: |path| fits(path) && is_fashion(path),
    open: |request| Ok(Box::new(IdxDataset::open(&INFO, request, NAMES.map(String::from).into())?)),
};

const NAMES: [&str; 10] =
    ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"];
