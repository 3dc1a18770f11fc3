#!/usr/bin/env bash
# torch 2.13.0 (oneDNN 3.12), convolutions and their gradients in bf16 on a CPU.
#
# Expected: AVX512_BF16 multiplies twice as many bfloat16 as AVX512 floats in one instruction, so that
# bf16 trains faster on a CPU that has it; without it, bf16 is computed as float32, no slower than that.
# Seen: only AMX makes it faster, then about four times. With AVX512_BF16 alone a convolution with its
# gradients takes longer in bf16 than in float32, with AVX512 alone some four times as long. Nothing
# warns of it: torch says of all of these CPUs that bf16 is supported.
#
# Needs a CPU with AMX, of which oneDNN is told to use less. Exits 0 while it is so, 1 when it has
# changed, 2 without such a CPU.
set -euo pipefail
grep -qw amx_bf16 /proc/cpuinfo || { echo "This CPU has no AMX."; exit 2; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet torch==2.13.0 numpy==2.4.6
cat > "$work/time.py" <<'P'
import os
import time

import torch

torch.set_num_threads(1)
torch.manual_seed(0)


def seconds(kind):
    """Processor seconds of a 3 x 3 convolution of 128 channels and its gradients, the least of 7."""
    make = lambda *shape: torch.randn(shape).to(kind).contiguous(memory_format=torch.channels_last)
    values, weights = make(4, 128, 28, 28).requires_grad_(), make(128, 128, 3, 3).requires_grad_()
    best = float("inf")
    for _ in range(7):
        begin = time.process_time()
        torch.conv2d(values, weights, None, 1, 1).sum().backward()
        best = min(best, time.process_time() - begin)
    return best


ratio = seconds(torch.float32) / seconds(torch.bfloat16)
used = os.environ["ONEDNN_MAX_CPU_ISA"]
print(f"torch {torch.__version__}, {used}: bf16 is {ratio:.2f} times as fast as float32")
able, least, most = torch.ops.mkldnn._is_mkldnn_bf16_supported(), *map(float, os.environ["RANGE"].split())
raise SystemExit(0 if able and least <= ratio <= most else 1)
P
for case in "AVX512_CORE_AMX 2 9" "AVX512_CORE_BF16 0 1.1" "AVX512_CORE 0 0.6"; do
    read -r isa range <<<"$case"
    ONEDNN_MAX_CPU_ISA=$isa RANGE=$range "$work/venv/bin/python" "$work/time.py"
done
