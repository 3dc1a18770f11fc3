"""What is said where a package of an extra is missing, or is there but does not do."""

import sys
from pathlib import Path

import pytest

from hearsight.errors import HearsightError, install_command, needs


def test_a_missing_package_is_named_with_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "lancedb", None)
    with pytest.raises(HearsightError) as told, needs("library", "A library"):
        import lancedb  # noqa: F401
    said = f"A library needs lancedb, which is not installed: {install_command('library')}"
    assert str(told.value) == said


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("from lancedb.index import Later", "cannot import name 'Later' from 'lancedb.index'"),
        ("import lancedb.index.later", "No module named 'lancedb.index.later'"),
    ],
)
def test_a_package_without_what_is_imported_is_not_called_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, why: str
) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "lancedb"]:
        monkeypatch.delitem(sys.modules, name)
    (tmp_path / "lancedb").mkdir()
    for name in ("__init__.py", "index.py"):
        (tmp_path / "lancedb" / name).touch()
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(HearsightError) as told, needs("library", "A library"):
        exec(line)
    said = str(told.value)
    assert said.startswith("A library needs lancedb>=")
    assert f", and what is installed does not do ({why}" in said
    assert said.endswith(f"): {install_command('library')}")
    assert "not installed" not in said
    for name in ("lancedb.index", "lancedb"):
        sys.modules.pop(name, None)


def test_a_package_that_no_extra_names_is_called_by_its_name() -> None:
    said = r"needs json, and what is installed does not do"
    with pytest.raises(HearsightError, match=said), needs("library", "A library"):
        from json import later  # noqa: F401


def test_a_package_that_does_not_fit_together_is_not_called_missing() -> None:
    said = r"^A library cannot import what it needs \(core failed to import\): pip install "
    with pytest.raises(HearsightError, match=said), needs("library", "A library"):
        raise ImportError("core failed to import")
