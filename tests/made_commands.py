"""Command lines run in a test: what runs one, what it returns, and how one is refused."""

from collections.abc import Callable
from pathlib import Path

Hearsight = Callable[[str], tuple[int, str, str]]  # a line, to exit code, stdout and stderr


def refused(hearsight: Hearsight, line: str, *said: str) -> None:
    """A command line that ends in one sentence, exit code 2, and leaves the folder as it was."""
    before = sorted(Path().rglob("*"))
    code, out, err = hearsight(line)
    sentence = err.splitlines()[-1]
    assert code == 2
    assert out == ""
    assert all(text.endswith(" ...") for text in err.splitlines()[:-1]), err
    assert sentence.startswith("hearsight: ")
    assert len(sentence) < 1100
    for part in said:
        assert part in sentence
    assert sorted(Path().rglob("*")) == before
