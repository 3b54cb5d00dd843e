#!/usr/bin/env python3
"""Exchanges checkpoints with torch, torchvision, SpikingJelly, snnTorch and sinabs, both ways.

    python3 .ci/python/checkpoints.py EXAMPLE

EXAMPLE is the built example `checkpoint_forward` of tickless-train. The script runs in the
environment of `.ci/extra golden`, which has the packages (TICKLESS_GOLDEN_VENV).

Each case is a network of one framework with random weights, saved as its users save it: alone, in
parallel, compiled, in half precision, as views of one storage, by Lightning, beside other tensors. This library
reads the file, finds the layers without a map, and gives the same outputs: logits within 1e-5, or
all spikes. It then writes the weights with the names of that framework, and the network loads them
with `strict=True` (sinabs and snnTorch: without the states of neurons) and has the same bits.

Cases with learned decays (`ParametricLIFNode`, `Leaky(learn_beta=True)`, sinabs' `LIF`) have a layer
each with its own decay, and input that decays too where the framework has that. Such an input is a
factor of the weights that come back, so the framework's neurons then run without it.

Weights are multiples of 1/64 and inputs are small integers, so that no rounding decides on a spike.
"""

import pathlib
import subprocess
import sys
import tempfile

import safetensors.torch
import torch
from torch import nn

CHAIN = """
[[network.layers]]
layer = "conv"
out = 4
bias = {bias}
{norm}
{neuron}
[[network.layers]]
layer = "pool"
kernel = 2
[[network.layers]]
layer = "conv"
out = 6
kernel = [3, 5]
padding = [1, 2]
stride = 2
bias = {bias}
{norm}
{neuron}
[[network.layers]]
layer = "linear"
out = 10
bias = {bias}
{last}
"""


def chain(bias, norm="", neuron="", last=""):
    return CHAIN.format(bias=str(bias).lower(), norm=norm and '[[network.layers]]\nlayer = "norm"', neuron=neuron, last=last)


def neuron(**fields):
    words = {True: "true", False: "false"}
    text = [f"{k} = {words[v] if isinstance(v, bool) else repr(v)}" for k, v in fields.items()]
    return '[[network.layers]]\nlayer = "neuron"\nneuron = { ' + ", ".join(text).replace("'", '"') + " }"


def coarse(net):
    """Sets weights to multiples of 1/64, and the statistics of norms to those that keep the scale."""
    with torch.no_grad():
        for name, p in net.named_parameters():
            if p.dim() >= 1 and p.dtype.is_floating_point:
                p.copy_((p * 3 * 64).round() / 64 if p.dim() > 1 else (p * 64).round() / 64)
    return net.eval()


def sequential(act, bias=True, norm=False):
    def cell(i, o, k, s, p):
        return [nn.Conv2d(i, o, k, s, p, bias=bias), *([nn.BatchNorm2d(o)] if norm else []), *act(o)]

    return [*cell(2, 4, 3, 1, 1), nn.AvgPool2d(2), *cell(4, 6, (3, 5), 2, (1, 2)), nn.Flatten(), nn.Linear(6 * 2 * 2, 10, bias=bias)]


def stepwise(net, x):
    """Runs the steps one after another: [T, B, …] -> [T, B, values]."""
    out = [net(frame) for frame in x]
    return torch.stack([o[0] if isinstance(o, tuple) else o for o in out])


def flat(net, x):
    """A network without state runs all steps as one batch."""
    return net(x.flatten(0, 1)).unflatten(0, x.shape[:2])


def squeezed(net, x):
    """sinabs' squeezed layers want the steps of a sample one after another."""
    y = net(x.transpose(0, 1).flatten(0, 1))
    return y.unflatten(0, (x.shape[1], x.shape[0])).transpose(0, 1)


def multistep(net, x):
    from spikingjelly.activation_based import functional

    functional.set_step_mode(net, "m")
    return net(x)


def cases():
    """Name, network, how it runs, recipe, dialect, how it is saved, exactness; with learned decays also
    whose neurons they are, and whether their input decays too."""
    import sinabs.layers as sl
    import snntorch
    from spikingjelly.activation_based import layer, neuron as sj
    from spikingjelly.activation_based.model import spiking_resnet

    for how in ["plain", "parallel", "safetensors", "half", "bfloat16", "views", "lightning", "imagenet", "compiled"]:
        net = nn.Sequential(*sequential(lambda _: [], norm=True))
        yield f"torch-{how}", net, flat, chain(True, norm=True), "sequential", how, 1e-5

    leaky = lambda _: [snntorch.Leaky(beta=0.5, threshold=1.0, reset_mechanism="zero", reset_delay=False, init_hidden=True)]
    last = snntorch.Leaky(beta=0.5, reset_mechanism="zero", reset_delay=False, init_hidden=True, output=True)
    cell = neuron(model="lif")
    net = nn.Sequential(*sequential(leaky), last)
    yield "snntorch", net, stepwise, chain(True, neuron=cell, last=cell), "snntorch", "entry", 0

    same = dict(beta=0.5, reset_mechanism="zero", reset_delay=False, init_hidden=True)
    rleaky = snntorch.RLeaky(linear_features=8, **same)
    net = nn.Sequential(nn.Flatten(), nn.Linear(2 * 8 * 8, 8), rleaky, nn.Linear(8, 10), snntorch.Leaky(output=True, **same))
    linear = lambda out: f'[[network.layers]]\nlayer = "linear"\nout = {out}\nbias = true\n'
    recipe = linear(8) + neuron(model="lif") + '\nrecurrent = "dense"\n' + linear(10) + neuron(model="lif")
    yield "snntorch-recurrent", net, stepwise, recipe, "snntorch", "plain", 0

    iaf = lambda _: [sl.IAFSqueeze(batch_size=3, spike_threshold=1.0, min_v_mem=-1.0)]
    cell = neuron(model="if")
    net = nn.Sequential(*sequential(iaf, bias=False), *iaf(10))
    yield "sinabs", net, squeezed, chain(False, neuron=cell, last=cell), "sinabs", "plain", 0

    cell = lambda **k: sl.IAF(min_v_mem=-1.0, **k)
    back = sl.IAFRecurrent(rec_connect=nn.Linear(8, 8, bias=False), min_v_mem=-1.0)
    net = nn.Sequential(nn.Flatten(2), nn.Linear(2 * 8 * 8, 8, bias=False), back, nn.Linear(8, 10, bias=False), cell())
    linear = lambda out: f'[[network.layers]]\nlayer = "linear"\nout = {out}\n'
    multi = neuron(model="if")
    recipe = linear(8) + multi + '\nrecurrent = "dense"\n' + linear(10) + multi
    yield "sinabs-recurrent", net, lambda net, x: net(x.transpose(0, 1)).transpose(0, 1), recipe, "sinabs", "plain", 0

    lif = lambda _: [sj.LIFNode(tau=2.0, decay_input=False, v_threshold=1.0, v_reset=0.0)]
    cell = neuron(model="lif", fire_at_threshold=True)
    modules = [getattr(layer, type(m).__name__)(*a) if (a := args(m)) is not None else m for m in sequential(lif, norm=True)]
    net = nn.Sequential(*modules)
    yield "spikingjelly", net, multistep, chain(True, norm=True, neuron=cell), "sequential", "plain", 1e-5

    # Learned decays: no λ is a power of two, so a rounding could only decide at a distance of 1e-7.
    taus = iter([1.7, 3.1] * 2)
    for decays in [False, True]:
        plif = lambda _: [sj.ParametricLIFNode(init_tau=next(taus), decay_input=decays, v_threshold=0.5, v_reset=0.0)]
        cell = neuron(model="parametric-lif", fire_at_threshold=True, threshold=0.5)
        modules = [getattr(layer, type(m).__name__)(*a) if (a := args(m)) is not None else m for m in sequential(plif, norm=True)]
        net = nn.Sequential(*modules)
        recipe = chain(True, norm=True, neuron=cell)
        yield f"spikingjelly-plif-{decays}", net, multistep, recipe, "sequential", "plain", 1e-5, "spikingjelly", decays

    betas = iter([0.83, 0.41, 0.67])
    leaky = lambda _=0, **k: [
        snntorch.Leaky(beta=next(betas), threshold=0.5, learn_beta=True, reset_mechanism="zero", reset_delay=False, init_hidden=True, **k)
    ]
    cell = neuron(model="parametric-lif", threshold=0.5)
    net = nn.Sequential(*sequential(leaky), *leaky(output=True))
    yield "snntorch-learned", net, stepwise, chain(True, neuron=cell, last=cell), "snntorch", "plain", 0, "-", "-"

    for norms, theta in [(False, 0.5), (True, 0.0625)]:
        for how in ["plain", "safetensors"]:
            taus = iter([7.3, 2.9, 4.1])
            lif = lambda _: [sl.LIFSqueeze(tau_mem=next(taus), batch_size=3, spike_threshold=theta, norm_input=norms)]
            cell = neuron(model="parametric-lif", spikes="multi", reset="soft", fire_at_threshold=True, threshold=theta)
            net = nn.Sequential(*sequential(lif, bias=False), *lif(10))
            recipe = chain(False, neuron=cell, last=cell)
            yield f"sinabs-lif-{norms}-{how}", net, squeezed, recipe, "sinabs", how, 0, "-", norms

    net = spiking_resnet.spiking_resnet18(pretrained=False, spiking_neuron=sj.IFNode, num_classes=10)
    net.conv1 = layer.Conv2d(2, 64, 7, 2, 3, bias=False)
    recipe = '[network.neuron]\nmodel = "if-single"\nfire_at_threshold = true\n'
    yield "spikingjelly-resnet18", net, multistep, recipe, "spikingjelly", "plain", 1e-5


def without_decaying_input(net):
    """The network with fresh states, whose neurons take their input as it is."""
    for m in net.modules():
        for field in ["decay_input", "norm_input"]:
            if hasattr(m, field):
                setattr(m, field, False)
        for fresh in ["reset_states", "reset"]:
            if hasattr(m, fresh):
                getattr(m, fresh)()
                break
    return net


def args(m):
    """The arguments of SpikingJelly's layer for one of torch."""
    if isinstance(m, nn.Conv2d):
        return m.in_channels, m.out_channels, m.kernel_size, m.stride, m.padding, m.dilation, m.groups, m.bias is not None
    if isinstance(m, nn.BatchNorm2d):
        return (m.num_features,)
    if isinstance(m, nn.AvgPool2d):
        return (m.kernel_size,)
    if isinstance(m, nn.Flatten):
        return ()
    if isinstance(m, nn.Linear):
        return m.in_features, m.out_features, m.bias is not None
    return None


ROUNDED = {"half": torch.half, "bfloat16": torch.bfloat16}


def save(net, how, folder):
    state = {k: v.clone() for k, v in net.state_dict().items()}
    file = folder / "net.pt"
    if how == "safetensors":
        file = folder / "net.safetensors"
        safetensors.torch.save_file(state, file)
    elif how == "parallel":
        torch.save(nn.DataParallel(net).state_dict(), file)
    elif how in ROUNDED:
        torch.save({k: v.to(ROUNDED[how]) if v.is_floating_point() else v for k, v in state.items()}, file)
    elif how == "views":
        # All tensors are views of one storage, and the kernels are not contiguous.
        whole, at, views = torch.cat([v.flatten().float() for v in state.values()]), 0, {}
        for k, v in state.items():
            views[k] = whole[at : at + v.numel()].view(v.shape)
            at += v.numel()
        turned = {k: v.to(memory_format=torch.channels_last) if v.dim() == 4 else v for k, v in views.items()}
        torch.save(turned, file)
    elif how == "lightning":
        best = {"ModelCheckpoint{'monitor': 'val'}": {"best_model_score": torch.tensor(0.5), "best_k_models": {"a": torch.tensor(0.5)}}}
        moments = [{"state": {0: {"step": torch.tensor(3.0), "exp_avg": torch.ones(3)}}, "param_groups": [{"lr": 0.1}]}]
        torch.save({"state_dict": {f"model.{k}": v for k, v in state.items()}, "callbacks": best, "optimizer_states": moments}, file)
    elif how == "imagenet":
        # PyTorch's example for ImageNet: the best accuracy is a tensor beside the state dict.
        torch.save({"epoch": 7, "arch": "net", "best_acc1": torch.tensor(70.5), "state_dict": state}, file)
    elif how == "compiled":
        torch.save(torch.compile(net).state_dict(), file)
    elif how == "entry":
        torch.save({"epoch": 7, "lr": [0.1, 0.05], "net": state, "optimizer": {"state": {0: {"exp_avg": torch.ones(3)}}}}, file)
    else:
        torch.save(net.state_dict(), file)
    return file


def main():
    example = sys.argv[1]
    torch.manual_seed(3)
    for name, net, run, layers, dialect, how, tolerance, *learned in cases():
        neurons, decays = learned or ("-", "-")
        coarse(net)
        side = 32 if "resnet" in name else 8
        x = torch.randint(0, 3, (4, 3, 2, side, side)).float()
        with tempfile.TemporaryDirectory() as folder, torch.no_grad():
            folder = pathlib.Path(folder)
            before = {k: v.clone() for k, v in net.state_dict().items()}
            file = save(net, how, folder)
            want = run(net, x)
            assert want.abs().sum() > 0, f"{name}: no output"
            safetensors.torch.save_file({"input": x}, folder / "input.safetensors")
            zoo = "resnet18-imagenet" if "resnet" in name else "case"
            recipe = f'[data]\nset = "nmnist"\n[network]\nname = "{zoo}"\n{layers}\n[train]\nstrategy = "sdt"\nt_max = 4\n'
            (folder / "case.toml").write_text(recipe)
            back = folder / ("back.safetensors" if how == "safetensors" else "back.pt")
            files = [folder / "case.toml", file, folder / "input.safetensors", folder / "output.safetensors"]
            subprocess.run([example, *files, dialect, back, neurons, str(decays).lower()], check=True)
            got = safetensors.torch.load_file(folder / "output.safetensors")["output"]
            worst = (got - want.flatten(2)).abs().max().item()
            assert got.shape == want.flatten(2).shape and worst <= tolerance, f"{name}: {worst} apart"
            theirs = safetensors.torch.load_file(back) if how == "safetensors" else torch.load(back, weights_only=True)
            # The states and constants of neurons stay as they are; every weight is replaced.
            rounded = lambda v: v.to(ROUNDED[how]).float() if how in ROUNDED and v.is_floating_point() else v
            ours = {k: rounded(v) for k, v in before.items()}
            for value in net.state_dict().values():
                value.zero_() if value.dim() else None
            missing, unexpected = net.load_state_dict(theirs, strict=dialect not in ("snntorch", "sinabs"))
            wanted = ("weight", "bias", ".w", "beta" if learned else "weight", "tau_mem" if learned else "weight")
            assert not unexpected and not any(k.endswith(wanted) for k in missing), (name, missing, unexpected)
            for key, value in theirs.items():
                if learned and key.endswith((".w", "beta", "tau_mem")):
                    assert torch.allclose(value, ours[key], rtol=1e-5), f"{name}: {key} {value} for {ours[key]}"
                    continue
                if decays is True and key.endswith(("weight", "bias")):
                    continue
                # The bias of recurrent connections comes back as a part of that of the layer before.
                if "recurrent" in name and key in ("1.bias", "2.recurrent.bias"):
                    continue
                assert torch.equal(net.state_dict()[key], ours[key]) and torch.equal(value, ours[key]), f"{name}: {key}"
            if "recurrent" in name:
                [m.reset_mem() for m in net.modules() if hasattr(m, "reset_mem")]
                [m.reset_states() for m in net.modules() if hasattr(m, "reset_states")]
                assert torch.equal(again := run(net, x), want), f"{name}: {(again - want).abs().max()} apart after export"
            if decays is True:
                again = run(without_decaying_input(net), x)
                assert (again - want).abs().max() <= tolerance, f"{name}: {(again - want).abs().max()} apart after export"
        print(f"{name}: {len(theirs)} tensors, worst difference {worst:.1e}, and back with the same bits")


if __name__ == "__main__":
    main()
