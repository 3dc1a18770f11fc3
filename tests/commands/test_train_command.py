"""`hearsight train`: what it knows of its data, warns of, refuses and records."""

import json
from pathlib import Path

import pytest
from made_clips import picture, tone
from made_commands import Hearsight, refused
from made_runs import same, weights_of

from hearsight.checkpoints.checkpoint import BEST, LAST, load_checkpoint
from hearsight.clips.clip import encode_clip
from hearsight.clips.shard_writer import StoreWriter
from hearsight.recipes.recipe_file import read_recipe

TINY = (
    "--set encoder.widths=[8,8,8,8] --set frame_size=32 --set batch_size=2 --set epochs=1"
    " --workers 0 --threads 1 --device cpu"
)
TRAIN = f"train ssl_tie:small_a --data learned --out run {TINY}"
VIDEOS = ["AAAAAAAAAAA", "BBBBBBBBBBB", "CCCCCCCCCCC", "DDDDDDDDDDD"]


@pytest.fixture
def hearsight(hearsight: Hearsight) -> Hearsight:
    """Beside four stores."""
    made = {
        "learned": [f"{video}_000001" for video in VIDEOS[:3]],
        "own": [f"{VIDEOS[3]}_000001"],
        "benchmark": [f"{VIDEOS[0]}_000001", f"{VIDEOS[1]}_000050", f"{VIDEOS[3]}_000001"],
        "stores-test": ["EEEEEEEEEEE_000001"],
    }
    for folder, ids in made.items():
        with StoreWriter(Path(folder)) as writer:
            for number, id in enumerate(ids):
                boxes = ((0.1, 0.2, 0.6, 0.9),)
                assert writer.add(encode_clip(id, picture(number), tone(seed=number), boxes=boxes))
    return hearsight


def facts() -> dict[str, object]:
    return load_checkpoint(Path("run") / LAST, with_state=False).facts


def test_a_leak_is_a_warning_and_a_fact(hearsight: Hearsight) -> None:
    code, _, said = hearsight(f"{TRAIN} --test benchmark")
    assert code == 0
    assert "Warning: 1 of the 3 clips of 'benchmark' (33.3 %) is in 'learned'" in said
    assert "2 of its 3 videos" in said
    assert facts()["leak_check"] == [
        {
            "role": "test",
            "test": "benchmark",
            "test_clips": 3,
            "clips_in_both": 1,
            "videos_in_both": 2,
            "comparable": True,
        }
    ]
    assert facts()["selected_on_test"] is False


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--validation own --test benchmark", "1 of the 3 clips of 'benchmark'"),
        ("--validation benchmark --test benchmark", "3 of the 3 clips of 'benchmark'"),
        ("--validation stores-test", "'stores-test' names a test set"),
        ("--select-on-test", "--test"),
        ("--validation own --select-on-test", "--select-on-test has no effect"),
        ("--validation own --test stores-test --select-on-test", "chosen on 'own', which is no"),
        ("--test nowhere", "'nowhere'"),
    ],
)
def test_the_test_set_does_not_choose_the_epoch_unasked(
    hearsight: Hearsight, options: str, said: str
) -> None:
    code, _, err = hearsight(f"{TRAIN} {options}")
    assert code == 2
    assert said in err
    assert err.count("\n") == 1
    assert not Path("run").exists()


def test_it_chooses_when_asked_and_this_is_recorded(hearsight: Hearsight) -> None:
    code, _, said = hearsight(f"{TRAIN} --test stores-test --select-on-test")
    assert (code, "Warning" in said) == (0, False)
    assert facts()["selected_on_test"] is True
    log = [json.loads(line) for line in Path("run/log.jsonl").read_text().splitlines()]
    assert any(entry["kind"] == "validation" for entry in log)
    code, _, said = hearsight("evaluate run --data benchmark --device cpu --threads 1 --json")
    assert code == 0
    assert "* the epoch was chosen on the test set" in said
    # what was chosen stays chosen, whatever a resumed run says
    code, *_ = hearsight(f"{TRAIN} --set epochs=2 --resume")
    assert code == 0
    assert facts()["selected_on_test"] is True


def test_a_run_resumed_with_other_threads_is_told_of(hearsight: Hearsight) -> None:
    """The weights depend on their number; the checkpoint holds that of its last part."""
    assert hearsight(TRAIN)[0] == 0
    assert facts()["threads"] == 1
    code, _, said = hearsight(f"{TRAIN} --set epochs=2 --resume")
    assert (code, "Warning" in said) == (0, False)
    more = TRAIN.replace("--threads 1", "--threads 2")
    code, _, said = hearsight(f"{more} --set epochs=3 --resume")
    warnings = [line for line in said.splitlines() if "Warning" in line]
    assert (code, warnings) == (
        0,
        [
            "Warning: the run in run had 1 CPU thread and goes on with 2: its weights will not be "
            "bit for bit those of an uninterrupted run."
        ],
    )
    assert facts()["threads"] == 2


def test_epochs_are_given_by_an_option_or_by_a_change(hearsight: Hearsight) -> None:
    by_change = TRAIN.partition(" --set epochs=1")
    assert by_change[1]
    line = by_change[0] + by_change[2]
    assert hearsight(f"{line} --epochs 2")[0] == 0
    assert read_recipe(Path("run", "recipe.json")).epochs == 2
    code, _, said = hearsight(f"{line} --epochs 3 --resume")  # more of them than the run had
    assert (code, read_recipe(Path("run", "recipe.json")).epochs) == (0, 3), said
    code, out, said = hearsight(f"{TRAIN} --epochs 3 --out other")
    assert (code, out) == (2, "")
    assert "--epochs 3 and --set epochs=1: leave one of them out." in said
    assert not Path("other").exists()


def test_clips_of_one_id_in_two_sources_are_named(hearsight: Hearsight) -> None:
    line = f"{TRAIN} --data benchmark"
    code, _, said = hearsight(line)
    told = "1 of 6 clips of 'learned benchmark' was left out because its id stands in an earlier"
    assert (code, said.splitlines()[0]) == (0, f"{told} source or shard too: AAAAAAAAAAA_000001.")
    assert said.count("left out") == 1


def test_own_validation_clips_leave_no_mark(hearsight: Hearsight) -> None:
    code, _, said = hearsight(f"{TRAIN} --validation own --test stores-test")
    assert (code, "Warning" in said) == (0, False)
    assert facts()["selected_on_test"] is False
    assert [one["role"] for one in facts()["leak_check"]] == ["validation", "test"]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (TRAIN.replace("--out run", "--out ''"), "'--out': a folder must be"),
        (TRAIN.replace("--out run", "--out '' --resume"), "'--out': a folder"),
        (TRAIN.replace("--out run", "--out . --resume"), "There is no run to resume in .: begin"),
        (TRAIN.replace("--out run", "--out own --resume"), "There is no run to resume in own: beg"),
        ("ablate ssl_tie:small --data learned --out ''", "'--out': a folder"),
    ],
)
def test_a_run_goes_only_where_one_was_named_or_has_begun(
    hearsight: Hearsight, line: str, said: str
) -> None:
    refused(hearsight, line, said)


def test_a_run_holds_its_recipe_in_a_file_that_trains_the_same_again(hearsight: Hearsight) -> None:
    assert hearsight(f"{TRAIN} --seed 9")[0] == 0
    text = Path("run/recipe.json").read_text()
    assert (json.loads(text)["name"], json.loads(text)["seed"]) == ("ssl_tie:small_a", 9)
    for name in ("run", f"run/{LAST}"):
        assert hearsight(f"recipes {name}") == (0, text, "")
    again = "train --config run/recipe.json --data learned --out again --workers 0 --threads 1"
    assert hearsight(f"{again} --device cpu")[0] == 0
    assert same(weights_of(Path("run")), weights_of(Path("again")))
    refused(hearsight, f"{again} --seed 9 --set seed=8", "both give the seed")
    Path("part.json").write_text('{"epochs": 1, "seeed": 3}')
    refused(hearsight, f"{TRAIN} --config part.json", "no field 'seeed'", "Did you mean 'seed'?")


def test_a_resumed_run_keeps_its_recipe_and_seed(hearsight: Hearsight) -> None:
    assert hearsight(f"{TRAIN} --seed 9")[0] == 0
    longer = TRAIN.replace("epochs=1", "epochs=2")
    assert hearsight(f"{longer} --resume")[0] == 0
    assert load_checkpoint(Path("run") / LAST).recipe.seed == 9
    refused(hearsight, f"{longer} --resume --seed 4", "another recipe: it differs in seed.")
    bare = "train --data learned --out run --workers 0 --threads 1 --device cpu"
    assert hearsight(f"{bare} --resume --set epochs=3")[0] == 0
    recipe = load_checkpoint(Path("run") / LAST).recipe
    assert (recipe.seed, recipe.epochs, recipe.frame_size) == (9, 3, 32)
    assert json.loads(Path("run/recipe.json").read_text())["epochs"] == 3


def test_a_recipe_that_was_written_is_compared_before_any_checkpoint(hearsight: Hearsight) -> None:
    assert hearsight(TRAIN)[0] == 0
    for name in (LAST, BEST):
        (Path("run") / name).unlink()
    refused(hearsight, f"{TRAIN} --resume --set views=2", "views must be")
    refused(hearsight, f"{TRAIN} --resume --set decay=false", "another recipe: it differs in decay")
    assert hearsight(f"{TRAIN} --resume")[0] == 0


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("train --data learned --out run", "Name a recipe, such as ssl_tie:small"),
        ("train --data learned --out run --resume", "There is no run to resume in run"),
        ("train --data learned --out run --config none.json", "The recipe 'none.json' cannot be"),
        ("train ssl_tie --data learned --out own", "'own/recipe.json' would be written over"),
        (f"{TRAIN} --lr 3", "No such option: --lr. A field of the recipe is set by --set learning"),
        (f"{TRAIN} --batch-size 3", "by --set batch_size=VALUE."),
        ("compare lvs --data toys --tau 3", "by --set contrast.temperature=VALUE or --set contr"),
        (f"{TRAIN} --set lr=3", "Did you mean 'learning_rate'?"),
        ("localise a.mp4 --lr 3", "No such option: --lr"),
        ("train ssl_tie --data own --out run --looks 2", "--looks is for composed scenes"),
        (
            f"{TRAIN} --epoch 3",
            "No such option: --epoch. It is now --scenes, the scenes of an epoch",
        ),
        ("localise none.mp4 --output b.mp4", "'none.mp4' does not exist"),
        ("ablate ssl_tie --data toys --held-out nowhere", "'nowhere' names no clips"),
        ("results --runs own.csv", "No such option: --runs. It is now --table."),
        ("recipes own", "'own' holds no run."),
        ("recipes nowhere", "There is no recipe 'nowhere'"),
    ],
)
def test_what_recipe_is_meant_is_said_or_refused(
    hearsight: Hearsight, line: str, said: str
) -> None:
    if "written over" in said:
        Path("own/recipe.json").write_text("mine")
    refused(hearsight, line, said)
