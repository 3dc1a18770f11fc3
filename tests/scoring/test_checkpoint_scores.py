"""Names of checkpoints in tables: those of their runs, and never two the same."""

import pytest

from hearsight.scoring.checkpoint_scores import run_names

BEST, LAST = "best.safetensors", "last.safetensors"


@pytest.mark.parametrize(
    ("sources", "names"),
    [
        (["runs/first", "runs/second/"], ["first", "second"]),
        ([f"runs/first/{BEST}"], ["first"]),
        (["a/run", "b/run"], ["a/run", "b/run"]),
        ([f"a/run/{BEST}", f"a/run/{LAST}"], ["run/best", "run/last"]),
        (["a/run", f"a/run/{LAST}"], ["a/run", "run/last"]),
        (["x/vgg.safetensors", "ssl_tie:small"], ["vgg", "ssl_tie:small"]),
        ([BEST], ["best"]),
        (["runs/ceiling"], ["runs/ceiling"]),
    ],
)
def test_a_row_is_named_after_its_run(sources: list[str], names: list[str]) -> None:
    assert run_names(sources) == names


def test_the_current_folder_and_a_run_called_as_a_row_that_is_no_model_have_names() -> None:
    assert "." not in run_names(["."])[0]
    assert run_names(["ceiling"])[0].endswith("/ceiling")
