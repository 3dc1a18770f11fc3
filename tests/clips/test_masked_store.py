"""What a store tells of a frame with masks: as it was written, or refused in one sentence."""

import json
from typing import Any

import numpy as np
import pytest

from hearsight.clips import masked_store
from hearsight.clips.frame_truth import FrameTruth, SourceMask
from hearsight.clips.masked_store import decode_truth, encode_truth

MASK = np.zeros((6, 8), np.bool_)
MASK[1:3, 2:7] = True
TRUTH = FrameTruth(
    id="a/0",
    clip="a",
    number=0,
    size=(6, 8),
    sources=(SourceMask(name="dog 2", mask=MASK, label="dog", sounds=False),),
    kind="hard",
)


def test_a_truth_is_read_as_it_was_written() -> None:
    clip, origins, truth = decode_truth(encode_truth("a", ("b", "c"), TRUTH), "a/0")
    assert (clip, origins) == ("a", ("b", "c"))
    assert truth is not None
    [source] = truth.sources
    assert (source.name, source.label, source.sounds) == ("dog 2", "dog", False)
    assert np.array_equal(source.mask, MASK)
    assert (truth.id, truth.clip, truth.number, truth.size) == ("a/0", "a", 0, (6, 8))
    assert (truth.null, truth.kind, truth.subset) == (False, "hard", None)
    assert decode_truth(encode_truth("a", (), None), "a/0").truth is None


@pytest.mark.parametrize(
    "change",
    [
        {"clip": 5},
        {"clip": None},
        {"origins": "b", "clip": ["b"]},
        {"origins": [5]},
        {"size": [6]},
        {"size": [6, 9]},
        {"size": [0, 8], "sources": []},
        {"size": [-6, -8], "sources": []},
        {"size": [1_000_000, 1_000_000], "sources": []},
        {"size": [1e999, 8], "sources": []},
        {"number": "first"},
        {"kind": {"hard": 1}},
        {"kind": ["hard"]},
        {"subset": 5},
        {"sources": None},
        {"sources": [None]},
        {"sources": [{"name": "dog"}]},
        {"source": {"name": None}},
        {"source": {"name": ["dog"]}},
        {"source": {"label": {}}},
        {"source": {"mask": "no base 64"}},
        {"source": {"mask": "bm8gcGljdHVyZQ=="}},
    ],
)
def test_a_damaged_truth_is_refused(change: dict[str, Any]) -> None:
    held = json.loads(encode_truth("a", ("b",), TRUTH))
    held["sources"][0] |= change.pop("source", {})
    with pytest.raises(ValueError, match=r"^its truth\.json is damaged$"):
        decode_truth(json.dumps(held | change).encode(), "a/0")


def test_masks_that_memory_does_not_hold_together_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(masked_store, "MOST_MASKED", 2 * MASK.size - 1, raising=False)
    held = json.loads(encode_truth("a", (), TRUTH))
    assert decode_truth(json.dumps(held).encode(), "a/0").truth is not None
    held["sources"].append(held["sources"][0] | {"name": "dog 3"})
    with pytest.raises(ValueError, match=r"^its truth\.json is damaged$"):
        decode_truth(json.dumps(held).encode(), "a/0")
    assert decode_truth(json.dumps(held).encode(), "a/0", masks=False).clip == "a"
