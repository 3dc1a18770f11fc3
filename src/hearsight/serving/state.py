"""What a worker process is begun with, and what it keeps between tasks."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hearsight.library.library import Library, Query
    from hearsight.loaded_model import LoadedModel


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a worker is begun with."""

    model: str | None = None  # of films; None: the weights that come with the package
    library: str | None = None
    device: str | None = None
    threads: int = 2


class State:
    """What a worker keeps between tasks: the model and the library, once they are loaded."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.queries: dict[str, Query] = {}  # of searches, the newest last
        self.names: dict[str, str] = {}  # files of the library by their ids
        self.counted: tuple[float, dict[str, Any]] | None = None  # what it holds, and when

    @cached_property
    def model(self) -> "LoadedModel":
        """The model that localises; raises HearsightError if there is none of its name."""
        import torch

        from hearsight.loaded_model import load_model
        from hearsight.localising.localise import MODEL

        torch.set_num_threads(self.settings.threads)
        return load_model(self.settings.model or MODEL, device=self.settings.device)

    @cached_property
    def library(self) -> "Library":
        """The library that is searched; raises HearsightError if there is none yet."""
        from hearsight.library.library import Library

        return Library.open(self.settings.library or "", device=self.settings.device)

    @property
    def embedding_library(self) -> "Library":
        """The library, about to embed: torch gets its threads, and is imported no earlier."""
        import torch

        torch.set_num_threads(self.settings.threads)
        return self.library
