#!/usr/bin/env python3
"""Seconds per iteration and peak memory beside PyTorch and its spiking libraries, on this machine.

    python3 benches/peers/run.py [--cases ABCD] [--rounds 5] [--iterations 3] [--threads N] [--libraries a,b]

Every contestant runs in a process of its own, in turns; see the README beside this file. The libraries are
installed from PyPI into a virtual environment (TICKLESS_VENV, default ~/.cache/tickless-venv) the first time.
"""

import argparse
import json
import os
import pathlib
import platform
import random
import statistics
import subprocess
import sys
import tempfile

VENV = pathlib.Path(os.environ.get("TICKLESS_VENV", pathlib.Path.home() / ".cache/tickless-venv"))
HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
PYTHON = VENV / "bin" / "python"
LIBRARIES = {"pytorch": "torch", "spikingjelly": "spikingjelly", "snntorch": "snntorch", "sinabs": "sinabs"}
# (batch, T_max, stages) are in nets.py; here what is compared: name, case, kind, T
RUNS = {
    "A": [("A SDT T=4", "A", "sdt", 4), ("A MTT s=3 T 1..4", "A", "mtt", 4)],
    "B": [("B SDT T=10", "B", "sdt", 10), ("B MTT s=3 T 1..10", "B", "mtt", 10)],
    "C": [("C SDT T=10", "C", "sdt", 10), ("C MTT s=3 T 1..10", "C", "mtt", 10)],
    "D": [(f"D T={t}", "D", "sdt", t) for t in (1, 2, 4, 6)],
}
STAGES = {"A": 8, "B": 8, "C": 3, "D": 8}


def venv(libraries):
    """Makes the environment where it is missing."""
    if not PYTHON.exists():
        subprocess.run([sys.executable, "-m", "venv", str(VENV)], check=True)
    names = [LIBRARIES[name] for name in libraries]
    wanted = "import " + ", ".join(dict.fromkeys(["torch", *names]))
    if subprocess.run([PYTHON, "-c", wanted], capture_output=True).returncode != 0:
        subprocess.run([PYTHON, "-m", "pip", "install", "--quiet", "torch", *names], check=True)


def ours():
    """Builds the example that times our iterations."""
    target = os.environ.get("CARGO_TARGET_DIR", str(ROOT / "target"))
    command = ["cargo", "build", "--release", "-p", "tickless-train", "--example", "iteration"]
    subprocess.run(command, cwd=ROOT, check=True)
    return pathlib.Path(target) / "release/examples/iteration"


def configurations(kind, t, stages, count):
    draw = random.Random(7)
    if kind == "sdt":
        return [[[t] * stages]]
    return [[[draw.randint(1, t) for _ in range(stages)] for _ in range(3)] for _ in range(count)]


def once(command, threads):
    # Neither side gives memory back to the system between iterations, as neither does in a long training.
    env = dict(os.environ, RAYON_NUM_THREADS=str(threads), OMP_NUM_THREADS=str(threads), MIMALLOC_PURGE_DELAY="-1")
    out = subprocess.run(command, env=env, cwd=HERE, capture_output=True, text=True)
    if out.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, command))}\n{out.stdout}{out.stderr}")
    return json.loads(out.stdout.strip().splitlines()[-1])


def machine(threads):
    model = platform.processor() or platform.machine()
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
        model = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    code = "import importlib.metadata as m\nfor n in %r:\n  try: print(n, m.version(n))\n  except m.PackageNotFoundError: pass"
    versions = subprocess.run([PYTHON, "-c", code % list(LIBRARIES.values())], capture_output=True, text=True).stdout
    return f"{model}, {os.cpu_count()} cores, {threads} threads, {platform.system()} {platform.release()}; " + ", ".join(
        versions.split("\n")
    ).strip(", ")


def main():
    args = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    args.add_argument("--cases", default="ABCD")
    args.add_argument("--rounds", type=int, default=5)
    args.add_argument("--iterations", type=int, default=3)
    args.add_argument("--warm-up", type=int, default=1)
    args.add_argument("--threads", type=int, default=os.cpu_count())
    args.add_argument("--libraries", default=",".join(LIBRARIES))
    args.add_argument("--example", type=pathlib.Path, help="a built example `iteration`; built from here if not given")
    args = args.parse_args()
    libraries = args.libraries.split(",")
    venv(libraries)
    example = args.example or ours()
    print(machine(args.threads))
    print(f"medians of {args.rounds * args.iterations} iterations in {args.rounds} turns\n")
    print("| run | tickless | " + " | ".join(libraries) + " |")
    print("|---" * (len(libraries) + 2) + "|")
    for case in args.cases:
        for name, case, kind, t in RUNS[case]:
            # sinabs simulates recordings with IF neurons; mixed time steps are ours and plain PyTorch's.
            peers = [n for n in libraries if n != "sinabs" or case == "C"]
            peers = [n for n in peers if kind == "sdt" or n == "pytorch"]
            with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
                json.dump(configurations(kind, t, STAGES[case], args.iterations + args.warm_up), file)
                file.flush()
                warm, count = str(args.warm_up), str(args.iterations)
                mine = [example, "--case", case, "--steps", str(t), "--configurations", file.name]
                mine += ["--warm-up", warm, "--iterations", count, "--json"]
                commands = {"tickless": mine}
                for peer in peers:
                    commands[peer] = [PYTHON, "peer.py", peer, case, file.name, warm, count, str(args.threads)]
                seconds, peaks = {n: [] for n in commands}, {n: 0 for n in commands}
                for _ in range(args.rounds):
                    for who, command in commands.items():
                        seen = once(command, args.threads)
                        seconds[who] += seen["seconds"]
                        peaks[who] = max(peaks[who], seen["peak_bytes"] or 0)
            median = {who: statistics.median(s) for who, s in seconds.items()}
            cells = [f"{median['tickless']:.3f} s, {peaks['tickless'] / 1e9:.2f} GB"]
            for who in libraries:
                if who in median:
                    ratio = median[who] / median["tickless"]
                    cells.append(f"{median[who]:.3f} s, {peaks[who] / 1e9:.2f} GB: **{ratio:.2f} ×**")
                else:
                    cells.append("")
            print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


main()
