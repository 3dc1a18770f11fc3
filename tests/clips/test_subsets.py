"""Clips that a list names: open sets, ids however written, lists of something else."""

from collections.abc import Callable
from pathlib import Path

import pytest
from made_models import MadeClips, make_pairs

from hearsight.clips.subsets import restrict
from hearsight.datasets.vggsound import VggSsBoxes
from hearsight.errors import HearsightError


def test_the_clips_of_a_list_in_their_own_order(tmp_path: Path) -> None:
    clips = make_pairs(3)
    path = tmp_path / "heard.txt"
    path.write_text("scene 2_1\nelsewhere\nscene 0_0\nscene 2_1\nnowhere\n")
    chosen, unknown = restrict(clips, path)
    assert list(chosen.ids) == ["scene 0_0", "scene 2_1"]
    assert chosen[1].id == "scene 2_1"
    assert unknown == ["elsewhere", "nowhere"]


def test_ids_with_suffixes_and_in_milliseconds(tmp_path: Path) -> None:
    clips = make_pairs(2)
    for place, id in enumerate(["zpWuikVorYg_000032", "gEvCUcZ6w88_000030", "x", "y"]):
        clips.change(place, id=id)
    clips = MadeClips(clips.clips)
    path = tmp_path / "list.csv"
    path.write_text("zpWuikVorYg_000032.mp4\ngEvCUcZ6w88_30000_40000\n")
    chosen, unknown = restrict(clips, path)
    assert (len(chosen), unknown) == (2, [])


def test_lists_of_other_clips_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_text("a\nb\n")
    with pytest.raises(HearsightError, match=r"None of the 2 ids .* 'a' there .* 'scene 0_0' here"):
        restrict(make_pairs(1), path)
    with pytest.raises(HearsightError, match=r"cannot be read"):
        restrict(make_pairs(1), tmp_path / "none.txt")


@pytest.mark.parametrize(
    ("name", "count", "missing"),
    [
        ("ezvsl/vggss_heard_test.csv", 2564, 0),
        ("ezvsl/vggss_unheard_test.csv", 2575, 0),
        ("htf/vggss_test_trimmed.csv", 4670, 0),
        ("ssltie/openset/openset_test_110_heard_2425.txt", None, None),
    ],
)
def test_the_real_lists(
    shared: Callable[[str], Path], name: str, count: int | None, missing: int | None
) -> None:
    truth = VggSsBoxes(shared("metadata/lvs/vggss.json"))

    class Named(MadeClips):
        def __init__(self) -> None:
            self.clips, self.ids = [], list(truth.labels)

    chosen, unknown = restrict(Named(), shared(f"metadata/{name}"))
    if count is not None:
        assert (len(chosen), len(unknown)) == (count, missing)
    else:
        assert len(chosen) + len(set(unknown)) == 2425
