#!/usr/bin/env bash
# torch 2.13.0, nn.init on the device "meta".
#
# Expected: making a network on the device "meta", in order to fill it with stored weights, does no work;
# that is what the device is for.
# Seen: nn.init.normal_ on a tensor there imports torch._dynamo and sympy, hundreds of modules, which
# takes longer than loading the weights of a small network; nn.init.uniform_ imports neither. A program
# that starts to answer one question (a command line, a web worker) pays for it at every start.
#
# Exits 0 while it is so, 1 when it has changed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet torch==2.13.0 numpy==2.4.6
"$work/venv/bin/python" - <<'P'
import sys
import time

import torch

found = {}
for name in ("uniform_", "normal_"):
    before, begin = set(sys.modules), time.perf_counter()
    getattr(torch.nn.init, name)(torch.empty(3, 3, device="meta"))
    seconds = time.perf_counter() - begin
    new = set(sys.modules) - before
    found[name] = "torch._dynamo" in new
    print(f"torch {torch.__version__}: nn.init.{name} on meta: {len(new)} modules, {seconds:.2f} s, dynamo: {found[name]}")
sys.exit(0 if found == {"uniform_": False, "normal_": True} else 1)
P
