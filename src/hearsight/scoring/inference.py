"""Inference on annotated clips: response maps of a model, batch by batch."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Int16, UInt8
from PIL import Image
from torch import Tensor
from torch.nn.functional import interpolate

from hearsight.clips.clip import AnnotatedClips, Box, Clips, UnreadableClip
from hearsight.clips.read_ahead import in_batches, read_ahead
from hearsight.clips.truth import TruthMask, rasterise
from hearsight.errors import HearsightError
from hearsight.model.augmentation import evaluation_frame
from hearsight.model.colour import as_batch, normalise
from hearsight.model.encoders import Encoders
from hearsight.model.passes import in_passes, whole_passes
from hearsight.model.response import matched
from hearsight.progress import Progress, no_progress
from hearsight.recipes.recipe import Recipe, Spectrogram
from hearsight.scoring.box_scores import MapScores, ObjectMaps, score_maps
from hearsight.scoring.object_guidance import SIDE, ObjectGuide, object_maps
from hearsight.scoring.protocols import Frame, Protocol
from hearsight.scoring.results import EvaluatedClips

LOGGER = logging.getLogger(__name__)

Needs = Literal["boxes", "masks"]
NO_BOXES = "it has no boxes"


@dataclass(slots=True, kw_only=True)
class Inference:
    """A model on its device, and how clips are fed to it.

    name: of the model's rows. guide: an object network for object-guided localisation, if any.
    batch_size: clips that are held at once, rounded up to whole passes of the encoders; changes no
    number. workers: threads that decode clips.
    """

    encoders: Encoders
    recipe: Recipe
    device: torch.device
    name: str = "model"
    guide: ObjectGuide | None = None
    batch_size: int = 32
    workers: int = 2
    progress: Progress = no_progress


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedClip:
    """A clip ready for the encoders. seen: the frame for the object network, if there is one."""

    id: str
    label: str | None
    boxes: tuple[Box, ...]
    mask: Bool[np.ndarray, "height width"] | None
    frame: Float[Tensor, "3 side side"]
    sound: Int16[np.ndarray, " samples"]
    seen: Float[Tensor, "3 y x"] | None


def prepare_frame(
    pixels: UInt8[np.ndarray, "height width 3"], side: int, way: Frame
) -> Float[Tensor, "3 side side"]:
    """A test frame cropped or stretched as the protocol says, ImageNet-normalised."""
    if way == "stretch plainly":
        grown = interpolate(as_batch(pixels), (side, side), mode="bicubic", align_corners=False)
        return normalise(grown)[0]
    if way == "stretch":
        small = Image.fromarray(pixels).resize((side, side), Image.Resampling.BICUBIC)
        pixels = np.asarray(small)
    return evaluation_frame(pixels, side)


def prepare_clip(
    clips: Clips, index: int, model: Inference, protocol: Protocol, needs: Needs
) -> PreparedClip | UnreadableClip:
    """The clip at `index`, prepared; an UnreadableClip if it cannot be decoded or has no boxes.

    Raises:
        HearsightError: it lacks the mask that is needed, or an edge of a box is not a finite
            number.
    """
    try:
        clip = clips[index]
    except UnreadableClip as error:
        return error
    if needs == "masks" and clip.mask is None:
        raise HearsightError(
            f"Clip '{clip.id}' has no mask: masks are scored on clips with an exact one, as "
            "composed scenes have it."
        )
    if needs == "boxes" and clip.boxes is None:
        return UnreadableClip(clip.id, NO_BOXES)
    boxes = clip.boxes or ()
    if not np.isfinite(np.array(boxes, np.float64)).all():
        raise HearsightError(f"Clip '{clip.id}' has a box with an edge that is no number.")
    if not len(clip.sound):
        return UnreadableClip(clip.id, "its sound is empty")
    return PreparedClip(
        id=clip.id,
        label=clip.label,
        boxes=boxes,
        mask=clip.mask,
        frame=prepare_frame(clip.frame, model.recipe.frame_size, protocol.frame),
        sound=clip.sound,
        seen=None if model.guide is None else prepare_frame(clip.frame, SIDE, protocol.frame),
    )


def prepare_clips(
    model: Inference,
    clips: Clips,
    protocol: Protocol,
    evaluated: EvaluatedClips,
    *,
    needs: Needs = "boxes",
) -> Iterator[list[PreparedClip]]:
    """Batches of prepared clips in order; `evaluated` gets those of each batch before it is given.

    A clip has the same place in the passes of the encoders whatever the size of the batches is.
    Progress of a batch is reported when the next one is asked for.

    Raises:
        HearsightError: none of the clips has boxes (before the first clip is decoded, where
            annotations can be read alone) or can be read, or as `prepare_clip`.
    """
    if needs == "boxes":
        check_boxes(clips)

    def read(index: int) -> PreparedClip | UnreadableClip:
        return prepare_clip(clips, index, model, protocol, needs)

    def readable() -> Iterator[PreparedClip]:
        for one in everything:
            if isinstance(one, PreparedClip):
                yield one
            else:
                evaluated.skipped.append(one)

    everything = read_ahead(
        read, range(len(clips)), workers=model.workers, ahead=2 * model.batch_size
    )
    for items in in_batches(readable(), whole_passes(model.batch_size)):
        evaluated.ids += [item.id for item in items]
        evaluated.labels += [item.label for item in items]
        evaluated.boxes += [item.boxes for item in items]
        yield items
        model.progress("scoring", len(evaluated.ids) + len(evaluated.skipped), len(clips))
    skipped = evaluated.skipped
    for one in skipped:
        LOGGER.warning("not scored: clip %s, because %s", one.id, one.reason)
    if len(skipped) == len(clips):
        if all(one.reason == NO_BOXES for one in skipped):
            raise no_boxes(len(clips))
        first = f"the first, '{skipped[0].id}', because {skipped[0].reason.rstrip('.')}"
        raise HearsightError(f"None of the {len(clips):,} clips can be scored: {first}.")


def check_boxes(clips: Clips) -> None:
    """Refuse clips of which none has boxes, where annotations can be read without frames.

    Raises:
        HearsightError: none has.
    """
    bare = 0
    for index in range(len(clips) if isinstance(clips, AnnotatedClips) else 0):
        with suppress(UnreadableClip):
            if clips.annotation(index)[1] is not None:  # type: ignore[attr-defined]
                return
            bare += 1
    if bare:
        raise no_boxes(len(clips))


def no_boxes(total: int) -> HearsightError:
    """The error where none of `total` clips has boxes."""
    return HearsightError(
        f"None of the {total:,} clips has boxes: only clips with an annotated source can be scored."
    )


@contextmanager
def evaluation_mode(encoders: Encoders) -> Iterator[None]:
    """Encoders in evaluation mode inside the `with` block, afterwards in the mode they had."""
    training = encoders.training
    encoders.eval()
    try:
        yield
    finally:
        encoders.train(training)


def waveforms_of(
    front: Spectrogram, sounds: Sequence[Int16[np.ndarray, " _"]]
) -> Float[Tensor, "a samples"]:
    """Sounds of any lengths as the waveforms of a front end, all of one length."""
    return torch.cat([front.waveforms(torch.tensor(sound[None])) for sound in sounds])


def spectrograms_of(
    front: Spectrogram,
    sounds: Sequence[Int16[np.ndarray, " _"]],
    device: torch.device,
) -> Float[Tensor, "a 1 bins times"]:
    """The spectrograms of sounds of any lengths."""
    return front.finish(front.power(waveforms_of(front, sounds).to(device)))


def maps_of(
    model: Inference, items: Sequence[PreparedClip], waveforms: Sequence[Float[Tensor, "b samples"]]
) -> Float32[np.ndarray, "kinds b h w"]:
    """Response maps (cosines) of each item's frame to several sounds.

    waveforms: for each kind of sound one waveform per item. Frames go through their network once,
    whatever the number of kinds. Maps depend neither on the batch nor on threads: see `in_passes`.

    Raises:
        HearsightError: a map is not finite.
    """
    front, device = model.recipe.spectrogram, model.device

    def compute(frames: Tensor, sounds: Float[Tensor, "b kinds samples"]) -> Tensor:
        each = sounds.to(device).unbind(1)
        spectrograms = front.finish(front.power(torch.cat(each)))
        responses = model.encoders(frames.to(device), spectrograms).float()
        own = [matched(responses, kind * len(frames)) for kind in range(len(each))]
        return torch.stack(own, dim=1).cpu()

    frames = torch.stack([item.frame for item in items])
    found = in_passes(compute, frames, torch.stack(list(waveforms), dim=1), device=device)
    maps: Float32[np.ndarray, "kinds b h w"] = found.transpose(0, 1).numpy()
    for item, one in zip(items, maps.swapaxes(0, 1), strict=True):
        if not np.isfinite(one).all():
            raise HearsightError(
                f"The response map of clip '{item.id}' is not finite: the weights are damaged."
            )
    return maps


def own_maps(model: Inference, items: Sequence[PreparedClip]) -> Float32[np.ndarray, "b h w"]:
    """The response map (cosines) of each item's frame to its own sound."""
    found: Float32[np.ndarray, "b h w"] = maps_of(
        model, items, [waveforms_of(model.recipe.spectrogram, [item.sound for item in items])]
    )[0]
    return found


def guiding_maps(
    model: Inference, items: Sequence[PreparedClip], protocol: Protocol
) -> ObjectMaps | None:
    """The object map of each item's frame; None if the model has no object network."""
    if model.guide is None:
        return None
    network = model.guide.network

    def compute(frames: Tensor) -> Tensor:
        return object_maps(network, frames.to(model.device)).cpu()

    frames = torch.stack([item.seen for item in items if item.seen is not None])
    return ObjectMaps(
        maps=in_passes(compute, frames, device=model.device).numpy(),
        share=protocol.share if model.guide.share is None else model.guide.share,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class MapBatch:
    """Response maps of some clips to their own sounds, with the truths they are scored against.

    objects: to mix in; None if the model has no object network.
    """

    items: Sequence[PreparedClip]
    maps: Float32[np.ndarray, "b h w"]
    objects: ObjectMaps | None
    truths: Sequence[TruthMask]
    scores: MapScores


def score_clips(
    model: Inference, clips: Clips, protocol: Protocol, evaluated: EvaluatedClips
) -> Iterator[MapBatch]:
    """Maps and scores of clips annotated with boxes, batch by batch, as `prepare_clips` gives them.

    Raises:
        HearsightError: as `prepare_clips`, or a map is not finite.
    """
    for items in prepare_clips(model, clips, protocol, evaluated):
        maps, objects = own_maps(model, items), guiding_maps(model, items, protocol)
        truths = [rasterise(item.boxes, protocol.truth) for item in items]
        yield MapBatch(
            items=items,
            maps=maps,
            objects=objects,
            truths=truths,
            scores=score_maps(maps, truths, protocol, objects),
        )
