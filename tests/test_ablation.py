"""The ladder of Table 1."""

from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from hearsight import ablation
from hearsight.ablation import PAPER, RUNGS, Rung, ablate, ablate_data, rung_recipe, table
from hearsight.datasets.scenes import Scenes, load_pack
from hearsight.errors import HearsightError
from hearsight.runs import Options

TINY = [
    "frame_size=32",
    "batch_size=4",
    "epochs=1",
    "encoder.widths=[8,8,8,8]",
    "encoder.stem_kernel=3",
]
OPTIONS = Options(device="cpu", workers=0)


def made_rungs() -> list[Rung]:
    return [
        Rung(letter=letter, adds=adds, ciou=(0.2, 0.3), auc=(0.3, 0.3), adaptive=(0.4, 0.6))
        for letter, adds in RUNGS.items()
    ]


def test_mean_and_spread_are_those_of_the_seeds() -> None:
    row = made_rungs()[0].row()
    assert row["ciou"] == pytest.approx(0.25)
    assert row["ciou_spread"] == pytest.approx(0.0707107, abs=1e-6)
    assert row["auc_spread"] == pytest.approx(0.0)
    assert (row["paper_ciou"], row["paper_auc"]) == (0.3292, 0.3744)


def test_the_table_has_the_rungs_in_order_and_marks_the_papers_numbers() -> None:
    text = table(made_rungs(), "ssl-tie", seeds=[4, 5], command="hearsight ablate")
    rows = [line for line in text.splitlines() if line.startswith("| ") and line[2] in "ABCDEF"]
    assert [row[2] for row in rows] == list("ABCDEF")
    assert "25.0 ± 7.1" in rows[0]
    assert "32.92" in rows[0]
    assert "paper: cIoU" in text.splitlines()[0]
    assert "seeds 4, 5" in text
    alone = [replace(rung, ciou=(0.2,), auc=(0.3,), adaptive=(0.4,)) for rung in made_rungs()]
    text = table(alone, "ssl-tie", seeds=[4], command="hearsight ablate")
    assert "one seed, 4;" in text
    assert "±" not in text
    assert "None" not in text


def test_the_papers_numbers_rise_with_the_ladder() -> None:
    values = [PAPER[letter][0] for letter in "abcdef"]
    assert values == sorted(values)


def test_the_plot_is_a_picture(tmp_path: Path) -> None:
    ablation.plot(made_rungs(), tmp_path / "ladder.png")
    with Image.open(tmp_path / "ladder.png") as picture:
        assert min(picture.size) > 300
    assert [path.name for path in tmp_path.iterdir()] == ["ladder.png"]


def test_a_method_without_a_ladder_is_refused() -> None:
    with pytest.raises(HearsightError, match="no ladder for 'lvs'"):
        rung_recipe("lvs", "a")


def test_a_store_is_not_scored_on_what_it_taught(tmp_path: Path) -> None:
    with pytest.raises(HearsightError, match="--held-out"):
        ablate_data(
            "ssl_tie:small",
            [str(tmp_path)],
            None,
            tmp_path / "out",
            seeds=[4],
            settings=[],
            epoch=None,
            count=4,
            classes=None,
            options=OPTIONS,
        )


def test_every_rung_is_trained_once_and_scored_alike(tmp_path: Path) -> None:
    learned = Scenes(load_pack("toys", split="train", classes=4), 4, size=40, endless=True)
    kept = Scenes(load_pack("toys", split="val", classes=4), 4, size=32, silent=(1, 2))

    def run(stages: list[str]) -> list[Rung]:
        return ablate(
            "ssl_tie:small",
            learned,
            kept,
            tmp_path,
            seeds=[1],
            settings=TINY,
            options=replace(OPTIONS, progress=lambda stage, done, total: stages.append(stage)),
        )

    first, again = [], []
    rungs = run(first)
    assert [rung.letter for rung in rungs] == list("abcdef")
    assert all(0 <= rung.ciou[0] <= 1 and len(rung.ciou) == 1 for rung in rungs)
    assert {stage[0] for stage in first} == set("ABCDEF")
    assert run(again) == rungs
    assert again == []
