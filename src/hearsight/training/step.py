"""One training step: augments a batch, embeds it, and computes the named terms of the loss."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
import torch.distributed as dist
from jaxtyping import Float, Int64
from torch import Tensor, nn

from hearsight.clips.clip import Box
from hearsight.errors import HearsightError
from hearsight.model.augmentation import AppearanceDraw, MaskDraw, MixingDraw, WarpDraw, centre_crop
from hearsight.model.distributed import gather, process_count
from hearsight.model.encoders import Encoders
from hearsight.model.resnet import Block, Bottleneck, Trunk
from hearsight.model.response import matched
from hearsight.objectives.embedded_batch import EmbeddedBatch
from hearsight.objectives.trimap_contrast import PaperContrast, TrimapContrast
from hearsight.recipes.recipe import Recipe
from hearsight.scoring.clip_maps import check_edges
from hearsight.training.batches import Batch


def compile_networks(encoders: Encoders) -> None:
    """Compile the networks for training, in place; in evaluation mode they stay uncompiled.

    Evaluation comes in batches of many sizes, with gradients off in several ways, and each would be
    compiled anew: on a CPU that takes more time than it saves.
    """

    def compile_network(network: nn.Module) -> None:
        plain, compiled = network.forward, torch.compile(network.forward)

        def forward(*values: Tensor) -> Tensor:
            if not network.training:
                return cast(Tensor, plain(*values))
            for each in values:  # else the second network is compiled for frames of any size
                torch._dynamo.mark_static(each, list(range(1, each.dim())))
            return cast(Tensor, compiled(*values))

        network.forward = forward

    for network in encoders.children():
        compile_network(network)


def checkpoint_activations(encoders: Encoders) -> None:
    """Keep fewer activations of residual trunks for gradients, in place; the numbers stay.

    Stems, their pooling and what is normalised and activated within blocks are computed again:
    they hold half of all activations and little of the work.
    """
    for module in encoders.modules():
        if isinstance(module, Trunk | Block | Bottleneck):
            module.activation_checkpointing = True


@dataclass(frozen=True, slots=True, kw_only=True)
class StepDraws:
    """The random numbers of a step, for the joined batch; None where a recipe lacks the part."""

    appearance: AppearanceDraw | None
    mixing: MixingDraw | None
    mask: MaskDraw | None
    warp: WarpDraw | None
    second: AppearanceDraw | None = None  # for the second view of the same frames
    epoch: int = 0

    def part(self, start: int, stop: int) -> "StepDraws":
        """The draws of clips `start` to `stop`."""
        return StepDraws(
            appearance=self.appearance and self.appearance.part(start, stop),
            mixing=self.mixing and self.mixing.part(start, stop),
            mask=self.mask and self.mask.part(start, stop),
            warp=self.warp and self.warp.part(start, stop),
            second=self.second and self.second.part(start, stop),
            epoch=self.epoch,
        )

    def to(self, device: torch.device) -> "StepDraws":
        """Copy the draws to `device`."""
        return StepDraws(
            appearance=self.appearance and self.appearance.to(device),
            mixing=self.mixing and self.mixing.to(device),
            mask=self.mask and self.mask.to(device),
            warp=self.warp and self.warp.to(device),
            second=self.second and self.second.to(device),
            epoch=self.epoch,
        )


def draw(recipe: Recipe, count: int, epoch: int, generator: torch.Generator) -> StepDraws:
    """Draw the augmentations of a step for `count` clips, those of all processes together.

    Every process draws the same from the same generator state, then takes its `part`, so the
    draws do not depend on the number of processes.
    """
    appearance, mixing, mask, warp = recipe.appearance, recipe.mixing, recipe.mask, recipe.warp
    return StepDraws(
        appearance=appearance.draw(count, generator) if appearance else None,
        mixing=mixing.draw(count, generator, epoch, recipe.epochs) if mixing else None,
        mask=mask.draw(count, generator) if mask else None,
        warp=warp.draw(count, generator) if warp else None,
        second=appearance.draw(count, generator) if appearance and recipe.views == 2 else None,
        epoch=epoch,
    )


@torch.no_grad()
def prepare_frames(
    recipe: Recipe, batch: Batch, appearance: AppearanceDraw | None
) -> Float[Tensor, "b 3 y x"]:
    """The normalised frames, augmented; without an appearance draw the central square."""
    if appearance is None:
        return centre_crop(batch.frames, batch.sizes, recipe.frame_size)
    return appearance(batch.frames, batch.sizes, recipe.frame_size)


@torch.no_grad()
def prepare_sounds(
    recipe: Recipe, batch: Batch, draws: StepDraws
) -> Float[Tensor, "b 1 bins times"]:
    """The spectrograms, augmented: waveforms are mixed, power spectrograms masked."""
    waveforms = recipe.spectrogram.waveforms(batch.sounds)
    if draws.mixing is not None and batch.partners is not None:
        waveforms = draws.mixing(waveforms, recipe.spectrogram.waveforms(batch.partners))
    power = recipe.spectrogram.power(waveforms)
    if draws.mask is not None:
        power = draws.mask(power)
    return recipe.spectrogram.finish(power)


def contrast(recipe: Recipe, view: EmbeddedBatch) -> Float[Tensor, ""]:
    """The recipe's objective on one view."""
    if isinstance(recipe.contrast, TrimapContrast | PaperContrast):
        return recipe.contrast(view.responses, view.first)
    return recipe.contrast(view)


def embed(
    encoders: Encoders,
    frames: Float[Tensor, "b 3 y x"],
    spectrograms: Float[Tensor, "b 1 bins times"],
    sounds: Float[Tensor, "a c"],
    epoch: int,
) -> EmbeddedBatch:
    """The embeddings of this process's frames and of the sounds of all processes."""
    grids = encoders.embed_frames(frames)
    view = EmbeddedBatch(
        grids=grids,
        sounds=sounds,
        responses=encoders.respond(grids, sounds),
        first=dist.get_rank() * len(frames) if process_count() > 1 else 0,
        epoch=epoch,
        networks=encoders,
    )
    if encoders.ema is not None:
        view.ema_grids, own = encoders.embed_by_ema(frames, spectrograms)
        view.ema_sounds = gather(own).flatten(0, 1)
    return view


def losses(
    recipe: Recipe,
    encoders: Encoders,
    frames: Sequence[Float[Tensor, "b 3 y x"]],
    spectrograms: Float[Tensor, "b 1 bins times"],
    warp: WarpDraw | None,
    *,
    epoch: int = 0,
    labels: Int64[Tensor, " b"] | None = None,
    boxes: Sequence[tuple[Box, ...]] | None = None,
) -> dict[str, Float[Tensor, ""]]:
    """The terms of the loss: contrast of frames and sounds, and equivariance under a warp.

    Every frame is contrasted with every sound of all processes. The terms are means over this
    process's frames; their gradients, averaged over processes, are those of one process with the
    joined batch.

    Args:
        recipe: with the objective and its weights.
        encoders: of frames and sounds.
        frames: one view, or two of the same frames.
        spectrograms: augmented.
        warp: of the frames in the equivariance branch; None: there is no such branch.
        epoch: counted from 0.
        labels: class numbers of the clips, if the objective needs them.
        boxes: of the clips, fractions of the square frame, if the objective needs them.

    Source
        SSL-TIE, Liu et al., ACM MM 2022, Eq. 10-11, halved as in the released code:
        (contrast + contrast of warped frames) / 2 + equivariance * mean squared gap between the
        warped map and the map of the warped frame, with gradients through both.
    Differs from the released code
        Both contrasts share one embedding of the sounds (see `Encoder.sound_momentum`).
    """
    sounds = gather(encoders.embed_sounds(spectrograms)).flatten(0, 1)
    views = [embed(encoders, one, spectrograms, sounds, epoch) for one in frames]
    if len(views) == 2:
        views[0].other, views[1].other = views[1], views[0]
    first = views[0].first
    for view in views:
        view.labels = labels
        view.truths = None if boxes is None else box_coverage(boxes, view.grids)
    mean = torch.stack([contrast(recipe, view) for view in views]).mean()
    if warp is None:
        return {"contrast": mean}
    with torch.autocast(frames[0].device.type, enabled=False):
        warped_frames = warp(frames[0])
        side = frames[0].shape[-1]
        warped_maps = warp(matched(views[0].responses, first)[:, None], side)[:, 0]
    warped = embed(encoders, warped_frames, spectrograms, sounds, epoch)
    warped.labels, warped.other = labels, views[0] if len(views) == 2 else None
    if views[0].truths is not None:
        warped.truths = warp(views[0].truths[:, None], side)[:, 0]
    terms = {"contrast": 0.5 * (mean + contrast(recipe, warped))}
    if recipe.equivariance:
        gap = warped_maps - matched(warped.responses, first)
        terms["equivariance"] = recipe.equivariance * gap.square().mean()
    return terms


def box_coverage(
    boxes: Sequence[tuple[Box, ...]], grids: Float[Tensor, "b c h w"]
) -> Float[Tensor, "b h w"]:
    """The share of each grid cell that the boxes of its frame cover, to 1/16 of a cell's side.

    boxes: of each frame, in fractions of it; their edges are finite, and may lie outside.
    """
    fine, (rows, columns) = 16, grids.shape[-2:]
    inside = torch.zeros(len(grids), rows * fine, columns * fine)
    for canvas, own in zip(inside, boxes, strict=True):
        for box in own:
            x0, y0, x1, y1 = (min(max(edge, 0.0), 1.0) for edge in box)
            left, right = round(x0 * columns * fine), round(x1 * columns * fine)
            top, bottom = round(y0 * rows * fine), round(y1 * rows * fine)
            canvas[top:bottom, left:right] = 1
    shares = torch.nn.functional.avg_pool2d(inside[:, None], fine)[:, 0]
    return shares.to(grids.device, grids.dtype)


def class_numbers(labels: Sequence[str | None], known: Sequence[str]) -> Int64[Tensor, " b"]:
    """The class number of each label: its index in `known`.

    Raises:
        HearsightError: a clip without a label, or one of a class that is not in `known`.
    """
    numbers = {label: number for number, label in enumerate(known)}
    for label in labels:
        if label not in numbers:
            said = "A clip without a class" if label is None else f"The class '{label}'"
            raise HearsightError(f"{said} cannot be learned: the classes are {', '.join(known)}.")
    return torch.tensor([numbers[label] for label in labels if label is not None])


class Step(nn.Module):
    """A recipe's step as a module, so that it can be wrapped for several processes."""

    def __init__(self, recipe: Recipe, encoders: Encoders) -> None:
        super().__init__()
        self.recipe = recipe
        self.encoders = encoders

    def forward(self, batch: Batch, draws: StepDraws) -> dict[str, Float[Tensor, ""]]:
        """The named terms of the loss; the loss is their sum.

        Args:
            batch: this process's clips, on the encoders' device.
            draws: this process's part of the step's draws, on the same device.

        Raises:
            HearsightError: the objective needs classes or boxes that the clips lack.
        """
        recipe = self.recipe
        appearances = [draws.appearance, *([draws.second] if draws.second else [])]
        with torch.autocast(batch.frames.device.type, enabled=False):
            frames = [prepare_frames(recipe, batch, appearance) for appearance in appearances]
            spectrograms = prepare_sounds(recipe, batch, draws)
        labels = boxes = None
        if recipe.needs_labels:
            labels = class_numbers(batch.labels, recipe.labels).to(batch.frames.device)
        if recipe.needs_boxes:
            boxes = [square_boxes(batch, i) for i in range(len(batch))]
        half = recipe.precision == "bf16"
        with torch.autocast(batch.frames.device.type, torch.bfloat16, enabled=half):
            terms = losses(
                recipe,
                self.encoders,
                frames,
                spectrograms,
                draws.warp,
                epoch=draws.epoch,
                labels=labels,
                boxes=boxes,
            )
        return {name: term.float() for name, term in terms.items()} if half else terms


def square_boxes(batch: Batch, index: int) -> tuple[Box, ...]:
    """The boxes of a clip as fractions of the central square of its frame.

    Raises:
        HearsightError: the clip is not annotated, or an edge of a box is not a finite number.
    """
    boxes = batch.boxes[index]
    if boxes is None:
        raise HearsightError(f"Clip '{batch.ids[index]}' has no boxes, which the objective needs.")
    check_edges(batch.ids[index], boxes)
    height, width = batch.sizes[index].tolist()
    side = min(height, width)
    left, top = (width - side) / 2, (height - side) / 2
    return tuple(
        (
            (x0 * width - left) / side,
            (y0 * height - top) / side,
            (x1 * width - left) / side,
            (y1 * height - top) / side,
        )
        for x0, y0, x1, y1 in boxes
    )
