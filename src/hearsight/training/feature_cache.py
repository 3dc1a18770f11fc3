"""Features of frozen trunks, kept on disk by content: each frame and sound is computed once."""

from hashlib import blake2b
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Float16
from torch import Tensor, nn

from hearsight.checkpoints.tensors import weights_digest
from hearsight.errors import HearsightError
from hearsight.files.output import temporary_beside
from hearsight.model.encoders import RESNETS, Encoders
from hearsight.recipes.recipe import Recipe


class FeatureCache:
    """A frozen trunk whose features are kept in a folder, in half precision, a file per input.

    Features that were computed just now are rounded as those that are read, so that both are the
    same. Files carry the digest of the trunk's kind and weights, and of the input. One that a crash
    has cut short is computed anew.
    """

    def __init__(self, trunk: nn.Module, folder: Path) -> None:
        self.trunk = trunk
        self.folder = folder / weights_digest(trunk.state_dict(), 8, begin=type(trunk).__name__)

    @torch.no_grad()
    def __call__(self, inputs: Float[Tensor, "b channels y x"]) -> Float[Tensor, "b c h w"]:
        """The features of each input, rounded to half precision: read, or computed and kept.

        Raises:
            HearsightError: the folder cannot be written.
        """
        files = [self._file(row) for row in inputs.detach().cpu().contiguous()]
        kept = [_kept(file) for file in files]
        missing = [at for at, features in enumerate(kept) if features is None]
        if missing:
            for at, features in zip(missing, self.trunk(inputs[missing]), strict=True):
                kept[at] = halved = features.half().cpu().numpy()
                self._write(files[at], halved)
        found = np.stack([features for features in kept if features is not None])
        return torch.from_numpy(found).to(inputs.device, inputs.dtype)

    def _file(self, row: Tensor) -> Path:
        name = blake2b(row.numpy().tobytes(), digest_size=16).hexdigest()
        return self.folder / name[:2] / f"{name}.npy"

    def _write(self, file: Path, features: Float16[np.ndarray, "c h w"]) -> None:
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            with temporary_beside(file) as part, part.open("wb") as opened:
                np.save(opened, features)
        except OSError as error:
            raise HearsightError(
                f"The features of frozen trunks cannot be written to '{self.folder}': "
                f"{error.strerror}."
            ) from error


def _kept(file: Path) -> Float16[np.ndarray, "c h w"] | None:
    """The features in a file; None where there is none, or a crash has cut it short."""
    try:
        found: Float16[np.ndarray, "c h w"] = np.load(file)
    except (OSError, ValueError, EOFError):
        return None
    return found


def feature_caches(recipe: Recipe, encoders: Encoders, folder: Path) -> dict[str, FeatureCache]:
    """A cache for each trunk, `frames` or `sounds`, that is frozen and sees the same inputs again.

    Augmented inputs are others in every step: there is nothing to keep of them.
    """
    encoder, caches = recipe.encoder, {}
    frozen = encoder.free_blocks == 0
    if frozen and encoder.frame_trunk not in RESNETS and not (recipe.appearance or recipe.warp):
        caches["frames"] = FeatureCache(encoders.frames, folder / "frames")
    if frozen and encoder.sound_trunk != "resnet" and not (recipe.mixing or recipe.mask):
        caches["sounds"] = FeatureCache(encoders.sounds, folder / "sounds")
    return caches
