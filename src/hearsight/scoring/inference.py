"""Inference on annotated clips: response maps of a model, batch by batch."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float32, Int16, UInt8
from torch import Tensor
from torch.nn.functional import interpolate

from hearsight.clips.clip import Clips, DecodedClip, UnreadableClip
from hearsight.clips.frame_truth import FrameTruth, MaskedClips, truth_of
from hearsight.clips.read_ahead import in_batches, read_ahead
from hearsight.errors import HearsightError
from hearsight.media.picture import resize_bicubic
from hearsight.model.augmentation import evaluation_frame
from hearsight.model.colour import as_batch, normalise
from hearsight.model.encoders import Encoders
from hearsight.model.passes import in_passes, whole_passes
from hearsight.model.response import matched
from hearsight.progress import Progress, no_progress
from hearsight.recipes.recipe import Recipe, Spectrogram
from hearsight.scoring.box_scores import ObjectMaps
from hearsight.scoring.clip_maps import (
    NO_BOXES,
    ClipMaps,
    ClipTruth,
    Needs,
    check_boxes,
    check_edges,
    check_scored,
    no_mask,
)
from hearsight.scoring.object_guidance import SIDE, ObjectGuide, object_maps
from hearsight.scoring.protocols import Frame, Protocol
from hearsight.scoring.results import EvaluatedClips


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

    def running(self) -> AbstractContextManager[None]:
        """The encoders in evaluation mode inside the `with` block."""
        return evaluation_mode(self.encoders)

    def clip_maps(
        self,
        clips: Clips,
        protocol: Protocol,
        evaluated: EvaluatedClips,
        *,
        needs: Needs = "boxes",
        rated: bool = False,  # cosines always tell it
    ) -> Iterator[ClipMaps]:
        """The response maps of the clips, batch by batch: see `MapSource` and `prepare_clips`."""
        for items in prepare_clips(self, clips, protocol, evaluated, needs=needs):
            yield ClipMaps(
                items=items,
                maps=own_maps(self, items),
                protocol=protocol,
                objects=guiding_maps(self, items, protocol),
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedClip(ClipTruth):
    """A clip ready for the encoders. seen: the frame for the object network, if there is one."""

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
        pixels = resize_bicubic(pixels, side, side)
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
        masked = _truth_of(clips, index, clip) if needs == "masks" else None
    except UnreadableClip as error:
        return error
    if needs == "masks" and masked is None:
        return no_mask(clips, clip.id)
    if needs == "boxes" and clip.boxes is None:
        return UnreadableClip(clip.id, NO_BOXES)
    boxes = clip.boxes or ()
    check_edges(clip.id, boxes)
    if not len(clip.sound):
        return UnreadableClip(clip.id, "its sound is empty")
    return PreparedClip(
        id=clip.id,
        label=clip.label,
        boxes=boxes,
        truth=masked,
        frame=prepare_frame(clip.frame, model.recipe.frame_size, protocol.frame),
        sound=clip.sound,
        seen=None if model.guide is None else prepare_frame(clip.frame, SIDE, protocol.frame),
    )


def _truth_of(clips: Clips, index: int, clip: DecodedClip) -> FrameTruth | None:
    """The truth of a clip that is decoded already."""
    return clips.frame_truth(index) if isinstance(clips, MaskedClips) else truth_of(clip)


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
    check_scored(evaluated, len(clips))


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
