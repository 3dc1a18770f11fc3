"""Clips become unit vectors: the same for any batches, heads apart, bad clips named."""

import numpy as np
import pytest
import torch
from made_evaluations import MadeClips, encoders, recipe
from torch import Tensor
from torch.nn.functional import normalize

from hearsight.clips.clip import UnreadableClip
from hearsight.errors import HearsightError
from hearsight.localising.localise import prepare_whole_frame
from hearsight.model.augmentation import evaluation_frame as seen_frame
from hearsight.model.encoders import Encoder, Encoders
from hearsight.retrieval.embeddings import (
    Embedder,
    check_pooling,
    embed_clips,
    embed_statistics,
    pool,
)

NORMS = {"atol": 1e-5, "rtol": 0.0}


def test_a_moment_of_a_library_has_the_same_digits_whatever_comes_with_it() -> None:
    embedder = Embedder(
        encoders=encoders().eval(), recipe=recipe(), source="made", device=torch.device("cpu")
    )
    clips, before, found = MadeClips(7), torch.get_num_threads(), []
    frames = [prepare_whole_frame(clips[row].frame, embedder.side) for row in range(7)]
    sounds = [clips[row].sound[:8_000] / np.float32(32_768) for row in range(7)]
    try:
        for batch, threads in ((7, 1), (1, 2), (3, 2)):
            torch.set_num_threads(threads)
            parts = [slice(begin, begin + batch) for begin in range(0, 7, batch)]
            moments = [embedder.moments(frames[part], sounds[part]) for part in parts]
            apart = [(embedder.frames(frames[p]), embedder.sounds(sounds[p])) for p in parts]
            found.append(
                [
                    np.concatenate(each)
                    for each in (*zip(*moments, strict=True), *zip(*apart, strict=True))
                ]
            )
    finally:
        torch.set_num_threads(before)
    for others in found[1:]:
        assert all(map(np.array_equal, found[0], others))
    assert np.array_equal(found[0][0], found[0][3])
    assert np.array_equal(found[0][1], found[0][4])


def lengths(vectors: Tensor | None) -> Tensor:
    assert vectors is not None
    return vectors.norm(dim=1)


def test_each_clip_by_itself() -> None:
    model, method, clips = encoders().eval(), recipe(), MadeClips(4)
    found = embed_clips(model, method, clips, batch_size=3, device="cpu")
    assert found.ids == tuple(clips.ids)
    assert found.places == (0, 1, 2, 3)
    assert set(found.labels) == {"noise"}
    torch.testing.assert_close(lengths(found.sounds), torch.ones(4))
    torch.testing.assert_close(lengths(found.frames), torch.ones(4))
    with torch.inference_mode():
        for row in range(4):
            sound = method.spectrogram(torch.tensor(clips[row].sound[None]))
            heard = normalize(model.embed_sounds(sound), dim=1)
            torch.testing.assert_close(found.sounds[row], heard[0], **NORMS)
            grid = model.embed_frames(seen_frame(clips[row].frame, method.frame_size)[None])
            seen = normalize(grid.mean((2, 3)), dim=1)
            assert found.frames is not None
            torch.testing.assert_close(found.frames[row], seen[0], **NORMS)


def test_batches_workers_and_threads_change_no_digit() -> None:
    model, clips, before = encoders().eval(), MadeClips(11), torch.get_num_threads()
    clips.clips[1] = UnreadableClip("torn", "its frame is damaged")
    found = []
    try:
        for batch, workers, threads in ((32, 2, 1), (1, 1, 2), (7, 3, 3)):
            torch.set_num_threads(threads)
            embedded = embed_clips(
                model, recipe(), clips, batch_size=batch, workers=workers, device="cpu"
            )
            statistics = embed_statistics(clips, batch_size=batch, workers=workers)
            assert embedded.frames is not None
            found.append((embedded.sounds, embedded.frames, statistics.sounds))
    finally:
        torch.set_num_threads(before)
    for others in found[1:]:
        assert all(map(torch.equal, found[0], others))


def test_poolings() -> None:
    grids = torch.tensor([[[[1.0, 2.0], [3.0, 6.0]], [[0.0, 0.0], [0.0, -4.0]]]])
    assert pool(grids, "mean").tolist() == [[3, -1]]
    assert pool(grids, "max").tolist() == [[6, 0]]
    assert check_pooling("max") == "max"
    with pytest.raises(HearsightError, match="mean or max, not by 'sum'"):
        check_pooling("sum")


def test_frames_that_are_not_wanted() -> None:
    found = embed_clips(encoders(), recipe(), MadeClips(2), pooling=None, device="cpu")
    assert found.frames is None


def test_several_heads_count_alike() -> None:
    shape = Encoder(
        widths=(4, 8),
        blocks=(1, 1),
        strides=(1, 2),
        sound_strides=(1, 2),
        stem_kernel=3,
        projection=8,
        heads=2,
    )
    torch.manual_seed(0)
    model, method = Encoders(shape), recipe()
    method.encoder = shape
    found = embed_clips(model, method, MadeClips(3), device="cpu")
    assert found.frames is not None
    halves = [half.norm(dim=1) for half in (*found.sounds.chunk(2, 1), *found.frames.chunk(2, 1))]
    torch.testing.assert_close(torch.stack(halves), torch.full((4, 3), 0.5**0.5))


def test_bad_clips_are_skipped_and_named() -> None:
    clips = MadeClips(4)
    clips.clips[1] = UnreadableClip("torn", "its frame is damaged")
    clips.change(2, sound=np.zeros(0, np.int16))
    told: list[tuple[str, int, int | None]] = []
    found = embed_clips(
        encoders(),
        recipe(),
        clips,
        batch_size=2,
        device="cpu",
        progress=lambda *report: told.append(report),
    )
    assert found.places == (0, 3)
    assert [str(one.id) for one in found.skipped] == ["torn", "clip 2"]
    assert told == [("embedding", 4, 4)]  # the two readable clips are one pass of the encoders
    clips = MadeClips(1)
    clips.clips[0] = UnreadableClip("torn", "its frame is damaged")
    with pytest.raises(HearsightError, match="None of the 1 clips"):
        embed_clips(encoders(), recipe(), clips, device="cpu")


def test_damaged_weights_are_said() -> None:
    broken = encoders()
    torch.nn.init.constant_(next(broken.parameters()), float("nan"))
    with pytest.raises(HearsightError, match=r"clip 'clip 0' is not finite: the weights"):
        embed_clips(broken, recipe(), MadeClips(2), device="cpu")


@pytest.mark.parametrize("mode", [True, False])
def test_encoders_keep_their_mode(mode: bool) -> None:
    model = encoders().train(mode)
    embed_clips(model, recipe(), MadeClips(1), device="cpu")
    assert model.training is mode


def test_statistics_tell_sounds_apart_without_learning() -> None:
    clips, seconds = MadeClips(6), np.arange(16_000) / 16_000
    for number in range(6):
        pitch = (300, 2500)[number % 2] * (1 + number / 100)
        wave = 8000 * np.sin(2 * np.pi * pitch * seconds)
        clips.change(number, sound=wave.astype(np.int16))
    found = embed_statistics(clips)
    assert found.frames is None
    torch.testing.assert_close(lengths(found.sounds), torch.ones(6))
    cosines = found.sounds @ found.sounds.T
    same = torch.arange(6)[:, None] % 2 == torch.arange(6) % 2
    assert cosines[same].min() > cosines[~same].max()
