#!/usr/bin/env bash
# torch 2.13.0, training batch normalisation on a CPU.
#
# Expected: memory layout is a matter of speed. The same float32 values in channels_last and in
# contiguous layout differ from the float64 result by about as much.
# Seen: channels_last is some 60 times less exact for 8 x 16 x 96 x 96 (output off by 3.8e-5 against
# 6e-7, gradient by 1.3e-5 against 2.9e-7), with AVX2, AVX512 and no vector instructions alike. In a
# network this flips ReLU and pooling decisions, and Adam's first step turns each flip into a whole
# learning rate: two runs that differ in layout alone are not "equal up to rounding" after one step.
#
# Exits 0 while it is so, 1 when it has changed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet torch==2.13.0 numpy==2.4.6
"$work/venv/bin/python" - <<'P'
import sys

import torch

torch.set_num_threads(1)
torch.manual_seed(0)
shape = (8, 16, 96, 96)
values = torch.randn(shape, dtype=torch.float64) * 3 + 5
weights = torch.randn(shape, dtype=torch.float64)


def normalised(dtype, layout):
    """Output and input gradient of training batch normalisation, as float64."""
    x = values.to(dtype, copy=True).contiguous(memory_format=layout).requires_grad_(True)
    gain, offset = torch.ones(shape[1], dtype=dtype), torch.zeros(shape[1], dtype=dtype)
    y = torch.nn.functional.batch_norm(x, None, None, gain, offset, True)
    (y * weights.to(dtype)).sum().backward()
    return y.detach().double(), x.grad.double()


exact = normalised(torch.float64, torch.contiguous_format)
errors = {}
for layout in (torch.contiguous_format, torch.channels_last):
    found = normalised(torch.float32, layout)
    errors[layout] = [float((a - b).abs().max()) for a, b in zip(found, exact)]
    print(layout, "output off by %.2g, gradient by %.2g" % tuple(errors[layout]))
ratio = errors[torch.channels_last][0] / errors[torch.contiguous_format][0]
print(f"torch {torch.__version__}: channels_last is {ratio:.0f} times less exact")
sys.exit(0 if ratio > 10 else 1)
P
