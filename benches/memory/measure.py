#!/usr/bin/env python3
"""Checks that the memory of `tickless data` does not grow with its input.

    python3 benches/memory/measure.py TICKLESS [--small MB] [--large MB] [--limit MB] [--long] [--folder DIR]

Measures the peak memory of `info`, `view` and every pair of formats in `convert` at two sizes of
input. The script writes an EVT3 recording of each size, converts it to every format that can be
written (which measures those pairs), and converts each of these files to every format. `--long`
measures only EVT3 to npy, text and HDF5, at 256 MB and 2 GB. Peak memory is what the system counted
for the process (`ru_maxrss`), so mapped pages of the input count too. The exit code is 1 if a peak
grows by more than the limit. The script needs free space of about 15 times the large size, and no
packages.
"""

import argparse
import array
import os
import pathlib
import subprocess
import sys
import tempfile

FORMATS = {
    "aedat2": "aedat2", "aedat31": "aedat", "aedat4": "aedat4", "dat": "dat", "es": "es", "evt2": "raw", "evt21": "raw",
    "evt3": "raw", "nmnist-bin": "bin", "npy": "npy", "prophesee-hdf5": "hdf5", "text": "txt",
}


def write_evt3(path, size):
    """Writes about `size` bytes of EVT3: single events of a 34x34 sensor, 16 per microsecond.

    Every format can store them; that of N-MNIST (8.4 s at most) up to 1.6 GB."""
    block = array.array("H")
    for i in range(1 << 16):
        block.extend((0x6000 | i >> 4, i * 7 % 34, 0x2000 | (i & 1) << 11 | i * 13 % 34))
    if sys.byteorder == "big":
        block.byteswap()
    block = block.tobytes()
    with open(path, "wb") as out:
        out.write(b"% evt 3.0\n% format EVT3;height=34;width=34\n% geometry 34x34\n% end\n")
        for high in range(size // len(block)):
            # Write the upper 12 bits of the time; the block has all values of the lower 12.
            out.write((0x8000 | high & 0xFFF).to_bytes(2, "little") + block)


def run(command):
    """Returns the peak memory in MB, and the error message if the command failed."""
    with tempfile.TemporaryFile() as err:
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=err)
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        err.seek(0)
        problem = err.read().decode(errors="replace").strip() if child.returncode else None
    return usage.ru_maxrss / 1024, problem


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("tickless")
    parser.add_argument("--small", type=int, default=64)
    parser.add_argument("--large", type=int, default=512)
    parser.add_argument("--limit", type=float, default=32)
    parser.add_argument("--long", action="store_true")
    parser.add_argument("--folder", default=None)
    parser.add_argument("--from", dest="only", default=None, help="only this input format")
    options = parser.parse_args()
    sizes = (256, 2048) if options.long else (options.small, options.large)
    bad = 0

    def compare(name, peaks):
        nonlocal bad
        problems = [p for _, p in peaks if p]
        if problems:
            print(f"{name:40} refused: {problems[0][:120]}", flush=True)
            return
        (a, _), (b, _) = peaks
        verdict = "ok" if b - a <= options.limit else "FOLLOWS"
        bad += verdict != "ok"
        print(f"{name:40} {a:8.1f} MB {b:8.1f} MB  {b - a:+7.1f}  {verdict}", flush=True)

    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        folder = pathlib.Path(folder)
        inputs = {}
        first = []
        for size in sizes:
            path = folder / f"evt3-{size}.raw"
            write_evt3(path, size << 20)
            first.append(path)
        inputs["evt3"] = first
        wanted = ("npy", "text", "prophesee-hdf5") if options.long else tuple(FORMATS)

        def convert(path, name):
            to = folder / f"out-{path.stem}.{FORMATS[name]}"
            command = [options.tickless, "data", "convert", str(path), str(to), "--format", name, "--sensor", "34x34"]
            peak = run(command)
            return to, peak

        def measure(source, paths):
            if not options.long:
                compare(f"info {source}", [run([options.tickless, "data", "info", str(p)]) for p in paths])
                view = [options.tickless, "data", "view", "--frames", "8", "--output", str(folder / "view")]
                compare(f"view {source}", [run([*view, str(p)]) for p in paths])
            for name in wanted:
                peaks = []
                for path in paths:
                    to, peak = convert(path, name)
                    peaks.append(peak)
                    to.unlink(missing_ok=True)
                compare(f"convert {source} to {name}", peaks)

        if options.only in (None, "evt3"):
            measure("evt3", first)
        if options.long:
            sys.exit(bad > 0)
        for name in FORMATS:
            if name == "evt3" or options.only not in (None, name):
                continue
            paths = []
            for size, source in zip(sizes, first):
                # Formats differ in bytes per event; make this file about as large as the EVT3 file.
                path = folder / f"{name}-{size}.{FORMATS[name]}"
                to, (_, problem) = convert(source, name)
                if problem:
                    print(f"{name:40} not written: {problem[:120]}", flush=True)
                    break
                to.rename(path)
                paths.append(path)
            if len(paths) == len(sizes):
                measure(name, paths)
            for path in paths:
                path.unlink()
    sys.exit(bad > 0)


if __name__ == "__main__":
    main()
