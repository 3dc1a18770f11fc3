"""What the commands say on stderr: with `-v` what is done, with `--quiet` errors alone."""

import json
import logging
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile  # type: ignore[import-untyped]
import torch
import typer.main
from made_commands import Hearsight
from made_library import make_clip, tiny_model
from made_media import sine
from made_packages import ENTRIES, known_trunks, make_debs, make_wheels
from made_released import released_entries
from made_runs import hurry_demo
from made_server import serving
from PIL import Image
from test_cli import COMMANDS

import hearsight as package
from hearsight.checkpoints.pretrained_trunks import TRUNKS
from hearsight.clips.shard_writer import write_store
from hearsight.commands import console
from hearsight.commands.cli import app
from hearsight.datasets.open import open_clips
from hearsight.library.indexing import index_videos
from hearsight.scenes import pack_builder


@pytest.fixture
def files(tmp_path: Path) -> None:
    """A model, a video, a picture and a sound in the folder that a command runs in."""
    tiny_model(tmp_path / "model.safetensors")
    make_clip(tmp_path / "film.mp4", 1, 2.0)
    Image.new("RGB", (64, 48), "red").save(tmp_path / "a.png")
    soundfile.write(tmp_path / "a.wav", sine(440.0, 2.0, 16_000), 16_000)


@pytest.mark.usefixtures("files")
def test_a_command_says_as_much_as_it_is_asked_to(hearsight: Hearsight) -> None:
    line = "localise film.mp4 --model model.safetensors -o painted.mp4 --force"
    plain = hearsight(line)
    assert plain[0] == 0
    assert "loaded" not in plain[2]
    loud = hearsight(f"{line} -v")
    assert loud[1] == plain[1]
    assert "loaded model.safetensors" in loud[2]
    assert "film.mp4: 2.0 s, 2 moments" in loud[2]
    assert loud[2].count("wrote painted.mp4") == 1
    assert hearsight(f"{line} --quiet") == (0, plain[1], "")
    assert hearsight(line) == plain  # a run does not shape the next


@pytest.mark.usefixtures("files")
def test_quiet_keeps_errors(hearsight: Hearsight) -> None:
    code, out, err = hearsight("localise gone.mp4 --quiet")
    assert (code, out) == (2, "")
    assert err == "hearsight: 'gone.mp4' does not exist.\n"


@pytest.mark.usefixtures("files")
def test_what_is_skipped_is_said_once(hearsight: Hearsight, tmp_path: Path) -> None:
    pytest.importorskip("lancedb")
    folder = tmp_path / "films"
    folder.mkdir()
    (tmp_path / "film.mp4").rename(folder / "film.mp4")
    (folder / "torn.mp4").write_bytes((folder / "film.mp4").read_bytes()[:500])
    for number, (options, times) in enumerate((("", 1), ("-v", 1), ("-vv", 2))):
        code, _, err = hearsight(f"index lib{number} films --model model.safetensors {options}")
        said = [line for line in err.splitlines() if "'torn.mp4'" in line or "torn.mp4: " in line]
        assert (code, len(said)) == (0, times), err
    assert "committed: 1 file" in err  # details
    assert hearsight("index lib3 films --model model.safetensors --quiet")[2] == ""


@pytest.mark.parametrize("options", ["--quiet -v", "-vv --quiet"])
def test_opposites_are_refused(hearsight: Hearsight, options: str) -> None:
    code, out, err = hearsight(f"protocols {options}")
    assert (code, out) == (2, "")
    assert err == "hearsight: -v and --quiet are opposites: give one of them.\n"


TINY = (
    "--set encoder.widths=[8,8,8,8] --set frame_size=48 --set batch_size=4 --set epochs=1"
    " --threads 1 --device cpu"
)
SPOKEN = (  # the least that each command can do, of OUT
    f"train ssl_tie:small_a --data scenes --validation held --out OUT --workers 1 {TINY}",
    "evaluate model.safetensors --data scenes --protocols adaptive,lvs --out OUT.csv",
    "score maps.npz --data scenes --out OUT.csv",
    "protocols",
    "results --out OUT.html",
    "retrieve model.safetensors --data scenes --out OUT.csv --sheet OUT.png",
    "index OUT films --model model.safetensors",
    "search lib --sound a.wav --page OUT.html --sheet OUT.png",
    "similar lib FILM --at 1 --page OUT.html",
    "localise films/film.mp4 -o OUT.mp4 --export OUT.vtt",  # of the default model, with its card
    "recipes",
    "export-model model.safetensors OUT --license CC0-1.0",
    pytest.param("export-onnx model.safetensors OUT", marks=pytest.mark.slow),
    pytest.param(
        f"ablate ssl_tie:small --data scenes --test held --out OUT --seeds 4, --workers 0 {TINY}",
        marks=pytest.mark.slow,
    ),
    f"compare random:small lvs:small --data scenes --test held --out OUT --seeds 4, {TINY}",
    "data import films --out OUT",
    "data scenes toys --out OUT --count 2 --size 48",
    "data show toys --count 2 -o OUT.png",
    "data splits vggsound.csv --out OUT",
    "data check train.txt --against test.txt --out OUT.txt",
    "data stats scenes --decode",
    "data menagerie --packages debs --out OUT",
    "data bazaar --packages debs --out OUT",
    "data trunks --packages wheels",
    "import-weights released.pth.tar --out OUT.safetensors",
    pytest.param(
        "demo --pack toys --minutes 5 --workers 0 --threads 1 --device cpu --out OUT",
        marks=pytest.mark.slow,
    ),
)
SERVED = "serve"  # runs until it is ended: tried as a process
LOGGED = re.compile(r"hearsight\.[\w.]+: ")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all that `SPOKEN` reads."""
    folder = tmp_path_factory.mktemp("made")
    tiny_model(folder / "model.safetensors")
    (folder / "films").mkdir()
    make_clip(folder / "films" / "film.mp4", 1, 2.0)
    (folder / "films" / "torn.mp4").write_bytes((folder / "films" / "film.mp4").read_bytes()[:500])
    soundfile.write(folder / "a.wav", sine(440.0, 2.0, 16_000), 16_000)
    scenes = open_clips("toys", split="val", size=48, count=8, classes=2)
    write_store(scenes, folder / "scenes")
    write_store(open_clips("toys", split="val", size=48, count=4, seed=1), folder / "held")
    np.savez(folder / "maps.npz", **dict.fromkeys(scenes.ids, np.eye(7)))
    model = folder / "model.safetensors"
    index_videos(folder / "lib", [folder / "films"], model=model, every=0.5)
    (folder / "train.txt").write_text("--0PQM4-hq0_000030\n--0PQM4-hq1_000030\n")
    (folder / "test.txt").write_text("--0PQM4-hq0_000030\n")
    (folder / "vggsound.csv").write_text("--0PQM4-hqg,30,alarm clock ringing,train\n")
    make_debs(folder / "debs")
    make_wheels(folder / "wheels")
    torch.save(released_entries(), folder / "released.pth.tar")
    return folder


@pytest.fixture
def few(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Catalogues and trunks of the packages that were made, and a demo of as little as it can."""
    monkeypatch.setattr(pack_builder, "read_catalogue", lambda pack: ENTRIES)
    for name, source in known_trunks(made / "wheels").items():
        monkeypatch.setitem(TRUNKS, name, source)
    hurry_demo(monkeypatch)


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize("line", SPOKEN, ids=lambda line: str(line).partition(" -")[0])
def test_quiet_says_nothing_and_v_says_each_step_once(
    hearsight_overheard: Hearsight, made: Path, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    run, line = hearsight_overheard, line.replace("FILM", str(made / "films" / "film.mp4"))
    shutil.copytree(made, Path(), dirs_exist_ok=True)
    monkeypatch.setenv("XDG_CACHE_HOME", str(Path("cache of quiet").absolute()))
    code, out, err = run(f"{line.replace('OUT', 'quiet')} --quiet")
    assert (code, err) == ("check" in line, "")
    assert out
    monkeypatch.setenv("XDG_CACHE_HOME", str(Path("cache of loud").absolute()))
    loud = run(f"{line.replace('OUT', 'loud')} -v")
    assert loud[0] == code, loud[2]
    assert loud[1].count("\n") == out.count("\n")
    steps = [text for text in loud[2].splitlines() if LOGGED.match(text)]
    assert len(steps) == len(set(steps))
    others = [text for text in loud[2].splitlines() if not LOGGED.match(text)]
    assert not [text for text in others if re.search(r"warn|torch|lance|accelerate", text, re.I)]
    if not line.startswith(("protocols", "recipes", "results", "data splits", "data check")):
        assert steps  # of those that only print or copy there is nothing to say


ARGUMENTS: tuple[tuple[Callable[[str], object], str, str], ...] = (
    # a call, with an indexed film, the command that makes the same mistake, and what the call says
    (
        lambda film: package.localise_video("a.png"),
        "localise a.png --every 1",
        "name the sound it is seen with by `sound`",
    ),
    (
        lambda film: package.localise_video("films/film.mp4", every=0.0),
        "localise films/film.mp4 --every 0",
        "`every` must be a number",
    ),
    (
        lambda film: package.open_clips("scenes", every=1.0),
        "data import scenes --every 1 --out OUT",
        "leave `every` out",
    ),
    (
        lambda film: package.open_clips("pairs:toys", looks=2),
        "data scenes pairs:toys --looks 2 --out OUT",
        "leave `looks` out",
    ),
    (
        lambda film: package.Library.open("lib").similar(film, to="picture"),
        "similar lib FILM --to picture",
        "`to` is sound or image",
    ),
    (
        lambda film: package.Library.open("lib").similar(film),
        "similar lib FILM",
        "say by `at` which",
    ),
    (
        lambda film: package.train(
            package.load_recipe("ssl_tie:small_a"), package.open_clips("scenes"), "OUT"
        ),
        "train ssl_tie:small_a --data scenes --out OUT",
        "use `batch_size=8` or more data",
    ),
)


@pytest.mark.parametrize(("call", "line", "said"), ARGUMENTS, ids=[one for _, one, _ in ARGUMENTS])
def test_an_error_names_arguments_to_callers_and_options_to_users(
    hearsight: Hearsight, made: Path, call: Callable[[str], object], line: str, said: str
) -> None:
    shutil.copytree(made, Path(), dirs_exist_ok=True)
    Image.new("RGB", (64, 48), "red").save("a.png")
    film = str(made / "films" / "film.mp4")
    with pytest.raises(package.HearsightError) as error:
        call(film)
    assert said in str(error.value)
    assert "--" not in str(error.value)
    code, out, err = hearsight(line.replace("FILM", film))
    assert (code, out) == (2, "")
    assert (
        re.sub("`batch_size=8`", "--set batch_size=8", re.sub("`([a-z]+)`", r"--\1", said)) in err
    )
    assert "`" not in err


def test_what_is_no_argument_of_a_command_stays_in_backticks(hearsight: Hearsight) -> None:
    assert hearsight("protocols")[0] == 0  # it has no --set and no --every
    told = "use `batch_size=8`, `every` or `hearsight protocols` or `json=a b`"
    assert console.as_typed(told) == (
        "use `batch_size=8`, `every` or `hearsight protocols` or --json a b"
    )


@pytest.mark.parametrize("option", ["--quiet", "-v", ""])
def test_a_server_says_its_address_and_ends_by_ctrl_c(
    made: Path, tmp_path: Path, option: str
) -> None:
    words = (SERVED, "--model", str(made / "model.safetensors"), *option.split())
    with serving(tmp_path, *words[1:]) as served:
        status, _, _ = served.ask("")
        assert status == 200
        served.process.send_signal(signal.SIGINT)
        assert served.process.wait(30) == 0
        assert served.process.stdout is not None
        assert served.process.stdout.read() == ""
    said = (tmp_path / "stderr.txt").read_text().splitlines()
    hint = "Open this address in a browser; Ctrl-C ends it."
    assert [line for line in said if not LOGGED.match(line)] == [hint] * (option != "--quiet")
    assert len(said) == len(set(said))


def test_every_command_was_heard() -> None:
    lines = [one if isinstance(one, str) else str(one.values[0]) for one in SPOKEN]
    heard = {" ".join(line.split()[: 1 + line.startswith("data ")]) for line in lines}
    assert heard | {SERVED} == set(COMMANDS)


def test_a_quiet_run_asks_trackers_to_be_quiet(
    hearsight: Hearsight, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WANDB_SILENT", raising=False)
    for option, silent in (("", None), ("-v", None), ("--quiet", "true")):
        assert hearsight(f"protocols {option}")[0] == 0
        assert os.environ.get("WANDB_SILENT") == silent


TALKATIVE = """
import logging, sys, warnings
from hearsight.commands import cli

def warn():
    warnings.warn("an argument is deprecated", UserWarning)
    logging.getLogger("of.another.library").warning("a file is old")

sys.argv = ["hearsight", *sys.argv[1:]]
run = cli.app
cli.app = lambda **options: (run(**options), warn())[0]
cli.main()
"""


@pytest.mark.parametrize(("option", "heard"), [("", True), ("--quiet", False)])
def test_a_quiet_run_shows_no_warnings_of_other_libraries(option: str, heard: bool) -> None:
    done = subprocess.run(
        [*(sys.executable, "-c", TALKATIVE, "recipes"), *option.split()],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(package.__file__).parents[1])},
    )
    assert done.returncode == 0, done.stderr
    assert "ssl_tie" in done.stdout
    for said in ("an argument is deprecated", "a file is old"):
        assert (said in done.stderr) == heard
    assert (done.stderr != "") == heard


def test_weights_and_biases_say_nothing_in_a_quiet_run(made: Path, tmp_path: Path) -> None:
    pytest.importorskip("wandb")
    line = f"train ssl_tie:small_a --data {made / 'scenes'} --out run --workers 0 {TINY}"
    source = str(Path(package.__file__).parents[1])
    done = subprocess.run(
        [*(sys.executable, "-m", "hearsight"), *line.split(), "--tracker", "wandb", "--quiet"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": source, "WANDB_MODE": "offline"},
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["run"] == "run"
    assert list(tmp_path.glob("wandb/offline-run-*"))


def commands(group: Any) -> list[Any]:
    found = []
    for command in group.commands.values():
        found += commands(command) if hasattr(command, "commands") else [command]
    return found


def test_every_command_has_both_options_once() -> None:
    for command in commands(typer.main.get_command(app)):
        names = [name for option in command.params for name in option.opts]
        assert [names.count(name) for name in ("-v", "--verbose", "--quiet")] == [1, 1, 1]


@pytest.mark.usefixtures("files")
def test_the_library_logs_under_its_name(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "hearsight"):
        model = package.load_model(tmp_path / "model.safetensors")
        list(model.localise_many([tmp_path / "gone.mp4"]))
    assert all(record.name.startswith("hearsight.") for record in caplog.records)
    assert [record.levelname for record in caplog.records] == ["INFO", "WARNING"]
    assert "gone.mp4" in caplog.records[1].message


def test_without_a_handler_nothing_is_printed() -> None:
    code = "import logging, hearsight\nlogging.getLogger('hearsight.x').error('said')"
    source = str(Path(package.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": source},
        check=True,
    )
    assert (done.stdout, done.stderr) == ("", "")
