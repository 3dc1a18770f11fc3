"""What a worker process is begun with, and what it keeps between tasks."""

import threading
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from hearsight.errors import HearsightError

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
        self.warming: threading.Thread | None = None  # loads what a search needs
        self._loading = threading.Lock()  # of that thread, or of a search that came before its end

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
        """The library, about to embed: its model is loaded, and torch has its threads."""
        import torch

        torch.set_num_threads(self.settings.threads)
        with self._loading:
            self.library.embedder  # noqa: B018
        return self.library

    def warm_search(self) -> bool:
        """Load what a search needs in a thread, if none does; whether that is done.

        Meanwhile other tasks are answered. What is wrong with the model the first search says.
        """
        if self.warming is None:
            self.library  # noqa: B018  # here: the thread must not open another one
            self.warming = threading.Thread(target=self._warm_search, daemon=True)
            self.warming.start()
        return not self.warming.is_alive()

    def _warm_search(self) -> None:
        """Load the vector index, and by a search with a sound and one with a picture the rest."""
        import wave

        import numpy as np
        from PIL import Image

        from hearsight.media.samples import RATE

        hum = np.rint(8_000 * np.sin(np.arange(RATE) / 10)).astype("<i2")
        with suppress(HearsightError, OSError), TemporaryDirectory() as name:
            sound, picture = Path(name) / "hum.wav", Path(name) / "grey.jpg"
            with wave.open(str(sound), "wb") as file:
                file.setparams((1, 2, RATE, 0, "NONE", ""))
                file.writeframes(hum.tobytes())
            Image.new("RGB", (256, 144), "grey").save(picture)
            library = self.embedding_library
            library.warm()
            library.nearest(library.query(sound=sound), 1)
            library.nearest(library.query(image=picture), 1)
