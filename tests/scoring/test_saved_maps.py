"""Maps of other code: the numbers of `evaluate`, every form of file, what is refused and named."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from made_maps import dumped_maps
from made_models import Follower, MadeClips, make_model, make_pairs
from PIL import Image

from hearsight.clips.clip import UnreadableClip
from hearsight.errors import HearsightError
from hearsight.scoring.map_files import MapFiles
from hearsight.scoring.protocol_registry import (
    CUSTOM_PROTOCOLS,
    evaluate_protocol,
    protocol_table,
)
from hearsight.scoring.protocols import Protocol, load_protocol
from hearsight.scoring.saved_map_scores import evaluate_maps, read_confidences

Maps = dict[str, np.ndarray]
HEARING = {custom.base.name for custom in CUSTOM_PROTOCOLS if custom.hears}
# NAME:flickr differs from NAME in the truth alone, and `ssl-align` in the up-sampling too
NAMES = [
    row["protocol"]
    for row in protocol_table()
    if row["protocol"] not in HEARING
    and (":" not in row["protocol"] or row["protocol"] == "ssl-align:flickr")
]
GENERATOR = np.random.default_rng(3)
MAPS: Maps = {id: np.tanh(GENERATOR.standard_normal((7, 7))) for id in make_pairs(2).ids}


def base_of(name: str) -> Protocol:
    bases = {custom.base.name: custom.base for custom in CUSTOM_PROTOCOLS}
    return bases[name] if name in bases else load_protocol(name)


def clips_for(name: str) -> MadeClips:
    clips = make_pairs(2)
    clips.clips[2] = UnreadableClip(clips.ids[2], "its frame is damaged")
    return clips.change(1, boxes=()) if "extended" in name else clips


@cache
def plain() -> str:
    return exact(evaluate_maps(MAPS, make_pairs(2), "ez-vsl"))


def exact(results: Any) -> str:
    return json.dumps([results.rows, results.clips, results.units, dict(results.records)])


@pytest.mark.parametrize("name", NAMES)
def test_maps_that_a_loop_saved_have_the_numbers_of_the_model(name: str, tmp_path: Path) -> None:
    clips, model = clips_for(name), make_model(Follower)
    found = evaluate_protocol(model, clips, name)
    maps = dumped_maps(model, clips, base_of(name))
    np.savez(tmp_path / "maps.npz", **maps)
    scored = evaluate_maps(tmp_path / "maps.npz", clips, name, name="model", values="cosine")
    assert exact(scored) == exact(found)
    assert f"{clips.ids[2]}: it has no map" in scored.notes[-1]


def save_folder(folder: Path, maps: Mapping[str, np.ndarray], ending: str = "") -> Path:
    for number, (id, one) in enumerate(maps.items()):
        path = folder / f"part{number % 2}" / f"{id}{ending}.npy"
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, one)
    return folder


def save_npz(path: Path, maps: Mapping[str, Any]) -> Path:
    np.savez_compressed(path, **maps)
    return path


def save_each(folder: Path, maps: Mapping[str, np.ndarray]) -> Path:
    folder.mkdir()
    for id, one in maps.items():
        np.savez(folder / f"{id}.npz", one)
    return folder


FORMS: dict[str, Callable[[Path], Any]] = {
    "a mapping": lambda _: MAPS,
    "tensors on their way": lambda _: {
        id: torch.from_numpy(one)[None, None].requires_grad_() for id, one in MAPS.items()
    },
    "an npz": lambda at: save_npz(at / "m.npz", MAPS),
    "one npz per clip": lambda at: save_each(at / "m", MAPS),
    "a nested folder": lambda at: save_folder(at, MAPS),
    "names with an ending": lambda at: save_folder(at, MAPS, "_heat_map"),
    "names of pictures": lambda at: save_npz(
        at / "m.npz", {f"{k}.jpg": v for k, v in MAPS.items()}
    ),
    "axes of one": lambda at: save_npz(
        at / "m.npz", {k: v[None, :, :, None] for k, v in MAPS.items()}
    ),
    "floats of 32 bits": lambda at: save_folder(
        at, {k: v.astype(np.float32) for k, v in MAPS.items()}
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_holds_the_same_maps(form: str, tmp_path: Path) -> None:
    clips = make_pairs(2)
    held = FORMS[form](tmp_path)
    found = evaluate_maps(held, clips, "ez-vsl")
    assert exact(found) == plain()
    assert not found.notes


@pytest.mark.parametrize(("kind", "white"), [(np.uint8, 255), (np.uint16, 65_535)])
def test_grey_pictures_are_maps_from_black_to_white(kind: Any, white: int, tmp_path: Path) -> None:
    clips = make_pairs(2)
    greys = {id: np.rint((one + 1) / 2 * white).astype(kind) for id, one in MAPS.items()}
    for id, grey in greys.items():
        Image.fromarray(grey).save(tmp_path / f"{id}.png")
    shades = {id: grey.astype(np.float32) / np.float32(white) for id, grey in greys.items()}
    assert exact(evaluate_maps(tmp_path, clips, "lvs")) == exact(
        evaluate_maps(shades, clips, "lvs")
    )
    told = evaluate_maps(tmp_path, clips, "slavc", values="probability")
    assert exact(told) == exact(evaluate_maps(shades, clips, "slavc", values="probability"))
    with pytest.raises(HearsightError, match=r"is a picture, whose shades are no cosines"):
        evaluate_maps(tmp_path, clips, "slavc")


def test_a_grey_picture_of_three_equal_colours_is_grey(tmp_path: Path) -> None:
    clips = make_pairs(2)
    for mode in ("L", "RGB", "RGBA"):
        (tmp_path / mode).mkdir()
        for id, one in MAPS.items():
            grey = Image.fromarray(np.rint((one + 1) * 127).astype(np.uint8))
            grey.convert(mode).save(tmp_path / mode / f"{id}.png")
    found = [exact(evaluate_maps(tmp_path / mode, clips)) for mode in ("L", "RGB", "RGBA")]
    assert found[0] == found[1] == found[2]


def test_values_are_brought_to_the_scale_of_the_protocol() -> None:
    clips = make_pairs(2)
    chances = {id: (one + 1) / 2 for id, one in MAPS.items()}
    logits = {id: np.log(one / (1 - one)) for id, one in chances.items()}
    of_cosines = evaluate_maps(MAPS, clips, "slavc").clips
    for maps, values in ((chances, "probability"), (logits, "logit")):
        assert (
            evaluate_maps(maps, clips, "slavc", values=values).clips[0]["ciou"]
            == (of_cosines[0]["ciou"])
        )
    high = {id: one * 1000 for id, one in logits.items()}
    assert evaluate_maps(high, clips, "slavc", values="logit").rows  # no overflow


def test_what_is_missing_or_too_much_is_counted_and_named(tmp_path: Path) -> None:
    clips = make_pairs(2)
    maps = {id: one for id, one in MAPS.items() if id != clips.ids[2]}
    maps[clips.ids[0]] = np.ones((14, 9))
    save_folder(tmp_path, {**maps, "stranger": np.ones((7, 7))})
    (tmp_path / "notes.txt").write_text("x")
    found = evaluate_maps(tmp_path, clips, "lvs", name="theirs")
    notes = "\n".join(found.notes)
    assert found.rows[0]["clips"] == 3
    assert f"1 of 4 clips was left out:\n  {clips.ids[2]}: it has no map" in notes
    assert "1 map of 'theirs' is of none of the clips: part1/stranger" in notes
    assert "maps of 'theirs' are of 2 sizes: 7 x 7 (2), 14 x 9 (1)" in notes
    assert "1 file in" in notes
    assert "notes.txt" in notes


ONE = next(iter(MAPS))
HOSTILE: dict[str, tuple[Any, str]] = {
    "nan": ({**MAPS, ONE: np.full((7, 7), np.nan)}, "has values that are not finite"),
    "inf of 64 bits": ({**MAPS, ONE: np.full((7, 7), 1e300)}, "has values that are not finite"),
    "a heat picture": ({**MAPS, ONE: np.ones((7, 7, 3))}, "colours tell no values"),
    "a stack": (
        {**MAPS, ONE: np.ones((5, 7, 7))},
        "of the shape 5 x 7 x 7, but a map has a height",
    ),
    "a row": ({**MAPS, ONE: np.ones(49)}, "of the shape 49, but"),
    "a number": ({**MAPS, ONE: np.float32(1)}, "of the shape a single number, but"),
    "nothing": ({**MAPS, ONE: np.ones((0, 7))}, "of the shape 0 x 7, but"),
    "words": ({**MAPS, ONE: np.array([["a"]])}, "not of real numbers"),
    "complex": ({**MAPS, ONE: np.ones((7, 7), complex)}, "complex128, not of real numbers"),
    "objects": ({**MAPS, ONE: np.array([[None]])}, "not of real numbers"),
    "no map": ({}, "There are no maps"),
    "strangers": ({"x": np.ones((7, 7))}, "None of the 1 maps is of one of the 4 clips: they are"),
    "two of one": ({**MAPS, f"a/{ONE}.png": MAPS[ONE]}, f"Two maps are of the clip '{ONE}'"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_what_is_no_map_is_refused_in_words(what: str) -> None:
    maps, said = HOSTILE[what]
    with pytest.raises(HearsightError, match=said):
        evaluate_maps(maps, make_pairs(2))


def broken(name: str, folder: Path) -> Path:
    """A folder of maps, one of which is no map."""
    save_folder(folder, MAPS)
    path = folder / f"part0/{ONE}.npy"
    if name == "torn":
        path.write_bytes(path.read_bytes()[:90])
    elif name == "pickled":
        np.save(path, np.array([[{}]], object), allow_pickle=True)
    elif name == "flipped":
        path.unlink()
        np.savez_compressed(path.with_suffix(".npz"), MAPS[ONE])
        content = bytearray(path.with_suffix(".npz").read_bytes())
        content[len(content) // 4 : len(content) // 2] = bytes(
            len(content) // 2 - len(content) // 4
        )
        path.with_suffix(".npz").write_bytes(content)
    elif name == "twice":
        Image.new("L", (7, 7)).save(path.with_suffix(".png"))
    else:
        path.unlink()
        picture = Image.fromarray(GENERATOR.integers(0, 255, (7, 7, 3), np.uint8))
        picture = picture.convert("P") if name == "palette" else picture
        picture.save(path.with_suffix(".png"))
    return folder


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("torn", "cannot be read"),
        ("pickled", "cannot be read: Object arrays cannot be loaded"),
        ("flipped", "cannot be read"),
        ("twice", "Two maps have the name"),
        ("palette", "a palette, whose numbers are those of colours"),
        ("coloured", "a coloured picture, and colours tell no values"),
    ],
)
def test_damaged_and_coloured_files_are_refused(name: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(HearsightError, match=said):
        evaluate_maps(broken(name, tmp_path), make_pairs(2))


def test_places_that_hold_no_maps_are_refused(tmp_path: Path) -> None:
    clips = make_pairs(2)
    np.save(tmp_path / "stack.npy", np.ones((4, 7, 7)))
    (tmp_path / "bad.npz").write_bytes(b"PK")
    (tmp_path / "empty").mkdir()
    for name, said in {
        "gone": "There are no maps",
        "stack.npy": "does not tell which clip a map is of",
        "bad.npz": "is not an .npz",
        "empty": "holds no maps",
    }.items():
        with pytest.raises(HearsightError, match=said):
            evaluate_maps(tmp_path / name, clips)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_an_npz_that_holds_a_name_twice_is_refused(tmp_path: Path) -> None:
    import zipfile

    path = save_npz(tmp_path / "m.npz", MAPS)
    with zipfile.ZipFile(path, "a") as file, file.open(f"{ONE}.npy", "w") as entry:
        np.lib.format.write_array(entry, MAPS[ONE])
    with pytest.raises(HearsightError, match="Two maps have the name"):
        evaluate_maps(path, make_pairs(2))


def test_maps_of_another_scale_than_the_protocol_takes_are_refused() -> None:
    clips = make_pairs(2)
    hot = {id: one / 0.03 for id, one in MAPS.items()}
    with pytest.raises(HearsightError, match="before a temperature divides them"):
        evaluate_maps(hot, clips, "slavc")
    assert (
        evaluate_maps(hot, clips, "ez-vsl").rows[0] == evaluate_maps(MAPS, clips, "ez-vsl").rows[0]
    )
    normalised = {id: (one - one.min()) / np.ptp(one) for id, one in MAPS.items()}
    with pytest.raises(HearsightError, match="each was normalised by itself"):
        evaluate_maps(normalised, clips, "slavc")


@pytest.mark.parametrize("name", sorted(HEARING))
def test_protocols_that_need_a_model_say_so(name: str) -> None:
    with pytest.raises(HearsightError, match="needs a model, to hear other sounds"):
        evaluate_maps(MAPS, make_pairs(2), name)


def test_logits_stay_as_they_are_where_each_map_is_brought_to_its_own_range() -> None:
    clips = make_pairs(2)
    plain, said = (evaluate_maps(MAPS, clips, "adaptive", values=v) for v in (None, "logit"))
    assert exact(plain) == exact(said)


def test_a_confidence_per_clip_may_be_given(tmp_path: Path) -> None:
    clips = make_pairs(2).change(1, boxes=())
    normalised = {id: (one - one.min()) / np.ptp(one) for id, one in MAPS.items()}
    with pytest.raises(HearsightError, match="needs a confidence for each clip, or maps that"):
        evaluate_maps(normalised, clips, "slavc-relative-extended")
    sure = dict(zip(clips.ids, (0.9, 0.1, 0.8, 0.3), strict=True))
    found = evaluate_maps(normalised, clips, "slavc-relative-extended", confidence=sure)
    assert [round(line["confidence"], 6) for line in found.clips] == list(sure.values())
    (tmp_path / "sure.csv").write_text(
        "id,confidence\n" + "\n".join(f"{id}.mp4,{one}" for id, one in sure.items())
    )
    (tmp_path / "sure.json").write_text(json.dumps(sure))
    for name in ("sure.csv", "sure.json"):
        read = read_confidences(tmp_path / name)
        again = evaluate_maps(normalised, clips, "slavc-relative-extended", confidence=read)
        assert exact(again) == exact(found)
    with pytest.raises(HearsightError, match="given, but 'ez-vsl' does not use it"):
        evaluate_maps(normalised, clips, "ez-vsl", confidence=sure)
    del sure[clips.ids[3]]
    with pytest.raises(
        HearsightError, match="1 of 4 clips with a map have no confidence: scene 1_1"
    ):
        evaluate_maps(normalised, clips, "slavc-relative-extended", confidence=sure)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a,1\na,2\n", "The id 'a' stands twice"),
        ("a,nan\n", "The confidence of 'a' in .* is no finite number"),
        ("a,b,c\n", "is neither a table of id,confidence nor"),
        ('{"a": [1]}', "is no finite number"),
        pytest.param(f'{{"a": 1{"0" * 400}}}', "is no finite number", id="400 zeros"),
        ('{"a": 1, "a": 2}', "The id 'a' stands twice"),
        ("{]", "is neither a table"),
        ("id,confidence\n", "is neither a table"),
    ],
)
def test_confidences_of_another_form_are_refused(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "sure").write_text(text)
    with pytest.raises(HearsightError, match=said):
        read_confidences(tmp_path / "sure")


def test_an_extended_set_without_maps_of_silent_clips_says_what_was_left_out() -> None:
    clips = make_pairs(2).change(1, boxes=())
    seen = {id: one for id, one in MAPS.items() if id != clips.ids[1]}
    with pytest.raises(HearsightError, match=r"of the 3 clips .* 1 clip was .* it has no map\."):
        evaluate_maps(seen, clips, "slavc-extended")
    with pytest.raises(HearsightError, match=r"has no visible source, .* 3 clips were left out"):
        evaluate_maps({clips.ids[1]: MAPS[clips.ids[1]]}, clips, "slavc-extended")


def test_a_box_that_is_none_and_clips_without_masks_are_refused_as_by_a_model() -> None:
    clips = make_pairs(2).change(0, boxes=((0.0, 0.0, np.nan, 1.0),))
    with pytest.raises(HearsightError, match="an edge that is no number"):
        evaluate_maps(MAPS, clips)
    with pytest.raises(HearsightError, match="'scene 0_0' has no mask"):
        evaluate_maps(MAPS, make_pairs(2).change(0, mask=None), "masks")
    bare = MadeClips(
        [replace(clip, boxes=None) for clip in map(make_pairs(2).__getitem__, range(4))]
    )
    with pytest.raises(HearsightError, match="None of the 4 clips has boxes"):
        evaluate_maps(MAPS, bare)


def test_what_systems_leave_among_maps_changes_nothing(tmp_path: Path) -> None:
    """Hidden files and folders are no maps; links are followed, but those that lead back."""
    far, folder = tmp_path / "far", tmp_path / "maps"
    far.mkdir()
    (folder / "deep er").mkdir(parents=True)
    np.save(far / "0.npy", np.eye(7))
    (folder / "one two.NPY").symlink_to(far / "0.npy")
    np.save(folder / "deep er" / "three.npy", np.ones((7, 7)))
    (folder / "._one two.npy").write_bytes(b"\0\5\x16\7")
    (folder / ".ipynb_checkpoints").mkdir()
    np.save(folder / ".ipynb_checkpoints" / "one two-checkpoint.npy", np.eye(7))
    (folder / "Thumbs.db").write_bytes(b"\xd0\xcf")
    with MapFiles(folder) as files:
        assert sorted(files.names) == ["deep er/three", "one two"]
        assert np.array_equal(files.read("one two"), np.eye(7, dtype=np.float32))
        assert "Thumbs.db" in " ".join(files.passed_over)
    np.save(far / "two.npy", np.eye(7))
    (folder / "linked").symlink_to(far)
    (far / "back").symlink_to(folder)
    with MapFiles(folder) as files:
        assert sorted(files.names) == ["deep er/three", "linked/0", "linked/two", "one two"]
        assert "1 link to a folder leads back: linked/back." in files.passed_over
    (folder / "four.npy").symlink_to("nowhere")
    with (
        MapFiles(folder) as files,
        pytest.raises(HearsightError, match=r"four\.npy' cannot be read"),
    ):
        files.read("four")
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / "maps").symlink_to(far)
    with MapFiles(tmp_path / "links") as files:
        assert "maps/two" in files.names
