#!/usr/bin/env python3
"""Computes the golden vectors again and compares them with the stored ones.

    python3 golden/make.py [--golden DIR] [--out DIR] [--data DIR] [FILE ...]

The script reads the inputs, weights and parameters of every case from the stored files and
`index.json` and computes every output again. If a package defines the output (sinabs, SpikingJelly,
snnTorch, tonic, PyTorch), this package computes it; otherwise the script evaluates the equations of
the method with plain tensors and numbers. It uses no code of Tickless. `--out` writes the results.
The exit code is 1 if a value differs from the stored one by more than its tolerance, or if a stored
tensor is neither an input nor computed.

Needs torch, sinabs, spikingjelly, snntorch, tonic, nir, safetensors (versions in index.json).
"""

import argparse
import json
import math
import os
import re
import sys
import zipfile

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.numpy import load_file, save_file

torch.set_num_threads(1)


# ---------------------------------------------------------------- temporal transformation module


def boundaries(fewer, more):
    """Returns b(i) = round((i+1)·more/fewer − 1e-5), the end of group i on the longer side."""
    return [round((i + 1) * more / fewer - 1e-5) for i in range(fewer)]


def groups(fewer, more):
    ends = boundaries(fewer, more)
    return [list(range(a, b)) for a, b in zip([0] + ends[:-1], ends)]


def ttm_matrix(mode, a, b):
    """Returns W [a, b], where out[j] = Σ_i W[i][j]·in[i]."""
    w = torch.zeros(a, b, dtype=torch.float64)
    if mode == "soft":
        for i in range(a):
            for j in range(b):
                w[i, j] = max(0.0, min(i + 1, (j + 1) * a / b) - max(i, j * a / b))
    elif mode == "trim" and a > b:
        for j in range(b):
            w[j, j] = 1
    elif a >= b:
        for j, group in enumerate(groups(b, a)):
            w[group, j] = 1
    else:
        for i, group in enumerate(groups(a, b)):
            w[i, group] = 1
    return w.float()


def ttm(x, b, mode="hard"):
    """Resamples x [B, a, …] to b steps."""
    if x.shape[1] == b:
        return x
    return torch.einsum("nt...,tu->nu...", x, ttm_matrix(mode, x.shape[1], b))


def ttm_tables(stored, entry):
    hard, soft = {}, {}
    for key in stored["hard"]:
        a, b = map(int, key.split("->"))
        w = ttm_matrix("hard", a, b)
        rows = [torch.nonzero(w[:, j]).flatten().tolist() for j in range(b)]
        old = stored["hard"][key]
        hard[key] = [r if isinstance(o, list) else r[0] for r, o in zip(rows, old)]
    for key in stored["soft"]:
        a, b = map(int, key.split("->"))
        soft[key] = ttm_matrix("soft", a, b).tolist()
    return {"hard": hard, "soft": soft}


def ttm_forward(stored, entry):
    out = {}
    for case in entry["cases"]:
        k, b = case["case"], case["t_out"]
        for mode in ("hard", "trim", "soft"):
            x = stored[f"{k}.x"].clone().requires_grad_()
            y = ttm(x, b, mode)
            y.backward(stored[f"{k}.gy"])
            out[f"{k}.{mode}.y"], out[f"{k}.{mode}.gx"] = y, x.grad
    return out


# ---------------------------------------------------------------------------------- neurons


class Triangle(torch.autograd.Function):
    """s = 1 if u > θ; ds/du = max(0, 1 − |u − θ|)."""

    @staticmethod
    def forward(ctx, u, theta):
        ctx.save_for_backward(u)
        ctx.theta = theta
        return (u > theta).float()

    @staticmethod
    def backward(ctx, g):
        (u,) = ctx.saved_tensors
        return g * (1 - (u - ctx.theta).abs()).clamp(min=0), None


def mtt_neuron(x, theta=1.0, decay=0.5, soft=False, detach=False, margins=None):
    """Runs x [B, T, …]; the gradient flows through the reset unless `detach` is set."""
    u, out = torch.zeros_like(x[:, 0]), []
    for t in range(x.shape[1]):
        u = u * decay + x[:, t]
        if margins is not None:
            margins.append((u - theta).abs().min().item())
        s = Triangle.apply(u, theta)
        r = s.detach() if detach else s
        u = u - r * theta if soft else (1 - r) * u
        out.append(s)
    return torch.stack(out, 1)


def both_ways(stored, name, f):
    """Returns the output and input gradient of f for `<name>.x` and `<name>.gy`."""
    x = stored[f"{name}.x"].clone().requires_grad_()
    y, more = f(x)
    y.backward(stored[f"{name}.gy"])
    return {f"{name}.y": y, f"{name}.gx": x.grad, **{f"{name}.{k}": v for k, v in more.items()}}


def neurons_mtt(stored, entry):
    out = {}
    for c in entry["cases"]:
        soft, detach = c.get("reset") == "subtract", c.get("detach_reset", False)
        f = lambda x: (mtt_neuron(x, c["vth"], c["decay"], soft, detach), {})
        out |= both_ways(stored, c["case"], f)
    return out


def neurons_sinabs(stored, entry):
    import sinabs.activation as act
    from sinabs.layers import IAF

    fires = {"multi": act.MultiSpike, "single": act.SingleSpike, "max2": act.MaxSpike(2)}
    resets = {"subtract": act.MembraneSubtract(), "reset": act.MembraneReset()}
    surrogates = {
        "single_exp_default": act.SingleExponential(grad_width=0.5, grad_scale=1.0),
        "periodic_exp": act.PeriodicExponential(0.5, 1.0),
    }
    out = {}
    for c in entry["cases"]:

        def f(x):
            layer = IAF(
                spike_threshold=c["spike_threshold"],
                spike_fn=fires[c["spike_fn"]],
                reset_fn=resets[c["reset_fn"]],
                surrogate_grad_fn=surrogates[c["surrogate"]],
                min_v_mem=c["min_v_mem"],
                record_states=True,
            )
            y = layer(x)
            return y, {"v_after": layer.recordings["v_mem"]}

        out |= both_ways(stored, c["case"], f)
    return out


def neurons_spikingjelly(stored, entry):
    from spikingjelly.activation_based import neuron, surrogate

    out = {}
    for c in entry["cases"]:

        def f(x):
            kind, parameter = re.match(r"(\w+)\(alpha=([\d.]+)\)", c["surrogate"]).groups()
            options = dict(
                v_threshold=1.0,
                v_reset=c["v_reset"],
                detach_reset=c["detach_reset"],
                surrogate_function=getattr(surrogate, kind)(alpha=float(parameter)),
                step_mode="m",
                store_v_seq=True,
            )
            if c["node"] == "LIF":
                layer = neuron.LIFNode(tau=c["tau"], decay_input=c["decay_input"], **options)
            else:
                layer = neuron.IFNode(**options)
            y = layer(x)
            return y, {"v_after": layer.v_seq}

        out |= both_ways(stored, c["case"], f)
    return out


def neurons_snntorch(stored, entry):
    import snntorch
    from snntorch import surrogate

    out = {}
    for c in entry["cases"]:

        def f(x):
            kind, parameter = re.match(r"(\w+)\(\w+=([\d.]+)\)", c["surrogate"]).groups()
            spike_grad = getattr(surrogate, kind)(float(parameter))
            layer = snntorch.Leaky(
                beta=c["beta"],
                threshold=c["threshold"],
                reset_mechanism=c["reset_mechanism"],
                spike_grad=spike_grad,
                reset_delay=c["reset_delay"],
            )
            mem, spikes, mems = layer.init_leaky(), [], []
            for step in x:
                s, mem = layer(step, mem)
                spikes.append(s)
                mems.append(mem)
            return torch.stack(spikes), {"mem": torch.stack(mems)}

        out |= both_ways(stored, c["case"], f)
    return out


# --------------------------------------------------------------------------- small networks


class Net:
    """Holds named parameters and running statistics; runs convolution and norm over batch × time."""

    def __init__(self, tensors, momentum=0.1, training=True):
        statistic = lambda n: n.endswith(("running_mean", "running_var"))
        self.w = {n: t.clone().requires_grad_(not statistic(n)) for n, t in tensors.items()}
        self.momentum, self.training, self.margins = momentum, training, []

    def conv_norm(self, name, x, stride=1, padding=1):
        b, t = x.shape[:2]
        y = F.conv2d(
            x.flatten(0, 1), self.w[f"{name}.module.0.weight"], stride=stride, padding=padding
        )
        n = f"{name}.module.1"
        y = F.batch_norm(
            y,
            self.w[f"{n}.running_mean"],
            self.w[f"{n}.running_var"],
            self.w[f"{n}.weight"],
            self.w[f"{n}.bias"],
            self.training,
            self.momentum,
            1e-5,
        )
        return y.unflatten(0, (b, t))

    def fire(self, x):
        return mtt_neuron(x, margins=self.margins)

    def linear(self, name, x):
        return F.linear(x, self.w[f"{name}.module.weight"], self.w[f"{name}.module.bias"])

    def parameters(self):
        return {n: t for n, t in self.w.items() if t.requires_grad}

    def statistics(self):
        return {n: t for n, t in self.w.items() if not t.requires_grad}

    def take_gradients(self):
        all = {n: t.grad.clone() for n, t in self.parameters().items()}
        for t in self.parameters().values():
            t.grad = None
        return all


def tfsnn(net, image, blocks, steps):
    """Runs stage i at steps[i]; a block with a TTM at its entry begins the next stage."""
    steps = list(steps)
    x = image.unsqueeze(1).repeat(1, steps[0], *[1] * (image.dim() - 1))
    x = net.fire(net.conv_norm("conv", x))
    stage = 0
    for i, (_, _, down, has_ttm) in enumerate(blocks):
        if has_ttm:
            stage += 1
            x = ttm(x, steps[stage])
        name, stride = f"feature_ext.{i}", 2 if down else 1
        short = x
        if f"{name}.shortcut.module.0.weight" in net.w:
            kernel = net.w[f"{name}.shortcut.module.0.weight"].shape[-1]
            short = net.conv_norm(f"{name}.shortcut", x, stride, kernel // 2)
        y = net.fire(net.conv_norm(f"{name}.conv1", x, stride))
        y = net.conv_norm(f"{name}.conv2", y)
        x = net.fire(y + short)
    net.last_spikes = x
    return net.linear("fc", x.mean((-1, -2)))


def part(stored, prefix):
    return {n[len(prefix) + 1 :]: t for n, t in stored.items() if n.startswith(prefix + ".")}


def tiny_tfsnn(stored, entry):
    out, blocks, label = {}, entry["blocks"], stored["label"].long()
    margins = []
    named = lambda prefix, tensors: {f"{prefix}.{n}": t for n, t in tensors.items()}
    for c in entry["cases"]:
        net, k = Net(part(stored, "w0")), c["case"]
        logits = tfsnn(net, stored["image"], blocks, c["time_res"])
        loss = F.cross_entropy(logits.mean(1), label)
        loss.backward()
        margins += net.margins
        out |= {f"{k}.logits": logits, f"{k}.loss": loss, f"{k}.last_spikes": net.last_spikes}
        out |= named(f"{k}.grad", net.take_gradients()) | named(f"{k}.bn_after", net.statistics())

    net = Net(part(stored, "w0"))
    optimiser = torch.optim.SGD(net.parameters().values(), lr=0.1, momentum=0.9, weight_decay=5e-4)
    for it, configurations in enumerate(entry["mtt_configs"]):
        losses = []
        for steps in configurations:
            loss = F.cross_entropy(tfsnn(net, stored["image"], blocks, steps).mean(1), label)
            loss.backward()
            losses.append(loss.detach())
        out |= named(f"mtt.{it}.grad", {n: t.grad.clone() for n, t in net.parameters().items()})
        optimiser.step()
        optimiser.zero_grad()
        out[f"mtt.{it}.losses"] = torch.stack(losses)
        out |= named(f"mtt.{it}.after", {n: t.detach().clone() for n, t in net.w.items()})

    stages = 1 + sum(block[3] for block in blocks)
    trained = {n: t.detach() for n, t in net.w.items()}
    for t in sorted(
        {int(m[1]) for m in map(re.compile(r"calib\.T(\d+)\.logits").match, stored) if m}
    ):
        sums, images = {}, [n for n in stored if re.fullmatch(r"calib\.image\d+", n)]
        for image in images:
            one = Net(trained, momentum=1.0)
            with torch.no_grad():
                tfsnn(one, stored[image], blocks, [t] * stages)
            for n, s in one.statistics().items():
                sums[n] = sums.get(n, 0) + s / len(images)
        net = Net(trained | sums, training=False)
        with torch.no_grad():
            out[f"calib.T{t}.logits"] = tfsnn(net, stored["calib.test_image"], blocks, [t] * stages)
        out |= named(f"calib.T{t}.bn", sums)
    check_margin(entry, margins)
    return out


def tiny_dvs_convnet(stored, entry):
    out, margins = {}, []
    for k, steps in enumerate(entry["configs"]):
        net = Net(part(stored, "w0"))
        leaf = x = stored["x"].clone().requires_grad_()
        for i, t in enumerate(steps):
            x = net.fire(net.conv_norm(f"feature_ext.{i}.conv", ttm(x, t)))
            x = F.avg_pool2d(x.flatten(0, 1), 2).unflatten(0, x.shape[:2])
        logits = net.linear("fc", x.flatten(2))
        loss = F.cross_entropy(logits.mean(1), stored["label"].long())
        loss.backward()
        margins += net.margins
        out |= {f"{k}.logits": logits, f"{k}.loss": loss, f"{k}.gx": leaf.grad}
        out |= {f"{k}.grad.{n}": g for n, g in net.take_gradients().items()}
    check_margin(entry, margins)
    return out


class Spikformer(Net):
    """Patches, a position and blocks of spiking self-attention, in plain tensors."""

    def cell(self, name, x):
        """Convolution that keeps the size, norm and neurons."""
        w = self.w[f"{name}.conv.weight"]
        bias = self.w.get(f"{name}.conv.bias")
        y = F.conv2d(x.flatten(0, 1), w, bias, padding=w.shape[-1] // 2)
        n = {k: self.w[f"{name}.norm.{k}"] for k in ("running_mean", "running_var", "weight", "bias")}
        y = F.batch_norm(y, *n.values(), self.training, self.momentum, 1e-5)
        return self.fire(y.unflatten(0, x.shape[:2]))

    def attend(self, q, k, v, heads, scale):
        """Token by token: y_i = scale · Σ_j (q_i · k_j) v_j within each head."""
        b, t, c, h, w = q.shape
        q, k, v = (x.reshape(b, t, heads, c // heads, h * w) for x in (q, k, v))
        scores = torch.einsum("btadi,btadj->btaij", q, k)
        return scale * torch.einsum("btaij,btaej->btaei", scores, v).reshape(b, t, c, h, w)

    def block(self, name, x, heads, scale, threshold):
        q, k, v = (self.cell(f"{name}.{part}", x) for part in "qkv")
        # The input of these neurons is a multiple of 1/8, so no rounding decides a spike.
        y = mtt_neuron(self.attend(q, k, v, heads, scale), threshold)
        self.attended.append(y)
        x = x + self.cell(f"{name}.projection", y)
        return x + self.cell(f"{name}.mlp2", self.cell(f"{name}.mlp1", x))

    def run(self, image, entry, steps):
        self.attended = []
        x = image.unsqueeze(1).repeat(1, steps[0], 1, 1, 1)
        x = self.cell("patch2", self.cell("patch1", x))
        x = F.max_pool2d(x.flatten(0, 1), 2).unflatten(0, x.shape[:2])
        x = x + self.cell("position", x)
        for i, t in enumerate(steps):
            x = self.block(f"block{i + 1}", ttm(x, t), entry["heads"], entry["scale"], entry["vth_attention"])
        self.last = x
        return F.linear(x.mean((-1, -2)), self.w["classifier.weight"], self.w["classifier.bias"])


def tiny_spikformer(stored, entry):
    out, margins, label = {}, [], stored["label"].long()
    named = lambda prefix, tensors: {f"{prefix}.{n}": t for n, t in tensors.items()}
    for c in entry["cases"]:
        net, k = Spikformer(part(stored, "w0"), training=c["norm"] == "batch"), c["case"]
        logits = net.run(stored["image"], entry, c["time_res"])
        loss = F.cross_entropy(logits.mean(1), label)
        loss.backward()
        margins += net.margins
        out |= {f"{k}.logits": logits, f"{k}.loss": loss, f"{k}.last": net.last}
        out |= named(f"{k}.grad", net.take_gradients()) | named(f"{k}.bn_after", net.statistics())
    for t in entry["calibrated"]:
        net, steps = Spikformer(part(stored, "w0"), momentum=1.0), [t] * entry["stages"]
        with torch.no_grad():
            net.run(stored["image"], entry, steps)
            margins += net.margins
            statistics = net.statistics()
            net = Spikformer(part(stored, "w0") | statistics, training=False)
            out[f"calib.T{t}.logits"] = net.run(stored["calib.test_image"], entry, steps)
        margins += net.margins
        out |= named(f"calib.T{t}.bn", statistics)
    check_margin(entry, margins)
    return out


def check_margin(entry, margins):
    """Checks that no membrane is so close to its threshold that rounding could change a spike."""
    least = min(margins)
    if least < 0.5 * entry["min_threshold_margin"]:
        raise SystemExit(
            f"a decision is {least} from the threshold, the index says {entry['min_threshold_margin']}"
        )


def bn_fold(stored, entry):
    from sinabs.layers import IAFSqueeze
    from torch.nn.utils import fuse_conv_bn_weights

    x, orig = stored["x"], part(stored, "orig")
    orig.pop("out", None)

    def run(w, norm=True):
        y = x.flatten(0, 1)
        for conv, bn in ((0, 1), (4, 5)):
            weight = w[f"{conv}.weight"]
            y = F.conv2d(y, weight, w.get(f"{conv}.bias"), padding=weight.shape[-1] // 2)
            if norm and f"{bn}.weight" in w:
                y = F.batch_norm(
                    y, *[w[f"{bn}.{n}"] for n in ("running_mean", "running_var", "weight", "bias")]
                )
            y = IAFSqueeze(batch_size=x.shape[0], min_v_mem=-1.0)(y)
            y = F.avg_pool2d(y, 2)
        return F.linear(y.flatten(1), w["9.weight"], w.get("9.bias")).unflatten(0, x.shape[:2])

    fused, removed, merged = {}, dict(orig), {}
    for conv, bn in ((0, 1), (4, 5)):
        n = {k: orig[f"{bn}.{k}"] for k in ("running_mean", "running_var", "weight", "bias")}
        weight, bias = fuse_conv_bn_weights(
            orig[f"{conv}.weight"],
            None,
            n["running_mean"],
            n["running_var"],
            1e-5,
            n["weight"],
            n["bias"],
        )
        fused |= {f"{conv}.weight": weight.detach(), f"{conv}.bias": bias.detach()}
        removed |= {
            f"{bn}.running_mean": torch.zeros_like(n["bias"]),
            f"{bn}.bias": torch.zeros_like(n["bias"]),
        }
    merged = dict(removed)
    for conv, bn in ((0, 1), (4, 5)):
        scale = removed[f"{bn}.weight"] / (removed[f"{bn}.running_var"] + 1e-5).sqrt()
        merged[f"{conv}.weight"] = removed[f"{conv}.weight"] * scale[:, None, None, None]
        merged |= {
            f"{bn}.weight": torch.ones_like(scale),
            f"{bn}.running_var": torch.ones_like(scale),
        }
    with torch.no_grad():
        out = {
            "orig.out": run(orig),
            "bias_removed.out": run(removed),
            "merged.out_bn_kept": run(merged),
            "merged.out_bn_dropped": run(merged, norm=False),
        }
    for name, tensors in (("fused", fused), ("bias_removed", removed), ("merged", merged)):
        out |= {f"{name}.{n}": t for n, t in tensors.items()}
    return out


# ---------------------------------------------------------------------- losses, early exit


def losses(stored, entry):
    out = {}
    for c in entry["cases"]:
        k = c["case"]
        label = stored[f"{k}.label"].long()
        for name in c["losses"]:
            z = stored[f"{k}.logits"].clone().requires_grad_()
            if m := re.match(r"tet_lam([\d.]+)_phi([\d.]+)", name):
                lam, phi = map(float, m.groups())
                ce = sum(F.cross_entropy(z[:, t], label) for t in range(z.shape[1])) / z.shape[1]
                loss = (1 - lam) * ce + lam * F.mse_loss(z, torch.full_like(z, phi))
            else:
                smoothing = 0.1 if name.endswith("ls0.1") else 0.0
                loss = F.cross_entropy(z.mean(1), label, label_smoothing=smoothing)
            loss.backward()
            out |= {f"{k}.{name}.loss": loss, f"{k}.{name}.grad": z.grad}
    return out


def early_exit(stored, entry):
    out = {}
    for c in entry["cases"]:
        k = c["case"]
        z = stored[f"{k}.logits"].double()
        mean = z.cumsum(0) / torch.arange(1, len(z) + 1)[:, None, None]
        confidence = mean.softmax(-1).amax(-1)
        out[f"{k}.confidence"] = confidence.float()
        for name in stored:
            if m := re.fullmatch(rf"{k}\.exit_step\.thr([\d.]+)", name):
                over = confidence > float(m[1])
                over[-1] = True
                step = over.int().argmax(0)
                out[name] = step + 1
                out[f"{k}.pred.thr{m[1]}"] = mean[step, torch.arange(len(step))].argmax(-1)
    return out


# ---------------------------------------------------------------------------------- events


def events_frames(stored, entry):
    import tonic

    e = {n: stored[f"events.{n}"].numpy() for n in "xytp"}
    dtype = np.dtype([("x", int), ("y", int), ("t", int), ("p", int)])
    events = np.zeros(len(e["t"]), dtype)
    for n in "xytp":
        events[n] = e[n]
    out = {}
    for name in stored:
        if name.startswith("frames."):
            options = dict(o.split("=") for o in name[len("frames.") :].split(","))
            options = {
                n: v == "True" if v in ("True", "False") else float(v) if "." in v else int(v)
                for n, v in options.items()
            }
            frames = tonic.transforms.ToFrame(sensor_size=(34, 34, 2), **options)(events)
            out[name] = torch.from_numpy(np.ascontiguousarray(frames))
    decoded = tonic.io.read_mnist_file(os.path.join(GOLDEN, "nmnist_sample.bin"), dtype=dtype)
    return out | {f"nmnist.{n}": torch.from_numpy(decoded[n].astype(np.int64)) for n in "xytp"}


class Layer:
    """A spiking layer and the linear path before it: a list of targets and weights per source."""

    def __init__(self, shape, path, weights, neuron):
        self.neuron, self.inputs = neuron, shape
        probe = torch.eye(math.prod(shape), dtype=torch.float64).reshape(-1, *shape)
        linear = lambda x, w: self.through(x, path, w)
        y = linear(probe, weights)
        reached = linear(probe, {n: torch.ones_like(t) for n, t in weights.items()})
        self.shape = tuple(y.shape[1:])
        y, reached = y.flatten(1), reached.flatten(1)
        self.targets = [torch.nonzero(r).flatten().numpy() for r in reached]
        self.weights = [row[t].numpy() for row, t in zip(y, self.targets)]
        self.v = np.zeros(math.prod(self.shape))
        self.hit = np.zeros(len(self.v))
        self.spikes = []

    @staticmethod
    def through(x, path, weights):
        for l in path:
            w = weights.get(l.get("weight"))
            if l["type"] == "conv":
                groups = x.shape[1] // w.shape[1]
                x = F.conv2d(x, w.double(), stride=l["stride"], padding=l["padding"], groups=groups)
            elif l["type"] == "linear":
                x = F.linear(x.flatten(1), w.double())[:, :, None, None]
            else:
                x = F.avg_pool2d(x, l["k"]) * (l["k"] ** 2 if l["type"] == "sumpool" else 1)
        return x

    def receive(self, t, cause, source):
        """Processes one event; returns the indices of neurons that spike, one per spike."""
        at, n, fired = self.targets[source], self.neuron, []
        if n is None:
            self.v[at] += self.weights[source]
            return fired
        if tau := n.get("tau_us"):
            self.v[at] *= np.exp(-(t - self.hit[at]) / tau)
            self.hit[at] = t
        self.v[at] += self.weights[source]
        u = self.v[at]
        over = u > n["threshold"] if tau else u >= n["threshold"]
        counts = np.where(over, np.trunc(u / n["threshold"]) if n["spike"] == "multi" else 1, 0)
        after = np.where(counts > 0, 0 if n["reset"] == "zero" else u - counts * n["threshold"], u)
        if n.get("min_v_mem") is not None:
            after = np.maximum(after, n["min_v_mem"])
        self.v[at] = after
        for i in np.nonzero(counts)[0]:
            c, y, x = np.unravel_index(at[i], self.shape)
            for _ in range(int(counts[i])):
                fired.append(at[i])
                self.spikes.append((t, cause, c, y, x))
        return fired


def event_net(shape, layers, stored):
    """Returns every spiking layer (and a readout that does not spike) with its linear path."""
    net, path = [], []
    for l in layers:
        if l["type"] in ("iaf", "lif"):
            net.append(Layer(shape, path, stored, l))
            shape, path = net[-1].shape, []
        else:
            path.append(l)
    if path:
        net.append(Layer(shape, path, stored, None))
    return net


def run_events(net, events):
    """Processes events (t, source) depth first; returns the number of synaptic operations."""
    operations = 0

    def deliver(k, t, cause, source):
        nonlocal operations
        operations += len(net[k].targets[source])
        for spike in net[k].receive(t, cause, source):
            if k + 1 < len(net):
                deliver(k + 1, t, cause, spike)

    for i, (t, source) in enumerate(events):
        deliver(0, t, i, source)
    return operations


def run_clocked(shape, layers, stored, frames):
    """Runs frames [T, C, H, W] with the neurons of sinabs; returns the output of every step."""
    from sinabs import activation as act
    from sinabs.layers import IAF

    fires = {"multi": act.MultiSpike, "single": act.SingleSpike}
    resets = {"subtract": act.MembraneSubtract(), "zero": act.MembraneReset()}
    x, path = frames.double(), []
    for l in layers:
        if l["type"] != "iaf":
            x = Layer.through(x, [l], stored)
            continue
        layer = IAF(l["threshold"], fires[l["spike"]], resets[l["reset"]], min_v_mem=l["min_v_mem"])
        x = layer(x[None])[0].double()
    return x


def sources(rows, shape):
    return [(int(t), int(np.ravel_multi_index((c, y, x), shape))) for t, c, y, x in rows]


def async_events(stored, entry):
    out = {}
    for name, case in entry["cases"].items():
        shape = tuple(case["input_shape"])
        rows = stored[f"{name}.in"].numpy()
        net = event_net(shape, case["layers"], stored)
        expect(name, "synaptic_ops", run_events(net, sources(rows, shape)), case["synaptic_ops"])
        for layer in net:
            l = layer.neuron
            out[l["out"]] = torch.tensor(np.array(layer.spikes, dtype=np.int64).reshape(-1, 5))
            v = layer.v
            if tau := l.get("tau_us"):
                v = v * np.exp(-(rows[-1][0] - layer.hit) / tau)
            out[l["v_end" if tau else "v_final"]] = torch.tensor(v.reshape(layer.shape)).float()
            expect(name, "n_out", len(layer.spikes), l["n_out"])
        for sync in [n for n in stored if n.startswith(f"{name}.sync.T")]:
            frames = stored[sync.replace(".sync.", ".frames.")]
            out[sync] = run_clocked(shape, case["layers"], stored, frames).sum(0).float()
        one = f"{name}.sync.one_event_per_step"
        if one in stored:
            frames = torch.zeros(len(rows), *shape)
            for k, (_, c, y, x) in enumerate(rows):
                frames[k, c, y, x] = 1
            out[one] = run_clocked(shape, case["layers"], stored, frames).sum(0).float()
    return out


def expect(name, what, got, stated):
    if got != stated:
        raise SystemExit(f"{name}: {what} is {got}, the index says {stated}")


def async_hand(stored, entry):
    cases = []
    for c in stored:
        net = event_net(
            (len(c["weights"]), 1, 1),
            [{"type": "linear", "weight": "w"}, c | {"type": "iaf"}],
            {"w": torch.tensor([c["weights"]])},
        )
        run_events(net, list(enumerate(c["input_channels"])))
        cases.append(
            c | {"out_caused_by": [int(s[1]) for s in net[0].spikes], "v_final": float(net[0].v[0])}
        )
    return cases


def async_nmnist(stored, entry):
    archive = os.path.join(DATA, "nmnist", "Test.zip")
    if not os.path.exists(archive):
        print(f"skipped async_nmnist: no {archive}")
        return None
    neuron = {
        "type": "iaf",
        "threshold": 1.0,
        "min_v_mem": -1.0,
        "spike": "multi",
        "reset": "subtract",
    }
    pool = {"type": "sumpool", "k": 2}
    conv = lambda w, stride: {"type": "conv", "weight": w, "stride": stride, "padding": 1}
    layers = [
        conv("w0", 2),
        neuron,
        pool,
        conv("w3", 1),
        neuron,
        pool,
        {"type": "linear", "weight": "w6"},
    ]
    weights = {n: stored[n] for n in ("w0", "w3", "w6")}
    net, out = event_net((2, 34, 34), layers, weights), {}
    for k, case in enumerate(entry["cases"]):
        with zipfile.ZipFile(archive) as z:
            b = np.frombuffer(z.read(case["member"]), np.uint8).reshape(-1, 5).astype(np.int64)
        t = ((b[:, 2] & 0x7F) << 16) | (b[:, 3] << 8) | b[:, 4]
        # Channel 0 holds OFF events, channel 1 ON events, as tonic orders them.
        rows = np.stack([t, b[:, 2] >> 7, b[:, 1], b[:, 0]], 1)
        for layer in net:
            layer.v[:], layer.spikes = 0, []
        operations = run_events(net, sources(rows, (2, 34, 34)))
        expect(case["member"], "synaptic_ops", operations, case["synaptic_ops"])
        out[f"{k}.logits"] = torch.tensor(net[-1].v).float()
        for l in (0, 1):
            counts = np.zeros(net[l].shape, np.int32)
            for _, _, c, y, x in net[l].spikes:
                counts[c, y, x] += 1
            out[f"{k}.count{l}"] = torch.tensor(counts)
            for name in [n for n in stored if n.startswith(f"{k}.out{l}_first")]:
                first = net[l].spikes[: len(stored[name])]
                out[name] = torch.tensor(np.array([s[1:] for s in first], dtype=np.int32))
        for name in [n for n in stored if n.startswith(f"{k}.sync_logits.T")]:
            steps = int(name.rsplit("T", 1)[1])
            frames = torch.zeros(steps, 2, 34, 34)
            for r in rows:
                frames[
                    (r[0] - rows[0][0]) * steps // (rows[-1][0] - rows[0][0] + 1), r[1], r[2], r[3]
                ] += 1
            out[name] = run_clocked((2, 34, 34), layers, weights, frames).sum(0).flatten().float()
    return out


def speck_quant(stored, entry):
    def scale(low, high, bits):
        """The largest scale that keeps [low, high] in a signed number of `bits` bits."""
        top = 2 ** (bits - 1) - 1
        return (
            top / abs(high) if abs(low) <= abs(high) * ((top + 1) / top) else (top + 1) / abs(low)
        )

    out = {}
    for c in entry["cases"]:
        k = c["case"]
        w = stored[f"{k}.weight"]
        v_min = -(2.0**15) if c["min_v_mem"] is None else c["min_v_mem"]
        s = min(scale(w.min().item(), w.max().item(), 8), scale(v_min, c["threshold"], 16))
        rounded = lambda v: torch.round(torch.as_tensor(v, dtype=torch.float32).reshape(-1) * s)
        out[f"{k}.q_weight"] = torch.round(w * s)
        out |= {f"{k}.q_threshold": rounded(c["threshold"]), f"{k}.q_min_v_mem": rounded(v_min)}
    return out


# ------------------------------------------------------------------------------------- NIR


def nir_io(stored, entry):
    """Runs the graphs node by node, with the neurons of the framework that exported them."""
    import nir
    import sinabs.activation as act
    from sinabs.layers import IAF
    from spikingjelly.activation_based import neuron

    number = lambda v: float(np.asarray(v).reshape(-1)[0])
    pair = lambda v: tuple(int(i) for i in (np.asarray(v).reshape(-1).tolist() * 2)[:2])

    def leaky(x, n, framework):
        theta, tau, r = number(n.v_threshold), number(n.tau), number(n.r)
        step = 1e-4 / tau
        if framework == "spikingjelly":
            layer = neuron.LIFNode(
                tau=1 / step, decay_input=True, v_threshold=theta, v_reset=0.0, step_mode="m"
            )
            return layer(x * r)
        v, fired, out = torch.zeros_like(x[0]), torch.zeros_like(x[0]), []
        for i in x:  # the reset acts one step later, as in snnTorch
            v = (v * (1 - fired)) * (1 - step) + step * r * i
            fired = (v > theta).float()
            out.append(fired)
        return torch.stack(out)

    def integrate(x, n, framework):
        theta, r = number(n.v_threshold), number(n.r)
        if framework == "sinabs":
            layer = IAF(theta, act.MultiSpike, act.MembraneSubtract(), min_v_mem=-1.0)
            return layer((x * r).transpose(0, 1)).transpose(0, 1)
        layer = neuron.IFNode(v_threshold=theta, v_reset=0.0, step_mode="m")
        return layer(x * r * 1e-4)

    out = {}
    for name in entry["graphs"]:
        graph = nir.read(os.path.join(GOLDEN, f"{name}.nir"))
        framework = name.split("_")[0]
        following = dict(graph.edges)
        at = next(n for n, node in graph.nodes.items() if isinstance(node, nir.Input))
        x = stored[f"{name}.x"] if f"{name}.x" in stored else stored["x"]
        steps, batch = x.shape[:2]
        with torch.no_grad():
            while not isinstance(graph.nodes[at], nir.Output):
                n = graph.nodes[at]
                flat = x.flatten(0, 1)
                if isinstance(n, nir.Conv2d):
                    flat = F.conv2d(
                        flat,
                        torch.tensor(n.weight).float(),
                        torch.tensor(n.bias).float(),
                        pair(n.stride),
                        pair(n.padding),
                    )
                elif isinstance(n, nir.AvgPool2d):
                    flat = F.avg_pool2d(flat, pair(n.kernel_size), pair(n.stride), pair(n.padding))
                elif isinstance(n, nir.SumPool2d):
                    k = pair(n.kernel_size)
                    flat = F.avg_pool2d(flat, k, pair(n.stride), pair(n.padding)) * (k[0] * k[1])
                elif isinstance(n, nir.Flatten):
                    flat = flat.flatten(1)
                elif isinstance(n, (nir.Affine, nir.Linear)):
                    bias = torch.tensor(n.bias).float() if isinstance(n, nir.Affine) else None
                    flat = F.linear(flat.flatten(1), torch.tensor(n.weight).float(), bias)
                x = flat.unflatten(0, (steps, batch))
                if isinstance(n, nir.LIF):
                    x = leaky(x, n, framework)
                elif isinstance(n, nir.IF):
                    x = integrate(x, n, framework)
                at = following[at]
        out[f"{name}.y"] = x
    return out


# ---------------------------------------------------------------------------------- refractory


def dead_membrane(n, v):
    """A membrane that takes no part in a spike, at its lower limit."""
    return v if n["min_v_mem"] is None else max(v, n["min_v_mem"])


def after_spike(n, u):
    return dead_membrane(n, 0.0 if n["reset"] == "zero" else u - n["threshold"])


def over(n, u, margins):
    margins.append(abs(u - n["threshold"]))
    return u > n["threshold"] if n["strict"] else u >= n["threshold"]


def refractory_events(n, margins):
    """One neuron, driven event by event: its spike times, and its membrane at the last event.

    A neuron that fired at t0 is dead before t0 + period. Meanwhile its membrane integrates, or holds
    what the reset left and loses its inputs. Above its threshold at the end of the period it
    fires at the next event.
    """
    v, at, ready, spikes = 0.0, 0, 0, []
    period, held = math.ceil(n["period_us"]), n["during"] == "hold"
    for t, channel in zip(n["times_us"], n["input_channels"]):
        if held and t < ready:
            continue
        begin = max(at, ready) if held else at
        v *= math.exp(-(t - begin) / n["tau_us"]) if n["tau_us"] else 1.0
        v, at = v + n["weights"][channel], t
        if t >= ready and over(n, v, margins):
            v, ready = after_spike(n, v), t + period
            spikes.append(t)
        else:
            v = dead_membrane(n, v)
    if n["tau_us"]:
        end, begin = n["times_us"][-1], max(at, ready) if held else at
        v *= math.exp(-max(0, end - begin) / n["tau_us"])
    return n | {"spike_times_us": spikes, "v_final": v}


def refractory_clocked(n, margins):
    """Neurons at `steps` steps, x [T][neurons]: spikes [T][neurons], and the membranes after them.

    Two spikes are k = max(1, ceil(rho·steps/t_max)) steps apart, or max(1, ceil(rho)) where the leak
    belongs to a step. With k > 1 a neuron fires only in steps whose input is not 0.
    """
    stretch = n["steps"] / n["t_max"] if n["leak"] == "time" else 1.0
    k = max(1, math.ceil(n["rho"] * stretch - 1e-9))
    decay, width = n["lambda"] ** (1 / stretch), len(n["x"][0])
    v, dead, spikes = [0.0] * width, [0] * width, []
    for row in n["x"]:
        fired = [0] * width
        for i, x in enumerate(row):
            if dead[i] > 0:
                dead[i] -= 1
                if n["during"] == "integrate":
                    v[i] = dead_membrane(n, decay * v[i] + x)
                continue
            u = decay * v[i] + x
            if (k == 1 or x != 0) and over(n, u, margins):
                fired[i], v[i], dead[i] = 1, after_spike(n, u), k - 1
            else:
                v[i] = dead_membrane(n, u)
        spikes.append(fired)
    return n | {"k": k, "spikes": spikes, "v_final": v}


def refractory(stored, entry):
    margins = []
    out = {
        "events": [refractory_events(n, margins) for n in stored["events"]],
        "clocked": [refractory_clocked(n, margins) for n in stored["clocked"]],
    }
    near = min(m for m in margins if m > 0)
    if near < entry["min_threshold_margin"]:
        raise SystemExit(f"refractory.json: a decision is {near:.2g} from its threshold")
    return out


# ---------------------------------------------------------------------------------- compare

# For each file: the function that computes it, a pattern for the names of its inputs (all other
# tensors must be computed), and the tolerance. 0 means exact; other tolerances are relative to the
# largest value of the tensor if that exceeds 1, and absolute otherwise.
FILES = {
    "ttm_tables.json": (ttm_tables, None, 1e-6),
    "ttm_forward.safetensors": (ttm_forward, r"\d+\.(x|gy)", 1e-6),
    "neurons_mtt.safetensors": (neurons_mtt, r".*\.(x|gy)", 1e-5),
    "neurons_sinabs.safetensors": (neurons_sinabs, r".*\.(x|gy)", 1e-5),
    "neurons_spikingjelly.safetensors": (neurons_spikingjelly, r".*\.(x|gy)", 1e-5),
    "neurons_snntorch.safetensors": (neurons_snntorch, r".*\.(x|gy)", 1e-5),
    "tiny_tfsnn.safetensors": (
        tiny_tfsnn,
        r"w0\..*|image|label|calib\.image\d+|calib\.test_image",
        1e-4,
    ),
    "tiny_dvs_convnet.safetensors": (tiny_dvs_convnet, r"w0\..*|x|label", 1e-4),
    "tiny_spikformer.safetensors": (
        tiny_spikformer,
        r"w0\..*|image|label|calib\.test_image",
        1e-4,
    ),
    "losses.safetensors": (losses, r"\d+\.(logits|label)", 1e-6),
    "bn_fold.safetensors": (bn_fold, r"x|orig\.\d.*", 1e-5),
    "early_exit.safetensors": (early_exit, r"\d+\.logits", 1e-6),
    "events_frames.safetensors": (events_frames, r"events\..", 0),
    "async_events.safetensors": (async_events, r".*\.(in|w\d+|frames\.T\d+)", 0),
    "async_lif.safetensors": (async_events, r".*\.(in|w\d+)", 1e-5),
    "async_hand.json": (async_hand, None, 0),
    "async_nmnist.safetensors": (async_nmnist, r"w\d+", 1e-5),
    "refractory.json": (refractory, None, 1e-12),
    "speck_quant.safetensors": (speck_quant, r"\d+\.weight", 0),
    "nir_io.safetensors": (nir_io, r"(\w+\.)?x", 0),
}


def flatten(value, at=""):
    """Returns the leaves of a JSON value as (path, leaf)."""
    if isinstance(value, dict):
        return [leaf for k, v in value.items() for leaf in flatten(v, f"{at}/{k}")]
    if isinstance(value, list):
        return [leaf for k, v in enumerate(value) for leaf in flatten(v, f"{at}/{k}")]
    return [(at, value)]


def compare(file, got, stored, tolerance):
    """Returns one line per mistake, and the largest difference."""
    wrong, worst = [], 0.0
    for name, g in got.items():
        if name not in stored:
            wrong.append(f"{file}: {name} was computed, but is not stored")
            continue
        g, s = np.asarray(g.detach() if torch.is_tensor(g) else g), np.asarray(stored[name])
        if g.shape != s.shape and g.size == s.size:
            g = g.reshape(s.shape)
        if g.shape != s.shape:
            wrong.append(f"{file}: {name} has shape {g.shape}, stored {s.shape}")
            continue
        if g.dtype.kind in "OUS":
            if (g != s).any():
                wrong.append(f"{file}: {name} is {g}, stored {s}")
            continue
        whole = s.dtype.kind in "iub"
        off = np.abs(g.astype(np.float64) - s.astype(np.float64)).max(initial=0.0)
        off /= max(1.0, np.abs(s.astype(np.float64)).max(initial=0.0))
        worst = max(worst, off)
        if off > (0 if whole else tolerance):
            wrong.append(
                f"{file}: {name} differs by {off:.3g}, allowed {0 if whole else tolerance}"
            )
    return wrong, worst


def main():
    global GOLDEN, DATA
    here = os.path.dirname(os.path.abspath(__file__))
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="*", help="names of golden files (default: all)")
    parser.add_argument(
        "--golden", default=os.environ.get("TICKLESS_GOLDEN", here), help="the stored vectors"
    )
    data = os.environ.get("TICKLESS_DATA", os.path.join(here, "..", "..", "shared", "data"))
    parser.add_argument("--data", default=data, help="recordings, for async_nmnist")
    parser.add_argument("--out", help="write what was computed into this folder")
    options = parser.parse_args()
    GOLDEN, DATA = options.golden, options.data
    with open(os.path.join(GOLDEN, "index.json")) as f:
        index = json.load(f)["files"]
    failed = []
    for file in options.files or FILES:
        make, inputs, tolerance = FILES[file]
        path = os.path.join(GOLDEN, file)
        if file.endswith(".json"):
            with open(path) as f:
                stored = json.load(f)
            got = make(stored, index[file])
            if options.out:
                os.makedirs(options.out, exist_ok=True)
                with open(os.path.join(options.out, file), "w") as f:
                    json.dump(got, f)
            got, stored = dict(flatten(got)), dict(flatten(stored))
            missing = set(stored) - set(got)
        else:
            stored = {n: torch.from_numpy(t) for n, t in load_file(path).items()}
            got = make(stored, index[file])
            if got is None:
                continue
            given = {n: t for n, t in stored.items() if re.fullmatch(inputs, n)}
            missing = set(stored) - set(got) - set(given)
            if options.out:
                os.makedirs(options.out, exist_ok=True)
                plain = {
                    n: np.ascontiguousarray(t.detach().numpy()) for n, t in (given | got).items()
                }
                save_file(plain, os.path.join(options.out, file))
        wrong, worst = compare(file, got, stored, tolerance)
        wrong += [f"{file}: {n} is stored, but was not computed" for n in sorted(missing)]
        print(
            f"{file}: {len(got)} values and tensors, worst difference {worst:.3g}, {len(wrong)} wrong"
        )
        failed += wrong
    for line in failed[:40]:
        print(line, file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
