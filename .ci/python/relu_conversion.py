#!/usr/bin/env python3
"""Converts networks with ReLU by sinabs, by SpikingJelly and by this library, and compares all spikes.

    python3 .ci/python/relu_conversion.py EXAMPLE

EXAMPLE is the built example `relu_conversion` of tickless-train. The script runs in the environment
of `.ci/extra golden`, which has the packages (TICKLESS_GOLDEN_VENV).

Each case is balanced on a batch of images, and the same images are then the input of every step.
Weights, inputs and λ are chosen so that no rounding decides on a spike: one channel of each layer is
constant and largest, a power of two, and another is larger in a single value, so that the largest
activation and the 99.9 % activation differ. What differs between the definitions:

- sinabs (`normalize_weights`, `from_model`): any number of spikes per step, lower limit -1, no
  biases, because it divides a bias by the λ of its own layer's scaled output only, which is another
  network than the one with ReLU.
- SpikingJelly (`RateCodingRecipe`): one spike per step, no lower limit; it multiplies by 1/λ before
  and by λ after each neuron instead of changing the weights, and folds Conv-BN. λ is that of the
  first batch.

λ is also compared on random weights (within 1e-5).
"""

import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import safetensors.torch
import torch
from torch import nn

STEPS = 24
RECIPE = """
[data]
set = "mnist"
[network]
name = "relu"
neuron = {{ model = "if", {neuron} }}
{layers}
[train]
strategy = "sdt"
t_max = 4
"""


def recipe(net, neuron):
    """The recipe of a `Sequential`."""
    layers = []
    for m in net:
        if isinstance(m, nn.Conv2d):
            keys = {"layer": "conv", "out": m.out_channels, "kernel": m.kernel_size[0], "stride": m.stride[0], "padding": m.padding[0]}
            layers.append({**keys, "bias": m.bias is not None})
        elif isinstance(m, nn.BatchNorm2d):
            layers.append({"layer": "norm"})
        elif isinstance(m, nn.ReLU):
            layers.append({"layer": "neuron"})
        elif isinstance(m, nn.AvgPool2d):
            layers.append({"layer": "pool", "kernel": m.kernel_size})
        elif isinstance(m, nn.Linear):
            layers.append({"layer": "linear", "out": m.out_features, "bias": m.bias is not None})
    word = lambda v: f'"{v}"' if isinstance(v, str) else str(v).lower()
    text = ["[[network.layers]]\n" + "".join(f"{k} = {word(v)}\n" for k, v in keys.items()) for keys in layers]
    return RECIPE.format(neuron=neuron, layers="".join(text))


def sequential(norm, bias):
    conv = lambda i, o, s: [nn.Conv2d(i, o, 3, s, 1, bias=bias), *([nn.BatchNorm2d(o)] if norm else []), nn.ReLU()]
    return nn.Sequential(
        *conv(3, 8, 1), nn.AvgPool2d(2), *conv(8, 16, 1), nn.AvgPool2d(2), nn.Flatten(),
        nn.Linear(16 * 2 * 2, 32, bias=bias), nn.ReLU(), nn.Linear(32, 10, bias=bias),
    ).eval()


def images(samples=8):
    """Small integers; channel 0 is 1 everywhere, channel 2 is 1 in one pixel of one image."""
    x = torch.randint(0, 3, (samples, 3, 8, 8)).float()
    x[:, 0], x[:, 2] = 1.0, 0.0
    x[0, 2, 4, 4] = 1.0
    return x


def exact(net, x):
    """Gives the network weights of few bits with which every λ is a power of two."""
    at, first = x, True
    with torch.no_grad():
        for i, m in enumerate(net):
            if isinstance(m, nn.BatchNorm2d):
                m.running_var.fill_(1 - m.eps)
                assert torch.equal(m.running_var + m.eps, torch.ones_like(m.running_var))
                m.running_mean.copy_(torch.randint(-4, 5, m.running_mean.shape) / 64)
                m.weight.copy_(2.0 ** torch.randint(-1, 2, m.weight.shape))
                m.bias.copy_(torch.randint(-4, 5, m.bias.shape) / 64)
                for values in [m.running_mean, m.bias]:
                    values[:2] = 0.0
                m.weight[:2] = 1.0
            if not isinstance(m, (nn.Conv2d, nn.Linear)):
                at = m(at)
                continue
            m.weight.copy_(torch.randint(-16, 17, m.weight.shape) / 16)
            m.bias is not None and m.bias.copy_(torch.randint(-4, 5, m.bias.shape) / 16)
            if i + 1 < len(net):
                for special, source, size in [(0, 0, 16.0), (1, 2 if first else 1, 64.0)]:
                    if isinstance(m, nn.Linear) and special:
                        continue
                    m.weight[special] = 0.0
                    m.bias is not None and m.bias[special].zero_()
                    place = (special, source, 1, 1) if isinstance(m, nn.Conv2d) else (special, 0)
                    m.weight[place] = 1.0
                    m.weight[special] *= size / m(at)[:, special].max()
                rest = slice(2, None) if isinstance(m, nn.Conv2d) else slice(1, None)
                while m(at)[:, rest].max() > 6.0:
                    m.weight[rest] /= 2
            at, first = m(at), False
    return net


def layers_of(net):
    """The outputs of the ReLU layers, in order."""
    found = []
    hooks = [m.register_forward_hook(lambda _m, _i, o: found.append(o.detach())) for m in net.modules() if isinstance(m, nn.ReLU)]
    return found, hooks


def by_sinabs(net, x, percentile):
    """Spikes of each layer [T, B, neurons] and output [T, B, 10]."""
    import copy

    import sinabs.layers as sl
    from sinabs.from_torch import from_model
    from sinabs.utils import normalize_weights

    net = copy.deepcopy(net)
    names = [n for n, _ in net.named_children()]
    relus = [n for n, m in net.named_children() if isinstance(m, nn.ReLU)]
    weighted = [n for n, m in net.named_children() if isinstance(m, (nn.Conv2d, nn.Linear))]
    activations, hooks = layers_of(net)
    net(x)
    [h.remove() for h in hooks]
    scale = [np.percentile(a.numpy(), percentile) for a in activations]
    normalize_weights(net, x, relus, weighted[: len(relus)], percentile=percentile)
    # The readout is not normalised: it reads rates, which are activations divided by λ.
    spiking = from_model(net, batch_size=x.shape[0], min_v_mem=-1.0).spiking_model
    spikes = []
    for name in names:
        m = getattr(spiking, name)
        if isinstance(m, sl.IAFSqueeze):
            m.register_forward_hook(lambda _m, _i, o: spikes.append(o))
    steps = x.unsqueeze(1).repeat(1, STEPS, 1, 1, 1).flatten(0, 1)
    out = spiking(steps)
    by_step = lambda y: y.unflatten(0, (x.shape[0], STEPS)).transpose(0, 1).flatten(2)
    return scale, [by_step(s) for s in spikes], by_step(out) * scale[-1]


def by_spikingjelly(net, x, percentile):
    import copy

    from spikingjelly.activation_based import functional, neuron
    from spikingjelly.activation_based.ann2snn import Converter, RateCodingRecipe

    mode = "Max" if percentile == 100 else f"{percentile}%"
    converter = Converter(RateCodingRecipe(dataloader=[(x, None)], mode=mode), device="cpu")
    spiking = converter.convert(copy.deepcopy(net))
    functional.reset_net(spiking)
    functional.set_step_mode(spiking, "s")
    nodes = [(n, m) for n, m in spiking.named_modules() if isinstance(m, neuron.IFNode)]
    nodes.sort(key=lambda n: n[0])
    scale = [1 / spiking.get_submodule(n.replace("if_node", "scaler0")).scale.item() for n, _ in nodes]
    spikes = {n: [] for n, _ in nodes}
    for n, m in nodes:
        m.register_forward_hook(lambda _m, _i, o, n=n: spikes[n].append(o.flatten(1)))
    out = torch.stack([spiking(x) for _ in range(STEPS)])
    return scale, [torch.stack(s) for s in spikes.values()], out


def ours(example, net, x, percentile, neuron):
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        (folder / "relu.toml").write_text(recipe(net, neuron))
        torch.save(net.state_dict(), folder / "relu.pt")
        safetensors.torch.save_file({"input": x.contiguous()}, folder / "input.safetensors")
        files = [folder / "relu.toml", folder / "relu.pt", folder / "input.safetensors"]
        subprocess.run([example, *files, str(percentile), str(STEPS), folder / "out.safetensors"], check=True)
        got = safetensors.torch.load_file(folder / "out.safetensors")
    return got["lambda"].tolist(), [got[f"spikes.{k}"] for k in range(len(got["lambda"]))], got["output"]


CASES = [
    ("sinabs", by_sinabs, False, False, "v_min = -1.0"),
    ("SpikingJelly", by_spikingjelly, False, True, 'spikes = "single", v_min = "none"'),
    ("SpikingJelly with norms", by_spikingjelly, True, True, 'spikes = "single", v_min = "none"'),
]


def main():
    example = sys.argv[1]
    for name, convert, norm, bias, neuron in CASES:
        for percentile in [100, 99.9]:
            torch.manual_seed(5)
            x = images()
            for weights in ["exact", "random"]:
                net = sequential(norm, bias)
                if weights == "exact":
                    exact(net, x)
                with torch.no_grad():
                    scale, spikes, out = convert(net, x, percentile)
                    want = net(x)
                found, got, logits = ours(example, net, x, percentile, neuron)
                assert np.allclose(found, scale, rtol=1e-5), f"{name}: λ {found} for {scale}"
                if weights == "random":
                    continue
                powers = all(float(np.log2(v)).is_integer() for v in found)
                assert powers and found[0] == (64 if percentile == 100 else 16), found
                total = 0
                for k, (a, b) in enumerate(zip(got, spikes, strict=True)):
                    assert torch.equal(a, b), f"{name}, layer {k}: {(a != b).sum()} of {a.numel()} differ"
                    total += int(a.sum())
                assert torch.equal(logits, out.flatten(2)), f"{name}: {(logits - out).abs().max()} apart"
                apart = (logits.mean(0) - want).abs().max() / want.abs().max()
                assert total > 1000 and apart < 0.5, (total, apart)
            print(f"{name}, {percentile} %: λ {found}, {total} spikes of {len(got)} layers all equal")


if __name__ == "__main__":
    main()
