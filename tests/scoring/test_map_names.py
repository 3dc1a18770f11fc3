"""Names of maps and ids of clips: which belong together, and which must not."""

import pytest

from hearsight.errors import HearsightError
from hearsight.scoring.map_names import match_names

IDS = ["--abcdefghi_000030", "--abcdefghi_000040", "test/dog/one.jpg", "scene 0_1", "2615133000"]


@pytest.mark.parametrize(
    ("names", "matched"),
    [
        ([IDS[0], IDS[2]], {IDS[0]: IDS[0], IDS[2]: IDS[2]}),
        (["test/dog/one"], {IDS[2]: "test/dog/one"}),
        (["deep/er/one.png"], {IDS[2]: "deep/er/one.png"}),
        (["--abcdefghi_30000_40000.mp4"], {IDS[0]: "--abcdefghi_30000_40000.mp4"}),
        (["x/2615133000.wav"], {IDS[4]: "x/2615133000.wav"}),
        (["one_map", "2615133000_map"], {IDS[2]: "one_map", IDS[4]: "2615133000_map"}),
        ([f"{IDS[0]}_av_map"], {IDS[0]: f"{IDS[0]}_av_map"}),
    ],
)
def test_a_name_is_of_the_clip_that_it_says(names: list[str], matched: dict[str, str]) -> None:
    found = match_names(names, IDS)
    assert found.names == matched
    assert not found.others


def test_an_ending_of_digits_is_another_clip_and_only_one_ending_counts() -> None:
    names = ["scene 0_1_2", "2615133000_7", "one_map", "2615133000_map", "scene 0_1_object"]
    found = match_names(names, IDS)
    assert found.names == {IDS[2]: "one_map", IDS[4]: "2615133000_map"}
    assert list(found.others) == [names[0], names[1], names[4]]


def test_acl_joins_the_ids_of_frame_and_sound() -> None:
    one, two = "zpWuikVorYg_000032", "--abcdefghi_000030"
    ids = [one, f"{two}~{one}", two]
    names = [f"{one}_{one}", f"{two}_{one}"]
    found = match_names([*names, f"{one}_{two}"], ids)
    assert found.names == {one: names[0], f"{two}~{one}": names[1]}
    assert list(found.others) == [f"{one}_{two}"]
    assert match_names([two, names[1]], ids).names == {two: two, f"{two}~{one}": names[1]}
    with pytest.raises(HearsightError, match="None of the 1 maps"):
        match_names([f"{two}_{two}"], [two])  # no id is of a pair
    with pytest.raises(HearsightError, match="Two maps are of the clip"):
        match_names([one, names[0]], ids)


def test_a_name_that_two_clips_may_have_is_of_neither() -> None:
    ids = ["a/1", "b/1", "c"]
    assert match_names(["1", "c"], ids).others == ["1"]
    assert match_names(["a/1", "c"], ids).names == {"a/1": "a/1", "c": "c"}


@pytest.mark.parametrize("ending", ["", ".mp4"])
def test_where_names_keep_folders_the_same_name_elsewhere_is_another_clip(ending: str) -> None:
    ids = [f"A/1{ending}", f"B/2{ending}"]
    found = match_names(["A/1", "C/2"], ids)
    assert found.names == {ids[0]: "A/1"}
    assert list(found.others) == ["C/2"]
    whole = match_names(["A/1", "B/2", "C/2", "2"], [ids[0]])
    assert list(whole.others) == ["B/2", "C/2", "2"]


def test_two_names_of_one_clip_and_none_of_any_are_refused() -> None:
    with pytest.raises(HearsightError, match=r"Two maps are of the clip 'c': 'c' and 'x/c.png'"):
        match_names(["c", "x/c.png"], ["c"])
    with pytest.raises(HearsightError, match=r"None of the 2 maps .* like 'd' there, .* 'c' here"):
        match_names(["d", "e"], ["c"])
