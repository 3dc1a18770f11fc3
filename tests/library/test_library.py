"""Searching a library finds the moments that the definition finds."""

import os
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import soundfile
from made_library import RATE, make_clip, tiny_model
from made_media import make_video, numbered, sine
from PIL import Image

from hearsight.errors import HearsightError
from hearsight.library.indexing import index_videos
from hearsight.library.lance_table import MomentTable
from hearsight.library.library import Library, SilenceWarning, finite
from hearsight.media.read import stream_sound
from hearsight.media.sound_windows import sound_windows


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Videos of 10, 10 and 7 s, the last one silent, and a library of them."""
    folder = tmp_path_factory.mktemp("library")
    model = tiny_model(folder / "tiny.safetensors")
    for number, seconds, gain in ((0, 10.0, 1.0), (1, 10.0, 1.0), (2, 7.0, 0.0)):
        make_clip(folder / f"{number}.mp4", number, seconds, gain)
    index_videos(folder / "library", [folder], model=model)
    return folder


@pytest.fixture(scope="module")
def library(folder: Path) -> Library:
    return Library.open(folder / "library")


def vectors(library: Library, modality: str) -> tuple[np.ndarray, list[tuple[str, float]]]:
    """All vectors of a modality, and the file and time of each."""
    files = sorted(library.table.files())
    parts = [library.table.moments(file, ["file", "time", modality]) for file in files]
    held = np.concatenate([np.array(part[modality].to_pylist(), np.float32) for part in parts])
    places = [(row["file"], row["time"]) for part in parts for row in part.to_pylist()]
    return held, places


def write(path: Path, samples: np.ndarray) -> Path:
    soundfile.write(path, samples, RATE)
    return path


@pytest.mark.parametrize("to", ["sound", "image"])
@pytest.mark.parametrize("kind", ["sound", "image"])
def test_a_query_finds_the_highest_cosines(
    library: Library, tmp_path: Path, kind: str, to: str
) -> None:
    if kind == "sound":
        source = write(tmp_path / "q.wav", sine(400.0, 3.0, RATE))
    else:
        source = tmp_path / "q.png"
        Image.fromarray(numbered(16)).save(source)
    query = library.query(**{kind: source}, to=to)
    held, places = vectors(library, to)
    cosines = held @ query.vector
    found = library.search(**{kind: source}, to=to, k=11, same_video="keep")
    silent = [to == "sound" and file.endswith("2.mp4") for file, _ in places]  # these come last
    order = sorted(zip(silent, -cosines, strict=True))
    assert [moment.score for moment in found] == pytest.approx(
        [-score for _, score in order], abs=1e-5
    )
    few = library.search(**{kind: source}, to=to, k=5, same_video="keep")
    assert [one.score for one in few] == pytest.approx([one.score for one in found[:5]])
    for moment in found:
        place = places.index((str(moment.file), moment.time))
        assert moment.score == pytest.approx(cosines[place], abs=1e-5)
        assert moment.thumbnail[:2] == b"\xff\xd8"
    assert library.query(**{kind: source}).to == kind
    every = library.search(**{kind: source}, k=1000, same_video="keep")
    assert len(every) == len(library) == 11


@pytest.mark.parametrize("to", ["sound", "image"])
@pytest.mark.parametrize("time", [1.5, 4.5, 9.5])
def test_a_moment_of_a_video_finds_itself(
    library: Library, folder: Path, time: float, to: str
) -> None:
    stored = [t for (f, t) in vectors(library, to)[1] if f.endswith("1.mp4")]
    at = min(stored, key=lambda value: abs(value - time))
    found = library.search(video=folder / "1.mp4", at=at, to=to, k=11, same_video="keep")
    own = [moment for moment in found if (moment.file.name, moment.time) == ("1.mp4", at)]
    assert own[0].score == pytest.approx(1, abs=1e-5)
    assert own[0].score >= found[0].score - 1e-5


def test_a_video_is_searched_by_its_sound_by_default(library: Library, folder: Path) -> None:
    assert library.query(video=folder / "1.mp4", at=4.5).to == "sound"
    by_sound = library.query(sound=folder / "1.mp4")
    assert by_sound.to == "sound"
    assert by_sound.silent is None


def test_similar_leaves_out_the_moment_itself_or_its_whole_file(
    library: Library, folder: Path
) -> None:
    file = folder / "0.mp4"
    found = library.similar(file, 4.0, k=20, same_video="keep")
    assert len(found) == 10
    assert (file, 4.5) not in {(moment.file, moment.time) for moment in found}
    others = library.similar(os.path.relpath(file), 4.0, k=20, same_video="drop", to="image")
    assert {moment.file.name for moment in others} == {"1.mp4", "2.mp4"}
    held, places = vectors(library, "image")
    cosines = held @ held[places.index((str(file), 4.5))]
    assert others[0].score == pytest.approx(max(cosines[4:]), abs=1e-5)
    assert len(library.similar(file, 4.0, k=1)) == 1


def test_a_silent_query_finds_silent_moments_and_warns(
    library: Library, folder: Path, tmp_path: Path
) -> None:
    silent = write(tmp_path / "silent.wav", np.zeros(3 * RATE, np.float32))
    with pytest.warns(
        SilenceWarning, match=r"'silent\.wav' is silent: its nearest moments are silent ones, too"
    ):
        found = library.search(sound=silent, k=3)
    assert {moment.file.name for moment in found} == {"2.mp4"}
    assert found[0].level is None
    assert found[0].score == pytest.approx(1, abs=1e-5)
    with pytest.warns(SilenceWarning, match=r"'2\.mp4 at 4\.5 s' is silent"):
        library.similar(folder / "2.mp4", 4.5)
    library.similar(folder / "2.mp4", 4.5, to="image")  # pictures are not silent
    assert library.query(video=folder / "2.mp4", at=1.0).silent == "2.mp4 at 1 s"


def test_a_tenth_of_a_second_is_enough_and_an_empty_sound_is_refused(
    library: Library, tmp_path: Path
) -> None:
    short = write(tmp_path / "short.wav", sine(400.0, 0.1, RATE))
    assert len(library.search(sound=short, same_video="keep")) == 10
    nothing = write(tmp_path / "nothing.wav", np.zeros(0, np.float32))
    with pytest.raises(HearsightError, match=r"nothing\.wav"):
        library.search(sound=nothing)


def test_mistakes_in_a_query(library: Library, folder: Path, tmp_path: Path) -> None:
    video, picture = folder / "0.mp4", tmp_path / "p.png"
    Image.fromarray(numbered(3)).save(picture)
    for options, said in (
        ({}, "Give one thing"),
        ({"sound": video, "image": picture}, "Give one thing"),
        ({"video": video}, "given together"),
        ({"sound": video, "at": 3.0}, "given together"),
        ({"video": video, "at": 99.0}, "lasts 10"),
        ({"video": video, "at": float("nan")}, "lasts 10"),
        ({"video": video, "at": -1.0}, "lasts 10"),
        ({"sound": picture}, "p.png"),
        ({"image": video}, "is not a picture"),
        ({"image": picture, "to": "images"}, "Did you mean 'image'"),
        ({"image": picture, "k": 0}, "`k` must be from 1 to 10,000, not 0"),
        ({"image": picture, "k": 10**12}, "`k` must be from 1 to 10,000, not 1,000,000,000,000"),
        ({"sound": tmp_path / "absent.wav"}, "does not exist"),
    ):
        with pytest.raises(HearsightError, match=said):
            library.search(**options)
    for file, at, options, said in (
        (folder / "01.mp4", 1.0, {}, "is not in the library.*Did you mean '.*/[01].mp4'"),
        (video, 99.0, {}, "moments from 1.5 to 9.5 s, none near 99 s"),
        (video, -1.0, {}, "none near -1 s"),
        (video, float("nan"), {}, "none near nan s"),
        (video, 1.0, {"same_video": "all"}, "`same_video` is drop, one or keep"),
        (video, 1.0, {"to": "smell"}, "`to` is sound or image"),
    ):
        with pytest.raises(HearsightError, match=said):
            library.similar(file, at, **options)


def test_a_model_that_moved_or_changed(folder: Path, tmp_path: Path) -> None:
    model = folder / "tiny.safetensors"
    moved = model.rename(tmp_path / "moved.safetensors")
    source = {"video": folder / "0.mp4", "at": 4.5}
    try:
        with pytest.raises(HearsightError, match=r"no checkpoint.*tiny\.safetensors"):
            Library.open(folder / "library").search(**source)
        assert Library.open(folder / "library", model=moved).search(**source)
        assert Library.open(folder / "library").similar(folder / "0.mp4", 4.5)
        tiny_model(model, seed=3)
        with pytest.raises(HearsightError, match="vectors of two models cannot be compared"):
            Library.open(folder / "library").search(**source)
    finally:
        moved.rename(model)


def test_places_without_a_library_are_refused(tmp_path: Path) -> None:
    for place in (tmp_path / "absent", tmp_path):
        with pytest.raises(HearsightError, match="There is no library"):
            Library.open(place)
    (tmp_path / "file").touch()
    for place, said in (
        (tmp_path / "file", "file' is a file, and a library is a folder"),
        (tmp_path / "file" / "library", "There is no library"),
        ("", "The name of the library is empty"),
        ("foo://x", "'foo://x' cannot hold a library"),
        ("https://x/y", "begins with s3://, gs:// or az://"),
        ("s3://", "'s3://' names no bucket: write s3://BUCKET/NAME"),
        ("s3:///", "names no bucket"),
    ):
        with pytest.raises(HearsightError, match=said):
            Library.open(place)


def test_an_open_library_sees_what_is_added(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from datetime import timedelta

    from hearsight.library import lance_calls

    monkeypatch.setattr(lance_calls, "FRESH", timedelta(0))
    model = folder / "tiny.safetensors"
    index_videos(tmp_path / "library", [folder / "0.mp4"], model=model)
    library = Library.open(tmp_path / "library")
    asked = {"video": folder / "0.mp4", "at": 1.0, "k": 20, "same_video": "keep"}
    assert len(library.search(**asked)) == 4
    index_videos(tmp_path / "library", [folder / "1.mp4"], optimize=True)
    assert len(library.search(**asked)) == 8


def test_an_empty_library_finds_nothing(folder: Path, tmp_path: Path) -> None:
    existing = MomentTable.open(str(folder / "library"))
    assert existing is not None
    MomentTable.create(str(tmp_path / "library"), existing.info)
    library = Library.open(tmp_path / "library")
    assert library.search(video=folder / "0.mp4", at=1.0) == []
    assert len(library) == 0


@pytest.fixture(scope="module")
def mixed(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Library:
    """A library of the three videos (one of them silent), a sound and a picture."""
    place = tmp_path_factory.mktemp("mixed")
    write(place / "tone.wav", sine(210.0, 6.0, RATE))
    Image.fromarray(numbered(16)).save(place / "red.png")
    index_videos(place / "library", [folder, place], model=folder / "tiny.safetensors")
    return Library.open(place / "library")


@pytest.mark.parametrize("k", [1, 3, 4, 6, 50])
@pytest.mark.parametrize("to", ["sound", "image"])
def test_one_film_does_not_flood_the_results(mixed: Library, folder: Path, k: int, to: str) -> None:
    query = mixed.query(video=folder / "0.mp4", at=4.5, to=to)
    wanted: list[tuple[str, float]] = []
    for one in mixed.nearest(
        query, 1000, same_video="keep"
    ):  # the definition: each file once beyond three results
        files = [file for file, _ in wanted]
        if len(wanted) < 3 or one.file.name not in files:
            wanted.append((one.file.name, one.time))
    found = mixed.nearest(query, k, same_video="one")
    assert [(one.file.name, one.time) for one in found] == wanted[:k]
    dropped = mixed.nearest(query, 1000, same_video="drop")
    kept = mixed.nearest(query, 1000, same_video="keep")
    assert dropped == [one for one in kept if one.file.name != "0.mp4"]
    assert len(kept) == (11 + 2 if to == "sound" else 11 + 1)


def test_silent_moments_come_last_among_sounds_and_are_marked(
    mixed: Library, folder: Path, tmp_path: Path
) -> None:
    tone = write(tmp_path / "q.wav", sine(400.0, 3.0, RATE))
    found = mixed.search(sound=tone, k=50, same_video="keep")
    marks = [one.silent for one in found]
    assert marks == sorted(marks)
    assert sum(marks) == 3
    assert {one.file.name for one in found if one.silent} == {"2.mp4"}
    query = mixed.query(video=folder / "2.mp4", at=4.5, to="image")
    pictured = mixed.nearest(query, 50)
    scores = [one.score for one in pictured]
    assert scores == sorted(scores, reverse=True)  # by the frames alone
    assert not any(one.silent for one in pictured if one.kind == "picture")
    with pytest.warns(SilenceWarning):  # a silent query is answered by the silent ones
        assert mixed.similar(folder / "2.mp4", 4.5, k=1)[0].silent


def test_a_sound_has_no_image_and_a_picture_no_sound_to_compare(mixed: Library) -> None:
    names = {Path(name).name: name for name in mixed.table.files()}
    with pytest.raises(HearsightError, match=r"red\.png' has no sound"):
        mixed.similar(names["red.png"], 0.0, to="sound")
    with pytest.raises(HearsightError, match=r"tone\.wav' has no image"):
        mixed.similar(names["tone.wav"], 1.5, to="image")
    assert mixed.similar(names["red.png"], 0.0, to="image", k=1)[0].file.name == "1.mp4"
    assert mixed.similar(names["tone.wav"], 1.5, k=1)[0].file.name == "tone.wav"
    by_default = mixed.similar(names["red.png"], k=1)  # one moment, compared by its frame
    assert by_default == mixed.similar(names["red.png"], 0.0, to="image", k=1)
    with pytest.raises(HearsightError, match=r"has moments from 1\.5 to .* s: say by `at` which"):
        mixed.similar(names["1.mp4"])


def test_a_query_shows_what_was_searched_by(mixed: Library, folder: Path, tmp_path: Path) -> None:
    tone = write(tmp_path / "q.wav", sine(400.0, 9.0, RATE) * np.linspace(0.1, 1, 9 * RATE))
    Image.fromarray(numbered(16)).save(tmp_path / "q.png")
    for options, kind, time, silent in (
        ({"sound": tone}, "sound", 7.5, False),
        ({"sound": folder / "0.mp4"}, "sound", None, False),
        ({"image": tmp_path / "q.png"}, "picture", 0.0, False),
        ({"video": folder / "0.mp4", "at": 4.0, "to": "image"}, "video", 4.0, False),
        ({"video": folder / "2.mp4", "at": 4.0, "to": "image"}, "video", 4.0, True),
        ({"video": folder / "0.mp4", "at": 4.0}, "video", 4.0, False),
    ):
        shown = mixed.query(**options).shown
        assert (shown.kind, shown.silent) == (kind, silent)
        assert time is None or shown.time == pytest.approx(time, abs=0.01)
        assert shown.thumbnail[:2] == b"\xff\xd8"
        assert shown.file.is_absolute()


def test_results_are_shown_in_short(mixed: Library, folder: Path) -> None:
    query = mixed.query(video=folder / "0.mp4", at=4.5)
    assert repr(mixed.nearest(query, 1)) == "[SearchResult('0.mp4', time=4.5, score=1.000)]"
    (last,) = mixed.nearest(query, 50)[-1:]
    assert repr(last).startswith("SearchResult('2.mp4', time=")
    assert ", silent, score=" in repr(last)
    assert len(repr(query)) < 120


def test_the_sound_of_a_query_is_that_of_the_moment_also_where_it_has_ended(
    folder: Path, tmp_path: Path
) -> None:
    """Pictures of 20 s with a sound of 5 s: long after its end its last window is heard."""
    film = make_video(
        tmp_path / "film.mp4",
        [numbered(number) for number in range(40)],
        rate=Fraction(2),
        sound=np.random.default_rng(0).normal(0, 0.2, 5 * RATE).astype(np.float32),
        sound_rate=RATE,
    )
    index_videos(tmp_path / "library", [film], model=folder / "tiny.safetensors")
    library = Library.open(tmp_path / "library")
    for at in (0.0, 1.0, 3.7, 5.0, 6.4, 6.6, 9.5, 19.9):
        [window] = sound_windows(stream_sound(film, rate=RATE), [at], 3.0)
        query = library.query(video=film, at=at)
        assert np.array_equal(query.vector, library.embedder.sounds([window.samples])[0]), at
        assert query.shown.level == pytest.approx(finite(window.level))
    for moment in library.table.moments(str(film), ["time", "sound"]).to_pylist():
        query = library.query(video=film, at=moment["time"])
        assert query.vector @ np.array(moment["sound"], np.float32) == pytest.approx(1, abs=1e-5)
