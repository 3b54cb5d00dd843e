#!/usr/bin/env python3
"""Writes small HDF5 files in the layouts of the HDF5 library (needs h5py).

Our own writer reserves space for millions of events, so it cannot write such small seeds.

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


def planar(names="xytp", **options):
    def write(file):
        t = 100 * np.arange(40)
        columns = [np.arange(40, dtype="<u2"), np.arange(40, dtype="<u2") % 30, t.astype("<u4"), (t // 100 % 2).astype("u1")]
        if names == "stereo":
            for side in ["left", "right"]:
                for name, values in zip("xytp", columns):
                    file.create_dataset(f"prophesee/{side}/{name}", data=values, **options)
            return
        for name, values in zip("xytp", columns):
            file.create_dataset(f"events/{name}{'s' if names == 'seconds' else ''}",
                                data=values / 1e6 if (name, names) == ("t", "seconds") else values, **options)
        file["t_offset"] = np.int64(5_000)

    return write


def plugins():
    """Filters that h5py itself does not have."""
    try:
        import hdf5plugin
    except ImportError:
        return {}
    blosc = {f"blosc-{codec}": hdf5plugin.Blosc(cname=codec, shuffle=i % 3) for i, codec in
             enumerate(["blosclz", "lz4", "zlib", "zstd"])}
    return {**blosc, "lz4": hdf5plugin.LZ4(), "zstd": hdf5plugin.Zstd()}


for target, name, write, latest in [
    ("planar_hdf5", "contiguous", planar(), False),
    ("planar_hdf5", "latest", planar(), True),
    ("planar_hdf5", "seconds", planar("seconds"), False),
    ("planar_hdf5", "stereo", planar("stereo"), False),
    ("planar_hdf5", "packed", planar(chunks=(16,), shuffle=True, compression=6, fletcher32=True), False),
    ("planar_hdf5", "lzf", planar(chunks=(16,), compression="lzf"), False),
    *[("planar_hdf5", name, planar(chunks=(40,), **options), False) for name, options in plugins().items()],
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
