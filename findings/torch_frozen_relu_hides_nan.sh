#!/usr/bin/env bash
# torch 2.13.0 (oneDNN 3.12), a convolution and its ReLU that are made one for inference on a CPU.
#
# Expected: a network of which a weight is NaN, as after a training that diverged, gives NaN, whatever
# it is optimised by: torch's own ReLU keeps NaN, and optimising is to change rounding alone.
# Seen: once `torch.jit.optimize_for_inference` has fused the two, every NaN is 0. All numbers are finite,
# nothing is warned of, and a check for NaN behind the network sees none. ReLU6, which it does not fuse,
# keeps them. `torch.compile` with `freezing` makes 0 of them, too, and without it does not (not run here:
# it needs a C++ compiler).
#
# Needs an x86 CPU. Exits 0 while it is so, 1 when it has changed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet torch==2.13.0 numpy==2.4.6
cat > "$work/nan.py" <<'P'
import warnings

import torch

warnings.simplefilter("ignore")  # TorchScript is deprecated, which is not the matter here
torch.manual_seed(0)
values, as_seen = torch.randn(2, 8, 16, 16), True
for activation, hides in ((torch.nn.ReLU, True), (torch.nn.ReLU6, False)):
    network = torch.nn.Sequential(torch.nn.Conv2d(8, 8, 3, padding=1), activation()).eval()
    with torch.no_grad():
        network[0].weight[0, 0, 1, 1] = float("nan")  # of the first channel alone
        plain = network(values)
        fused = torch.jit.optimize_for_inference(torch.jit.script(network))(values)
    hidden = bool((fused[:, 0] == 0).all()) and torch.allclose(fused[:, 1:], plain[:, 1:], atol=1e-5)
    print(
        f"torch {torch.__version__}, {activation.__name__}: NaN in {plain[:, 0].isnan().sum()} numbers of the "
        f"first channel, optimised in {fused[:, 0].isnan().sum()}"
    )
    as_seen = as_seen and bool(plain[:, 0].isnan().all()) and hidden == hides
raise SystemExit(0 if as_seen else 1)
P
"$work/venv/bin/python" "$work/nan.py"
