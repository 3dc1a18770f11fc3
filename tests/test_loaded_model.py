"""A model loaded once, given files, bytes and arrays: always the moments of the files."""

import io
import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile  # type: ignore[import-untyped]
import torch
from made_library import make_clip, tiny_model
from made_media import sine
from PIL import Image

import hearsight
from hearsight import HearsightError, LoadedModel, load_model, localise_many
from hearsight.library.indexing import index_videos
from hearsight.library.library import Library
from hearsight.localising import localise
from hearsight.localising.moments import MappedMoment
from hearsight.media.read import read_sound, stream_frames
from hearsight.model import aisfx, colour
from hearsight.model.spectrogram import (
    LogSpectrogram,
    MelSpectrogram,
    hann,
    mel_filters,
    one_sided,
    tukey,
)
from hearsight.recipes.recipe import Spectrogram
from hearsight.retrieval import embeddings

KEPT = (aisfx.mel_weights, colour._normal, hann, mel_filters, one_sided, tukey)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("made")
    tiny_model(made / "model.safetensors")
    for number in (1, 2):
        make_clip(made / f"film{number}.mp4", number, 4.0)
    pixels = np.random.default_rng(0).integers(0, 256, (48, 80, 3), np.uint8)
    Image.fromarray(pixels).save(made / "street.png")
    soundfile.write(made / "street.wav", sine(440.0, 4.0, 16_000), 16_000)
    return made


@pytest.fixture(scope="module")
def model(folder: Path) -> LoadedModel:
    return load_model(folder / "model.safetensors", device="cpu")


def test_a_model_is_loaded_once_and_gives_what_the_functions_give(
    folder: Path, model: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = folder / "model.safetensors"
    film, image, sound = (str(folder / n) for n in ("film1.mp4", "street.png", "street.wav"))
    moments = list(hearsight.localise_video(film, model=path, every=0.5, device="cpu"))
    moment = hearsight.localise_image(image, sound, model=path, device="cpu")

    def refuse(source: Any) -> None:
        raise AssertionError("loaded again")

    monkeypatch.setattr(localise, "load_model", refuse)
    monkeypatch.setattr(embeddings, "load_model", refuse)
    assert list(model.localise_video(film, every=0.5)) == moments
    assert model.localise_image(image, sound) == moment
    assert hearsight.localise_image(image, sound, model=model) == moment
    assert repr(model) == "LoadedModel('ssl_tie:small', device='cpu')"


@pytest.mark.parametrize(
    "spectrogram", [aisfx.SoundEffectSpectrogram, MelSpectrogram, LogSpectrogram]
)
def test_the_callers_default_type_is_no_part_of_what_is_computed(
    spectrogram: Callable[[], Spectrogram],
) -> None:
    """Neither while it is double precision nor, by what was kept then, after it."""
    pcm = torch.from_numpy((sine(440.0, 10.0, 16_000) * 30_000).astype(np.int16))[None]
    pixels = np.full((4, 4, 3), 60, np.uint8)
    for kept in KEPT:
        kept.cache_clear()
    torch.set_default_dtype(torch.float64)
    try:
        found = [spectrogram()(pcm), colour.normalise(colour.as_batch(pixels))]
    finally:
        torch.set_default_dtype(torch.float32)
    after = [spectrogram()(pcm), colour.normalise(colour.as_batch(pixels))]
    for kept in KEPT:
        kept.cache_clear()
    right = [spectrogram()(pcm), colour.normalise(colour.as_batch(pixels))]
    for values in (found, after):
        assert all(map(torch.equal, values, right))


def test_bytes_files_and_arrays_give_the_moments_of_the_paths(
    folder: Path, model: LoadedModel
) -> None:
    film, image, sound = (folder / name for name in ("film1.mp4", "street.png", "street.wav"))
    moments, moment = list(model.localise_video(film)), model.localise_image(image, sound)
    assert list(model.localise_video(film.read_bytes())) == moments
    with film.open("rb") as file:
        assert list(model.localise_video(file)) == moments
    pixels, samples = np.array(Image.open(image)), soundfile.read(sound, dtype="int16")
    assert model.localise_image(image.read_bytes(), sound.read_bytes()) == moment
    assert model.localise_image(io.BytesIO(image.read_bytes()), samples) == moment
    content = bytearray(image.read_bytes()), memoryview(sound.read_bytes())
    assert model.localise_image(*content) == moment
    strided = memoryview(np.repeat(np.frombuffer(content[0], np.uint8), 2).tobytes())[::2]
    assert model.localise_image(strided, content[1]) == moment
    assert model.localise_image(pixels, samples) == moment


def test_frames_in_memory_give_the_moments_of_their_video(
    folder: Path, model: LoadedModel, tmp_path: Path
) -> None:
    film = folder / "film1.mp4"
    shown = list(stream_frames(film))[::4]  # 4 frames a second
    sound = (read_sound(film), 16_000)
    found = list(
        model.localise_frames(
            (one.pixels for one in shown), (one.time for one in shown), sound, batch_size=3
        )
    )
    expected = list(model.localise_video(film, batch_size=3))
    assert [one.time for one in found] == [one.time for one in expected]
    assert [one.box for one in found] == [one.box for one in expected]
    assert np.allclose(
        [one.confidence for one in found], [one.confidence for one in expected], atol=1e-5
    )


@pytest.mark.parametrize(
    ("sizes", "times", "fault"),
    [
        ([(48, 64), (64, 48)], [0.0, 1.0], "the size of the first"),
        ([(48, 64)], [0.0, 1.0], "one time for each frame"),
        ([(48, 64), (48, 64)], [0.0], "one time for each frame"),
        ([(48, 64), (48, 64)], [1.0, 0.0], "that rise"),
        ([(48, 64)], [-1.0], "from 0 up"),
        ([(48, 64)], [float("nan")], "not nan"),
    ],
)
def test_frames_and_times_that_do_not_fit_are_refused(
    model: LoadedModel, sizes: list[tuple[int, int]], times: list[float], fault: str
) -> None:
    frames = [np.zeros((*size, 3), np.uint8) for size in sizes]
    with pytest.raises(HearsightError, match=fault):
        list(model.localise_frames(frames, times, (np.zeros(16_000, np.float32), 16_000)))


def test_floats_of_another_scale_are_refused(folder: Path, model: LoadedModel) -> None:
    samples, rate = soundfile.read(folder / "street.wav")
    over = model.localise_image(folder / "street.png", (4 * samples, rate))  # clipped
    assert over.confidence
    with pytest.raises(HearsightError, match=r"in \[-1, 1\], and these reach .*divide by 32768"):
        model.localise_image(folder / "street.png", (32768 * samples, rate))


def test_a_moment_is_json_and_its_map_peaks_at_its_confidence(
    folder: Path, model: LoadedModel
) -> None:
    image, sound = folder / "street.png", folder / "street.wav"
    moment = model.localise_image(image, sound)
    mapped = model.localise_image(image, sound, maps=True)
    assert isinstance(mapped, MappedMoment)
    assert mapped.to_dict().items() >= moment.to_dict().items()
    read = json.loads(json.dumps(mapped.to_dict()))
    assert read["frame_size"] == [48, 80]
    assert np.array_equal(np.array(read["response"], np.float32), mapped.response)
    assert mapped.response.max() == np.float32(moment.confidence)
    wide = mapped.frame_response()
    assert wide.shape == (48, 80)
    assert np.abs(wide).max() <= 1
    assert json.loads(json.dumps(moment.to_dict()))["box"] == (moment.box and [*moment.box])


def test_a_silent_moment_keeps_its_map(folder: Path, model: LoadedModel) -> None:
    silence = (np.zeros(48_000, np.int16), 16_000)
    moment = model.localise_image(folder / "street.png", silence, maps=True)
    assert isinstance(moment, MappedMoment)
    assert (moment.box, moment.confidence) == (None, 0.0)
    assert moment.response.any()


def test_embeddings_are_those_of_a_library(
    folder: Path, model: LoadedModel, tmp_path: Path
) -> None:
    index_videos(tmp_path / "a.library", [folder / "film1.mp4"], model=folder / "model.safetensors")
    opened = Library.open(tmp_path / "a.library", device="cpu")
    both = model.embed(image=folder / "street.png", sound=folder / "street.wav")
    assert both.image is not None
    assert both.sound is not None
    assert np.allclose(both.sound, opened.query(sound=folder / "street.wav").vector, atol=1e-6)
    assert np.allclose(both.image, opened.query(image=folder / "street.png").vector, atol=1e-6)
    assert np.isclose(np.linalg.norm(both.image), 1)
    assert model.embed(image=folder / "street.png").sound is None
    with pytest.raises(HearsightError, match="Give an image, a sound, or both"):
        model.embed()


def test_many_files_come_in_order_and_a_bad_one_is_named(folder: Path, model: LoadedModel) -> None:
    films = [folder / "film1.mp4", folder / "film2.mp4"]
    torn = folder / "torn.mp4"
    torn.write_bytes(films[0].read_bytes()[:200])
    pair = (folder / "street.png", folder / "street.wav")
    sources = [*films, torn, pair, folder / "gone.mp4", *films]
    results = list(model.localise_many(sources, workers=3))
    assert [one.source for one in results] == sources
    assert [one.error is None for one in results] == [True, True, False, True, False, True, True]
    assert str(torn) in str(results[2].error)
    assert "gone.mp4" in str(results[4].error)
    assert list(results[1].moments) == list(model.localise_video(films[1]))
    assert results[3].moments == (model.localise_image(*pair),)


def test_what_is_no_source_gives_its_error_and_the_others_go_on(
    folder: Path, model: LoadedModel
) -> None:
    film = str(folder / "film1.mp4")
    wrong: list[Any] = [("a", "b", "c"), ("street.png",), 5, None]
    found = list(model.localise_many(iter([*wrong, film])))
    for one, source in zip(found, wrong, strict=False):
        assert one.source == source
        assert isinstance(one.error, HearsightError)
        assert repr(source)[:8] in str(one.error)
    assert found[-1].error is None
    assert found[-1].moments
    with pytest.raises(HearsightError, match=r"must be several, such as a list: .* is one"):
        model.localise_many(film)


def test_results_are_shown_in_short(folder: Path, model: LoadedModel) -> None:
    channels = len(model.embed(sound=folder / "street.wav").sound)  # type: ignore[arg-type]
    shown = repr(model.embed(sound=folder / "street.wav"))
    assert shown == f"Embedding(image=None, sound={channels} numbers)"
    film = (folder / "film1.mp4").read_bytes()
    good, bad = model.localise_many([film, film[:200]])
    assert len(repr(good)) < 80
    assert repr(good).endswith(", 4 moments)")
    assert "error=MediaError(" in repr(bad) or "error=HearsightError(" in repr(bad)
    assert len(repr(bad)) < 300


def test_many_files_are_taken_only_as_results_are(folder: Path, model: LoadedModel) -> None:
    taken = []

    def endless() -> Iterator[Path]:
        while True:
            taken.append(1)
            yield folder / "gone.mp4"

    results = localise_many(endless(), model=model, workers=2)
    for _ in range(5):
        next(results)
    assert len(taken) < 12


@pytest.mark.parametrize(
    "options", [{"workers": 0}, {"every": 0.0}, {"threshold": 2.0}, {"batch_size": 0}]
)
def test_wrong_options_are_refused_at_once(model: LoadedModel, options: dict[str, Any]) -> None:
    with pytest.raises(HearsightError):
        model.localise_many([], **options)


def test_threads_share_a_model(folder: Path, model: LoadedModel) -> None:
    image, sound = folder / "street.png", folder / "street.wav"
    alone = model.localise_image(image, sound)
    start = threading.Barrier(4)

    def work(_: int) -> Any:
        start.wait()
        return model.localise_image(image, sound)

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(work, range(4))) == [alone] * 4
