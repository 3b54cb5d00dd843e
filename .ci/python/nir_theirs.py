#!/usr/bin/env python3
"""Exports networks with the exporters of sinabs, snnTorch and SpikingJelly, and compares all spikes.

    python3 .ci/python/nir_theirs.py EXAMPLE

EXAMPLE is the built example `nir_nodes` of tickless-net. Each case is a network of one framework that
has the nodes which its exporter writes: `sinabs.to_nir` (Affine, Conv1d, Conv2d, IF, LIF, SumPool2d,
Flatten; no case has its LI), `snntorch.export_to_nir` (Affine, Linear, Conv2d, AvgPool2d, Flatten, LIF, CubaLIF
and the nested graphs of recurrent layers) and `spikingjelly…export_to_nir` (Affine, Linear, Conv1d,
Conv2d, AvgPool2d, Flatten, IF, LIF, also of `ParametricLIFNode`, and CubaLIF). The framework runs the
network; this library reads the graph and must give the same spikes in every step.

It needs the packages of `.ci/extra golden`.

What the exporters do not write is restored here by the shapes of the case: sinabs and snnTorch leave
the input shape of a convolution and of `Flatten` unset and give numbers without dimensions, and nir
writes no such file. Settings that NIR cannot say are those that the framework itself restores from a
graph: sinabs' lower limit of IAF is -θ and its LIF takes the input as it is; SpikingJelly resets to
zero.
"""

import contextlib
import io
import json
import pathlib
import subprocess
import sys
import tempfile

import nir
import numpy as np
import torch
from torch import nn

STEPS = 12


def coarse(net, scale=2.0):
    """Weights and biases that are multiples of 1/64."""
    with torch.no_grad():
        for name, p in net.named_parameters():
            if name.endswith(("weight", "bias", "V")):
                p.copy_((p * scale * 64).round() / 64)
    return net.eval()


def written(graph, file, shapes):
    """Fills in what an exporter left unset, and writes the graph. `shapes` has the input shape of each
    convolution and `Flatten`, by the number of the module."""
    for name, node in graph.nodes.items():
        shape = next((s for number, s in shapes.items() if name.split(".")[-1] == str(number)), None)
        if isinstance(node, (nir.Conv1d, nir.Conv2d)) and node.input_shape is None:
            node.input_shape = shape
        elif isinstance(node, nir.Flatten) and shape is not None:
            node.input_type = {"input": np.array(shape)}
        for field, value in vars(node).items():
            value = value.detach().numpy() if isinstance(value, torch.Tensor) else value
            if isinstance(value, np.ndarray):
                setattr(node, field, np.atleast_1d(value))
    nir.write(file, graph)


def sinabs_cases():
    import sinabs
    import sinabs.layers as sl

    iaf = lambda: sl.IAFSqueeze(batch_size=1, min_v_mem=-1.0)
    lif = lambda tau: sl.LIFSqueeze(tau_mem=tau, batch_size=1, norm_input=False)
    maps = nn.Sequential(
        nn.Conv2d(2, 4, (1, 3), padding=(0, 2), dilation=(1, 2), groups=2), iaf(), sl.SumPool2d(2),
        nn.Conv2d(4, 6, 3, stride=2, padding=1, bias=False), iaf(), nn.Flatten(), nn.Linear(24, 5), iaf(),
    )
    yield "maps", maps, (2, 8, 8), {0: (8, 8), 3: (4, 4), 5: (6, 2, 2)}
    line = nn.Sequential(nn.Conv1d(3, 4, 3, padding=2, dilation=2), iaf(), nn.Flatten(), nn.Linear(48, 5, bias=False), iaf())
    yield "line", line, (3, 12), {0: 12, 2: (4, 12)}
    yield "leaky", nn.Sequential(nn.Linear(6, 8), lif(7.3), nn.Linear(8, 5), lif(2.9)), (6,), {}

    def run(net, x):
        sinabs.reset_states(net)
        return net(x)

    return run, lambda net, x: sinabs.to_nir(net, x)


def snntorch_cases():
    import snntorch as snn

    # The graph says the reset to zero, and import_from_nir sets it. Constants have a value for each
    # neuron, because nir 1.0.8 refuses the exporter's nodes of numbers without dimensions.
    same = dict(reset_mechanism="zero", reset_delay=False, init_hidden=True)
    full = lambda shape, v: torch.full(shape, v)
    leaky = lambda beta, *shape, **k: snn.Leaky(beta=full(shape, beta), threshold=full(shape, 1.0), **same, **k)
    last = leaky(0.41, 5, output=True)
    yield "leaky", nn.Sequential(nn.Linear(6, 8), leaky(0.83, 8), nn.Linear(8, 5, bias=False), last), (6,), {}
    maps = nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1), leaky(0.83, 4, 8, 8), nn.AvgPool2d(2),
        nn.Flatten(), nn.Linear(4 * 4 * 4, 5), leaky(0.67, 5, output=True),
    )
    yield "maps", maps, (2, 8, 8), {0: (8, 8), 3: (4, 4, 4)}
    current = lambda alpha, beta, n, **k: snn.Synaptic(
        alpha=full((n,), alpha), beta=full((n,), beta), threshold=full((n,), 1.0), **same, **k
    )
    net = nn.Sequential(nn.Linear(6, 8), current(0.7, 0.8, 8), nn.Linear(8, 5), current(0.4, 0.9, 5, output=True))
    yield "current", net, (6,), {}
    # RSynaptic fails in snnTorch 1.0.0 with reset_delay=False and a hidden state, and its later reset
    # drops an input, which a graph does not say; `nir_nodes.py` has that layer in the other direction.
    hidden = [
        ("recurrent", snn.RLeaky(beta=0.83, linear_features=8, **same)),
        ("one_to_one", snn.RLeaky(beta=0.83, all_to_all=False, V=torch.linspace(-0.5, 0.5, 8), **same)),
    ]
    for name, layer in hidden:
        yield name, nn.Sequential(nn.Linear(6, 8), layer, nn.Linear(8, 5), leaky(0.41, 5, output=True)), (6,), {}

    def run(net, x):
        from snntorch import utils

        utils.reset(net)
        out = []
        for step in x:
            y = net(step.unsqueeze(0))
            out.append((y[0] if isinstance(y, tuple) else y).reshape(-1))
        return torch.stack(out)

    def export(net, x):
        from snntorch.export_nir import export_to_nir

        return export_to_nir(net, x[:1], ignore_dims=[0])

    return run, export


def spikingjelly_cases():
    from spikingjelly.activation_based import functional, layer, neuron
    from spikingjelly.activation_based.nir_exchange import export_to_nir

    same = dict(v_threshold=1.0, v_reset=0.0)
    maps = nn.Sequential(
        layer.Conv2d(2, 4, 3, padding=2, dilation=2), neuron.IFNode(**same), layer.AvgPool2d(2),
        layer.Conv2d(4, 6, 3, stride=2, padding=1, bias=False), neuron.LIFNode(tau=1.7, decay_input=True, **same),
        layer.Flatten(), layer.Linear(24, 5), neuron.LIFNode(tau=3.1, decay_input=False, **same),
    )
    yield "maps", maps, (2, 8, 8), {}
    line = nn.Sequential(layer.Conv1d(3, 4, 3, padding=2, dilation=2), neuron.IFNode(**same), layer.Flatten(), layer.Linear(48, 5), neuron.IFNode(**same))
    yield "line", line, (3, 12), {}
    for decays in [False, True]:
        plif = lambda tau: neuron.ParametricLIFNode(init_tau=tau, decay_input=decays, **same)
        yield f"parametric_{decays}", nn.Sequential(layer.Linear(6, 8, bias=False), plif(1.7), layer.Linear(8, 5), plif(3.1)), (6,), {}
    current = lambda c, v: neuron.CUBALIFNode(c_decay=c, v_decay=v, **same)
    yield "current", nn.Sequential(layer.Linear(6, 8), current(0.7, 0.8), layer.Linear(8, 5), current(0.4, 0.9)), (6,), {}

    def run(net, x):
        functional.set_step_mode(net, "s")
        functional.reset_net(net)
        return torch.cat([net(step.unsqueeze(0)).flatten(1) for step in x])

    def export(net, x):
        functional.reset_net(net)
        return export_to_nir(net, x[:1], dt=1e-4)

    return run, export


CASES = {"sinabs": sinabs_cases, "snntorch": snntorch_cases, "spikingjelly": spikingjelly_cases}


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    with tempfile.TemporaryDirectory() as name, torch.no_grad(), contextlib.redirect_stderr(io.StringIO()):
        folder = pathlib.Path(name)
        for framework, cases in CASES.items():
            found, made = [], cases()
            while True:
                try:
                    found.append(next(made))
                except StopIteration as end:
                    run, export = end.value
                    break
            for case, net, shape, shapes in found:
                torch.manual_seed(len(case))
                coarse(net)
                x = torch.randint(0, 3, (STEPS, *shape)).float()
                for k in range(16):
                    y = run(net, x).reshape(STEPS, -1)
                    if y.sum() > 10:
                        break
                    # Other weights, and larger ones.
                    [m.reset_parameters() for m in net.modules() if isinstance(m, (nn.Linear, nn.modules.conv._ConvNd))]
                    coarse(net, 2.0 + k / 4)
                assert y.sum() > 10, f"{framework}.{case} is silent: {y.sum()}"
                with contextlib.redirect_stdout(io.StringIO()):
                    graph = export(net, x)
                file = folder / f"{framework}.{case}.nir"
                written(graph, file, shapes)
                answer = {"dialect": framework, "x": x.flatten(1).tolist(), "y": y.tolist()}
                file.with_suffix(".json").write_text(json.dumps(answer))
        subprocess.run([sys.argv[1], "read", name], check=True)


if __name__ == "__main__":
    main()
