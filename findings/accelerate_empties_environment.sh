#!/usr/bin/env bash
# accelerate 1.15.0 on torch 2.13.0: making an `Accelerator` empties `os.environ`.
#
# Expected: the object that picks device and precision reads the environment, and at most sets
# variables of its own. Services train in one thread and read HOME, PATH or credentials in others.
# Seen: to find out which arguments of a plugin differ from their defaults, every `Accelerator` clears
# the environment of the whole process and sets it anew. Another thread sees an
# empty environment meanwhile, and what it sets at that moment is lost.
#
# Exits 0 while it is so, 1 when it has changed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet torch==2.13.0 accelerate==1.15.0
HOME_BEFORE=kept "$work/venv/bin/python" - <<'P'
import os
import sys
import threading

from accelerate import Accelerator

Accelerator(cpu=True)  # what is imported and set once is not counted
sys.setswitchinterval(1e-5)
stop, reads, missing = threading.Event(), 0, 0


def read():
    global reads, missing
    while not stop.is_set():
        reads += 1
        missing += "HOME_BEFORE" not in os.environ


reader = threading.Thread(target=read)
reader.start()
for _ in range(300):
    Accelerator(cpu=True)
stop.set()
reader.join()

removed = []
real = type(os.environ).__delitem__


def watched(self, key):
    removed.append(key)
    real(self, key)


type(os.environ).__delitem__ = watched
Accelerator(cpu=True)
times = removed.count("HOME_BEFORE")
print(f"one Accelerator removes each of {len(set(removed))} variables {times} times;")
print(f"a second thread missed one of them in {missing} of {reads} reads")
sys.exit(0 if times else 1)
P
