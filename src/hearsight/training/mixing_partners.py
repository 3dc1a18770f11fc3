"""The mixing curriculum: finds for each sound the one that it is mixed with in the next epoch.

Source: SSL-TIE, Eq. 4: a sound is mixed with the most similar other sound of the whole data set,
by the cosine of their embeddings.
Differs from the released code: there the search is in a random queue of 4,000 sounds, in which a
clip may find itself.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn.functional import normalize
from torch.utils.data import DataLoader, Dataset, Subset

from hearsight.clips.clip import Clips, UnreadableClip
from hearsight.errors import needs
from hearsight.model.encoders import Encoders
from hearsight.model.nearest import nearest_other
from hearsight.recipes.recipe import Recipe
from hearsight.scoring.inference import evaluation_mode
from hearsight.training.batches import NO_PARTNER, fitted_sound, loaded, one_thread, set_epoch

with needs("train", "Training"):
    from accelerate import Accelerator  # type: ignore[import-untyped]

SoundItem = tuple[int, Tensor | UnreadableClip]


class Sounds(Dataset[SoundItem]):
    """The sounds of an epoch without their frames, each fitted to the recipe's length."""

    def __init__(self, clips: Clips, seconds: float, epoch: int) -> None:
        self.clips, self.seconds, self.epoch = clips, seconds, epoch

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, index: int) -> SoundItem:
        set_epoch(self.clips, self.epoch)
        try:
            sound = self.clips.sound(index)
        except UnreadableClip as error:
            return index, error
        return index, fitted_sound(sound, self.seconds)


def uncollated(items: list[SoundItem]) -> list[SoundItem]:
    """Return a batch as the list of its items: sounds and errors do not stack."""
    return items


@torch.no_grad()
def embed_sounds(
    recipe: Recipe,
    encoders: Encoders,
    clips: Clips,
    *,
    epoch: int,
    wanted: Sequence[int],
    device: torch.device,
    workers: int = 1,
    advance: Callable[[int], None] | None = None,
) -> tuple[Float[Tensor, "n c"], Int64[Tensor, " n"]]:
    """Embed the `wanted` sounds of an epoch that can be read, without masking or mixing.

    Returns:
        Unit embeddings, and for each the index of its clip.
    """
    embeddings: list[Tensor] = []
    indices: list[int] = []
    loader = DataLoader(
        Subset(Sounds(clips, recipe.spectrogram.seconds, epoch), wanted),
        batch_size=recipe.batch_size,
        collate_fn=uncollated,
        num_workers=workers,
        worker_init_fn=one_thread if workers else None,
        generator=torch.Generator(),  # of the workers' seeds, which nothing uses
    )
    with evaluation_mode(encoders):
        for items in loaded(loader):
            read = [(i, sound) for i, sound in items if isinstance(sound, Tensor)]
            if read:
                pcm = torch.stack([sound for _, sound in read]).to(device)
                embedded = encoders.embed_sounds(recipe.spectrogram(pcm))
                embeddings.append(normalize(embedded.float(), dim=1))
                indices.extend(i for i, _ in read)
            if advance is not None:
                advance(len(items))
    if not embeddings:
        return torch.zeros(0, 1, device=device), torch.zeros(0, dtype=torch.int64, device=device)
    return torch.cat(embeddings), torch.tensor(indices, device=device)


def gathered(
    embeddings: Float[Tensor, "n c"], indices: Int64[Tensor, " n"], accelerator: Accelerator
) -> tuple[Float[Tensor, "joined c"], Int64[Tensor, " joined"]]:
    """The embeddings of all processes, in the order of the clips."""
    if accelerator.num_processes > 1:
        embeddings, indices = accelerator.pad_across_processes(
            (embeddings, indices), pad_index=NO_PARTNER
        )
        embeddings, indices = accelerator.gather((embeddings, indices))
        embeddings, indices = embeddings[indices >= 0], indices[indices >= 0]
    order = indices.argsort()
    return embeddings[order], indices[order]


def find_mixing_partners(
    recipe: Recipe,
    encoders: Encoders,
    clips: Clips,
    *,
    epoch: int,
    accelerator: Accelerator,
    workers: int = 1,
    advance: Callable[[int], None] | None = None,
) -> Int64[np.ndarray, " count"]:
    """For each clip of the coming epoch the clip whose sound is mixed into its own, or -1.

    Each process embeds its part of the sounds, then each searches all of them on its device.
    """
    embeddings, indices = gathered(
        *embed_sounds(
            recipe,
            encoders,
            clips,
            epoch=epoch,
            wanted=range(accelerator.process_index, len(clips), accelerator.num_processes),
            device=accelerator.device,
            workers=workers,
            advance=advance,
        ),
        accelerator,
    )
    finite = embeddings.isfinite().all(1)
    embeddings, indices = embeddings[finite], indices[finite]
    chosen = np.full(len(clips), NO_PARTNER, dtype=np.int64)
    if len(indices) > 1:
        chosen[indices.cpu().numpy()] = indices[nearest_other(embeddings)].cpu().numpy()
    return chosen
