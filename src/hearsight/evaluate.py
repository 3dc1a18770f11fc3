"""A model, clips and a protocol in; the table that may be compared out.

Truths are the clips' boxes; the exact masks of composed scenes are not used.
"""

import csv
import io
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from jaxtyping import Float, Float32, Int16, UInt8
from PIL import Image
from torch import Tensor

from hearsight.clips import Box, Clips, UnreadableClip, list_unreadable
from hearsight.encoders import Encoders
from hearsight.errors import HearsightError
from hearsight.protocols import (
    PIXELS,
    Protocol,
    covers_nothing,
    is_corrupt,
    load_protocol,
    rasterise,
)
from hearsight.recipe import Recipe
from hearsight.response import matched
from hearsight.scoring import COLUMNS, MapScores, Score, cell, make_table, score_maps
from hearsight.spectrogram import LogSpectrogram, MelSpectrogram
from hearsight.transforms import test_frame

Read = TypeVar("Read")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipScore:
    """The scores of one clip."""

    id: str
    label: str | None
    ciou: float  # median threshold of the protocol
    adaptive_ciou: float
    pointing: bool
    truth_share: float  # share of the frame inside the truth
    confidence: float  # highest cosine of the response map


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """What an evaluation found.

    Corrupt, degenerate and empty truths are scored as the released code does; here they are named.
    """

    protocol: Protocol
    model: Score
    blind: tuple[Score, ...]  # centred disc, whole image, mean truth
    ceiling: Score
    clips: tuple[ClipScore, ...]
    skipped: tuple[UnreadableClip, ...]
    corrupt: tuple[str, ...]  # ids of clips with box edges outside the frame
    degenerate: tuple[str, ...]  # ids of clips with boxes that cover no pixel; once per box
    empty: tuple[str, ...]  # ids of clips whose truth has no pixel: their cIoU is 0

    @property
    def success_rate(self) -> float:
        """The model's cIoU@0.5 under the protocol."""
        return self.model.success_rate

    def rows(self) -> list[dict[str, Any]]:
        """The table: the model, the blind rows, the ceiling."""
        return [score.row() for score in (self.model, *self.blind, self.ceiling)]

    def numbers(self) -> dict[str, float]:
        """The model's numbers by name."""
        found = {field.name: getattr(self.model, field.name) for field in fields(Score)}
        return {name: value for name, value in found.items() if isinstance(value, float)}


def prepare_frame(
    pixels: UInt8[np.ndarray, "height width 3"], side: int, protocol: Protocol
) -> Float[Tensor, "3 side side"]:
    """A test frame cropped or stretched as a protocol wants it, ImageNet-normalised."""
    if protocol.frame == "stretch":
        small = Image.fromarray(pixels).resize((side, side), Image.Resampling.BICUBIC)
        pixels = np.asarray(small)
    return test_frame(pixels, side)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Item:
    """A clip ready for the encoders."""

    id: str
    label: str | None
    boxes: tuple[Box, ...]
    frame: Float[Tensor, "3 side side"]
    sound: Int16[np.ndarray, " samples"]


def _read(clips: Clips, index: int, side: int, protocol: Protocol) -> _Item | UnreadableClip:
    try:
        clip = clips[index]
    except UnreadableClip as error:
        return error
    if clip.boxes is None:
        raise HearsightError(
            f"Clip '{clip.id}' has no boxes: only clips with an annotated source can be scored."
        )
    if not np.isfinite(np.array(clip.boxes, np.float64)).all():
        raise HearsightError(f"Clip '{clip.id}' has a box with an edge that is no number.")
    if not len(clip.sound):
        return UnreadableClip(clip.id, "its sound is empty")
    frame = prepare_frame(clip.frame, side, protocol)
    return _Item(id=clip.id, label=clip.label, boxes=clip.boxes, frame=frame, sound=clip.sound)


def read_ahead(
    read: Callable[[int], Read], count: int, batch_size: int, workers: int
) -> Iterator[list[Read]]:
    """What `read` gives for 0, 1, ... `count` - 1: batches in order, two ahead, by threads."""
    waiting: deque[list[Future[Read]]] = deque()
    pool = ThreadPoolExecutor(workers)
    try:
        for start in range(0, count, batch_size):
            batch = range(start, min(start + batch_size, count))
            waiting.append([pool.submit(read, index) for index in batch])
            if len(waiting) > 2:
                yield [future.result() for future in waiting.popleft()]
        while waiting:
            yield [future.result() for future in waiting.popleft()]
    finally:
        pool.shutdown(cancel_futures=True)


def spectrograms_of(
    front: MelSpectrogram | LogSpectrogram,
    sounds: Sequence[Int16[np.ndarray, " _"]],
    device: torch.device,
) -> Float[Tensor, "a 1 bins times"]:
    """The spectrograms of sounds of any lengths."""
    waveforms = torch.cat([front.waveforms(torch.tensor(sound[None])) for sound in sounds])
    return front.finish(front.power(waveforms.to(device)))


@torch.inference_mode()
def response_maps(
    encoders: Encoders, recipe: Recipe, items: Sequence[_Item], device: torch.device
) -> Float32[np.ndarray, "b h w"]:
    """The response map of each item's frame to its own sound: cosines.

    Raises:
        HearsightError: a map is not finite.
    """
    spectrograms = spectrograms_of(recipe.spectrogram, [item.sound for item in items], device)
    frames = torch.stack([item.frame for item in items]).to(device)
    maps: Float32[np.ndarray, "b h w"] = (
        matched(encoders(frames, spectrograms)).float().cpu().numpy()
    )
    for item, one in zip(items, maps, strict=True):
        if not np.isfinite(one).all():
            raise HearsightError(
                f"The response map of clip '{item.id}' is not finite: the weights are damaged."
            )
    return maps


def evaluate(
    encoders: Encoders,
    recipe: Recipe,
    clips: Clips,
    protocol: Protocol | str,
    *,
    name: str = "model",
    batch_size: int = 32,
    device: torch.device | str | None = None,
    workers: int = 2,
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Score a model on annotated clips. Clips that cannot be read are skipped and named.

    Args:
        encoders: moved to `device` and left there; in evaluation mode only meanwhile.
        recipe: of the encoders: its frame size and its front end for sounds.
        clips: annotated with boxes.
        protocol: itself or its name.
        name: of the model's row.
        batch_size: clips that go through the encoders at once; does not change the scores.
        device: the GPU if there is one, else the CPU, unless named.
        workers: threads that decode clips.
        progress: called with the number of clips done and that of all.

    Raises:
        HearsightError: a clip without boxes, no readable clip, no such protocol or device, or
            response maps that are not finite.
    """
    if isinstance(protocol, str):
        protocol = load_protocol(protocol)
    place = move(encoders, device)
    scored: list[ClipScore] = []
    boxes: list[tuple[Box, ...]] = []
    skipped: list[UnreadableClip] = []
    training = encoders.training
    encoders.eval()

    def read(index: int) -> _Item | UnreadableClip:
        return _read(clips, index, recipe.frame_size, protocol)

    try:
        for batch in read_ahead(read, len(clips), batch_size, workers):
            skipped.extend(item for item in batch if isinstance(item, UnreadableClip))
            items = [item for item in batch if isinstance(item, _Item)]
            if items:
                maps = response_maps(encoders, recipe, items, place)
                scored.extend(_score_batch(items, maps, protocol))
                boxes.extend(item.boxes for item in items)
            if progress is not None:
                progress(len(scored) + len(skipped), len(clips))
    finally:
        encoders.train(training)
    if not scored:
        raise HearsightError(f"None of the {len(clips)} clips can be read, so there is no score.")
    return _summary(name, protocol, scored, boxes, skipped)


def _score_batch(
    items: Sequence[_Item], maps: Float32[np.ndarray, "b h w"], protocol: Protocol
) -> list[ClipScore]:
    truths = [rasterise(item.boxes, protocol.truth) for item in items]
    found = score_maps(maps, truths, protocol)
    return [
        ClipScore(
            id=item.id,
            label=item.label,
            ciou=float(found.ciou[i]),
            adaptive_ciou=float(found.adaptive[i]),
            pointing=bool(found.pointing[i]),
            truth_share=truths[i].pixels / PIXELS,
            confidence=float(maps[i].max()),
        )
        for i, item in enumerate(items)
    ]


def _summary(
    name: str,
    protocol: Protocol,
    scored: Sequence[ClipScore],
    boxes: Sequence[tuple[Box, ...]],
    skipped: Sequence[UnreadableClip],
) -> Evaluation:
    found = MapScores(
        ciou=np.array([one.ciou for one in scored]),
        adaptive=np.array([one.adaptive_ciou for one in scored]),
        pointing=np.array([one.pointing for one in scored], np.float64),
    )
    model, blind, ceiling = make_table(name, found, boxes, protocol)
    pairs = [(one.id, box) for one, own in zip(scored, boxes, strict=True) for box in own]
    return Evaluation(
        protocol=protocol,
        model=model,
        blind=blind,
        ceiling=ceiling,
        clips=tuple(scored),
        skipped=tuple(skipped),
        corrupt=tuple(id for id, box in pairs if is_corrupt(box)),
        degenerate=tuple(id for id, box in pairs if covers_nothing(box)),
        empty=tuple(one.id for one in scored if not one.truth_share),
    )


def move(encoders: Encoders, device: torch.device | str | None) -> torch.device:
    """Bring encoders to a device: the GPU if there is one, else the CPU, unless named.

    Raises:
        HearsightError: there is no such device.
    """
    if device is None:
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        place = torch.device(device)
        encoders.to(place)
    except (RuntimeError, AssertionError) as error:
        raise HearsightError(f"There is no device '{device}' here.") from error
    return place


def table_text(evaluation: Evaluation, *, width: int = 120) -> str:
    """The table in percent, and below it what was skipped or is wrong with the truths, by name."""
    from rich.console import Console
    from rich.table import Table

    protocol = evaluation.protocol
    table = Table(
        caption=f"protocol {protocol.name}: {protocol.says}; truth: {protocol.truth} of boxes"
    )
    for column in COLUMNS:
        left = column in ("name", "protocol")
        table.add_column(column, justify="left" if left else "right", no_wrap=left)
    for row in evaluation.rows():
        table.add_row(*map(cell, row.values()))
    console = Console(file=io.StringIO(), width=width)
    with console.capture() as capture:
        console.print(table)
    return "\n".join([capture.get().rstrip(), *notes(evaluation)])


def notes(evaluation: Evaluation, *, most: int = 20) -> list[str]:
    """What the summary must not keep silent about, one line each."""
    found = {
        "box edges outside the frame (corrupt), scored as the released code does": (
            evaluation.corrupt
        ),
        "boxes that cover no pixel (degenerate)": evaluation.degenerate,
        "clips whose truth is empty, so that their cIoU is 0": evaluation.empty,
    }
    lines = []
    for what, ids in found.items():
        if ids:
            more = f" and {len(ids) - most} more" if len(ids) > most else ""
            lines.append(f"{len(ids)} {what}: {', '.join(ids[:most])}{more}")
    total = len(evaluation.clips) + len(evaluation.skipped)
    unreadable = list_unreadable(evaluation.skipped, total, most=most)
    return [*lines, unreadable] if unreadable else lines


def check_scores_path(path: Path) -> None:
    """Whether `write_scores` can write there, as far as can be said before there are scores.

    Raises:
        HearsightError: another suffix than .parquet or .csv, or no such folder.
    """
    if path.suffix not in (".parquet", ".csv"):
        raise HearsightError(f"Scores are written as .parquet or .csv, not as '{path.name}'.")
    if not path.parent.is_dir():
        raise HearsightError(f"'{path}' cannot be written: there is no folder '{path.parent}'.")


def write_scores(evaluation: Evaluation, path: Path) -> None:
    """Write one line per clip (fields of `ClipScore`, and the protocol) as .parquet or .csv.

    Raises:
        HearsightError: another suffix, no such folder, or the file cannot be written; nothing is
            left behind.
    """
    check_scores_path(path)
    names = [field.name for field in fields(ClipScore)] + ["protocol"]
    lines = [(*astuple(clip), evaluation.protocol.name) for clip in evaluation.clips]
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        if path.suffix == ".parquet":
            import pyarrow as pa  # type: ignore[import-untyped]
            import pyarrow.parquet as pq  # type: ignore[import-untyped]

            columns = dict(zip(names, map(list, zip(*lines, strict=True)), strict=True))
            pq.write_table(pa.table(columns), part)
        else:
            with part.open("w", newline="", encoding="utf-8") as file:
                writer = csv.writer(file)
                writer.writerow(names)
                writer.writerows(lines)
        part.replace(path)
    except OSError as error:
        raise HearsightError(f"'{path}' cannot be written: {error.strerror or error}.") from error
    finally:
        with suppress(OSError):
            part.unlink()
