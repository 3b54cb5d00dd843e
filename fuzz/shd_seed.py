#!/usr/bin/env python3
"""Writes a small file of Spiking Heidelberg Digits (needs h5py), the seed of the target `shd`.

    python3 fuzz/shd_seed.py fuzz/corpus/shd/small.h5
"""

import pathlib
import sys

import h5py
import numpy as np

path = pathlib.Path(sys.argv[1])
path.parent.mkdir(parents=True, exist_ok=True)
with h5py.File(path, "w") as file:
    spikes = file.create_group("spikes")
    for name, kind, samples in [
        ("times", "<f2", [[0.001, 0.25, 0.9], [], [0.5]]),
        ("units", "<u2", [[1, 699, 350], [], [0]]),
    ]:
        data = spikes.create_dataset(name, (len(samples),), h5py.vlen_dtype(np.dtype(kind)))
        for i, sample in enumerate(samples):
            data[i] = np.array(sample, kind)
    file.create_dataset("labels", data=np.array([3, 0, 19], "<u2"))
