"""The user's cache: where packs and pretrained trunks are kept."""

import os
from pathlib import Path


def user_cache() -> Path:
    """`hearsight` in the user's cache, which `XDG_CACHE_HOME` may place elsewhere."""
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "hearsight"
