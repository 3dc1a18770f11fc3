import errno
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from made_clips import picture, tone
from made_commands import Hearsight, refused
from made_media import make_sound, make_video, numbered, sine
from made_models import make_checkpoint
from PIL import Image
from rich.console import Console

from hearsight.clips.clip import encode_clip
from hearsight.clips.shard_writer import StoreWriter
from hearsight.commands import cli
from hearsight.commands.console import Bars
from hearsight.errors import HearsightError

TINY = (
    "--set encoder.widths=[8,8,8,8] --set frame_size=48 --set batch_size=4 --set epochs=1"
    " --workers 0 --threads 1 --device cpu"
)
COMMANDS = {
    "train": "hearsight train",
    "evaluate": "hearsight evaluate",
    "score": "hearsight score",
    "results": "hearsight results",
    "localise": "hearsight localise",
    "retrieve": "hearsight retrieve",
    "index": "hearsight index",
    "search": "hearsight search",
    "similar": "hearsight similar",
    "recipes": "hearsight recipes",
    "protocols": "hearsight protocols slavc",
    "import-weights": "hearsight import-weights",
    "export-model": "hearsight export-model",
    "export-onnx": "hearsight export-onnx",
    "serve": "hearsight serve",
    "ablate": "hearsight ablate",
    "compare": "hearsight compare",
    "demo": "hearsight demo",
    "data import": "hearsight data import",
    "data scenes": "hearsight data scenes",
    "data menagerie": "hearsight data menagerie",
    "data bazaar": "hearsight data bazaar",
    "data trunks": "hearsight data trunks",
    "data show": "hearsight data show",
    "data splits": "hearsight data splits",
    "data check": "hearsight data check",
    "data stats": "hearsight data stats",
}


def make_store(folder: Path, count: int = 4, *, boxes: bool = False) -> None:
    with StoreWriter(folder) as writer:
        for number in range(count):
            clip = encode_clip(
                f"clip {number}",
                picture(number),
                tone(seed=number),
                boxes=((0.1, 0.2, 0.6, 0.9),) if boxes else None,
            )
            assert writer.add(clip)


def test_every_command_has_an_example(hearsight: Hearsight) -> None:
    top = typer.main.get_command(cli.app)
    assert set(COMMANDS) == {
        f"{name} {inner}".strip()
        for name, command in top.commands.items()  # type: ignore[attr-defined]
        for inner in getattr(command, "commands", {"": None})
    }
    for name, example in COMMANDS.items():
        code, out, err = hearsight(f"{name} --help")
        assert (code, err) == (0, "")
        assert out.count("Example:") == 1
        assert f"Example: {example}" in " ".join(out.split())


def test_help_comes_without_torch() -> None:
    probe = (
        "import sys\nfrom hearsight.commands import cli\nsys.argv = ['hearsight', '--help']\n"
        "try:\n    cli.main()\nexcept SystemExit as ended:\n"
        "    heavy = {'torch', 'av', 'PIL', 'pyarrow', 'rich'} & set(sys.modules)\n"
        "    sys.exit(f'{ended.code} {heavy}' if ended.code or heavy else 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "localise" in done.stdout


def test_help_lists_whole_sentences(hearsight: Hearsight) -> None:
    _, out, _ = hearsight("--help")
    listed = out.partition("Commands:")[2]
    assert "..." not in listed
    assert (
        "Train a recipe and write a run folder: recipe, log, last and best checkpoint."
        in " ".join(listed.split())
    )


def test_no_command_shows_the_help_and_fails(hearsight: Hearsight) -> None:
    for line in ("", "data"):
        code, out, err = hearsight(line)
        assert (code, err) == (2, "")
        assert out.count("Usage:") == 1


def test_results_alone_go_to_stdout(hearsight: Hearsight) -> None:
    make_store(Path("a störe"))
    for line in (
        f"train ssl_tie:small_a --data 'a störe' --out 'my rün' {TINY}",
        "recipes ssl_tie:small",
        "data show 'a störe' -o 'a sheet.png'",
        "data scenes toys --out made --count 2 --size 48",
    ):
        code, out, err = hearsight(line)
        assert code == 0, err
        json.loads(out)
        assert "{" not in err
    refused(hearsight, f"train ssl_tie:small_a --data 'a störe' --out 'my rün' {TINY}", "--resume")
    refused(
        hearsight,
        f"train ssl_tie:small_a --data 'a störe' --out 'my rün' {TINY} --resume --set seed=9",
        "another recipe",
        "seed",
    )
    code, out, _ = hearsight(
        "evaluate 'my rün' --data made --json --scores 'the scöres.csv' --device cpu --threads 1"
    )
    assert code == 0
    assert all("name" in json.loads(line) for line in out.splitlines())
    assert Path("the scöres.csv").is_file()
    refused(hearsight, "evaluate 'my rün' --data 'a störe' --device cpu", "box")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("nope --data toys --out run", "'nope'"),
        ("ssl_tie:smal --data toys --out run", "Did you mean 'ssl_tie:small'?"),
        ("ssl_tie --data nowhere --out run", "'nowhere'"),
        ("ssl_tie --data empty --out run", "'empty'"),
        ("ssl_tie --data file --out run", "'file'"),
        ("ssl_tie --data toy --out run", "Did you mean 'toys'?"),
        ("ssl_tie --data menagerie:empty --out run", "empty"),
        ("ssl_tie --out run", "--data"),
        ("ssl_tie --data toys --out run --set contrast.margn=1", "'contrast.margin'"),
        ("ssl_tie --data toys --out run --set batch_size=0", "batch_size"),
        ("ssl_tie --data toys --out run --set nonsense", "'nonsense'"),
        ("ssl_tie --data toys --out run --minutes -1", "--minutes"),
        ("ssl_tie --data toys --out run --minutes nan", "--minutes"),
        ("ssl_tie --data toys --out run --workers -1", "--workers"),
        ("ssl_tie --data toys --out run --threads many", "--threads"),
        ("ssl_tie --data toys --out run --protocol adaptiv", "'adaptive'"),
        (
            "ssl_tie --data toys --out run --protocol negatives",
            "The protocol 'negatives' cannot score a validation: choose from ssl-tie",
        ),
        ("random:small --data toys --out run --validation toys", "not trained, so it cannot be"),
        ("ssl_tie --data toys --out run --protocol lvs", "name them by --validation"),
        ("ssl_tie --data toys --out run --protocol lvs --test toys", "name them by --validation"),
        ("ssl_tie --data toys --out run --nonsense", "--nonsense"),
        (f"ssl_tie:small_a --data store --out run {TINY} --device banana", "'banana'"),
        (f"ssl_tie:small_a --data store --out run {TINY} --validation nowhere", "'nowhere'"),
        (f"ssl_tie:small_a --data store --out run {TINY} --scenes 5", "--scenes is for composed"),
        (f"ssl_tie:small_a --data store --out run {TINY} --looks 2", "--looks is for composed"),
        (f"ssl_tie:small_a --data store --out none {TINY} --resume", "none"),
        (f"ssl_tie:small_a --data store --out file/run {TINY}", "file/run"),
        (f"ssl_tie:small_a --data store --out file {TINY}", "file"),
        (f"ssl_tie:small_a --data store --out /proc/run {TINY}", "/proc/run"),
    ],
)
def test_train_refuses_in_one_sentence(hearsight: Hearsight, options: str, said: str) -> None:
    make_store(Path("store"))
    Path("empty").mkdir()
    Path("file").write_text("a file")
    refused(hearsight, f"train {options}", said)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("evaluate nowhere.safetensors --data store", "nowhere.safetensors"),
        ("evaluate ssl_tie:smal --data store", "'ssl_tie:smal'"),
        ("evaluate garbage.safetensors --data store", "garbage.safetensors"),
        ("evaluate empty --data store", "empty"),
        ("evaluate good.safetensors --data store", "box"),
        ("evaluate good.safetensors --data empty", "'empty'"),
        ("evaluate good.safetensors --data boxes --protocol lsv", "'lvs'"),
        ("evaluate good.safetensors --data boxes --scores scores.txt", "scores.txt"),
        ("evaluate good.safetensors --data boxes --scores garbage.safetensors/a.csv", "a.csv"),
        ("evaluate good.safetensors --data boxes --device banana", "'banana'"),
        ("evaluate good.safetensors --data boxes --batch-size 0", "--batch-size"),
        ("import-weights nowhere.pth.tar", "nowhere.pth.tar"),
        ("import-weights garbage.safetensors --out out.safetensors", "garbage.safetensors"),
        ("import-weights empty", "empty"),
        ("import-weights good.safetensors --out good.safetensors", "is read for this"),
        ("demo --out ''", "a folder must be named"),
        ("compare lvs:small --data toys --out ''", "a folder must be named"),
        ("recipes ssl_ty", "'ssl_tie'"),
        ("protocls", "protocls"),
        ("ablate lvs --data toys", "'lvs'"),
        ("ablate ssl_tie:small --data toys --seeds 4,five", "4,five"),
        ("ablate ssl_tie:small --data toys --seeds 4,4", "4,4"),
        ("ablate ssl_tie:small --data store", "--test"),
        ("demo --pack zoo", "'zoo'"),
        ("demo --pack menagerie:empty", "empty"),
        ("demo --minutes 0", "--minutes"),
        ("demo --minutes inf", "--minutes"),
        ("demo --seed -1", "--seed"),
        ("data import nowhere --out new", "'nowhere'"),
        ("data import empty --out new", "'empty'"),
        ("data import films --out garbage.safetensors/new", "garbage.safetensors"),
        ("data import films --out new --every 0", "every"),
        ("data import films --out new --workers 0", "--workers"),
        ("data scenes zoo --out new", "'zoo'"),
        ("data scenes toys --out new --count 0", "--count"),
        ("data scenes toys --out new --count 1 --split tset", "tset"),
        ("data import store --out garbage.safetensors", "garbage.safetensors"),
        ("data menagerie --packages empty --out pack", "empty"),
        ("data show store --count 1 -o sheet.txt", "sheet.txt"),
        ("data show store -o empty/none/sheet.png", "sheet.png"),
    ],
)
def test_other_commands_refuse_in_one_sentence(
    hearsight: Hearsight, options: str, said: str
) -> None:
    make_store(Path("store"))
    make_store(Path("boxes"), boxes=True)
    make_checkpoint(Path("good.safetensors"))
    Path("garbage.safetensors").write_text("no tensors")
    Path("empty").mkdir()
    Path("films").mkdir()
    frames = [numbered(number) for number in range(5)]
    make_video(Path("films/a film.mp4"), frames, sound=sine(440, 0.2, 44_100))
    refused(hearsight, options, said)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("nowhere.mp4", "nowhere.mp4"),
        ("text.mp4", "text.mp4"),
        ("folder", "folder"),
        ("mute.mp4", "no sound"),
        ("sound.wav", "sound.wav"),
        ("a.png -o b.png", "'a.png' is a picture: name the sound it is seen with by --sound."),
        ("film.mp4 -o b.png", "'b.png' must end in .mp4"),
        ("film.mp4 --every 0", "every"),
        ("film.mp4 --every nan", "every"),
        ("film.mp4 --every 1e-320", "from 0.01 up"),
        ("film.mp4 --sound sound.wav --every 2", "--every is for videos"),
        ("film.mp4 --style het", "'heat'"),
        ("film.mp4 --style box", "--style is for painting: name the file to write by -o."),
        ("film.mp4 --strip thik", "Did you mean 'thin'"),
        ("film.mp4 --strip none", "--strip is for painting"),
        ("a.png --sound a.wav --strip full -o b.png", "--strip is for videos"),
        ("film.mp4 --sound sound.wav --style box", "--style is for painting"),
        ("film.mp4 --threshold nan", "threshold"),
        ("film.mp4 --model nowhere", "nowhere"),
        ("film.mp4 --model text.mp4", "text.mp4"),
        ("film.mp4 --device banana", "'banana'"),
        ("film.mp4 -o painted.txt", "painted.txt"),
        ("film.mp4 -o film.mp4", "film.mp4"),
        ("film.mp4 -o none/painted.mp4", "none"),
        ("film.mp4 --export a.json", "'a.json' must end in one of .jsonl, "),
        ("film.mp4 --export a.csv --export a.csv", "'a.csv' is named twice"),
        ("film.mp4 --export a.csv --export folder/../a.csv", "/a.csv' is named twice"),
        ("film.mp4 --export pipe.csv --force", "'pipe.csv' is a pipe or a device"),
        ("film.mp4 --export film.mp4 --export-format csv", "'film.mp4' is read for this"),
        ("film.mp4 --export none/a.csv", "there is no folder 'none'"),
        ("film.mp4 --export a.csv --export-format cvs", "'cvs'"),
        ("film.mp4 --export-format csv", "in the same order, not 1 for 0"),
        ("a.png --sound sound.wav --export a.xml", "the format cvat is for videos only"),
        ("film.mp4 --sound text.mp4", "text.mp4"),
        ("film.mp4 --sound mute.mp4", "mute.mp4"),
    ],
)
def test_localise_refuses_in_one_sentence(hearsight: Hearsight, options: str, said: str) -> None:
    frames = [numbered(number) for number in range(5)]
    make_video(Path("film.mp4"), frames, sound=sine(440, 0.2, 44_100))
    make_video(Path("mute.mp4"), frames)
    make_sound(Path("sound.wav"), sine(440, 0.2, 16_000), 16_000, "pcm_s16le")
    make_checkpoint(Path("good.safetensors"))
    Image.new("RGB", (64, 48), "red").save("a.png")
    Path("text.mp4").write_text("no film")
    Path("folder").mkdir()
    os.mkfifo("pipe.csv")
    model = "" if "--model" in options else " --model good.safetensors"
    refused(hearsight, f"localise {options}{model}", said)


@pytest.mark.parametrize("name", ["-zoo.mp4", "--zoo.mp4", "-1 0.mp4"])
@pytest.mark.parametrize("command", ["localise", "index library", "similar library"])
def test_a_file_that_begins_with_a_dash_is_told_from_an_option(
    hearsight: Hearsight, command: str, name: str
) -> None:
    refused(hearsight, f"{command} '{name}'", "No such option: -")
    Path(name).touch()
    refused(hearsight, f"{command} '{name}'", f"name begins with a dash write './{name}'.")
    code, _, err = hearsight(f"{command} './{name}'")
    assert code == 2
    assert "option" not in err


def test_a_full_disk_is_said_and_leaves_nothing(
    hearsight: Hearsight, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_store(Path("store"))
    make_store(Path("more"), 6)
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def no_room(*_: object) -> None:
        raise full

    monkeypatch.setattr(os, "fsync", no_room)
    monkeypatch.setattr(Path, "replace", no_room)
    monkeypatch.setattr(os, "replace", no_room)
    for line in (
        "data show store -o sheet.png",
        "data import more --out store",
    ):
        refused(hearsight, line, "No space left on device")


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (HearsightError("two\n  lines"), 2, "hearsight: two lines\n"),
        (
            PermissionError(13, "Permission denied", "run"),
            2,
            "hearsight: run: Permission denied.\n",
        ),
        (MemoryError(), 2, "hearsight: There is not enough memory for this.\n"),
        (KeyboardInterrupt(), 130, "hearsight: Interrupted; what was written so far is whole.\n"),
    ],
)
def test_what_ends_a_command_is_one_line(
    hearsight: Hearsight,
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException,
    code: int,
    said: str,
) -> None:
    def broken() -> None:
        raise error

    monkeypatch.setattr("hearsight.recipes.catalogue.describe_recipes", broken)
    assert hearsight("recipes") == (code, "", said)


def test_an_interruption_while_the_commands_are_imported_is_no_traceback() -> None:
    interrupted = (
        "import sys\n"
        "class Finder:\n"
        "    def find_spec(name, path, target=None):\n"
        "        if name == 'hearsight.commands.cli':\n"
        "            raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Finder)\n"
        "from hearsight.__main__ import main\n"
        "main()"
    )
    ended = subprocess.run(
        [sys.executable, "-c", interrupted], capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "", "")


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_has_had_enough_hears_nothing(unbuffered: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "hearsight", "--version"],
        env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
        stdout=writing,
        stderr=subprocess.PIPE,
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (1, b"")


def test_results_stay_on_stdout_while_bars_are_drawn(capsys: pytest.CaptureFixture[str]) -> None:
    terminal = io.StringIO()
    with Bars(Console(file=terminal, force_terminal=True)) as bars:
        bars("working", 1, 2)
        print("a result")
    assert capsys.readouterr().out == "a result\n"
    assert "a result" not in terminal.getvalue()
    assert "working" in terminal.getvalue()
