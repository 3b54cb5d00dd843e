"""The networks of the comparison in PyTorch, written from their descriptions.

A sequence is [T, B, C, H, W]; convolution, norm and pooling run on it as [T·B, C, H, W], as each of
the libraries recommends. Only the neuron differs between the libraries: see `NEURONS`.
"""

import torch
from torch import nn


class Triangle(torch.autograd.Function):
    """s = [u > θ]; the derivative is max(0, 1 − |u − θ|)."""

    @staticmethod
    def forward(ctx, u, threshold=1.0):
        ctx.save_for_backward(u)
        ctx.threshold = threshold
        return (u > threshold).to(u.dtype)

    @staticmethod
    def backward(ctx, g):
        (u,) = ctx.saved_tensors
        return g * (1.0 - (u - ctx.threshold).abs()).clamp(min=0.0), None


class Plain(nn.Module):
    """LIF as a loop over steps: u = λ·v + I, s = [u > θ], v = (1 − s)·u, the reset differentiated."""

    def __init__(self, threshold=1.0):
        super().__init__()
        self.threshold = threshold

    def forward(self, x):
        v, spikes = 0.0, []
        for t in range(x.shape[0]):
            u = 0.5 * v + x[t]
            s = Triangle.apply(u, self.threshold)
            v = (1.0 - s) * u
            spikes.append(s)
        return torch.stack(spikes)


def spikingjelly(threshold=1.0):
    from spikingjelly.activation_based import neuron, surrogate

    return neuron.LIFNode(
        tau=2.0,
        decay_input=False,
        v_threshold=threshold,
        v_reset=0.0,
        detach_reset=False,
        step_mode="m",
        surrogate_function=surrogate.PiecewiseQuadratic(),
    )


class SnnTorch(nn.Module):
    def __init__(self, threshold=1.0):
        super().__init__()
        import snntorch

        # snnTorch passes u − θ to the surrogate.
        def spike(u):
            return Triangle.apply(u, 0.0)

        self.neuron = snntorch.Leaky(beta=0.5, threshold=threshold, reset_mechanism="zero", spike_grad=spike)

    def forward(self, x):
        v, spikes = self.neuron.init_leaky(), []
        for t in range(x.shape[0]):
            s, v = self.neuron(x[t], v)
            spikes.append(s)
        return torch.stack(spikes)


class Sinabs(nn.Module):
    """The IAF neuron of sinabs, which expects [B, T, …]; sinabs is made for IF neurons."""

    def __init__(self):
        super().__init__()
        import sinabs.layers

        self.neuron = sinabs.layers.IAF(spike_threshold=1.0, min_v_mem=-1.0)

    def forward(self, x):
        self.neuron.reset_states()
        return self.neuron(x.transpose(0, 1)).transpose(0, 1)


NEURONS = {"pytorch": Plain, "spikingjelly": spikingjelly, "snntorch": SnnTorch, "sinabs": Sinabs}


def each(layer, x):
    """Applies a layer without a time axis to every step."""
    y = layer(x.flatten(0, 1))
    return y.unflatten(0, (x.shape[0], x.shape[1]))


def ttm(x, t):
    """The temporal transformation: sums steps if t is smaller, repeats them if t is larger."""
    n = x.shape[0]
    if n == t:
        return x
    fewer, more = min(n, t), max(n, t)
    bounds = [0] + [round((i + 1) * more / fewer - 1e-5) for i in range(fewer)]
    if n > t:
        return torch.stack([x[a:b].sum(0) for a, b in zip(bounds, bounds[1:])])
    return torch.cat([x[i : i + 1].expand(b - a, *x.shape[1:]) for i, (a, b) in enumerate(zip(bounds, bounds[1:]))])


class Block(nn.Module):
    def __init__(self, neuron, inputs, outputs, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.norm1, self.norm2 = nn.BatchNorm2d(outputs), nn.BatchNorm2d(outputs)
        self.neuron1, self.neuron2 = neuron(), neuron()
        self.shortcut = None
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x):
        y = self.neuron1(each(lambda x: self.norm1(self.conv1(x)), x))
        y = each(lambda x: self.norm2(self.conv2(x)), y)
        return self.neuron2(y + (x if self.shortcut is None else each(self.shortcut, x)))


class ResNet18(nn.Module):
    """Stem and eight blocks; a TTM at the entry of every block but the first, and at the input of recordings."""

    def __init__(self, neuron, channels, classes=10):
        super().__init__()
        self.events = channels == 2
        self.stem = nn.Sequential(nn.Conv2d(channels, 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64))
        self.neuron = neuron()
        plan = [(64, 64, 1), (64, 64, 1), (64, 128, 2), (128, 128, 1)]
        plan += [(128, 256, 2), (256, 256, 1), (256, 512, 2), (512, 512, 1)]
        self.blocks = nn.ModuleList(Block(neuron, *p) for p in plan)
        self.classifier = nn.Linear(512, classes)

    def forward(self, x, configuration):
        x = ttm(x, configuration[0]) if self.events else x.expand(configuration[0], *x.shape[1:])
        x = self.neuron(each(self.stem, x))
        for k, block in enumerate(self.blocks):
            x = block(ttm(x, configuration[k]))
        return self.classifier(x.mean((3, 4)))


class NmnistWide(nn.Module):
    """Three convolutions with norm, neuron and average pooling; a TTM before each."""

    def __init__(self, neuron, classes=10):
        super().__init__()
        plan = [(2, 8), (8, 16), (16, 32)]
        self.stages = nn.ModuleList(nn.Sequential(nn.Conv2d(*p, 3, 1, 1, bias=False), nn.BatchNorm2d(p[1])) for p in plan)
        self.neurons = nn.ModuleList(neuron() for _ in plan)
        self.pool = nn.AvgPool2d(2)
        self.classifier = nn.Linear(512, classes, bias=False)

    def forward(self, x, configuration):
        for t, stage, neuron in zip(configuration, self.stages, self.neurons):
            x = each(self.pool, neuron(each(stage, ttm(x, t))))
        return self.classifier(x.flatten(2))


class Vgg14(nn.Module):
    """Thirteen convolutions with norm and neuron, average pooling after each group; a TTM before every
    convolution but the first."""

    def __init__(self, neuron, classes=10):
        super().__init__()
        groups = [[64, 64], [128, 128], [256] * 3, [512] * 3, [512] * 3]
        outs = [out for group in groups for out in group]
        pairs = zip([3, *outs], outs)
        self.stages = nn.ModuleList(nn.Sequential(nn.Conv2d(*p, 3, 1, 1, bias=False), nn.BatchNorm2d(p[1])) for p in pairs)
        self.neurons = nn.ModuleList(neuron() for _ in outs)
        self.pooled = {sum(map(len, groups[: k + 1])) - 1 for k in range(len(groups))}
        self.pool = nn.AvgPool2d(2)
        self.classifier = nn.Linear(512, classes)

    def forward(self, x, configuration):
        x = x.expand(configuration[0], *x.shape[1:])
        for k, (t, stage, neuron) in enumerate(zip(configuration, self.stages, self.neurons)):
            x = neuron(each(stage, ttm(x, t)))
            if k in self.pooled:
                x = each(self.pool, x)
        return self.classifier(x.flatten(2))


class Tokens(nn.Module):
    """A linear layer over tokens with bias (a 1×1 convolution), norm and neuron."""

    def __init__(self, neuron, inputs, outputs):
        super().__init__()
        self.linear = nn.Sequential(nn.Conv2d(inputs, outputs, 1), nn.BatchNorm2d(outputs))
        self.neuron = neuron()

    def forward(self, x):
        return self.neuron(each(self.linear, x))


class Attending(nn.Module):
    """A block of spiking self-attention without softmax, 0.125·Q·Kᵀ·V, and an MLP of four times the width.

    Kᵀ·V is computed first, which takes fewer operations for 64 tokens and 32 channels per head.
    """

    def __init__(self, neuron, channels, heads):
        super().__init__()
        self.heads = heads
        self.q, self.k, self.v = (Tokens(neuron, channels, channels) for _ in range(3))
        self.attended = neuron(0.5)
        self.projection = Tokens(neuron, channels, channels)
        self.mlp = nn.Sequential(Tokens(neuron, channels, 4 * channels), Tokens(neuron, 4 * channels, channels))

    def forward(self, x):
        # [T, B, heads, tokens, channels of a head]
        q, k, v = (m(x).flatten(3).unflatten(2, (self.heads, -1)).transpose(3, 4) for m in (self.q, self.k, self.v))
        y = 0.125 * (q @ (k.transpose(3, 4) @ v))
        y = self.attended(y.transpose(3, 4).reshape(x.shape))
        x = x + self.projection(y)
        return x + self.mlp(x)


class Spikformer(nn.Module):
    """Patches by four convolutions, a position, and blocks of attention; a TTM before every block but the first."""

    def __init__(self, neuron, blocks=4, channels=384, heads=12, classes=10):
        super().__init__()
        outs = [channels // 8, channels // 4, channels // 2, channels, channels]
        pairs = zip([3, *outs], outs)
        self.patches = nn.ModuleList(nn.Sequential(nn.Conv2d(*p, 3, 1, 1, bias=False), nn.BatchNorm2d(p[1])) for p in pairs)
        self.neurons = nn.ModuleList(neuron() for _ in outs)
        self.pool = nn.MaxPool2d(2)
        self.blocks = nn.ModuleList(Attending(neuron, channels, heads) for _ in range(blocks))
        self.classifier = nn.Linear(channels, classes)

    def forward(self, x, configuration):
        x = x.expand(configuration[0], *x.shape[1:])
        for k, (patch, neuron) in enumerate(zip(self.patches, self.neurons)):
            y = neuron(each(patch, x))
            x = x + y if k == 4 else each(self.pool, y) if k >= 2 else y
        for t, block in zip(configuration, self.blocks):
            x = block(ttm(x, t))
        return self.classifier(x.mean((3, 4)))


# Network, input [C, H, W], batch, T_max, stages, and whether the case trains.
CASES = {
    "A": (lambda n: ResNet18(n, 3), (3, 32, 32), 16, 4, 8, True),
    "B": (lambda n: ResNet18(n, 2), (2, 48, 48), 4, 10, 8, True),
    "C": (NmnistWide, (2, 34, 34), 64, 10, 3, True),
    "D": (lambda n: ResNet18(n, 3), (3, 32, 32), 16, 4, 8, False),
    "E": (Vgg14, (3, 32, 32), 16, 4, 13, True),
    "F": (Spikformer, (3, 32, 32), 16, 4, 4, True),
}
