"""What a user did wrong, said in one plain sentence."""

from collections.abc import Iterable
from difflib import get_close_matches


class HearsightError(Exception):
    """A mistake in the input: its text is one sentence that names the file, option or value.

    The command prints it to stderr and ends with exit code 2; no traceback is shown.
    """


def nearest(word: str, known: Iterable[str]) -> str:
    """` Did you mean 'contrast.margin'?` if one of the `known` names is close, else nothing."""
    close = get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f" Did you mean '{close[0]}'?" if close else ""
