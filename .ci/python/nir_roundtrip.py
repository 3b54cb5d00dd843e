#!/usr/bin/env python3
"""Exchanges NIR graphs between this library and sinabs in both directions.

    python3 .ci/python/nir_roundtrip.py EXAMPLE

EXAMPLE is the built example `nir_roundtrip` of tickless-net:

    cargo build -p tickless-net --features nir --example nir_roundtrip
    python3 .ci/python/nir_roundtrip.py "$CARGO_TARGET_DIR/debug/examples/nir_roundtrip"

The first run installs `nir`, `sinabs`, `torch` and `h5py` from PyPI into a separate virtual
environment (TICKLESS_VENV, default ~/.cache/tickless-venv). Three checks compare every spike of
every step:

1. sinabs reads a chain and a residual network of ours (`nir.read`, `sinabs.from_nir`) and gives the
   same spikes as this library;
2. this library reads a network that `sinabs.to_nir` exported, and gives the same spikes as sinabs;
3. our file is still the same network after `nir` has read it and written it again.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

VENV = pathlib.Path(os.environ.get("TICKLESS_VENV", pathlib.Path.home() / ".cache/tickless-venv"))


def enter_venv():
    """Restarts this script in the virtual environment, which it creates if necessary."""
    python = VENV / "bin" / "python"
    if pathlib.Path(sys.prefix).resolve() == VENV.resolve():
        return
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(VENV)], check=True)
    wanted = "import h5py, nir, sinabs, torch"
    if subprocess.run([python, "-c", wanted], capture_output=True).returncode != 0:
        subprocess.run([python, "-m", "pip", "install", "--quiet", "nir", "sinabs", "torch", "h5py"], check=True)
    os.execv(python, [str(python), *sys.argv])


def run(model, x):
    """Runs all steps of one sample with state from step to step: [T, C, H, W] -> [T, N]."""
    import torch

    with torch.no_grad():
        out = model(x)
    return out[0] if isinstance(out, tuple) else out


def ours_in_sinabs(folder, name):
    import nir
    import sinabs
    import torch

    graph = nir.read(folder / f"{name}.nir")
    answer = json.loads((folder / f"{name}.json").read_text())
    x = torch.tensor(answer["x"]).reshape(-1, *answer["shape"])
    y = torch.tensor(answer["y"])
    model = sinabs.from_nir(graph, batch_size=1)
    out = run(model, x)
    assert y.sum() > 0, "our network is silent"
    assert torch.equal(out, y), f"{name}: sinabs {out.sum()} spikes, here {y.sum()}:\n{out}\n{y}"
    print(f"{name}: {int(y.sum())} output spikes, all equal in sinabs")
    nir.write(folder / f"{name}_resaved.nir", graph)


def theirs(folder):
    import nir
    import numpy as np
    import sinabs
    import sinabs.layers as sl
    import torch
    from torch import nn

    torch.manual_seed(0)

    def iaf():
        return sl.IAFSqueeze(batch_size=1, min_v_mem=-1.0)

    model = nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1, bias=False), iaf(), sl.SumPool2d(2),
        nn.Conv2d(4, 6, 3, stride=2, padding=1, bias=False), iaf(),
        nn.Flatten(), nn.Linear(24, 5, bias=False), iaf(),
    )
    for layer in model:
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            layer.weight.data = torch.round(torch.randn_like(layer.weight) * 24) / 64
    x = torch.randint(0, 3, (8, 2, 8, 8)).float()
    y = run(model, x)
    graph = sinabs.to_nir(model, x)
    # sinabs leaves these shapes unset, and nir cannot write a graph without them.
    shapes = {nir.Conv2d: iter([(8, 8), (4, 4)]), nir.Flatten: iter([(6, 2, 2)])}
    for node in graph.nodes.values():
        if isinstance(node, nir.Conv2d):
            node.input_shape = next(shapes[nir.Conv2d])
        elif isinstance(node, nir.Flatten):
            node.input_type = {"input": np.array(next(shapes[nir.Flatten]))}
    for node in graph.nodes.values():
        for field in ("weight", "bias", "r", "v_threshold"):
            value = getattr(node, field, None)
            if isinstance(value, torch.Tensor):
                setattr(node, field, value.detach().numpy())
    nir.write(folder / "theirs.nir", graph)
    (folder / "theirs.json").write_text(json.dumps({"x": x.flatten(1).tolist(), "y": y.tolist()}))


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    enter_venv()
    import nir
    import sinabs

    print(f"nir {nir.version}, sinabs {sinabs.__version__}")
    example = sys.argv[1]
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        subprocess.run([example, "write", name], check=True)
        for net in ("chain", "residual"):
            ours_in_sinabs(folder, net)
        theirs(folder)
        subprocess.run([example, "read", name], check=True)


if __name__ == "__main__":
    main()
