#!/usr/bin/env python3
"""Exports networks with the exporters of sinabs, snnTorch, SpikingJelly and Norse, and compares all spikes.

    python3 .ci/python/nir_theirs.py EXAMPLE

EXAMPLE is the built example `nir_nodes` of tickless-net. Each case is a network of one framework that
has the nodes which its exporter writes: `sinabs.to_nir` (Affine, Conv1d, Conv2d, IF, LI, LIF, SumPool2d,
Flatten), `snntorch.export_to_nir` (Affine, Linear, Conv2d, AvgPool2d, Flatten, LIF, CubaLIF and the
nested graphs of recurrent layers), `spikingjelly…export_to_nir` (Affine, Linear, Conv1d, Conv2d,
AvgPool2d, Flatten, IF, LIF, also of `ParametricLIFNode`, and CubaLIF) and `norse.torch.to_nir` (Affine,
Conv2d, IF, LI, LIF). The framework runs the network; this library reads the graph and must give the same
spikes in every step. The potential of an LI at the output has no counterpart here, where a readout sums
its input; so its sum over time, until it has decayed, is compared (`factor` says by what it differs).

It needs the packages of `.ci/extra golden`.

What the exporters do not write is restored here by the shapes of the case: sinabs and snnTorch leave
the input shape of a convolution and of `Flatten` unset and give numbers without dimensions, and nir
writes no such file. Settings that NIR cannot say are those that the framework itself restores from a
graph: sinabs' lower limit of IAF is -θ and its LIF takes the input as it is; SpikingJelly resets to
zero.

What exporters write wrong, which `faults` shows each time:

- Norse 1.1.0 writes τ·dt for the time constant τ in seconds (`tau = dt / tau_mem_inv`), at the default dt
  of 0.001 a thousandth, which its own importer reads as λ = 1 - dt/τ < 0. Here such a graph is refused;
  the cases say `dt=1`, which makes it τ. Its `LIFCell` becomes a CubaLIF with w_in = 1, though a spike
  adds 1 to the current there, which is w_in = τ_syn/dt; so its own importer makes another network of it.
  It writes the batch as a dimension of the input, and neither Flatten nor pooling.
- snnTorch 1.0.0's `RSynaptic` fails with `reset_delay=False` and a hidden state (a TypeError), and with
  states given by the caller that setting has no effect: its potential is reset one step later, which no
  graph says, and `export_to_nir` writes v_reset = 0 also for `reset_mechanism="none"`. The case
  `recurrent_current` therefore runs snnTorch's layer without a reset of its own and resets the potential
  to zero after each spike, as the graph says.
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
    # v = λ·v + x with λ = exp(-1/τ), so the sum of v is that of x over 1 - λ.
    readout = sl.ExpLeakSqueeze(tau_mem=4.7, batch_size=1, norm_input=False)
    net = nn.Sequential(nn.Linear(6, 8, bias=False), iaf(), nn.Linear(8, 5, bias=False), readout)
    yield "readout", net, (6,), {}, 1 - np.exp(-1 / 4.7)

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
    hidden = [
        ("recurrent", snn.RLeaky(beta=0.83, linear_features=8, **same)),
        ("one_to_one", snn.RLeaky(beta=0.83, all_to_all=False, V=torch.linspace(-0.5, 0.5, 8), **same)),
        (
            "recurrent_current",
            snn.RSynaptic(alpha=0.6, beta=0.83, linear_features=8, reset_mechanism="none", init_hidden=True),
        ),
    ]
    for name, layer in hidden:
        yield name, nn.Sequential(nn.Linear(6, 8), layer, nn.Linear(8, 5), leaky(0.41, 5, output=True)), (6,), {}

    def run(net, x):
        from snntorch import utils

        utils.reset(net)
        out = []
        for step in x:
            y = net(step.unsqueeze(0))
            for layer in net:
                if isinstance(layer, snn.RSynaptic):
                    layer.mem = layer.mem * (1 - layer.spk)
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


def norse_cases():
    import norse.torch as norse
    from norse.torch.module.iaf import IAFCell
    from norse.torch.module.leaky_integrator_box import LIBoxCell, LIBoxParameters
    from norse.torch.module.lif_box import LIFBoxCell, LIFBoxParameters

    lif = lambda tau: LIFBoxCell(LIFBoxParameters(tau_mem_inv=torch.as_tensor(1 / tau)))
    net = lambda *modules: norse.SequentialState(*modules)
    yield "leaky", net(nn.Linear(6, 8), lif(0.004), nn.Linear(8, 5, bias=False), IAFCell()), (6,), {}
    maps = net(nn.Conv2d(2, 4, 3, padding=2, dilation=2), IAFCell(), nn.Conv2d(4, 6, (3, 5), stride=2, padding=1, groups=2), lif(0.0025))
    yield "maps", maps, (2, 8, 8), {0: (8, 8), 2: (8, 8)}
    # τ·dv/dt = -v + x, so the sum of v is that of x.
    li = LIBoxCell(LIBoxParameters(tau_mem_inv=torch.as_tensor(1 / 0.0047)))
    yield "readout", net(nn.Linear(6, 8, bias=False), IAFCell(), nn.Linear(8, 5, bias=False), li), (6,), {}, 1.0

    def run(net, x):
        state, out = None, []
        for step in x:
            y, state = net(step.unsqueeze(0), state)
            out.append(y.reshape(-1))
        return torch.stack(out)

    return run, lambda net, x: norse.to_nir(net, x[:1], dt=1.0)


def faults():
    """Shows what the head of this file says of exporters; returns how many of these faults are gone."""
    import norse.torch as norse
    import snntorch as snn
    from norse.torch.module.lif_box import LIFBoxCell

    said = {}
    x = torch.ones(12, 1, 3)
    net = norse.SequentialState(nn.Linear(3, 4), LIFBoxCell())
    tau = 1 / LIFBoxCell().p.tau_mem_inv
    written = [float(norse.to_nir(net, x[0], **dt).nodes["1"].tau) for dt in [{}, {"dt": 1.0}]]
    said["norse writes a thousandth of a time constant"] = np.allclose(written, [0.001 * tau, tau])

    cell = norse.SequentialState(nn.Linear(3, 4), norse.LIFCell())
    nn.init.constant_(cell[0].weight, 1.0)

    def spikes(net):
        state, count = None, 0.0
        for step in x:
            y, state = net(step, state)
            count += float(y.sum())
        return count

    there, back = spikes(cell), spikes(norse.from_nir(norse.to_nir(cell, x[0], dt=1.0)))
    said[f"norse's LIFCell fires {there:.0f} times, and {back:.0f} times as its importer reads it"] = there > 0 and there != back

    same = dict(alpha=0.6, beta=0.8, linear_features=3, reset_mechanism="zero")
    try:
        snn.RSynaptic(init_hidden=True, reset_delay=False, **same)(x[0])
        said["snnTorch's RSynaptic with a hidden state and reset_delay=False fails"] = False
    except TypeError as e:
        said[f"snnTorch's RSynaptic with a hidden state and reset_delay=False fails ({e})"] = True
    torch.manual_seed(1)
    late = snn.RSynaptic(reset_delay=True, **same)
    at_once = snn.RSynaptic(reset_delay=False, **same)
    at_once.load_state_dict(late.state_dict())
    states = [[torch.zeros(1, 3)] * 3 for _ in range(2)]
    equal, fired = True, 0.0
    for step in x:
        states = [list(layer(step, *state)) for layer, state in zip([late, at_once], states)]
        equal &= all(torch.equal(a, b) for a, b in zip(*states))
        fired += float(states[0][0].sum())
    said["snnTorch's RSynaptic ignores reset_delay=False with given states"] = equal and fired > 0
    for fault, true in said.items():
        print(f"{'as said' if true else 'NOT AS THE HEAD OF THIS FILE SAYS'}: {fault}")
    return sum(not true for true in said.values())


CASES = {"sinabs": sinabs_cases, "snntorch": snntorch_cases, "spikingjelly": spikingjelly_cases, "norse": norse_cases}

# Steps without input after which a potential has decayed.
TAIL = 200


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
            for case, net, shape, shapes, *factor in found:
                torch.manual_seed(len(case))
                coarse(net)
                x = torch.randint(0, 3, (STEPS, *shape)).float()
                x = torch.cat([x, torch.zeros(TAIL, *shape)]) if factor else x
                for k in range(16):
                    y = run(net, x).reshape(len(x), -1)
                    if y.abs().sum() > 10:
                        break
                    # Other weights, and larger ones.
                    [m.reset_parameters() for m in net.modules() if isinstance(m, (nn.Linear, nn.modules.conv._ConvNd))]
                    coarse(net, 2.0 + k / 4)
                assert y.abs().sum() > 10, f"{framework}.{case} is silent: {y.sum()}"
                with contextlib.redirect_stdout(io.StringIO()):
                    graph = export(net, x)
                file = folder / f"{framework}.{case}.nir"
                written(graph, file, shapes)
                answer = {"dialect": framework, "x": x.flatten(1).tolist(), "y": y.tolist()}
                if factor:
                    answer["sum"] = (y.double().sum(0) * factor[0]).tolist()
                file.with_suffix(".json").write_text(json.dumps(answer))
        gone = faults()
        subprocess.run([sys.argv[1], "read", name], check=True)
        sys.exit(gone)


if __name__ == "__main__":
    main()
