"""What a user did wrong, said in one plain sentence."""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path, PurePath

INTERRUPTED = 130  # the exit code of a program ended by Ctrl-C
NO_MEMORY = "There is not enough memory for this."
OUT_OF_MEMORY = ("can't allocate memory", "out of memory")  # torch on a CPU, on a GPU


class HearsightError(Exception):
    """A mistake in the input: its text is one sentence that names the file, option or value.

    An argument is named in backticks (`every`, `batch_size=8`). The command prints its options in
    place of them (--every, --set batch_size=8) to stderr and ends with exit code 2; no traceback is
    shown.
    """


def sentence_of(error: Exception) -> str | None:
    """What a user is told of a mistake, of what the system refuses, and of too little memory.

    None for any other error: it is a fault of the program, whose traceback is wanted.
    """
    if isinstance(error, HearsightError):
        return str(error)
    if isinstance(error, OSError):
        named = f"{error.filename}: " if error.filename else ""
        return f"{named}{error.strerror or error}."
    by_torch = isinstance(error, RuntimeError) and any(each in str(error) for each in OUT_OF_MEMORY)
    return NO_MEMORY if by_torch or isinstance(error, MemoryError) else None


def nearest(word: str, known: Iterable[str]) -> str:
    """` Did you mean 'contrast.margin'?` if one of the `known` names is close, else nothing."""
    close = get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f" Did you mean '{close[0]}'?" if close else ""


def refuse_name(argument: str, value: object, opening: str) -> None:
    """Refuse the name of something where the thing itself is wanted.

    opening: the function that gives it for a name.

    Raises:
        HearsightError: the value is a text or a path.
    """
    if isinstance(value, str | PurePath):
        raise HearsightError(
            f"`{argument}` is only a name, '{value}': give what {opening}('{value}') returns."
        )


@contextmanager
def needs(extra: str, purpose: str) -> Iterator[None]:
    """Say which extra brings a package that an import inside the `with` block does not find.

    purpose: what needs it, the subject of the sentence.

    Raises:
        HearsightError: in place of an ImportError, also where the package is installed in a version
            that lacks what is imported.
    """
    try:
        yield
    except ImportError as error:
        if error.name is None:  # as of a package whose own parts do not fit together
            raise HearsightError(
                f"{purpose} cannot import what it needs ({error}): {install_command(extra)}"
            ) from error
        package = error.name.partition(".")[0]
        what = f"{package}, which is not installed"
        if _is_installed(package):
            what = f"{_wanted(package, extra)}, and what is installed does not do ({error})"
        raise HearsightError(f"{purpose} needs {what}: {install_command(extra)}") from error


def _is_installed(package: str) -> bool:
    """Whether a package of that name is found, without importing it."""
    from importlib.util import find_spec

    try:
        return find_spec(package) is not None
    except (ImportError, ValueError):
        return False


def _wanted(package: str, extra: str) -> str:
    """A package with the versions that an extra asks for, as `lancedb>=0.40`, where it is known."""
    from importlib.metadata import PackageNotFoundError, requires

    try:
        listed = requires("hearsight") or []
    except PackageNotFoundError:
        return package
    for each in listed:
        wanted, _, marker = each.partition(";")
        name = re.match(r"[\w.-]+", wanted)
        if name and name[0].replace("-", "_") == package and extra in re.split(r"\W", marker):
            return wanted.strip()
    return package


def install_command(extra: str) -> str:
    """The command that adds an extra to this installation.

    By the checkout that is imported, else the folder or file that was installed, else by name.
    """
    import json
    from importlib.metadata import PackageNotFoundError, distribution
    from urllib.parse import urlsplit
    from urllib.request import url2pathname

    checkout = Path(__file__).parents[2]
    if (checkout / "pyproject.toml").exists():
        return f"pip install -e '{checkout}[{extra}]'"
    try:
        origin = json.loads(distribution("hearsight").read_text("direct_url.json") or "{}")
    except (PackageNotFoundError, ValueError):
        origin = {}
    url = urlsplit(origin.get("url", ""))
    source = url2pathname(url.path)
    if url.scheme == "file" and Path(source).exists():
        return f"pip install '{source}[{extra}]'"
    return f"pip install 'hearsight[{extra}]'"
