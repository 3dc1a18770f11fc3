"""The benchmark against its definition in loops: own pairs, videos, ties, A@k, P@k and chance."""

import csv
from collections.abc import Callable
from fractions import Fraction
from itertools import combinations, permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from made_rankings import LABELS, embedded
from torch import Tensor

from hearsight.errors import HearsightError
from hearsight.files.tables import write_rows
from hearsight.retrieval.benchmark import ENDINGS
from hearsight.retrieval.scores import (
    accuracy_at,
    best_accuracy,
    best_precision_at,
    chance_accuracy_at,
    chance_and_best,
    chance_precision_at,
    class_mean,
    notes,
    precision_at,
    score,
    table_text,
)
from hearsight.retrieval.tasks import (
    KS,
    TASKS,
    OwnPair,
    RetrievalTask,
    check_task,
    labelled_rows,
    make_task,
    own_pair_rules,
    video_of,
)


def question(task: str = "sound-sound", *, drop: bool = False) -> RetrievalTask:
    clips = embedded()
    return make_task(clips, labelled_rows(clips), task, drop_same_video=drop)


def sides(task: str, seed: int = 0) -> tuple[Tensor, Tensor]:
    clips = embedded(seed)
    rows = labelled_rows(clips)
    assert clips.frames is not None
    both = {"sound": clips.sounds[rows], "image": clips.frames[rows]}
    asked, found = task.split("-")
    return both[asked], both[found]


def by_loops(
    asked: RetrievalTask, queries: Tensor, gallery: Tensor, own: OwnPair
) -> dict[str, dict[int, list[float]]]:
    """A@k and P@k of every query, as they are defined."""
    found: dict[str, dict[int, list[float]]] = {kind: {k: [] for k in KS} for kind in "AP"}
    for q in range(len(asked.ids)):
        scored = []
        for n in range(len(asked.ids)):
            if n == q and own == "left out":
                continue
            if n != q and asked.drop_same_video and asked.videos[n] == asked.videos[q]:
                continue
            scored.append((-float(queries[q].double() @ gallery[n].double()), n))
        ranked = [n for _, n in sorted(scored)]
        for k in KS:
            right = sum(asked.labels[n] == asked.labels[q] for n in ranked[:k])
            found["A"][k].append(float(right > 0))
            found["P"][k].append(float(right / k))
    return found


@pytest.mark.parametrize("drop", [False, True])
@pytest.mark.parametrize("task", TASKS)
def test_the_definition_as_loops(task: str, drop: bool) -> None:
    asked = question(task, drop=drop)
    queries, gallery = sides(task)
    for own in own_pair_rules(task):
        _, indices = asked.find(queries, gallery, own)
        row = score("ours", asked, own, indices)
        expected = by_loops(asked, queries, gallery, own)
        for kind, over_queries, over_classes in (
            ("A", row.accuracy, row.class_accuracy),
            ("P", row.precision, row.class_precision),
        ):
            for place, k in enumerate(KS):
                values = np.array(expected[kind][k])
                per_class = [values[asked.labels == one].mean() for one in range(3)]
                assert over_queries[place] == pytest.approx(values.mean())
                assert over_classes[place] == pytest.approx(np.mean(per_class))


@pytest.mark.parametrize("drop", [False, True])
@pytest.mark.parametrize("task", ["sound-sound", "image-sound"])
def test_chance_is_the_mean_of_random_rankings(task: str, drop: bool) -> None:
    asked = question(task, drop=drop)
    for own in own_pair_rules(task):
        chance, best = chance_and_best(asked, own)
        rows = [
            score("random", asked, own, asked.find(*sides(task, seed), own)[1])
            for seed in range(100)
        ]
        for name in ("accuracy", "precision", "class_accuracy", "class_precision"):
            drawn = np.array([getattr(row, name) for row in rows])
            error = drawn.std(0) / 10 + 1e-9
            assert (np.abs(drawn.mean(0) - getattr(chance, name)) < 4.5 * error).all(), name
            assert (drawn.max(0) <= np.array(getattr(best, name)) + 1e-9).all(), name


def test_a_perfect_method_is_the_best_possible() -> None:
    asked = question("sound-image")
    vectors = torch.eye(3)[torch.from_numpy(asked.labels)]
    for own in own_pair_rules("sound-image"):
        _, best = chance_and_best(asked, own)
        row = score("best possible", asked, own, asked.find(vectors, vectors, own)[1])
        assert row == best
    left_out, in_gallery = (
        best.class_accuracy,
        chance_and_best(asked, "in gallery")[1].class_accuracy,
    )
    assert left_out[0] == pytest.approx(2 / 3)  # the only bee cannot be found
    assert in_gallery[0] == 1


def test_ties_go_to_the_lower_number() -> None:
    asked = question()
    same = torch.ones(len(asked.ids), 4)
    _, indices = asked.find(same, same, "left out", 3)
    assert indices[:4].tolist() == [[1, 2, 3], [0, 2, 3], [0, 1, 3], [0, 1, 2]]


def test_own_pairs() -> None:
    assert own_pair_rules("sound-sound") == ("left out",)
    assert own_pair_rules("image-sound") == ("in gallery", "left out")
    asked = question("sound-image", drop=True)
    vectors, _ = sides("sound-image")
    _, kept = asked.find(vectors, vectors, "in gallery")
    assert kept[:, 0].tolist() == list(range(len(asked.ids)))
    _, out = asked.find(vectors, vectors, "left out")
    assert torch.equal(kept[:, 1:], out[:, :-1])


def test_videos() -> None:
    assert video_of("zpWuikVorYg_000032", "") == "zpWuikVorYg"
    assert video_of("-0p7hKXZ1ww_000120", "film.mp4") == "-0p7hKXZ1ww"
    assert video_of("film@12", "films/film.mp4") == "films/film.mp4"
    assert video_of("film@12", "") == video_of("film@15.5", "") != video_of("film", "")
    for id in ("_30000_40000", "_30", "_30.0_40.0", "_000030.mp4", "_30000_40000.wav", ".jpg", ""):
        assert video_of(f"zpWuikVorYg{id}", "") == "zpWuikVorYg"
    assert video_of("videos/0/0/0/2615133000.mp4", "") == video_of("2615133000", "") == "2615133000"
    assert video_of("a", "") != video_of("b", "")
    videos = question().videos
    assert videos[0] == videos[1] == videos[2]
    assert videos[4] == videos[5]
    assert len(set(videos.tolist())) == 5  # v, w, x, and two clips alone


def test_clips_without_labels() -> None:
    assert labelled_rows(embedded()) == [0, 1, 2, 3, 5, 6, 7, 8]
    said = notes(question(), unlabelled=1)
    assert "1 clip is the only one of its class" in said[0]
    assert "1 clip has no class label" in said[1]
    with pytest.raises(HearsightError, match="Of the 3 clips none has a class label"):
        labelled_rows(embedded(labels=(None,) * 3))
    with pytest.raises(HearsightError, match="only 'clip 1' has a class label"):
        labelled_rows(embedded(labels=(None, "dog")))


def test_tasks_that_are_none() -> None:
    with pytest.raises(HearsightError, match=r"no task 'sound-frame'.*'sound-image'"):
        check_task("sound-frame")


def test_rows_on_the_terminal_and_in_a_file(tmp_path: Path) -> None:
    asked = question("sound-image")
    rows = [one for own in own_pair_rules("sound-image") for one in chance_and_best(asked, own)]
    text = table_text(rows, width=None)
    assert text.count("chance") == text.count("best possible") == 2
    assert "its own pair in gallery" in text
    assert max(map(len, text.splitlines())) <= 120
    for row in rows:
        assert f"{100 * row.class_precision[1]:.1f}" in text
    write_rows([row.row() for row in rows], tmp_path / "rows.csv", ENDINGS)
    assert [path.name for path in tmp_path.iterdir()] == ["rows.csv"]
    with (tmp_path / "rows.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert [line["name"] for line in lines] == [row.name for row in rows]
    assert float(lines[0]["class P@5"]) == pytest.approx(rows[0].class_precision[1], abs=1e-5)
    assert lines[0]["own pair"] == "in gallery"


def test_files_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "taken.csv").mkdir()
    for path, said in (
        (tmp_path / "rows.txt", "rows.txt' must end in .csv"),
        (tmp_path / "nowhere" / "rows.csv", "there is no folder"),
        (tmp_path / "taken.csv", "taken.csv' is a folder"),
    ):
        with pytest.raises(HearsightError, match=said):
            write_rows([chance_and_best(question(), "left out")[0].row()], path, ENDINGS)
    assert [path.name for path in tmp_path.iterdir()] == ["taken.csv"]


def test_the_classes_are_those_of_the_labels() -> None:
    asked = question()
    assert asked.classes == ("bee", "cat", "dog")
    assert [asked.classes[one] for one in asked.labels] == [one for one in LABELS if one]


def test_real_videos_have_several_clips(shared: Callable[[str], Path]) -> None:
    """Of the 1,750 VGGSound test clips in the 35 unseen classes, 94 pairs share a video."""
    unseen = set(shared("metadata/ssltie/retrieval_unseen_35_classes.txt").read_text().splitlines())
    with shared("metadata/vggsound/test.csv").open(newline="") as file:
        ids = [row[0].removesuffix(".mp4") for row in csv.reader(file) if row[1] in unseen]
    videos = [video_of(id, "") for id in ids]
    assert (len(ids), len(set(videos))) == (1750, 1656)


# Accuracy and precision at k


Hits = np.ndarray[Any, np.dtype[np.bool_]]


@settings(deadline=None)  # a busy machine is no failure
@given(
    hits=arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, min_side=0, max_side=12)),
    k=st.integers(1, 14),
)
def test_the_definitions_as_loops(hits: Hits, k: int) -> None:
    accuracy, precision = accuracy_at(hits, k), precision_at(hits, k)
    assert len(accuracy) == len(precision) == len(hits)
    for query, row in enumerate(hits.tolist()):
        right = 0
        for place in range(k):
            if place < len(row) and row[place]:
                right += 1
        assert accuracy[query] == (1 if right else 0)
        assert precision[query] == right / k


@settings(deadline=None)
@given(arrays(np.bool_, (5, 10)))
def test_what_holds_between_them(hits: Hits) -> None:
    assert np.array_equal(accuracy_at(hits, 1), precision_at(hits, 1))
    for k in range(1, 10):
        assert (accuracy_at(hits, k) <= accuracy_at(hits, k + 1)).all()
        assert (precision_at(hits, k) <= accuracy_at(hits, k)).all()


def test_known_values() -> None:
    hits = np.array([[False, True, True, False], [True, False, False, False]])
    assert accuracy_at(hits, 1).tolist() == [0, 1]
    assert accuracy_at(hits, 2).tolist() == [1, 1]
    assert precision_at(hits, 4).tolist() == [0.5, 0.25]
    assert precision_at(hits, 10).tolist() == [0.2, 0.1]  # four places taken, ten asked for
    assert precision_at(hits[:, :0], 5).tolist() == [0, 0]  # nobody there


@pytest.mark.parametrize("available", range(6))
@pytest.mark.parametrize("k", [1, 2, 4, 7])
def test_chance_by_counting_every_order(available: int, k: int) -> None:
    for relevant in range(available + 1):
        orders = set(permutations([True] * relevant + [False] * (available - relevant)))
        hits = np.array(list(orders), bool).reshape(len(orders), available)
        r, n = np.array([relevant]), np.array([available])
        assert chance_accuracy_at(r, n, k)[0] == pytest.approx(accuracy_at(hits, k).mean())
        assert chance_precision_at(r, n, k)[0] == pytest.approx(precision_at(hits, k).mean())
        assert best_accuracy(r)[0] == (accuracy_at(hits, available).max() if available else 0)
        assert best_precision_at(r, k)[0] == precision_at(hits, k).max()


def test_chance_in_a_large_gallery() -> None:
    """20 relevant of 500: the share of the C(500, 3) triples that hold one."""
    missed = Fraction(480 * 479 * 478, 500 * 499 * 498)
    found = chance_accuracy_at(np.array([20]), np.array([500]), 3)
    assert found[0] == pytest.approx(float(1 - missed), rel=1e-12)
    few = list(combinations(range(7), 3))
    share = sum(1 for triple in few if min(triple) < 2) / len(few)
    assert chance_accuracy_at(np.array([2]), np.array([7]), 3)[0] == pytest.approx(share)


def test_a_class_counts_once_however_many_clips_it_has() -> None:
    values = np.array([1.0, 0.0, 0.0, 0.0, 1.0])
    classes = np.array([4, 0, 0, 0, 0])  # class 4 has one clip; 1 to 3 have none
    assert class_mean(values, classes) == pytest.approx((0.25 + 1) / 2)
    assert class_mean(values, np.zeros(5, np.int64)) == values.mean()
