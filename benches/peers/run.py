#!/usr/bin/env python3
"""Measures seconds per iteration and peak memory beside PyTorch and its spiking libraries.

    python3 benches/peers/run.py [--cases ABCDEF] [--runs TEXT] [--rounds 5] [--iterations 3] [--threads N]
                                 [--libraries a,b] [--precision f32|bf16|int8] [--json FILE]

Every contestant runs in its own process, in turns; see the README beside this file. The first run
installs the libraries from PyPI into a virtual environment (TICKLESS_VENV, default
~/.cache/tickless-venv).

`--precision bf16` compares our bf16 with theirs under torch.autocast. `int8` (inference, case D) is
ours alone, compared with PyTorch in f32 and under autocast. Rows state the precision of ours,
columns that of the others.

No contestant has a time limit. `--runs` selects the runs whose name contains a text (several texts
with commas: "SDT,D T=1"). `--json` collects measurements in a file over several calls: each call
adds its rounds to the rows that it runs, then prints the table of all rows in the file. A file from
another machine, other versions or another number of threads is refused, because ratios must come
from one machine.
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
# The runs to compare: name, case, kind, T. nets.py has batch, T_max and stages.
RUNS = {
    "A": [("A SDT T=4", "A", "sdt", 4), ("A MTT s=3 T 1..4", "A", "mtt", 4)],
    "B": [("B SDT T=10", "B", "sdt", 10), ("B MTT s=3 T 1..10", "B", "mtt", 10)],
    "C": [("C SDT T=10", "C", "sdt", 10), ("C MTT s=3 T 1..10", "C", "mtt", 10)],
    "D": [(f"D T={t}", "D", "sdt", t) for t in (1, 2, 4, 6)],
    "E": [("E SDT T=4", "E", "sdt", 4), ("E MTT s=3 T 1..4", "E", "mtt", 4)],
    "F": [("F SDT T=4", "F", "sdt", 4), ("F MTT s=3 T 1..4", "F", "mtt", 4)],
}
# For each of our precisions, the precisions of the others that it is compared with.
PRECISIONS = {"f32": ["f32"], "bf16": ["bf16"], "int8": ["f32", "bf16"]}
STAGES = {"A": 8, "B": 8, "C": 3, "D": 8, "E": 13, "F": 4}


def venv(libraries):
    """Creates the virtual environment and installs the libraries, where they are missing."""
    if not PYTHON.exists():
        subprocess.run([sys.executable, "-m", "venv", str(VENV)], check=True)
    names = [LIBRARIES[name] for name in libraries]
    wanted = "import " + ", ".join(dict.fromkeys(["torch", *names]))
    if subprocess.run([PYTHON, "-c", wanted], capture_output=True).returncode != 0:
        subprocess.run([PYTHON, "-m", "pip", "install", "--quiet", "torch", *names], check=True)


def ours():
    """Builds the example that times our iterations."""
    target = os.environ.get("CARGO_TARGET_DIR", str(ROOT / "target"))
    command = ["cargo", "build", "--release", "-p", "tickless-train", "--features", "mimalloc", "--example", "iteration"]
    subprocess.run(command, cwd=ROOT, check=True)
    return pathlib.Path(target) / "release/examples/iteration"


def configurations(kind, t, stages, count):
    draw = random.Random(7)
    if kind == "sdt":
        return [[[t] * stages]]
    return [[[draw.randint(1, t) for _ in range(stages)] for _ in range(3)] for _ in range(count)]


def once(command, threads):
    env = dict(os.environ, RAYON_NUM_THREADS=str(threads), OMP_NUM_THREADS=str(threads))
    out = subprocess.run(command, env=env, cwd=HERE, capture_output=True, text=True)
    if out.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, command))}\n{out.stdout}{out.stderr}")
    seen = json.loads(out.stdout.strip().splitlines()[-1])
    return seen["seconds"], seen["peak_bytes"] or 0


def machine(threads):
    """Returns processor, cores, memory, system and versions as the table names them."""
    facts = {"model name": platform.processor() or platform.machine(), "MemTotal": "unknown"}
    for path in ("/proc/cpuinfo", "/proc/meminfo"):
        try:
            for line in pathlib.Path(path).read_text().splitlines():
                name, _, value = line.partition(":")
                facts[name.strip()] = value.strip()
        except OSError:
            pass
    wide = [name for name in ("avx2", "avx512f", "avx512_bf16", "avx512_vnni") if name in facts.get("flags", "").split()]
    memory = facts["MemTotal"].removesuffix(" kB")
    memory = f"{int(memory) * 1024 / 1e9:.1f} GB" if memory.isdigit() else memory
    code = "import importlib.metadata as m\nfor n in %r:\n  try: print(n, m.version(n))\n  except m.PackageNotFoundError: pass"
    versions = subprocess.run([PYTHON, "-c", code % list(LIBRARIES.values())], capture_output=True, text=True).stdout
    system = f"{os.cpu_count()} cores, {memory}, {platform.system()} {platform.release()}"
    return f"{facts['model name']} ({' '.join(wide)}), {system}; {threads} threads; {', '.join(versions.split(chr(10))).strip(', ')}"


def load(path, facts):
    """Returns the rows of earlier calls: run name to library to seconds and peak."""
    if path is None or not path.exists():
        return {}
    file = json.loads(path.read_text())
    if file["machine"] != facts:
        raise SystemExit(f"{path} was measured elsewhere; remove it or name another file\n  there: {file['machine']}\n  here:  {facts}")
    return file["rows"]


def save(path, facts, rows):
    """Replaces the file in one move, so an interrupted call keeps the rows measured before."""
    if path is not None:
        part = path.with_suffix(".part")
        part.write_text(json.dumps({"machine": facts, "rows": rows}, indent=1))
        part.replace(path)


def others():
    """Counts running threads of other programs; if any run, the ratios are unreliable."""
    try:
        return int(pathlib.Path("/proc/loadavg").read_text().split()[3].split("/")[0]) - 1
    except (OSError, ValueError, IndexError):
        return 0


def ratio(theirs, mine):
    return f"{theirs / mine:.2f} ×" if mine else "–"


def line(name, row, libraries):
    """Formats a row: our figures, then each library's, and its time and memory divided by ours."""
    median = {who: statistics.median(seen["seconds"]) for who, seen in row.items()}
    peak = {who: seen["peak_bytes"] for who, seen in row.items()}
    count = min(len(seen["seconds"]) for seen in row.values())
    cells = [name, str(count), f"{median['tickless']:.3f} s", f"{peak['tickless'] / 1e9:.2f} GB"]
    for who in libraries:
        cells += ["", "", ""]
        if who in median:
            times, memory = ratio(median[who], median["tickless"]), ratio(peak[who], peak["tickless"])
            cells[-3:] = [f"{median[who]:.3f} s, {peak[who] / 1e9:.2f} GB", f"**{times}**", memory]
    return f"| {' | '.join(cells)} |"


def head(libraries):
    titles = ["run", "iterations", "tickless", "memory"]
    for who in libraries:
        titles += [who, "time", "memory"]
    return f"| {' | '.join(titles)} |\n{'|---' * len(titles)}|"


def called(library, precision):
    """Returns the name of a contestant in the table."""
    return library if precision == "f32" else f"{library} {precision}"


def contestants():
    """Lists all possible contestants beside ours, in the order of the table."""
    return [called(library, precision) for library in LIBRARIES for precision in ("f32", "bf16")]


def measure(name, case, kind, t, args, libraries, example, keep):
    """Runs every contestant in turns; `keep` takes the row after each turn."""
    # sinabs simulates recordings with IF neurons; only plain PyTorch has mixed time steps too.
    peers = [n for n in libraries if n != "sinabs" or case == "C"]
    peers = [n for n in peers if kind == "sdt" or n == "pytorch"]
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(configurations(kind, t, STAGES[case], args.iterations + args.warm_up), file)
        file.flush()
        warm, count = str(args.warm_up), str(args.iterations)
        mine = [example, "--case", case, "--steps", str(t), "--configurations", file.name]
        mine += ["--warm-up", warm, "--iterations", count, "--precision", args.precision, "--json"]
        if case == "D":
            # An untrained network is nearly silent, which would favour kernels that skip zeros.
            mine.append("--calibrate")
        commands = {"tickless": mine}
        for peer in peers:
            for precision in PRECISIONS[args.precision]:
                command = [PYTHON, "peer.py", peer, case, file.name, warm, count, str(args.threads), precision]
                commands[called(peer, precision)] = command
        for k in range(args.rounds):
            turn, busy = {}, 0
            for who, command in commands.items():
                busy = max(busy, others())
                turn[who] = once(command, args.threads)
            said = ", ".join(f"{who} {statistics.median(s):.3f} s" for who, (s, _) in turn.items())
            busy = f"; {busy} threads of other programs ran" if busy else ""
            print(f"{name}, turn {k + 1} of {args.rounds}: {said}{busy}", file=sys.stderr, flush=True)
            keep(turn)


def main():
    args = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    args.add_argument("--cases", default="ABCDEF", help="letters")
    args.add_argument("--runs", help="only runs whose name contains this; several with commas")
    args.add_argument("--rounds", type=int, default=5, help="turns; 0 prints the table of --json")
    args.add_argument("--iterations", type=int, default=3, help="timed in each turn")
    args.add_argument("--warm-up", type=int, default=2)
    args.add_argument("--threads", type=int, default=os.cpu_count())
    args.add_argument("--libraries", default=",".join(LIBRARIES))
    args.add_argument("--precision", default="f32", choices=list(PRECISIONS))
    args.add_argument("--json", type=pathlib.Path, help="file that collects rows over several calls")
    args.add_argument("--example", type=pathlib.Path, help="a built example `iteration`; built from here if not given")
    args = args.parse_args()
    libraries = args.libraries.split(",")
    unknown = [n for n in libraries if n not in LIBRARIES] + [c for c in args.cases if c not in RUNS]
    if unknown:
        raise SystemExit(f"unknown: {', '.join(unknown)}; known: {', '.join(LIBRARIES)}; cases {', '.join(RUNS)}")
    chosen = [run for case in args.cases for run in RUNS[case]]
    if args.precision == "int8":
        # 8-bit weights have no gradient, so only inference remains.
        chosen = [run for run in chosen if run[1] == "D"]
    if args.runs:
        chosen = [run for run in chosen if any(text in run[0] for text in args.runs.split(","))]
        if not chosen:
            names = [run[0] for runs in RUNS.values() for run in runs]
            raise SystemExit(f"no run of these cases has `{args.runs}` in its name; known: {'; '.join(names)}")
    if args.precision != "f32":
        chosen = [(f"{name}, {args.precision}", *rest) for name, *rest in chosen]
    venv(libraries)
    columns = [called(library, p) for library in libraries for p in PRECISIONS[args.precision]]
    facts = machine(args.threads)
    rows = load(args.json, facts)
    print(facts, flush=True)
    if args.rounds > 0:
        example = (args.example or ours()).resolve()
        if args.json is None:
            print(f"\n{head(columns)}", flush=True)
        for name, case, kind, t in chosen:

            def keep(turn, name=name):
                row = rows.setdefault(name, {})
                for who, (seconds, peak) in turn.items():
                    seen = row.setdefault(who, {"seconds": [], "peak_bytes": 0})
                    seen["seconds"] += seconds
                    seen["peak_bytes"] = max(seen["peak_bytes"], peak)
                save(args.json, facts, rows)

            measure(name, case, kind, t, args, libraries, example, keep)
            if args.json is None:
                print(line(name, rows[name], columns), flush=True)
    if args.json is not None:
        names = [run[0] for runs in RUNS.values() for run in runs]
        names = [name + said for said in ("", ", bf16", ", int8") for name in names]
        there = [n for n in contestants() if any(n in row for row in rows.values())]
        print(f"\n{head(there)}")
        for name in filter(rows.__contains__, names):
            print(line(name, rows[name], there))


main()
