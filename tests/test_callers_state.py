"""What belongs to the caller stays: random states, threads, filters of warnings, defaults, folder.

Every name of the public face that computes is called, and `index_videos`, which fills a library.
"""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import made_states

import hearsight

SOURCE = Path(hearsight.__file__).parent
RECORDS = {"HearsightError", "Moment", "Recipe", "__version__"}  # they compute nothing


def test_every_public_name_is_called() -> None:
    called = {name.partition(",")[0] for name in made_states.calls(Path(), Path())}
    assert {*hearsight.__all__} - RECORDS <= called


def run(*program: str) -> str:
    """What a program prints."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    words = [sys.executable, *program]
    done = subprocess.run(words, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_call_leaves_the_callers_state_alone_also_one_in_another_thread(tmp_path: Path) -> None:
    found = json.loads(run(made_states.__file__, str(tmp_path)))
    unchanged = {name: [] for name in made_states.calls(Path(), Path())}
    assert found == {"alone": unchanged, "beside": unchanged}


IMPORTED = """
import os, warnings
import torch  # adds filters of its own
import hearsight
for level in (None, "info"):
    if os.fork() == 0:  # each imports it for the first time
        os.environ.pop("LANCEDB_LOG", None)
        if level is not None:
            os.environ["LANCEDB_LOG"] = level
        environment, filters = dict(os.environ), list(warnings.filters)
        hearsight.Library
        changed = set(environment.items()) ^ set(os.environ.items())
        assert dict(os.environ) == environment, (level, changed)
        added = [each for each in warnings.filters if each not in filters]
        assert warnings.filters == filters, (level, added)
        print(level, flush=True)
        break
    _, status = os.wait()
    assert status == 0
"""


def test_importing_a_library_leaves_environment_and_filters() -> None:
    assert run("-c", IMPORTED).split() == ["None", "info"]


GLOBAL = {
    *("manual_seed_all", "fork_rng", "set_rng_state", "set_num_threads", "set_num_interop_threads"),
    *("set_default_dtype", "set_default_device", "catch_warnings", "simplefilter"),
    *("filterwarnings", "chdir", "seterr", "use_deterministic_algorithms", "set_grad_enabled"),
}
"""Calls that change what the whole process shares, or swap it for a while, seen by all threads."""
OWN_PROCESS = {
    "commands",  # the program's own process
    *("serving/state.py", "serving/tasks.py"),  # the server's worker
    "training/batches.py",  # workers that load clips
    "library/ray_engine.py",  # workers of Ray, and Ray itself
}
GIVEN_BACK = {"model/passes.py"}  # evaluations: torch's number of threads, before they return


def test_no_module_changes_what_the_process_shares() -> None:
    found = []
    for file in sorted(SOURCE.rglob("*.py")):
        place = file.relative_to(SOURCE)
        if {str(place), place.parts[0]} & (OWN_PROCESS | GIVEN_BACK):
            continue
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            called = ast.unparse(node.func)
            if node.func.attr in GLOBAL or called in ("torch.manual_seed", "random.seed"):
                found.append(f"{place}:{node.lineno} {called}")
    assert found == []
