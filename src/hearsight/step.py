"""One training step: clips in, named loss terms out."""

from dataclasses import dataclass

import torch
import torch.distributed as dist
from jaxtyping import Float
from torch import Tensor, nn

from hearsight.batches import Batch
from hearsight.drawn import Blend, Look, Move, Silencing
from hearsight.encoders import Encoders, gather, process_count
from hearsight.recipe import Recipe
from hearsight.response import matched, response
from hearsight.transforms import plain


@dataclass(frozen=True, slots=True, kw_only=True)
class Draws:
    """All that is random in one step, drawn for the joined batch; None where a recipe has none."""

    appearance: Look | None
    mixing: Blend | None
    mask: Silencing | None
    warp: Move | None

    def part(self, start: int, stop: int) -> "Draws":
        """The draws of clips `start` to `stop`."""
        return Draws(
            appearance=self.appearance and self.appearance.part(start, stop),
            mixing=self.mixing and self.mixing.part(start, stop),
            mask=self.mask and self.mask.part(start, stop),
            warp=self.warp and self.warp.part(start, stop),
        )

    def to(self, device: torch.device) -> "Draws":
        """Copy the draws to `device`."""
        return Draws(
            appearance=self.appearance and self.appearance.to(device),
            mixing=self.mixing and self.mixing.to(device),
            mask=self.mask and self.mask.to(device),
            warp=self.warp and self.warp.to(device),
        )


def draw(recipe: Recipe, count: int, epoch: int, generator: torch.Generator) -> Draws:
    """Draw what a step of the recipe needs for `count` clips, those of all processes together.

    Every process draws the same from the same generator state, then takes its `part`; so what
    is drawn does not depend on the number of processes.
    """
    appearance, mixing, mask, warp = recipe.appearance, recipe.mixing, recipe.mask, recipe.warp
    return Draws(
        appearance=appearance.draw(count, generator) if appearance else None,
        mixing=mixing.draw(count, generator, epoch, recipe.epochs) if mixing else None,
        mask=mask.draw(count, generator) if mask else None,
        warp=warp.draw(count, generator) if warp else None,
    )


@torch.no_grad()
def prepare_frames(recipe: Recipe, batch: Batch, draws: Draws) -> Float[Tensor, "b 3 side side"]:
    """The frames as the encoder sees them: one random look each, or plain."""
    if draws.appearance is None:
        return plain(batch.frames, batch.sizes, recipe.frame_size)
    return draws.appearance(batch.frames, batch.sizes, recipe.frame_size)


@torch.no_grad()
def prepare_sounds(recipe: Recipe, batch: Batch, draws: Draws) -> Float[Tensor, "b 1 bins times"]:
    """The spectrograms as the encoder hears them: sounds mixed as waves, masked as power."""
    waveforms = recipe.spectrogram.waveforms(batch.sounds)
    if draws.mixing is not None and batch.partners is not None:
        waveforms = draws.mixing(waveforms, recipe.spectrogram.waveforms(batch.partners))
    power = recipe.spectrogram.power(waveforms)
    if draws.mask is not None:
        power = draws.mask(power)
    return recipe.spectrogram.finish(power)


def losses(
    recipe: Recipe,
    encoders: Encoders,
    frames: Float[Tensor, "b 3 side side"],
    spectrograms: Float[Tensor, "b 1 bins times"],
    move: Move | None,
) -> dict[str, Float[Tensor, ""]]:
    """Contrast every frame with every sound of all processes; follow the maps under a warp.

    The terms are means over this process's frames. Their gradients, averaged over processes,
    are those of one process with the joined batch.

    Source
        SSL-TIE, Liu et al., ACM MM 2022, Eq. 10-11, halved as in the released code:
        (contrast + contrast of warped frames) / 2 + equivariance * mean squared gap between the
        warped map and the map of the warped frame, with gradients through both.
    Differs from the released code
        Both contrasts share one embedding of the sounds (see `Encoder.sound_momentum`).
    """
    sounds = gather(encoders.embed_sounds(spectrograms)).flatten(0, 1)
    first = dist.get_rank() * len(frames) if process_count() > 1 else 0
    responses = response(encoders.embed_frames(frames), sounds)
    contrast = recipe.contrast(responses, first)
    if move is None:
        return {"contrast": contrast}
    with torch.autocast(frames.device.type, enabled=False):
        moved_frames = move(frames)
        followed = move(matched(responses, first)[:, None], frames.shape[-1])[:, 0]
    moved = response(encoders.embed_frames(moved_frames), sounds)
    terms = {"contrast": 0.5 * (contrast + recipe.contrast(moved, first))}
    if recipe.equivariance:
        gap = followed - matched(moved, first)
        terms["equivariance"] = recipe.equivariance * gap.square().mean()
    return terms


class Step(nn.Module):
    """A recipe's step: what is called once per batch, and wrapped for several processes."""

    def __init__(self, recipe: Recipe, encoders: Encoders) -> None:
        super().__init__()
        self.recipe = recipe
        self.encoders = encoders

    def forward(self, batch: Batch, draws: Draws) -> dict[str, Float[Tensor, ""]]:
        """The named terms of the loss; the loss is their sum.

        Args:
            batch: this process's clips, on the encoders' device.
            draws: this process's part of the step's draws, on the same device.
        """
        with torch.autocast(batch.frames.device.type, enabled=False):
            frames = prepare_frames(self.recipe, batch, draws)
            spectrograms = prepare_sounds(self.recipe, batch, draws)
        return losses(self.recipe, self.encoders, frames, spectrograms, draws.warp)
