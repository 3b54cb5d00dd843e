#!/usr/bin/env python3
"""Reads our NIR graphs in the frameworks that they are written for, and compares every output spike.

    python3 .ci/python/nir_nodes.py EXAMPLE

EXAMPLE is the built example `nir_nodes` of tickless-net. It writes networks with groups, dilation and
rectangular kernels, along a line, with recurrent layers and with synaptic currents, each for sinabs,
snnTorch, SpikingJelly and Norse, with an input and the spikes of our clocked simulator. This script

1. opens every file with `nir.read`, which checks all shapes (nir 1.0.8);
2. runs it in its framework, if that is installed, and compares the spikes of every step.

It needs the packages of `.ci/extra golden`; a framework that is not installed is left out, and said.
"""

import contextlib
import importlib.util
import io
import json
import pathlib
import subprocess
import sys
import tempfile

import nir
import torch


def run_sinabs(graph, x):
    import sinabs

    # Step by step, because a loop needs the spikes of the step before; the layers keep their state.
    net, state, out = sinabs.from_nir(graph, batch_size=1), None, []
    for step in x:
        y = net(step.unsqueeze(0), state)
        y, state = y if isinstance(y, tuple) else (y, None)
        out.append(y.reshape(1, -1))
    return torch.cat(out)


def run_snntorch(graph, x):
    from snntorch.import_nir import import_from_nir

    net = import_from_nir(graph)
    state, out = None, []
    for step in x:
        y, state = net(step.unsqueeze(0), state)
        out.append(y[0] if isinstance(y, tuple) else y)
    return torch.cat([y.reshape(1, -1) for y in out])


def run_spikingjelly(graph, x):
    from spikingjelly.activation_based import nir_exchange

    net, state, out = nir_exchange.import_from_nir(graph, dt=1e-4, step_mode="s"), None, []
    for step in x:
        y = net(step.unsqueeze(0), state)
        y, state = y if isinstance(y, tuple) else (y, None)
        out.append(y.reshape(1, -1))
    return torch.cat(out)


def run_norse(graph, x):
    import norse.torch as norse

    net = norse.from_nir(graph, dt=1e-3)
    state, out = None, []
    for step in x:
        y, state = net(step.unsqueeze(0), state)
        out.append(y.reshape(1, -1))
    return torch.cat(out)


RUN = {"sinabs": run_sinabs, "snntorch": run_snntorch, "spikingjelly": run_spikingjelly, "norse": run_norse}


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    failed = 0
    with tempfile.TemporaryDirectory() as name:
        subprocess.run([sys.argv[1], name], check=True)
        for file in sorted(pathlib.Path(name).glob("*.nir")):
            framework = file.name.split(".")[0]
            graph = nir.read(file)
            if importlib.util.find_spec(framework) is None:
                print(f"{file.name}: opens in nir {nir.version}; {framework} is not installed")
                continue
            answer = json.loads(file.with_suffix(".json").read_text())
            shape = [int(d) for d in graph.nodes["input"].output_type["output"]]
            x = torch.tensor(answer["x"], dtype=torch.float32).reshape(-1, *shape)
            y = torch.tensor(answer["y"], dtype=torch.float32)
            try:
                with torch.no_grad(), contextlib.redirect_stdout(io.StringIO()):
                    out = RUN[framework](graph, x)
                out = (out[0] if isinstance(out, tuple) else out).reshape(y.shape)
            except Exception as e:  # The message of the framework is the result.
                failed += 1
                print(f"{file.name}: FAILED in {framework}: {type(e).__name__}: {e}")
                continue
            same = torch.equal(out, y) and y.sum() > 0
            failed += not same
            says = "all equal" if same else f"DIFFER: {int(out.sum())} there"
            print(f"{file.name}: {int(y.sum())} output spikes, {says} in {framework}")
    sys.exit(failed)


if __name__ == "__main__":
    main()
