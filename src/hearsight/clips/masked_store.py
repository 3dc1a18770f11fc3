"""Stores of frames with exact masks, which keep what their data sets tell of each frame.

A clip of such a store has a file more, `KEY.truth.json`: the clip that the frame belongs to, the
ids under which other data sets know it, and, of a frame that somebody masked, the fields of
`FrameTruth`, each source with its mask, in the size that it had, as a PNG in base64.
"""

import json
from base64 import b64decode, b64encode
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from hearsight.clips.clip import UnreadableClip, encode_picture
from hearsight.clips.frame_truth import MOST_MASKED, FrameTruth, SourceMask, truth_of
from hearsight.clips.shards import TRUTH, Store
from hearsight.files.text import parse_json
from hearsight.media.picture import MOST_PIXELS, decode_mask

HALF = 127


class StoredTruth(NamedTuple):
    """What a store keeps of a frame. clip, origins: as of `MaskedClips`. truth: if it is masked."""

    clip: str
    origins: tuple[str, ...]
    truth: FrameTruth | None


def encode_truth(clip: str, origins: Sequence[str], truth: FrameTruth | None) -> bytes:
    """The JSON of a frame; arguments as of `StoredTruth`."""
    held: dict[str, Any] = {"clip": clip, "origins": list(origins)}
    if truth is not None:
        held |= {"number": truth.number, "size": list(truth.size), "null": truth.null}
        held |= {"kind": truth.kind, "subset": truth.subset}
        held["sources"] = [
            {"name": one.name, "label": one.label, "sounds": one.sounds, "mask": _encoded(one)}
            for one in truth.sources
        ]
    return json.dumps(held).encode()


def _encoded(source: SourceMask) -> str:
    return b64encode(encode_picture(source.mask.astype(np.uint8) * 255, "PNG")).decode()


def decode_truth(file: bytes, id: str, *, masks: bool = True) -> StoredTruth:
    """What `encode_truth` wrote of the frame `id`; without `masks` its names alone, faster.

    Raises:
        ValueError: it is damaged, or of another form.
    """
    try:
        held = parse_json(file)
        clip, origins = held["clip"], tuple(held["origins"])
        if not isinstance(clip, str) or not all(isinstance(one, str) for one in origins):
            raise TypeError("names that are no text")
        if "size" not in held or not masks:
            return StoredTruth(clip, origins, None)
        height, width = map(int, held["size"])
        if min(height, width) < 1 or height * width > MOST_PIXELS:
            raise ValueError("a size that no picture has")
        if height * width * len(held["sources"]) > MOST_MASKED:
            raise ValueError("more masks than memory holds")
        kind, subset = (_text_or_none(held[name]) for name in ("kind", "subset"))
        sources = tuple(_source(one, (height, width)) for one in held["sources"])
        truth = FrameTruth(
            id=id,
            clip=clip,
            number=int(held["number"]),
            size=(height, width),
            sources=sources,
            null=bool(held["null"]),
            kind=kind,
            subset=subset,
        )
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise ValueError("its truth.json is damaged") from error
    return StoredTruth(clip, origins, truth)


def _source(held: dict[str, Any], size: tuple[int, int]) -> SourceMask:
    mask = decode_mask(b64decode(held["mask"], validate=True)) > HALF
    if mask.shape != size:
        raise ValueError("a mask of another size")
    name, label = _text_or_none(held["name"]), _text_or_none(held["label"])
    if name is None:
        raise ValueError("a source without a name")
    return SourceMask(name=name, mask=mask, label=label, sounds=bool(held["sounds"]))


def _text_or_none(value: Any) -> str | None:
    if not isinstance(value, str | None):
        raise TypeError(f"{value!r} is no text")
    return value


class MaskedStore(Store):
    """A store that holds frames with exact masks: `MaskedClips`.

    A clip in it that is no such frame is the only one of a clip of its own.
    """

    def frame_truth(self, index: int) -> FrameTruth | None:
        known = self._stored_truth(index)
        return truth_of(self[index]) if known is None else known.truth

    def clip_of(self, index: int) -> str:
        known = self._stored_truth(index, masks=False)
        return self.ids[index] if known is None else known.clip

    def origins_of(self, index: int) -> tuple[str, ...]:
        known = self._stored_truth(index, masks=False)
        return (self.ids[index],) if known is None else known.origins

    def _stored_truth(self, index: int, *, masks: bool = True) -> StoredTruth | None:
        """What is kept of a frame; None of any other clip. Raises UnreadableClip."""
        file = self.file(index, TRUTH)
        try:
            return decode_truth(file, self.ids[index], masks=masks) if file else None
        except ValueError as error:
            raise UnreadableClip(self.ids[index], str(error)) from error


def open_store(folder: Path | str) -> Store:
    """A store: a `MaskedStore` if it holds a frame with exact masks.

    Raises:
        HearsightError: as `Store`.
    """
    store = Store(folder)
    return MaskedStore(folder) if store.holds(TRUTH) else store
