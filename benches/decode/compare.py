#!/usr/bin/env python3
"""Compares decoding with the readers people use, in one run on one core.

    cargo build --release -p tickless-events --features aedat4,gz,hdf5,mmap,zstd --example decode_speed
    python3 benches/decode/compare.py target/release/examples/decode_speed [FORMAT...]

For each format, this program and each reader take turns to decode a file, `RUNS` times. The file
has 20 million events (those of a recording of `TICKLESS_DATA`, default ../shared/data, repeated),
or 1 million for readers that process each event in Python or similar. The run prints medians in
million events per second, the ratio, and the rate that the memory of this machine allows (the file
is mapped, its bytes are copied, and 13 bytes are written per event). Only equal kinds of decoding
are compared:

- `chunks`: the reader passes over all events in pieces, as for a file that is larger than memory;
- `whole`: all events end up in one new array, repeatedly in one process;
- `once`: as `whole`, but each time in a new process, which has no memory to reuse.

`again` (for this program only) decodes into an array that has already held as many events. For a
compressed AEDAT4 file, `unpack` is the rate at which the usual library (`lz4_flex`, `zstd`) unpacks
alone.

The first run installs the readers (faery, evlib, event_stream, aedat, expelliarmus, tonic) from
PyPI into a virtual environment (TICKLESS_VENV, default ~/.cache/tickless-venv).
"""

import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

VENV = pathlib.Path(os.environ.get("TICKLESS_VENV", pathlib.Path.home() / ".cache/tickless-venv"))
ROOT = pathlib.Path(__file__).resolve().parents[2]
DATA = pathlib.Path(os.environ.get("TICKLESS_DATA", ROOT / "../shared/data"))
FILES = pathlib.Path(os.environ.get("TICKLESS_BENCH_FILES", pathlib.Path(tempfile.gettempdir()) / "tickless-decode"))
EVENTS = 20_000_000
FEWER = 1_000_000
RUNS = int(os.environ.get("RUNS", "10"))

# Name: file, the recording that it is made from, and the format in which it is written.
FORMATS = {
    "nmnist-bin": ("nmnist.bin", "nmnist/sample_nmnist.bin", "nmnist-bin"),
    "evt2": ("evt2.raw", "formats/faery_evt2.raw", "evt2"),
    "evt3": ("evt3.raw", "formats/faery_evt3.raw.gz", "evt3"),
    "dat": ("gen4.dat", "formats/faery_gen4.dat.gz", "dat"),
    "es": ("dvs.es", "formats/faery_evt2.raw", "es"),
    "aedat4-lz4": ("lz4.aedat4", "formats/faery_evt2.raw", "aedat4"),
    "aedat4-zstd": ("zstd.aedat4", "formats/faery_evt2.raw", "aedat4+zstd"),
    "aedat4-none": ("none.aedat4", "formats/faery_evt2.raw", "aedat4+none"),
    "hdf5": ("ecf.hdf5", "formats/faery_evt2.raw", "prophesee-hdf5"),
}


# The following functions run in worker processes, one per reader.


def expelliarmus_whole(path, name):
    from expelliarmus import Wizard

    wizard = Wizard(encoding=name, buff_size=1 << 16)
    return lambda: len(wizard.read(path))


def expelliarmus_chunks(path, name):
    from expelliarmus import Wizard

    def run():
        wizard = Wizard(encoding=name, fpath=path, chunk_size=1 << 16, buff_size=1 << 16)
        return sum(len(chunk) for chunk in wizard.read_chunk())

    return run


def faery_chunks(path, _):
    import faery

    return lambda: sum(len(packet) for packet in faery.events_stream_from_file(path))


def faery_whole(path, _):
    import faery

    return lambda: len(faery.events_stream_from_file(path).to_array())


def evlib_whole(path, _):
    import evlib

    return lambda: len(evlib.load_events(path).collect())


def aedat_chunks(path, _):
    import aedat

    return lambda: sum(len(packet["events"]) for packet in aedat.Decoder(path) if "events" in packet)


def event_stream_chunks(path, _):
    import event_stream

    def run():
        with event_stream.Decoder(path) as decoder:
            return sum(len(packet) for packet in decoder)

    return run


def tonic_whole(path, _):
    import numpy as np
    import tonic.io

    kind = np.dtype([("x", int), ("y", int), ("t", int), ("p", int)])
    return lambda: len(tonic.io.read_mnist_file(path, dtype=kind))


READERS = {
    "nmnist-bin": [tonic_whole],
    "evt2": [expelliarmus_chunks, faery_chunks, expelliarmus_whole, faery_whole, evlib_whole],
    "evt3": [expelliarmus_chunks, faery_chunks, expelliarmus_whole, faery_whole, evlib_whole],
    "dat": [expelliarmus_chunks, faery_chunks, expelliarmus_whole, faery_whole],
    "es": [event_stream_chunks, faery_chunks],
    "aedat4-lz4": [faery_chunks, aedat_chunks, faery_whole],
    "aedat4-zstd": [faery_chunks, aedat_chunks, faery_whole],
    "aedat4-none": [faery_chunks, aedat_chunks, faery_whole],
    "hdf5": [evlib_whole],
}
SLOW = ("tonic_whole", "evlib_whole")


def worker(reader, name, path):
    """Answers each line of input with a line: events and seconds, or the error."""
    try:
        run = globals()[reader](path, name)
    except Exception as error:  # noqa: BLE001, whatever a reader raises is its answer
        run = lambda: (_ for _ in ()).throw(error)  # noqa: E731
    for _ in sys.stdin:
        start = time.perf_counter()
        try:
            answer = [run(), time.perf_counter() - start]
        except Exception as error:  # noqa: BLE001
            answer = [f"{type(error).__name__}: {error}", 0]
        print(json.dumps(answer), flush=True)


# The following functions run in the main process.


class Process:
    def __init__(self, *command):
        self.process = subprocess.Popen(
            list(map(str, command)), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )

    def ask(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline()

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def ours(process, line):
    events, seconds = process.ask(line).split()
    return int(events), float(seconds)


def enter_venv():
    python = VENV / "bin" / "python"
    if pathlib.Path(sys.prefix).resolve() == VENV.resolve():
        return
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(VENV)], check=True)
    for package in ("faery", "evlib", "event_stream", "aedat", "expelliarmus", "tonic"):
        if subprocess.run([python, "-c", f"import {package}"], capture_output=True).returncode != 0:
            subprocess.run([python, "-m", "pip", "install", "--quiet", package], check=False)
    os.execv(python, [str(python), *sys.argv])


def make(example, name, events):
    file, source, made_as = FORMATS[name]
    path = FILES / (file if events == EVENTS else f"{events}-{file}")
    if not path.exists():
        FILES.mkdir(parents=True, exist_ok=True)
        subprocess.run([example, "make", made_as, DATA / source, path, str(events)], check=True)
    return path


def compare(example, name):
    path = make(example, name, EVENTS)
    rust = Process(example, "run", path)

    def rate(line):
        ours(rust, line)
        return EVENTS / statistics.median(ours(rust, line)[1] for _ in range(5)) / 1e6

    for kind in ("chunks", "whole"):
        print(f"{name} {kind}: {rate(kind):.0f}, memory allows {rate(f'bound {kind}'):.0f} ({path.stat().st_size / EVENTS:.1f} bytes an event)")
    print(f"{name} again: {rate('again'):.0f}, memory allows {rate('bound again'):.0f}")
    if name in ("aedat4-lz4", "aedat4-zstd"):
        print(f"{name} unpack: {rate('unpack'):.0f}", flush=True)
    rust.close()
    for reader in (r.__name__ for r in READERS[name]):
        against(example, reader, name, reader.rsplit("_", 1)[1])
        if reader == "expelliarmus_whole":
            against(example, reader, name, "once")


def against(example, reader, name, kind):
    """Times ours and another reader in turns, in two processes or (`once`) two new ones a turn."""
    events = FEWER if reader in SLOW else EVENTS
    path = make(example, name, events)
    line = "whole" if kind == "once" else kind
    start = lambda: (Process(example, "run", path), Process(sys.executable, __file__, "--worker", reader, name, path))  # noqa: E731
    here, theirs = start()
    warm, first = ours(here, line), json.loads(theirs.ask("go"))
    mine, other = [], []
    for _ in range(RUNS if isinstance(first[0], int) else 0):
        if kind == "once":
            here.close(), theirs.close()
            here, theirs = start()
        mine.append(ours(here, line)[1])
        other.append(json.loads(theirs.ask("go"))[1])
    here.close(), theirs.close()
    label = f"  {kind}, {reader.rsplit('_', 1)[0]}"
    if not mine:
        return print(f"{label}: {first[0]}", flush=True)
    a, b = statistics.median(mine), statistics.median(other)
    note = "" if first[0] == warm[0] else f" ({first[0]} of {warm[0]} events)"
    print(f"{label}: {warm[0] / a / 1e6:.0f} here, {first[0] / b / 1e6:.1f} there{note}: {warm[0] * b / a / first[0]:.1f} times", flush=True)


def main():
    if sys.argv[1:2] == ["--worker"]:
        return worker(*sys.argv[2:5])
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    enter_venv()
    os.sched_setaffinity(0, {0})
    for name in sys.argv[2:] or FORMATS:
        compare(pathlib.Path(sys.argv[1]).resolve(), name)


if __name__ == "__main__":
    main()
