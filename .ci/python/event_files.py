#!/usr/bin/env python3
"""Opens the files that this library writes with the readers people use, and compares the events.

    python3 .ci/python/event_files.py EXAMPLE

EXAMPLE is the built example `event_files` of tickless-events:

    cargo build -p tickless-events --features aedat4,hdf5 --example event_files
    python3 .ci/python/event_files.py "$CARGO_TARGET_DIR/debug/examples/event_files"

The first run installs faery, evlib, event_stream, aedat, h5py, expelliarmus and tonic from PyPI into
a separate virtual environment (TICKLESS_VENV, default ~/.cache/tickless-venv). The run fails if one
of them does not install. The example writes one recording in every format. Each reader opens every
file that it knows, and every event (t, x, y, polarity, and their order) must be equal. Where a
reader returns events differently, a comment beside its call says how.
"""

import os
import pathlib
import subprocess
import sys
import tempfile

VENV = pathlib.Path(os.environ.get("TICKLESS_VENV", pathlib.Path.home() / ".cache/tickless-venv"))
PACKAGES = ["faery", "evlib", "event_stream", "aedat", "h5py", "expelliarmus", "tonic"]


def enter_venv():
    """Restarts this script in the virtual environment, which it creates if necessary."""
    python = VENV / "bin" / "python"
    if pathlib.Path(sys.prefix).resolve() == VENV.resolve():
        return
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(VENV)], check=True)
    if subprocess.run([python, "-c", "import " + ", ".join(PACKAGES)], capture_output=True).returncode != 0:
        subprocess.run([python, "-m", "pip", "install", "--quiet", *PACKAGES], check=True)
    os.execv(python, [str(python), *sys.argv])


def columns(events, names="txyp"):
    """Returns t, x, y and p of a structured array as integers."""
    import numpy as np

    on = next(name for name in (names[3], "on", "p") if name in events.dtype.names)
    return [events[name].astype(np.int64) for name in names[:3]] + [events[on].astype(np.int64)]


def faery(path, _):
    import faery as library

    return columns(library.events_stream_from_file(path).to_array())


def evlib(path, _):
    import evlib as library

    table = library.load_events(str(path)).collect()
    time = table["t"]
    t = (time.dt.total_microseconds() if str(time.dtype).startswith("Duration") else time).to_numpy().astype("int64")
    on = table["polarity"].to_numpy().astype("int64")
    # OFF is −1 in some formats and 0 in others.
    return [t, *(table[name].to_numpy().astype("int64") for name in "xy"), (on > 0).astype("int64")]


def event_stream(path, sensor):
    import event_stream as library
    import numpy as np

    with library.Decoder(str(path)) as decoder:
        t, x, y, on = columns(np.concatenate(list(decoder)))
    # It returns rows as .es stores them, counted from the bottom.
    return [t, x, sensor[1] - 1 - y, on]


def aedat(path, _):
    import aedat as library
    import numpy as np

    return columns(np.concatenate([packet["events"] for packet in library.Decoder(str(path)) if "events" in packet]))


def expelliarmus(encoding):
    def read(path, _):
        from expelliarmus import Wizard

        return columns(Wizard(encoding=encoding).read(str(path)))

    return read


def tonic_bin(path, _):
    import numpy as np
    import tonic.io

    kind = np.dtype([("x", int), ("y", int), ("t", int), ("p", int)])
    return columns(tonic.io.read_mnist_file(str(path), dtype=kind))


def by_hand_aedat2(path, _):
    """Decodes AEDAT 2.0, because tonic 1.7 fails in its own header and evlib assumes a DAVIS."""
    import numpy as np

    data = path.read_bytes()
    while data.startswith(b"#"):
        data = data.split(b"\n", 1)[1]
    address, t = np.frombuffer(data, ">u4").reshape(-1, 2).astype(np.int64).T
    return [t, address >> 1 & 127, address >> 8 & 127, address & 1]


def by_hand_aedat31(path, _):
    """Decodes AEDAT 3.1, because tonic 1.7 fails and evlib finds no event."""
    import numpy as np

    data, columns = path.read_bytes().split(b"#!END-HEADER\r\n", 1)[1], []
    while data:
        kind, _, size, _, overflow, _, number, _ = np.frombuffer(data[:28], "<u2,<u2,<i4,<i4,<i4,<i4,<i4,<i4")[0]
        word, t = np.frombuffer(data[28 : 28 + size * number], "<u4").reshape(-1, 2).astype(np.int64).T
        assert kind == 1 and size == 8 and (word & 1).all()
        columns.append([t | int(overflow) << 31, word >> 17, word >> 2 & 0x7FFF, word >> 1 & 1])
        data = data[28 + size * number :]
    return list(np.concatenate(columns, axis=1))


def numpy(path, _):
    import numpy as np

    return columns(np.load(path))


def h5py(path, _):
    """Checks everything but the events: PyPI has no plug-in for the codec of the chunks."""
    import h5py as library
    import numpy as np

    with library.File(path) as file:
        events = file["CD/events"]
        assert events.dtype == np.dtype(
            {"names": ["x", "y", "p", "t"], "formats": ["<u2", "<u2", "<i2", "<i8"], "offsets": [0, 2, 4, 8], "itemsize": 16}
        ), events.dtype
        assert events.chunks == (16384,), events.chunks
        (filter_id,) = [events.id.get_create_plist().get_filter(i)[0] for i in range(events.id.get_create_plist().get_nfilters())]
        assert filter_id == 0x8ECF, filter_id
        assert file["CD/indexes"].dtype.names == ("id", "ts") and tuple(file["CD/indexes"][0]) == (0, -1)
        assert len(file["EXT_TRIGGER/events"]) == 0
        text = {key: value if isinstance(value, str) else value.decode() for key, value in file.attrs.items()}
        assert text["version"] == "1.0" and text["geometry"] == "128x128", text
        return len(events)


READERS = {
    "aedat2": [by_hand_aedat2],
    "aedat31": [by_hand_aedat31],
    "aedat4": [faery, aedat, evlib],
    "dat": [faery, expelliarmus("dat")],
    "es": [faery, event_stream],
    "evt2": [faery, expelliarmus("evt2"), evlib],
    "evt21": [evlib],
    "evt3": [faery, expelliarmus("evt3"), evlib],
    "nmnist-bin": [tonic_bin],
    "npy": [numpy],
    "prophesee-hdf5": [evlib, h5py],
    "text": [],
}


# Known differences: the run prints them and does not fail.
KNOWN = {
    ("evt3", "expelliarmus"): "it counts an overflow at each fall of TIME_LOW, also where TIME_HIGH has risen",
}


def check(truth, sensor, path, read):
    """Returns None if all events are equal, else a text that says what differs."""
    import numpy as np

    answer = read(path, sensor)
    if isinstance(answer, int):
        return None if answer == len(truth[0]) else f"{answer} of {len(truth[0])} events"
    for name, ours, theirs in zip(["t", "x", "y", "p"], truth, answer):
        if len(ours) != len(theirs):
            return f"{len(theirs)} of {len(ours)} events"
        if not np.array_equal(ours, theirs):
            first = int(np.flatnonzero(ours != theirs)[0])
            return f"{name} differs {int((ours != theirs).sum())} times, first at {first}: {ours[first]} here, {theirs[first]} there"
    return None


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    enter_venv()
    import importlib.metadata

    import numpy as np

    print(", ".join(f"{name} {importlib.metadata.version(name)}" for name in PACKAGES))
    wrong = []
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        subprocess.run([sys.argv[1], name], check=True, stdout=subprocess.DEVNULL)
        kind = np.dtype([("t", "<u8"), ("x", "<u2"), ("y", "<u2"), ("p", "u1")])
        truth = columns(np.fromfile(folder / "truth.bin", kind))
        sensor = tuple(map(int, (folder / "sensor.txt").read_text().split()))
        files = sorted(p for p in folder.iterdir() if p.stem in READERS)
        assert len(files) >= len(READERS), files
        for path in files:
            for read in READERS[path.stem]:
                reader = read.__name__ if read.__name__ != "read" else "expelliarmus"
                try:
                    problem = check(truth, sensor, path, read)
                except Exception as error:  # noqa: BLE001, whatever a reader raises is its answer
                    problem = f"{type(error).__name__}: {error}"
                print(f"{path.stem}, {reader}: {problem or f'{len(truth[0])} events equal'}")
                known = KNOWN.get((path.stem, reader))
                if problem and known:
                    print(f"  known: {known}")
                elif problem:
                    wrong.append(f"{path.stem}, {reader}")
    if wrong:
        sys.exit(f"not equal: {'; '.join(wrong)}")


if __name__ == "__main__":
    main()
