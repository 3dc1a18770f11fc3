"""The ladder of Table 1."""

from dataclasses import replace
from pathlib import Path

import pytest
from made_clips import store
from made_commands import Hearsight
from PIL import Image

from hearsight.checkpoints.checkpoint import load_model
from hearsight.datasets.open import open_clips
from hearsight.errors import HearsightError
from hearsight.files.locks import LOCK
from hearsight.scenes.scenes import Scenes, load_pack
from hearsight.scoring.evaluation import evaluate
from hearsight.scoring.results import BLIND_DISC
from hearsight.studies import ablation
from hearsight.studies.ablation import (
    PAPER,
    RUNGS,
    Rung,
    make_ablation,
    make_rungs,
    rung_name,
    table,
)
from hearsight.studies.comparison import compare_methods, open_data, read_held_out
from hearsight.training.run_folder import TrainingOptions

TINY = [
    "frame_size=32",
    "batch_size=4",
    "epochs=1",
    "encoder.widths=[8,8,8,8]",
    "encoder.stem_kernel=3",
]
OPTIONS = TrainingOptions(device="cpu", workers=0)


def made_rungs() -> list[Rung]:
    return [
        Rung(letter=letter, adds=adds, ciou=(0.2, 0.3), auc=(0.3, 0.3), adaptive=(0.4, 0.6))
        for letter, adds in RUNGS.items()
    ]


BLIND = {
    "blind: centred disc": {"ciou": 0.36, "auc": 0.373, "adaptive": 0.395},
    "ceiling": {"ciou": 0.52, "auc": 0.502, "adaptive": 1.0},
}


def test_mean_and_spread_are_those_of_the_seeds() -> None:
    row = made_rungs()[0].row()
    assert row["ciou"] == pytest.approx(0.25)
    assert row["ciou ±"] == pytest.approx(0.0707107, abs=1e-6)
    assert row["auc ±"] == pytest.approx(0.0)
    assert (row["paper_ciou"], row["paper_auc"]) == (0.3292, 0.3744)


def test_the_table_has_the_rungs_in_order_and_marks_the_papers_numbers() -> None:
    text = table(made_rungs(), BLIND, seeds=[4, 5], command="hearsight ablate")
    rows = [line for line in text.splitlines() if line.startswith("| ") and line[2] in "ABCDEF"]
    assert [row[2] for row in rows] == list("ABCDEF")
    assert "25.0 ± 7.1" in rows[0]
    assert "32.92" in rows[0]
    assert "paper: cIoU" in text.splitlines()[0]
    assert "| | blind: centred disc | 36.0 | 37.3 | 39.5 | | |" in text
    assert "| | ceiling | 52.0 | 50.2 | 100.0 | | |" in text
    assert "seeds 4, 5" in text
    alone = [replace(rung, ciou=(0.2,), auc=(0.3,), adaptive=(0.4,)) for rung in made_rungs()]
    text = table(alone, BLIND, seeds=[4], command="hearsight ablate")
    assert "one seed, 4;" in text
    assert "±" not in text
    assert "None" not in text


def test_the_papers_numbers_rise_with_the_ladder() -> None:
    values = [PAPER[letter][0] for letter in "abcdef"]
    assert values == sorted(values)


def test_the_plot_is_a_picture(tmp_path: Path) -> None:
    ablation.plot(made_rungs(), BLIND[BLIND_DISC], tmp_path / "ladder.png")
    with Image.open(tmp_path / "ladder.png") as picture:
        assert min(picture.size) > 300
    assert [path.name for path in tmp_path.iterdir()] == ["ladder.png"]


def test_a_method_without_a_ladder_is_refused() -> None:
    with pytest.raises(HearsightError, match="no ladder for 'lvs'"):
        rung_name("lvs", "a")


def test_a_store_is_not_scored_on_what_it_taught(tmp_path: Path) -> None:
    with pytest.raises(HearsightError, match="`test`"):
        open_data([str(tmp_path)], None, size=32, epoch=None, count=4, classes=None)


def test_every_rung_is_trained_once_and_scored_alike(tmp_path: Path) -> None:
    learned = Scenes(load_pack("toys", split="train", classes=4), 4, size=40, endless=True)
    kept = Scenes(load_pack("toys", split="val", classes=4), 4, size=32, silent=(1, 2))

    def run(stages: list[str]) -> list[Rung]:
        ablation = make_ablation("ssl_tie:small", seeds=[1], changes=TINY, folder=tmp_path)
        options = replace(OPTIONS, progress=lambda stage, done, total: stages.append(stage))
        return make_rungs(compare_methods(ablation, learned, read_held_out(kept), options))

    first, again = [], []
    rungs = run(first)
    assert [rung.letter for rung in rungs] == list("abcdef")
    assert all(0 <= rung.ciou[0] <= 1 and len(rung.ciou) == 1 for rung in rungs)
    assert {stage[0] for stage in first} == set("ABCDEF")
    assert run(again) == rungs
    assert again == []


# The command

ABLATE = (
    "ablate ssl_tie:small --data train --test test --seeds 4, --out out --device cpu "
    f"--workers 0 --threads 1 {' '.join(f'--set {one}' for one in TINY)}"
)


@pytest.fixture
def hearsight(hearsight: Hearsight) -> Hearsight:
    """The command line beside two stores."""
    store("train", range(4))
    store("test", range(2, 5))
    return hearsight


def test_a_leak_is_warned_of_kept_and_marked(
    hearsight: Hearsight, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, out, err = hearsight(ABLATE)
    assert code == 0
    assert "Warning: 2 of the 3 clips of 'test' (66.7 %) are in 'train'" in err
    assert out == Path("out/table.md").read_text()
    assert out.count(" † |") == len(RUNGS)
    scored = evaluate(load_model(Path("out/ssl_tie-small_f-seed4")), open_clips("test"), "ssl-tie")
    for row in (*scored.blind, scored.ceiling):
        shown = [100 * row.success_rate, 100 * row.auc, 100 * row.adaptive_success_rate]
        assert f"| | {row.name} | {' | '.join(f'{one:.1f}' for one in shown)} | | |" in out
    assert "† trained on clips or videos of the test set: 2 clips" in out.splitlines()[-1]
    (fact,) = load_model(Path("out/ssl_tie-small_a-seed4"))[2]["leak_check"]
    assert (fact["role"], fact["test"], fact["clips_in_both"]) == ("test", "test", 2)

    held = {}
    for name in ("write_text", "plot"):
        monkeypatch.setattr(
            ablation, name, lambda *_, at=name: held.update({at: Path("out", LOCK).exists()})
        )
    assert hearsight(ABLATE)[0] == 0
    assert held == {"write_text": True, "plot": True}

    store("train", range(5))
    code, out, err = hearsight(ABLATE)
    assert (code, out) == (2, "")
    said = err.splitlines()[-1]
    assert "'out' holds another ablation, which differs in training clips: name another" in said


@pytest.mark.parametrize("option", ["--scenes", "--count", "--classes"])
def test_numbers_of_scenes_are_refused_where_none_are_composed(
    hearsight: Hearsight, option: str
) -> None:
    code, out, err = hearsight(f"{ABLATE} {option} 2")
    assert (code, out) == (2, "")
    assert f"{option} is for composed scenes" in err
    assert not Path("out").exists()


def test_a_seed_that_would_have_no_effect_is_refused(hearsight: Hearsight) -> None:
    code, out, err = hearsight(f"{ABLATE} --set seed=3")
    assert (code, out) == (2, "")
    assert "--set seed=3 would have no effect: name seeds by --seeds" in err
    assert not Path("out").exists()


def test_a_comparison_goes_on_with_the_runs_of_an_ablation(hearsight: Hearsight) -> None:
    assert hearsight(ABLATE)[0] == 0
    before = Path("out/ssl_tie-small_b-seed4/log.jsonl").stat().st_mtime_ns
    line = ABLATE.replace("ablate ssl_tie:small", "compare ssl_tie:small_b")
    code, out, err = hearsight(line)
    assert code == 0, err
    assert "ssl_tie:small_b" in out
    assert "training" not in err
    assert Path("out/ssl_tie-small_b-seed4/log.jsonl").stat().st_mtime_ns == before
