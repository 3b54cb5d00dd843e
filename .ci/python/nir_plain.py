#!/usr/bin/env python3
"""Writes graphs of every type of node of nir 1.0.8, and compares all spikes with NIR's equations.

    python3 .ci/python/nir_plain.py EXAMPLE

EXAMPLE is the built example `nir_nodes` of tickless-net, which reads each graph as plain NIR and runs it.
`Run` below integrates the differential equations of the graph's nodes by Euler's rule in f64, with the
convolutions and pools of torch. The graphs vary what writers vary: numbers without dimensions, arrays
for each neuron, every type of number and byte order, sizes as numbers, lists and arrays, `same` and
`valid`, nested graphs two deep, edges listed twice, metadata, texts of fixed length, filters of HDF5, and
files of older versions without `v_reset`, `w_in` or a version. An integrator without spikes is compared
by its sum over time or its last value, which the readout here is. `refused` are graphs that no network
here computes; the example must name the node of each.

No weight is a threshold away from a tie: thresholds are odd, so roundings do not decide.

It needs the packages of `.ci/extra golden`.
"""

import json
import pathlib
import subprocess
import sys
import tempfile
import warnings

import h5py
import nir
import numpy as np
import torch
import torch.nn.functional as F

DT = 1e-4
STEPS = 14
TAIL = 2000
THETA = 1.00371
rng = np.random.default_rng(0)


def weights(*shape):
    """Multiples of 1/64 from -1 to 1."""
    return (rng.integers(-64, 65, shape) / 64).astype(np.float32)


def tensor(v):
    return torch.tensor(np.asarray(v).astype(np.float64))


def sizes(v):
    return v if isinstance(v, str) else tuple(int(i) for i in v) if np.ndim(v) else int(v)


class Run:
    """The state of a graph's nodes, which `step` advances by DT."""

    def __init__(self, graph):
        self.graph, self.state = graph, {}

    def step(self, x, graph=None, path=""):
        graph = graph or self.graph
        edges, values, todo = set(map(tuple, graph.edges)), {}, list(graph.nodes)
        while todo:
            ready = lambda n: all(a in values for a, b in edges if b == n)
            name = next(n for n in todo if ready(n))
            todo.remove(name)
            node = graph.nodes[name]
            values[name] = x if isinstance(node, nir.Input) else self.node(path + name, node, sum(values[a] for a, b in edges if b == name))
        return next(values[n] for n, node in graph.nodes.items() if isinstance(node, nir.Output))

    def node(self, name, n, x):
        if isinstance(n, nir.Output):
            return x
        if isinstance(n, nir.NIRGraph):
            return self.step(x, n, name + ".")
        if isinstance(n, (nir.Affine, nir.Linear)):
            return F.linear(x, tensor(n.weight)) + (tensor(n.bias) if isinstance(n, nir.Affine) else 0)
        if isinstance(n, (nir.Conv1d, nir.Conv2d)):
            conv = F.conv1d if isinstance(n, nir.Conv1d) else F.conv2d
            window = [sizes(v) for v in (n.stride, n.padding, n.dilation)]
            return conv(x[None], tensor(n.weight), tensor(n.bias), *window, int(n.groups))[0]
        if isinstance(n, (nir.AvgPool2d, nir.SumPool2d)):
            area = 1 if isinstance(n, nir.AvgPool2d) else int(np.prod(np.broadcast_to(n.kernel_size, 2)))
            return F.avg_pool2d(x[None], *(sizes(v) for v in (n.kernel_size, n.stride, n.padding)))[0] * area
        if isinstance(n, nir.Flatten):
            return x.flatten(n.start_dim, n.end_dim)
        if isinstance(n, nir.Scale):
            return x * tensor(n.scale)
        if isinstance(n, nir.Threshold):
            return (x > tensor(n.threshold)).double()
        if isinstance(n, nir.Delay):
            steps = round(float(np.max(n.delay)) / DT)
            line = self.state.setdefault(name, [torch.zeros_like(x)] * steps)
            line.append(x)
            return line.pop(0)
        return self.neuron(name, n, x)

    def neuron(self, name, n, x):
        has = lambda field: hasattr(n, field)
        v, i = self.state.get(name, (torch.zeros_like(x) + (tensor(n.v_reset) if has("v_reset") else 0), torch.zeros_like(x)))
        if has("tau_syn"):
            i = i + DT / tensor(n.tau_syn) * (-i + tensor(n.w_in) * x)
            x = i
        if has("v_leak"):
            tau = n.tau_mem if has("tau_mem") else n.tau
            v = v + DT / tensor(tau) * (tensor(n.v_leak) - v + tensor(n.r) * x)
        else:
            v = v + DT * tensor(n.r) * x
        out = v
        if has("v_threshold"):
            out = (v > tensor(n.v_threshold)).double()
            v = out * tensor(n.v_reset) + (1 - out) * v
        self.state[name] = (v, i)
        return out


def graph(shape, nodes, output, edges=None):
    names = ["input", *nodes, "output"]
    doors = {"input": nir.Input({"input": np.array(shape)}), "output": nir.Output({"output": np.array(output)})}
    return nir.NIRGraph({**doors, **nodes}, edges or list(zip(names, names[1:])), type_check=False)


def arrays(shape, **values):
    """Each value as an array of a shape; `None` for a number without dimensions."""
    return {k: np.float32(v) if shape is None else np.full(shape, v, np.float32) for k, v in values.items()}


def lif(shape, tau=4e-4, leak=0.0, reset=0.0, threshold=THETA, r=None):
    r = 0.93 * tau / DT if r is None else r
    return nir.LIF(**arrays(shape, tau=tau, r=r, v_leak=leak, v_threshold=threshold, v_reset=reset))


def integrate(shape, reset=0.0):
    return nir.IF(**arrays(shape, r=0.93 / DT, v_threshold=THETA, v_reset=reset))


def cuba(shape, leak=0.0, reset=0.0, w_in=3.1, r=4.7):
    return nir.CubaLIF(**arrays(shape, tau_syn=3e-4, tau_mem=5e-4, r=r, v_leak=leak, v_threshold=THETA, w_in=w_in, v_reset=reset))


def linear(out, into):
    return nir.Linear(weights(out, into))


def affine(out, into):
    return nir.Affine(weights(out, into), weights(out))


def conv(**changes):
    fields = dict(input_shape=(8, 8), weight=weights(4, 2, 3, 3), stride=1, padding=1, dilation=1, groups=1, bias=weights(4))
    return nir.Conv2d(**{**fields, **changes})


def line(**changes):
    fields = dict(input_shape=9, weight=weights(3, 2, 3), stride=1, padding=1, dilation=1, groups=1, bias=weights(3))
    return nir.Conv1d(**{**fields, **changes})


def pool(cls, kernel, stride, padding=(0, 0)):
    return cls(kernel_size=np.array(kernel), stride=np.array(stride), padding=np.array(padding))


def replace(path, value=None, **how):
    """An edit of a file: another dataset at a path, or none."""

    def edit(h5):
        old = h5[path][()]
        del h5[path]
        if value is not None:
            h5.create_dataset(path, data=value(old) if callable(value) else value, **how)

    return edit


def edges(*more):
    """An edit of a file: more edges."""
    text = lambda old: np.array([[e.decode() for e in edge] for edge in old] + [list(e) for e in more], dtype=object)
    return replace("node/edges", text, dtype=h5py.string_dtype())


MAP = [2, 8, 8]


def cases():
    """Each case: name, graph, shape of the input, and options: an edit of the file; what of the output is
    compared (`sum` over time, `last` value); the steps by which the output comes later."""
    one = lambda node, out=8: graph([6], {"fc": linear(8, 6), "n": node}, [out])
    on_map = lambda node, out: graph(MAP, {"c": node, "n": lif(None)}, out)
    yield "numbers", graph([6], {"fc": affine(8, 6), "a": lif(None), "fc2": linear(4, 8), "b": integrate(None)}, [4]), [6]
    yield "arrays-of-one", graph([6], {"fc": affine(8, 6), "a": lif(1), "fc2": affine(4, 8), "b": integrate(1)}, [4]), [6]
    for name, changes in {
        "list": dict(stride=[2, 1]),
        "array": dict(stride=np.array([1, 2]), padding=np.array([1, 0], np.uint8)),
        "floats": dict(stride=np.array([2.0, 1.0])),
        "same": dict(padding="same"),
        "same-even": dict(padding="same", weight=weights(4, 2, 2, 4)),
        "same-dilated": dict(padding="same", dilation=2),
        "valid": dict(padding="valid"),
        "rectangle": dict(padding=(0, 2), weight=weights(4, 2, 1, 5)),
        "dilated": dict(dilation=(2, 1), padding=(2, 1)),
        "groups": dict(groups=2, weight=weights(4, 1, 3, 3)),
        "f64": dict(weight=weights(4, 2, 3, 3).astype(np.float64)),
        "f16": dict(weight=weights(4, 2, 3, 3).astype(np.float16)),
        "i8": dict(weight=rng.integers(-2, 3, (4, 2, 3, 3)).astype(np.int8)),
        "big-endian": dict(weight=weights(4, 2, 3, 3).astype(">f4")),
    }.items():
        yield f"conv2d-{name}", on_map(conv(**changes), [4, 8, 8]), MAP
    for name, changes in {
        "plain": {},
        "lists": dict(stride=[2], padding=[1], dilation=[2]),
        "same": dict(padding="same"),
        "groups": dict(groups=2, weight=weights(4, 1, 3), bias=weights(4)),
    }.items():
        yield f"conv1d-{name}", graph([2, 9], {"c": line(**changes), "n": lif(None)}, [3, 9]), [2, 9]
    for name, node in {
        "average": pool(nir.AvgPool2d, [2, 2], [2, 2]),
        "average-rectangle": pool(nir.AvgPool2d, [1, 4], [2, 2]),
        "average-padded": pool(nir.AvgPool2d, [3, 3], [2, 2], [1, 1]),
        "average-whole": pool(nir.AvgPool2d, [8, 8], [8, 8]),
        "sum-overlapping": pool(nir.SumPool2d, [3, 2], [1, 1]),
        "sum-gaps": pool(nir.SumPool2d, [2, 2], [3, 3]),
    }.items():
        scale = nir.Conv2d((8, 8), np.abs(weights(3, 2, 1, 1)), 1, 0, 1, 1, weights(3))
        nodes = {"p": node, "c": scale, "n": lif(None)}
        yield f"pool-{name}", graph(MAP, nodes, [3, 1, 1]), MAP
    yield "cuba", one(cuba(8)), [6]
    yield "cuba-rest", one(cuba(8, leak=-0.25, reset=-0.25)), [6]
    each = lambda low, high: np.linspace(low, high, 8)
    same = arrays(8, tau_syn=3e-4, tau_mem=5e-4, v_leak=0.0, v_reset=0.0)
    yield "cuba-each", one(nir.CubaLIF(**same, r=each(4, 8), v_threshold=each(0.503, 1.507), w_in=each(2, 5))), [6]
    yield "lif-rest", one(lif(8, leak=0.5, reset=0.5, threshold=1.2537)), [6]
    yield "lif-r", one(lif(8, r=2.1)), [6]
    yield "lif-without-weights", graph([6], {"n": lif(6, r=2.1)}, [6]), [6]
    yield "if-reset", one(integrate(8, reset=-0.5)), [6]
    channels = nir.LIF(**{**arrays((4, 1, 1), tau=4e-4, r=3.7, v_leak=0.0, v_reset=0.0), "v_threshold": np.array([0.503, 1.007, 1.511, 2.013]).reshape(4, 1, 1)})
    yield "thresholds-of-channels", graph(MAP, {"c": conv(), "n": channels}, [4, 8, 8]), MAP
    scales = {"s": nir.Scale(np.array([1, -1, 2, 0.5, -0.5, 1], np.float32)), "fc": affine(5, 6), "s2": nir.Scale(np.full(5, -2.0)), "n": lif(5)}
    yield "scale", graph([6], scales, [5]), [6]
    yield "threshold", graph([6], {"fc": affine(5, 6), "n": nir.Threshold(np.full(5, 0.7537))}, [5]), [6]
    flat = {"c": conv(stride=2), "n": integrate(None), "f": nir.Flatten({"input": np.array([4, 4, 4])}, 0, -1), "fc": affine(5, 64), "o": lif(5)}
    yield "flatten", graph(MAP, flat, [5]), MAP
    deep = graph([8], {"n": lif(8), "fc": linear(5, 8)}, [5])
    yield "nested", graph([6], {"sub": graph([6], {"fc": linear(8, 6), "deep": deep}, [5]), "o": integrate(5)}, [5]), [6]
    ways = [("input", "fc"), ("fc", "a"), ("a", "g"), ("g", "o"), ("fc", "o"), ("o", "output")]
    yield "residual", graph([6], {"fc": linear(6, 6), "a": lif(6), "g": linear(6, 6), "o": lif(6)}, [6], ways), [6]
    yield "delay", graph([6], {"fc": linear(8, 6), "d": nir.Delay(np.full(8, 3e-4)), "n": lif(8)}, [8]), [6], dict(later=3)
    li = lambda **more: arrays(5, tau=4.7e-3, r=1.3, v_leak=0.0, **more)
    last = lambda node: graph([6], {"fc": linear(8, 6), "n": integrate(8), "fc2": linear(5, 8), "o": node}, [5])
    yield "li", last(nir.LI(**li())), [6], dict(compare="sum")
    cubali = arrays(5, tau_syn=2e-3, tau_mem=4.7e-3, r=1.3, v_leak=0.0, w_in=0.7)
    yield "cubali", last(nir.CubaLI(**cubali)), [6], dict(compare="sum")
    yield "i", last(nir.I(np.full(5, 1.3e4, np.float32))), [6], dict(compare="last")
    current = nir.LI(**arrays(8, tau=3e-4, r=3.1, v_leak=0.0))
    yield "li-as-current", graph([6], {"fc": linear(8, 6), "s": current, "n": lif(8)}, [8]), [6]
    yield "edges-twice", one(lif(8)), [6], dict(edit=edges(("fc", "n"), ("n", "output")))
    yield "without-version", one(lif(8)), [6], dict(edit=replace("version"))
    yield "without-reset", one(lif(8)), [6], dict(edit=replace("node/nodes/n/v_reset"))
    yield "without-w_in", one(cuba(8, w_in=1.0, r=19.3)), [6], dict(edit=replace("node/nodes/n/w_in"))
    told = one(lif(8))
    told.metadata = {"dt": 1e-3, "author": "someone", "n": 3, "array": np.arange(3), "nested": {"a": "b"}}
    told.nodes["n"].metadata = {"dt": 0.1}
    yield "metadata", told, [6]
    yield "names", graph([6], {"fc 1": linear(8, 6), "é.x": lif(8), "0": linear(3, 8), "input.2": integrate(3)}, [3]), [6]
    yield "fixed-texts", one(lif(8)), [6], dict(edit=replace("node/nodes/n/type", np.bytes_("LIF")))
    filters = dict(compression="gzip", shuffle=True, fletcher32=True, chunks=(3, 2))
    yield "filters", one(lif(8)), [6], dict(edit=replace("node/nodes/fc/weight", lambda w: w, **filters))
    yield "lzf", one(lif(8)), [6], dict(edit=replace("node/nodes/fc/weight", lambda w: w, compression="lzf"))
    yield "bias-of-one", graph([6], {"fc": nir.Affine(weights(8, 6), np.float32(0.25)), "n": lif(8)}, [8]), [6]


def refused():
    """Each case: name, graph, the node that the message must name, and an edit of the file."""
    one = lambda **edit: (graph([6], {"fc": linear(8, 6), "n": lif(8)}, [8]), edit.get("edit"))
    text = lambda path, word: replace(path, word, dtype=h5py.string_dtype())
    on_map = lambda: graph(MAP, {"c": conv(), "n": lif(None)}, [4, 8, 8])
    loop = lambda: graph([8], {"a": linear(8, 8), "b": linear(8, 8), "n": lif(8)}, [8])
    yield "edge-to-nowhere", *one(edit=edges(("fc", "gone"))), "fc"
    yield "edge-from-nowhere", *one(edit=edges(("gone", "n"))), "n"
    yield "loop-of-itself", loop(), edges(("a", "a")), "a"
    yield "loop-without-neurons", loop(), edges(("b", "a")), "a"
    yield "edge-to-the-input", loop(), edges(("n", "input")), "input"
    yield "without-type", *one(edit=replace("node/nodes/n/type")), "n"
    yield "other-type", *one(edit=text("node/nodes/n/type", "AdEx")), "n"
    yield "number-as-type", *one(edit=replace("node/nodes/n/type", 3)), "n"
    yield "without-tau", *one(edit=replace("node/nodes/n/tau")), "n"
    yield "weight-nan", *one(edit=replace("node/nodes/fc/weight", np.full((8, 6), np.nan))), "fc"
    yield "weight-huge", *one(edit=replace("node/nodes/fc/weight", np.full((8, 6), 1e300))), "fc"
    yield "weight-complex", *one(edit=replace("node/nodes/fc/weight", np.ones((8, 6), np.complex64))), "fc"
    yield "weight-empty", *one(edit=replace("node/nodes/fc/weight", np.ones((0, 6)))), "fc"
    yield "stride-half", on_map(), replace("node/nodes/c/stride", np.array([1.5, 1.0])), "c"
    yield "stride-of-three", on_map(), replace("node/nodes/c/stride", np.array([1, 1, 1])), "c"
    yield "padding-word", on_map(), text("node/nodes/c/padding", "reflect"), "c"
    yield "groups-0", on_map(), replace("node/nodes/c/groups", 0), "c"
    for name, node in {
        "tau-0": lif(8, tau=0.0, r=1.0),
        "tau-below-a-step": lif(8, tau=5e-5, r=1.0),
        "r-negative": lif(8, r=-1.0),
        "threshold-0": lif(8, threshold=0.0),
        "rest-is-not-reset": lif(8, leak=0.5),
        "rest-above-threshold": lif(8, leak=2.0, reset=2.0),
        "one-array-too-short": lif(7),
        "leaks-differ": nir.LIF(**{**arrays(8, r=1.0, v_leak=0.0, v_threshold=1.0, v_reset=0.0), "tau": np.linspace(2e-4, 9e-4, 8)}),
    }.items():
        yield name, graph([6], {"fc": linear(8, 6), "n": node}, [8]), None, "n"
    ways = [("input", "fc"), ("fc", "n"), ("n", "output")]
    yield "unconnected", graph([6], {"fc": linear(8, 6), "n": lif(8), "x": lif(8)}, [8], ways), None, "x"


def written(graph, file, edit):
    """nir writes every array with a filter, which HDF5 refuses for arrays without dimensions."""
    for node in graph.nodes.values():
        for field, value in vars(node).items():
            if isinstance(value, np.ndarray) and value.ndim == 0:
                setattr(node, field, value[()])
    nir.write(file, graph)
    if edit:
        with h5py.File(file, "a") as h5:
            edit(h5)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        for case, net, shape, *options in cases():
            options = options[0] if options else {}
            later, compare = options.get("later", 0), options.get("compare")
            x = torch.randint(0, 4, (STEPS, *shape), generator=torch.Generator().manual_seed(5)).double()
            x = torch.cat([x, torch.zeros(TAIL if compare == "sum" else 0, *shape)])
            run = Run(net)
            y = torch.stack([run.step(frame).flatten() for frame in torch.cat([x, torch.zeros(later, *shape)])])[later:]
            assert y.abs().sum() > 0, f"{case} is silent"
            file = folder / f"{case}.nir"
            written(net, file, options.get("edit"))
            answer = {"dialect": "plain", "x": x.flatten(1).tolist(), "y": y.tolist()}
            if compare:
                answer["sum"] = (y.sum(0) if compare == "sum" else y[-1]).tolist()
            file.with_suffix(".json").write_text(json.dumps(answer))
        for case, net, edit, node in refused():
            file = folder / f"refused-{case}.nir"
            written(net, file, edit)
            file.with_suffix(".json").write_text(json.dumps({"dialect": "plain", "refused": f"NIR node `{node}`: "}))
        subprocess.run([sys.argv[1], "read", name], check=True)


if __name__ == "__main__":
    main()
