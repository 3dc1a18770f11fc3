"""Batches: their order, their content, what becomes of clips that cannot be read."""

import gc
import weakref
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from made_clips import fill

from hearsight.clips.clip import DecodedClip, UnreadableClip, fit_frame
from hearsight.errors import HearsightError
from hearsight.recipes.catalogue import load_recipe
from hearsight.recipes.recipe import Recipe
from hearsight.training.batches import Batches, Unread, label_names


class Numbered:
    """Clips whose pixels and samples all hold the clip's number; of differing sizes."""

    def __init__(self, count: int, unreadable: frozenset[int] = frozenset()) -> None:
        self.ids = [f"clip{i}" for i in range(count)]
        self.unreadable = unreadable

    def __len__(self) -> int:
        return len(self.ids)

    def sound(self, index: int) -> np.ndarray:
        if index in self.unreadable:
            raise UnreadableClip(self.ids[index], "broken")
        return np.full(48_000, index, np.int16)

    def __getitem__(self, index: int) -> DecodedClip:
        return DecodedClip(
            id=self.ids[index],
            frame=np.full((40 + index, 60, 3), index, np.uint8),
            sound=self.sound(index),
        )


@pytest.fixture
def recipe() -> Recipe:
    recipe = load_recipe("ssl_tie:small")
    recipe.batch_size = 4
    return recipe


def test_an_epoch_holds_each_clip_once_and_the_next_has_another_order(recipe: Recipe) -> None:
    batches = Batches(Numbered(12), recipe, workers=0)
    orders = [[id for batch in batches.epoch(epoch) for id in batch.ids] for epoch in (0, 0, 1)]
    assert sorted(orders[0]) == sorted(f"clip{i}" for i in range(12))
    assert orders[0] == orders[1] != orders[2]


def test_an_interrupted_epoch_goes_on_with_the_batches_that_were_left(recipe: Recipe) -> None:
    batches = Batches(Numbered(12), recipe, workers=0)
    whole = [batch.ids for batch in batches.epoch(3)]
    assert [batch.ids for batch in batches.epoch(3, first=2)] == whole[2:]


def test_workers_change_nothing(recipe: Recipe) -> None:
    partners = np.roll(np.arange(12), 1)
    alone, shared = (
        list(Batches(Numbered(12), recipe, workers=workers).epoch(1, partners=partners))
        for workers in (0, 2)
    )
    for one, other in zip(alone, shared, strict=True):
        assert one.ids == other.ids
        assert torch.equal(one.frames, other.frames)
        assert torch.equal(one.partners, other.partners)


class Cyclic:
    """What the garbage collector alone frees."""

    def __init__(self) -> None:
        self.itself = self


def test_garbage_is_collected_before_workers_are_forked(recipe: Recipe) -> None:
    gone = weakref.ref(Cyclic())
    gc.disable()
    try:
        assert gone() is not None
        epoch = Batches(Numbered(4), recipe, workers=1).epoch(0)
        next(epoch)
        assert gone() is None
    finally:
        gc.enable()


def test_two_processes_share_the_batch_of_one(recipe: Recipe) -> None:
    clips = Numbered(12)
    whole = list(Batches(clips, recipe, workers=0).epoch(0))
    parts = [
        list(Batches(clips, recipe, workers=0, processes=2, rank=rank).epoch(0)) for rank in (0, 1)
    ]
    for batch, first, second in zip(whole, *parts, strict=True):
        assert batch.ids == first.ids + second.ids


def test_frames_lie_in_the_corner_of_their_canvas_and_keep_their_sizes(recipe: Recipe) -> None:
    batch = next(Batches(Numbered(4), recipe, workers=0).epoch(0))
    assert batch.frames.shape[2:] == (43, 60)
    for id, frame, (height, width) in zip(batch.ids, batch.frames, batch.sizes, strict=True):
        number = int(id.removeprefix("clip"))
        assert (height, width) == (40 + number, 60)
        assert (frame[:, :height, :width] == number).all()
        assert (frame[:, height:] == 0).all()


def test_a_sound_stands_beside_its_own_partner(recipe: Recipe) -> None:
    partners = np.roll(np.arange(8), 3)
    for batch in Batches(Numbered(8), recipe, workers=0).epoch(0, partners=partners):
        for id, sound, partner in zip(batch.ids, batch.sounds, batch.partners, strict=True):
            number = int(id.removeprefix("clip"))
            assert (sound == number).all()
            assert (partner == partners[number]).all()


def test_an_unreadable_clip_is_left_out_and_named_never_replaced(recipe: Recipe) -> None:
    clips = Numbered(8, unreadable=frozenset({5}))
    batches = list(Batches(clips, recipe, workers=0).epoch(0))
    ids = [id for batch in batches for id in batch.ids]
    assert sorted(ids) == sorted(set(clips.ids) - {"clip5"})
    assert [error.id for batch in batches for error in batch.unreadable] == ["clip5"]


def test_an_unreadable_partner_is_named_and_the_sound_stays_itself(recipe: Recipe) -> None:
    clips = Numbered(8, unreadable=frozenset({5}))
    partners = np.full(8, 5)
    for batch in Batches(clips, recipe, workers=0).epoch(0, partners=partners):
        assert torch.equal(batch.sounds, batch.partners)
        assert "clip5" in {error.id for error in batch.unreadable}


def test_a_batch_of_nothing_readable_names_its_clips(recipe: Recipe) -> None:
    clips = Numbered(4, unreadable=frozenset(range(4)))
    (found,) = Batches(clips, recipe, workers=0).epoch(0)
    assert isinstance(found, Unread)
    assert sorted(error.id for error in found.unreadable) == sorted(clips.ids)


def test_too_few_clips_and_uneven_shares_are_refused(recipe: Recipe) -> None:
    with pytest.raises(HearsightError, match="3 clips, fewer than one batch of 4"):
        Batches(Numbered(3), recipe)
    with pytest.raises(HearsightError, match="cannot be shared by 3 processes"):
        Batches(Numbered(30), recipe, processes=3)


@pytest.mark.parametrize(("count", "said"), [(3, "use `batch_size=3` or more"), (1, "use more")])
def test_no_batch_is_proposed_that_the_recipe_refuses(
    recipe: Recipe, count: int, said: str
) -> None:
    with pytest.raises(HearsightError, match=f"fewer than one batch of 4: {said} data"):
        Batches(Numbered(count), recipe)


@settings(max_examples=40, deadline=None)
@given(height=st.integers(1, 400), width=st.integers(1, 400), side=st.integers(1, 300))
def test_a_frame_is_only_ever_reduced_and_keeps_its_shape(
    height: int, width: int, side: int
) -> None:
    fitted = fit_frame(np.zeros((height, width, 3), np.uint8), side)
    assert min(fitted.shape[:2]) == min(side, height, width)
    if fitted.shape[:2] != (height, width):
        scale = side / min(height, width)
        assert abs(fitted.shape[0] - height * scale) <= 1
        assert abs(fitted.shape[1] - width * scale) <= 1


def test_classes_are_found_without_decoding_a_clip(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = fill(tmp_path / "store", range(4))
    wanted = {store[index].label for index in range(4)} - {None}

    def decoded(*arguments: object) -> None:
        pytest.fail("a clip was decoded")

    monkeypatch.setattr(type(store), "__getitem__", decoded)
    assert label_names(store) == tuple(sorted(wanted)) == ("dog",)
