"""Models on a hub: their folders, downloaded by huggingface_hub to its cache.

A name is `owner/name`, or `owner/name@revision` for a branch, a tag or a commit. The variables of
huggingface_hub hold: `HF_HUB_CACHE` or `HF_HOME` (where the cache is), `HF_HUB_OFFLINE=1` (only
what the cache holds), `HF_TOKEN`, `HF_ENDPOINT`.
"""

import logging
import re
import sys
from pathlib import Path
from typing import Any

from hearsight.errors import HearsightError, needs

LOGGER = logging.getLogger(__name__)

NAME = re.compile(r"(\w[\w.-]*/\w[\w.-]*)(?:@([\w./-]+))?", re.ASCII)
FILES = ("config.json", "model.safetensors", "*.md", "LICENSES/*.txt")
"""What is downloaded of a repository: a model folder, nothing else that lies beside it."""


def is_hub_name(name: str) -> bool:
    """Whether a name may be of a model on a hub.

    One whose first part is a folder here is a path: a misspelt one is not asked for elsewhere.
    """
    return NAME.fullmatch(name) is not None and not Path(name.partition("/")[0]).exists()


def download(name: str) -> Path:
    """The model folder of that name in the cache; what is not there yet is downloaded.

    Raises:
        HearsightError: huggingface_hub is not installed, there is no such model or revision, or
            the hub cannot be reached and the cache does not hold it.
    """
    return _snapshot(name, local=False)


def find_cached(name: str) -> Path | None:
    """The model folder of that name, if it is in the cache; nothing is asked of a hub."""
    try:
        return _snapshot(name, local=True)
    except HearsightError:
        return None


def _snapshot(name: str, *, local: bool) -> Path:
    found = NAME.fullmatch(name)
    assert found is not None, "names are checked by is_hub_name"
    here = f"There is no file or folder '{name}' here, and "
    with needs("hub", f"{here}a model on a hub"):
        from huggingface_hub import errors, snapshot_download
        from huggingface_hub.utils.tqdm import tqdm
    shown = sys.stderr.isatty() and LOGGER.isEnabledFor(logging.ERROR)

    class Bar(tqdm):
        """A bar on a terminal, and nothing in a file or where only errors are shown."""

        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options | {"disable": not shown})  # type: ignore[no-untyped-call]

    repository, revision = found.groups()
    try:
        folder = snapshot_download(
            repository,
            revision=revision,
            allow_patterns=[*FILES],
            local_files_only=local,
            tqdm_class=Bar,
        )
    except errors.RevisionNotFoundError as error:
        raise HearsightError(f"{here}'{repository}' has no revision '{revision}'.") from error
    except errors.RepositoryNotFoundError as error:
        raise HearsightError(f"{here}the hub shows no such model to you.") from error
    except errors.HFValidationError as error:
        raise HearsightError(f"{here}no model on a hub can have such a name.") from error
    except errors.LocalEntryNotFoundError as error:
        raise HearsightError(
            f"{here}the hub was not asked or did not answer, and its cache does not hold it."
        ) from error
    except Exception as error:  # those of the network are of another class in each version
        raise HearsightError(f"{here}it could not be downloaded: {error}.") from error
    return Path(folder)
