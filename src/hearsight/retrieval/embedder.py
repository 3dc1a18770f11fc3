"""Frames and sounds become unit vectors that can be compared: one model, ready to embed.

A sound's vector is the model's own. A frame's is the mean of its grid of vectors, over the whole
frame as `localising.localise` sees it. Both have length 1, so that their product is a cosine (the
mean of the heads' cosines, where the model has several).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor

from hearsight.checkpoints.checkpoint import load_model
from hearsight.errors import HearsightError
from hearsight.localising.localise import SOUND_SECONDS, EncoderFrame
from hearsight.media.samples import to_samples
from hearsight.model.device import move
from hearsight.model.encoders import Encoders
from hearsight.model.nearest import unit
from hearsight.recipes.recipe import Recipe


@dataclass(frozen=True, slots=True, kw_only=True)
class Embedder:
    """A model that embeds; `load_embedder` makes one."""

    encoders: Encoders  # on `device`, in evaluation mode
    recipe: Recipe
    source: str  # the checkpoint's absolute path, or the name of weights that come with the package
    device: torch.device

    @property
    def seconds(self) -> float:
        """Length of the sound that is heard at a moment, as in `hearsight.localising.localise`."""
        return min(SOUND_SECONDS, self.recipe.spectrogram.seconds)

    @property
    def side(self) -> int:
        """Pixels of a frame's shorter side, as it is seen."""
        return self.recipe.frame_size

    def fingerprint(self) -> str:
        """32 hexadecimal digits that tell these weights from all others."""
        digest = blake2b(digest_size=16)
        for name, values in sorted(self.encoders.state_dict().items()):
            digest.update(name.encode())
            digest.update(values.detach().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()

    @torch.inference_mode()
    def sounds(
        self, sounds: Sequence[Float32[np.ndarray, " samples"]]
    ) -> Float32[np.ndarray, "n c"]:
        """Unit vectors of sounds in [-1, 1], all of one length, at least one sample.

        Raises:
            HearsightError: a vector is not finite.
        """
        pcm = torch.from_numpy(np.stack([to_samples(samples) for samples in sounds]))
        spectrograms = self.recipe.spectrogram(pcm.to(self.device))
        return self._units(self.encoders.embed_sounds(spectrograms))

    @torch.inference_mode()
    def frames(self, frames: Sequence[EncoderFrame]) -> Float32[np.ndarray, "n c"]:
        """Unit vectors of frames, all of one size.

        Raises:
            HearsightError: a vector is not finite.
        """
        seen = torch.stack([frame.colours for frame in frames])
        return self._units(self.encoders.embed_frames(seen.to(self.device)).mean((2, 3)))

    def _units(self, vectors: Float[Tensor, "n c"]) -> Float32[np.ndarray, "n c"]:
        units = unit(vectors.float(), self.recipe.encoder.heads).cpu()
        if not units.isfinite().all():
            raise HearsightError("An embedding is not finite: the weights are damaged.")
        array: Float32[np.ndarray, "n c"] = units.numpy()
        return array


def load_embedder(model: str | Path, device: str | None = None) -> Embedder:
    """Load a model: a checkpoint, a run folder, or the name of one that comes with the package.

    Raises:
        HearsightError: there is no such model or device, or the checkpoint is damaged.
    """
    encoders, recipe, _ = load_model(model)
    place = move(encoders, device)
    path = Path(model)
    source = str(path.absolute()) if path.exists() else str(model)
    return Embedder(encoders=encoders.eval(), recipe=recipe, source=source, device=place)
