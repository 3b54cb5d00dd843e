#!/usr/bin/env python3
"""Compares the cost that this library counts with NeuroBench's own harness, exactly.

    python3 .ci/python/neurobench_cost.py EXAMPLE [MODELS]

EXAMPLE is the built example `neurobench_cost` of tickless-train. The script runs in the environment of
`.ci/extra golden`, to which `.ci/extra python` adds neurobench 2.3.0. MODELS is the folder with the
published network `dvs-gesture/neurobench_dvs_gesture.pt`; if it is absent, one line says so.

NeuroBench decides for a whole batch whether a layer accumulates or multiplies, and this library for each
sample, so the harness runs at batch 1; the published network also at the batch of its golden values.
Sums of the harness are f32, so the networks are small enough that they are exact.
"""

import json
import pathlib
import subprocess
import sys
import tempfile
from fractions import Fraction

import safetensors.torch
import snntorch as snn
import torch
from neurobench.benchmarks import Benchmark
from neurobench.metrics.static import ConnectionSparsity, Footprint, ParameterCount
from neurobench.metrics.workload import (
    ActivationSparsity,
    ActivationSparsityByLayer,
    MembraneUpdates,
    NeuronOperations,
    SynapticOperations,
)
from neurobench.models import SNNTorchModel
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

STATIC = [Footprint, ConnectionSparsity, ParameterCount]
WORKLOAD = [ActivationSparsity, ActivationSparsityByLayer, SynapticOperations, MembraneUpdates, NeuronOperations]


def layer(_layer, **fields):
    words = {True: "true", False: "false"}

    def text(v):
        if isinstance(v, dict):
            return "{ " + ", ".join(f"{k} = {text(x)}" for k, x in v.items()) + " }"
        return words[v] if isinstance(v, bool) else json.dumps(v)

    return f'[[network.layers]]\nlayer = "{_layer}"\n' + "".join(f"{k} = {text(v)}\n" for k, v in fields.items())


class Net(nn.Module):
    """Convolutions, pooling and neurons, as NeuroBench wants them: returns spikes and a state."""

    def __init__(self, neuron, pool, sparse, bias):
        super().__init__()
        self.conv1 = nn.Conv2d(2, 6, 3, padding=1, bias=bias)
        self.lif1 = neuron()
        self.pool = pool
        self.conv2 = nn.Conv2d(6, 8, (3, 5), stride=2, padding=(1, 2), groups=2, bias=bias)
        self.lif2 = neuron()
        self.fc = nn.Linear(8 * 2 * 2, 11, bias=bias)
        self.lif3 = neuron(output=True)
        with torch.no_grad():
            for p in self.parameters():
                if p.dim() > 1:
                    p.copy_((p * 192).round() / 64)
                    if sparse:
                        p[torch.rand_like(p) < 0.4] = 0
                elif p.dim() == 1:
                    p.copy_((p * 64).round() / 64)

    def forward(self, x):
        x = self.pool(self.lif1(self.conv1(x)))
        x = self.lif2(self.conv2(x))
        return self.lif3(self.fc(x.flatten(1)))


def recipe(neuron, pool, bias):
    return "".join([
        '[data]\nset = "nmnist"\n[network]\nname = "case"\n',
        layer("conv", out=6, bias=bias),
        layer("neuron", name="lif1", neuron=neuron),
        layer("pool", kernel=2, kind=pool),
        layer("conv", out=8, kernel=[3, 5], stride=2, padding=[1, 2], groups=2, bias=bias),
        layer("neuron", name="lif2", neuron=neuron),
        layer("linear", out=11, bias=bias),
        layer("neuron", name="lif3", neuron=neuron),
        '[train]\nstrategy = "sdt"\nt_max = 6\n',
    ])


class Residual(nn.Module):
    """Residual additions before neurons and of spikes: the layers behind the sums of spikes read 0, 1 and 2."""

    def __init__(self, neuron):
        super().__init__()
        self.conv1 = nn.Conv2d(2, 6, 3, padding=1, bias=False)
        self.lif1 = neuron()
        self.conv2 = nn.Conv2d(6, 6, 3, padding=1, bias=False)
        self.lif2 = neuron()
        self.pool = nn.MaxPool2d(2)
        self.conv3 = nn.Conv2d(6, 8, 3, stride=2, padding=1, bias=False)
        self.lif3 = neuron()
        self.fc = nn.Linear(8 * 2 * 2, 11, bias=False)
        self.lif4 = neuron(output=True)
        dyadic(self)

    def forward(self, x):
        first = self.lif1(self.conv1(x))
        second = self.lif2(self.conv2(first) + first)
        x = self.lif3(self.conv3(self.pool(second + first)))
        # A neuron with a synaptic current returns it too.
        spikes, *_, membranes = self.lif4(self.fc(x.flatten(1)))
        return spikes, membranes


def residual(neuron):
    return "".join([
        '[data]\nset = "nmnist"\n[network]\nname = "case"\n',
        layer("conv", name="conv1", out=6),
        layer("neuron", name="lif1", neuron=neuron),
        layer("conv", name="conv2", out=6),
        layer("add", name="before", **{"from": ["conv2", "lif1"]}),
        layer("neuron", name="lif2", neuron=neuron),
        layer("add", name="spikes", **{"from": ["lif2", "lif1"]}),
        layer("pool", kernel=2, kind="max"),
        layer("conv", name="conv3", out=8, stride=2),
        layer("neuron", name="lif3", neuron=neuron),
        layer("linear", name="fc", out=11),
        layer("neuron", name="lif4", neuron=neuron),
        '[train]\nstrategy = "sdt"\nt_max = 6\n',
    ])


class Recurrent(nn.Module):
    """A layer whose spikes return one step later. It subtracts the threshold, because snnTorch evaluates the
    recurrent connections of a neuron that resets to zero twice a step, and NeuroBench counts both."""

    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(2 * 4 * 4, 12, bias=False)
        self.lif1 = snn.RLeaky(beta=0.75, linear_features=12, init_hidden=True)
        self.lif1.recurrent = nn.Linear(12, 12, bias=False)
        self.fc2 = nn.Linear(12, 11, bias=False)
        self.lif2 = snn.Leaky(beta=0.75, init_hidden=True, output=True)
        dyadic(self, 0.5)

    def forward(self, x):
        return self.lif2(self.fc2(self.lif1(self.fc1(x.flatten(1)))))


def recurrent():
    lif = dict(model="lif", leak=0.75, reset="soft_delayed")
    return "".join([
        '[data]\nset = "nmnist"\n[network]\nname = "case"\n',
        layer("linear", name="fc1", out=12),
        layer("neuron", name="lif1", neuron=lif, recurrent="dense"),
        layer("linear", name="fc2", out=11),
        layer("neuron", name="lif2", neuron=lif),
        '[train]\nstrategy = "sdt"\nt_max = 6\n',
    ])


def dyadic(net, factor=1):
    """Weights that are multiples of 1/64, of which some are 0."""
    with torch.no_grad():
        for name, p in net.named_parameters():
            if p.dim() > 1:
                p.copy_((p * factor * 192).round() / 64)
                p[torch.rand_like(p) < 0.2] = 0


def harness(net, x, batch, workload=WORKLOAD):
    """NeuroBench's report for x [T, B, …]. The states of the neurons are removed first, because a footprint
    contains those that an earlier run left behind. No copy of the network may run: NeuroBench returns the
    neurons to rest by snnTorch's list of instances, which a copy is not in, so each sample of a copy would
    begin with the potentials of the one before."""
    neurons = [m for m in net.modules() if isinstance(m, snn.SpikingNeuron)]
    for neuron in neurons:
        assert any(neuron is known for known in snn.SpikingNeuron.instances), "snnTorch would never reset this neuron"
        neuron._init_mem()
    data = TensorDataset(x.transpose(0, 1).contiguous(), torch.zeros(x.shape[1]))
    loader = DataLoader(data, batch_size=batch, shuffle=False)
    with torch.no_grad():
        return Benchmark(SNNTorchModel(net), loader, [], [], [STATIC, workload]).run(quiet=True)


def exact(key, value):
    """A metric as it is compared. NeuroBench averages the share of zero activations over the batches, so the
    last bit of its share is that of a rounded sum. The shares are therefore compared as what they are,
    fractions of two counts: those of at most 2 million outputs differ by 2.5e-13 or not at all."""
    fraction = lambda share: Fraction(share).limit_denominator(2_000_000)
    if key == "ActivationSparsity":
        return fraction(value)
    if key == "ActivationSparsityByLayer":
        return {layer: fraction(share) for layer, share in value.items()}
    return value


def compare(name, example, recipe, state, x, want):
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        (folder / "case.toml").write_text(recipe)
        torch.save(state, folder / "net.pt")
        safetensors.torch.save_file({"input": x.contiguous()}, folder / "input.safetensors")
        files = [folder / "case.toml", folder / "net.pt", folder / "input.safetensors"]
        got = json.loads(subprocess.run([example, *files], check=True, capture_output=True, text=True).stdout)
    metrics = [metric for metric in STATIC + WORKLOAD if metric.__name__ in want]
    for metric in metrics:
        key = metric.__name__
        assert exact(key, got[key]) == exact(key, want[key]), f"{name}, {key}: {got[key]} here, {want[key]} in NeuroBench"
    operations = got["SynapticOperations"]
    assert got["ActivationSparsity"] < 1, f"{name}: no spike"
    print(f"{name}: {len(metrics)} metrics equal; MACs {operations['Effective_MACs']}, ACs {operations['Effective_ACs']}, "
          f"dense {operations['Dense']}, membranes {got['MembraneUpdates']}, neurons {got['NeuronOperations']}")


def cases():
    zero = dict(reset_mechanism="zero", reset_delay=False)
    for name, options, ours in [
        ("subtracted late", {}, dict(model="lif", leak=0.75, reset="soft_delayed")),
        ("reset to zero at once", zero, dict(model="lif", leak=0.75)),
    ]:
        def neuron(output=False, options=options):
            return snn.Leaky(beta=0.75, threshold=1.0, init_hidden=True, output=output, **options)

        for pool, module in [("max", nn.MaxPool2d(2)), ("average", nn.AvgPool2d(2))]:
            for bias in [False, True]:
                yield f"{name}, {pool} pooling, bias {bias}", Net(neuron, module, bias, bias), recipe(ours, pool, bias)


def published(example, models):
    folder = pathlib.Path(models) / "dvs-gesture"
    file = folder / "neurobench_dvs_gesture.pt"
    if not file.exists():
        print(f"skipped: {file} is absent")
        return
    state = torch.load(file, map_location="cpu", weights_only=True)
    names = [k.removesuffix(".weight") for k in state if k.endswith(".weight")]
    text = '[data]\nset = "nmnist"\n[network]\nname = "case"\n'

    class Published(nn.Module):
        def __init__(self):
            super().__init__()
            convs = [(2, 16), (16, 32), (32, 64)]
            for name, (i, o) in zip(names[:3], convs):
                setattr(self, name, nn.Conv2d(i, o, 5, padding="same"))
            setattr(self, names[3], nn.Linear(1024, 11))
            for k in range(1, 5):
                beta, threshold = state[f"lif{k}.beta"], state[f"lif{k}.threshold"]
                setattr(self, f"lif{k}", snn.Leaky(beta=beta, threshold=threshold, init_hidden=True, output=k == 4))
            self.pool = nn.MaxPool2d(2)

        def forward(self, x):
            for k in range(3):
                x = getattr(self, f"lif{k + 1}")(self.pool(getattr(self, names[k])(x)))
            return self.lif4(getattr(self, names[3])(x.flatten(1)))

    net = Published()
    net.load_state_dict(state, strict=False)
    for k, out in enumerate([16, 32, 64, 11], 1):
        neuron = dict(model="lif", leak=float(state[f"lif{k}.beta"]), threshold=float(state[f"lif{k}.threshold"]), reset="soft_delayed")
        if k < 4:
            text += layer("conv", out=out, kernel=5, padding=2, bias=True) + layer("pool", kernel=2, kind="max")
        else:
            text += layer("linear", out=out, bias=True)
        text += layer("neuron", name=f"lif{k}", neuron=neuron)
    text += '[train]\nstrategy = "sdt"\nt_max = 20\n'
    x = safetensors.torch.load_file(folder / "neurobench_dvs_gesture.shown.safetensors")["input"].float()
    for batch in [1, x.shape[1]]:
        compare(f"published network, batch {batch}", example, text, state, x, harness(net, x, batch))


def main():
    example = sys.argv[1]
    torch.manual_seed(5)
    for name, net, text in cases():
        x = torch.poisson(torch.full((6, 3, 2, 8, 8), 0.3))
        # One sample has no value above 1, so its first layer accumulates.
        x[:, 0] = x[:, 0].clamp(max=1)
        compare(name, example, text, net.state_dict(), x, harness(net, x, 1))
    zero = dict(reset_mechanism="zero", reset_delay=False)
    x = torch.poisson(torch.full((6, 3, 2, 8, 8), 0.3))
    net = Residual(lambda output=False: snn.Leaky(beta=0.75, init_hidden=True, output=output, **zero))
    compare("residual additions", example, residual(dict(model="lif", leak=0.75)), net.state_dict(), x, harness(net, x, 1))
    net = Residual(lambda output=False: snn.Synaptic(alpha=0.5, beta=0.75, init_hidden=True, output=output, **zero))
    text = residual(dict(model="cuba-lif", leak=0.75, synapse=0.5))
    compare("synaptic currents", example, text, net.state_dict(), x, harness(net, x, 1))
    # NeuroBench 2.3 has no operations of recurrent neurons: its table of them has no such entry.
    workload = [metric for metric in WORKLOAD if metric is not NeuronOperations]
    net, x = Recurrent(), x[..., :4, :4]
    compare("recurrent connections", example, recurrent(), net.state_dict(), x, harness(net, x, 1, workload))
    published(example, sys.argv[2] if len(sys.argv) > 2 else "../shared/models")


if __name__ == "__main__":
    main()
