#!/usr/bin/env bash
# torch 2.13.0, torch.onnx.export of a size that is rounded up, with a dynamic dimension.
#
# Expected: -(-n // 2), which rounds n / 2 up, is 4 for n = 7, in the graph as in torch. The shape that
# torch itself writes beside the node in the graph says so too.
# Seen: the graph negates, divides by ONNX Div, and negates. Div of whole numbers rounds towards zero,
# not down, so that every odd n comes out one too small: 3 for 7. Nothing warns; export at an even size
# and a check at that size pass. (n + 1) // 2 is right.
# It hits "SAME" padding written in the usual way: feature maps of odd sizes lose a row or column.
#
# Exits 0 while it is so, 1 when it has changed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet torch==2.13.0 numpy==2.4.6 onnx==1.23.2 onnxruntime==1.32.0 \
    onnxscript==0.7.2
cd "$work"
"$work/venv/bin/python" -W ignore - 2>/dev/null <<'P'
import sys

import numpy as np
import onnxruntime
import torch


class Up(torch.nn.Module):
    def forward(self, values):
        return values[: -(-values.shape[0] // 2)]


class Plus(torch.nn.Module):
    def forward(self, values):
        return values[: (values.shape[0] + 1) // 2]


def lengths(network: torch.nn.Module) -> list[tuple[int, int]]:
    free = ({0: torch.export.Dim.DYNAMIC},)
    values = torch.arange(6.0)
    program = torch.onnx.export(network, (values,), dynamo=True, dynamic_shapes=free, verbose=False)
    program.save("graph.onnx")
    session = onnxruntime.InferenceSession("graph.onnx", providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return [
        (len(network(torch.zeros(n))), len(session.run(None, {name: np.zeros(n, np.float32)})[0]))
        for n in (6, 7, 8, 9)
    ]


up, plus = lengths(Up().eval()), lengths(Plus().eval())
print(f"torch {torch.__version__}, lengths of 6, 7, 8, 9 halved (torch, graph):")
print(f"-(-n // 2): {up}; (n + 1) // 2: {plus}")
same = [(3, 3), (4, 4), (4, 4), (5, 5)]
sys.exit(0 if up == [(3, 3), (4, 3), (4, 4), (5, 4)] and plus == same else 1)
P
