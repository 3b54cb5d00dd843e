"""Checks that two weight files hold the same tensors, each within a share of its largest value.

    same_weights.py A.safetensors B.safetensors 1e-5

Prints the largest difference and fails if it exceeds the share. Needs only the standard library.
"""

import array
import json
import math
import sys


def tensors(path):
    with open(path, "rb") as file:
        raw = file.read()
    end = 8 + int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8:end])
    header.pop("__metadata__", None)
    found = {}
    for name, entry in header.items():
        if entry["dtype"] != "F32":
            sys.exit(f"{path}: `{name}` is {entry['dtype']}, expected F32")
        begin, stop = entry["data_offsets"]
        values = array.array("f", raw[end + begin : end + stop])
        if sys.byteorder == "big":
            values.byteswap()
        found[name] = (entry["shape"], values)
    return found


def main():
    one, other, allowed = sys.argv[1], sys.argv[2], float(sys.argv[3])
    a, b = tensors(one), tensors(other)
    if {n: s for n, (s, _) in a.items()} != {n: s for n, (s, _) in b.items()}:
        sys.exit(f"{one} and {other} hold different tensors")
    worst, where = 0.0, "none"
    for name, (_, x) in a.items():
        largest = max(map(abs, x), default=0.0) or 1.0
        apart = max((abs(p - q) for p, q in zip(x, b[name][1])), default=0.0) / largest
        if not all(map(math.isfinite, [*x, *b[name][1]])):
            sys.exit(f"`{name}` holds values that are not finite")
        if apart > worst:
            worst, where = apart, name
    print(f"{len(a)} tensors: largest difference {worst:.1e} of the tensor's largest value (`{where}`), allowed {allowed:.0e}")
    if worst > allowed:
        sys.exit(1)


main()
