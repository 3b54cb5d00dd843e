#!/usr/bin/env python3
"""Compares final accuracies with fast and plain kernels: two outputs of `tickless compare --json`.

    same_accuracy.py FAST.json PLAIN.json

Prints the mean and standard error over the seeds of both, and their difference with its standard
error (the root of the sum of the squared errors). Fails if a difference is larger than its standard
error.
"""

import json
import math
import sys


def points(path):
    with open(path) as file:
        report = json.load(file)
    return {
        (strategy["name"], point["steps"]): (point["accuracy"], point["standard_error"] or 0.0)
        for strategy in report["strategies"]
        for point in strategy["points"]
    }, [(strategy["name"], len(strategy["seeds"]), strategy["iterations"]) for strategy in report["strategies"]]


def main():
    (fast, trained), (plain, _) = points(sys.argv[1]), points(sys.argv[2])
    for name, seeds, iterations in trained:
        print(f"{name}: {seeds} seeds, {iterations} iterations")
    if not fast or fast.keys() != plain.keys():
        raise SystemExit(f"nothing to compare: {sorted(fast)} and {sorted(plain)}")
    print("\n| strategy | T | fast, % correct | plain | difference |\n|---|---|---|---|---|")
    far = []
    for key in fast:
        (a, sa), (b, sb) = fast[key], plain[key]
        error = math.hypot(sa, sb)
        within = abs(a - b) <= error + 1e-9
        print(f"| {key[0]} | {key[1]} | {a:.2f} ± {sa:.2f} | {b:.2f} ± {sb:.2f} | {a - b:+.2f} ± {error:.2f} |")
        far += [] if within else [f"{key[0]} at T = {key[1]}"]
    if far:
        raise SystemExit(f"further apart than one standard error: {', '.join(far)}")


main()
