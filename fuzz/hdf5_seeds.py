#!/usr/bin/env python3
"""Writes small HDF5 files as the usual library lays them out (needs h5py): seeds that our writer,
which pads for millions of events, does not give.

    python3 fuzz/hdf5_seeds.py
"""

import pathlib

import h5py
import numpy as np

CORPUS = pathlib.Path(__file__).parent / "corpus"


def shd(file):
    spikes = file.create_group("spikes")
    for name, kind, samples in [
        ("times", "<f2", [[0.001, 0.25, 0.9], [], [0.5]]),
        ("units", "<u2", [[1, 699, 350], [], [0]]),
    ]:
        data = spikes.create_dataset(name, (len(samples),), h5py.vlen_dtype(np.dtype(kind)))
        for i, sample in enumerate(samples):
            data[i] = np.array(sample, kind)
    file.create_dataset("labels", data=np.array([3, 0, 19], "<u2"))


def prophesee(**options):
    def write(file):
        kind = np.dtype({"names": "xypt", "formats": ["<u2", "<u2", "<i2", "<i8"], "offsets": [0, 2, 4, 8], "itemsize": 16})
        events = np.zeros(40, kind)
        events["t"] = 100 * np.arange(40)
        events["x"] = np.arange(40)
        events["p"] = np.arange(40) % 2
        file.create_dataset("CD/events", data=events, **options)
        file.attrs["geometry"] = "128x128"

    return write


for target, name, write, latest in [
    ("shd", "small", shd, False),
    ("shd", "latest", shd, True),
    ("prophesee_hdf5", "contiguous", prophesee(), False),
    ("prophesee_hdf5", "chunked", prophesee(chunks=(16,)), False),
    ("prophesee_hdf5", "packed", prophesee(chunks=(16,), shuffle=True, compression=6, fletcher32=True), False),
    ("prophesee_hdf5", "growing", prophesee(chunks=(16,), maxshape=(None,)), True),
    ("prophesee_hdf5", "fixed", prophesee(chunks=(16,)), True),
]:
    (CORPUS / target).mkdir(parents=True, exist_ok=True)
    with h5py.File(CORPUS / target / name, "w", libver="latest" if latest else "earliest") as file:
        write(file)
