"""The `hearsight` command.

Results go to stdout as JSON lines or a table, progress and errors to stderr. Bad input ends in
one sentence and exit code 2. Heavy modules are imported by the command that needs them.
"""

import io
import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from hearsight import __version__
from hearsight.arguments import Device, Threads, Workers, above_zero, command_line, parse_folder
from hearsight.compare_commands import compare
from hearsight.console import Bars, one_line
from hearsight.data_commands import data
from hearsight.errors import HearsightError
from hearsight.library_commands import index, search, similar
from hearsight.retrieve_commands import retrieve
from hearsight.score_commands import evaluate, protocols
from hearsight.train_commands import ablate, train

# typer names the base of its usage errors in no way that holds for all its versions
UsageError: type[typer.BadParameter] = typer.BadParameter.__mro__[1]
NO_MEMORY = "There is not enough memory for this."
OUT_OF_MEMORY = ("can't allocate memory", "out of memory")  # torch on a CPU, on a GPU
LONGEST = 1000  # characters of a sentence
INTERRUPTED = 130  # what shells say of a program that Ctrl-C ended

app = typer.Typer(
    help="See where in the picture a sound comes from; learn it from raw video alone.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode="rich",
)
app.add_typer(data, name="data")


def version(wanted: bool) -> bool:
    """Print the version and stop, if it is wanted."""
    if wanted:
        print(f"hearsight {__version__}")
        raise typer.Exit
    return wanted


@app.callback()
def root(
    show_version: Annotated[
        bool, typer.Option("--version", callback=version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """See where in the picture a sound comes from; learn it from raw video alone."""


app.command()(train)
app.command()(evaluate)
app.command()(protocols)
app.command()(retrieve)
app.command()(index)
app.command()(search)
app.command()(similar)


@app.command()
def localise(
    source: Annotated[Path, typer.Argument(help="A video, or a picture with --sound.")],
    sound: Annotated[Path | None, typer.Option(help="The sound of a picture.")] = None,
    model: Annotated[str | None, typer.Option(help="Checkpoint, run folder or name.")] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Write the video or picture, painted.")
    ] = None,
    every: Annotated[
        float | None, typer.Option(help="Of a video: seconds between two answers; by itself 1.")
    ] = None,
    style: Annotated[str, typer.Option(help="`heat`, `contour` or `box`.")] = "heat",
    threshold: Annotated[
        float | None, typer.Option(help="Confidence below which there is no source.")
    ] = None,
    device: Device = None,
    threads: Threads = 2,
) -> None:
    """Say where the sound of a video, or of a picture with a sound, comes from.

    Prints one JSON object per moment: time in seconds, box in pixels (x0, y0, x1, y1) or null,
    confidence, share of the frame.

    Example: hearsight localise concert.mp4 -o painted.mp4
    """
    import torch

    from hearsight.localise import localise_image, localise_video

    torch.set_num_threads(threads)
    if sound is not None:
        if every is not None:
            raise HearsightError("--every is for videos: a picture has one answer.")
        moment = localise_image(
            source,
            sound,
            model=model,
            overlay=output,
            style=style,
            threshold=threshold,
            device=device,
        )
        print(json.dumps(asdict(moment)))
        return
    with Bars() as bars:
        for moment in localise_video(
            source,
            model=model,
            every=1.0 if every is None else every,
            overlay=output,
            style=style,
            threshold=threshold,
            device=device,
            progress=bars,
        ):
            print(json.dumps(asdict(moment)), flush=True)


@app.command()
def recipes(
    name: Annotated[str | None, typer.Argument(help="Show this one, whole.")] = None,
) -> None:
    """List the recipes, or show every field of one.

    Example: hearsight recipes ssl_tie:small
    """
    from hearsight.recipe import describe_recipes, load_recipe, to_json

    if name is not None:
        print(json.dumps(to_json(load_recipe(name)), indent=2))
        return
    for each, says in describe_recipes().items():
        print(f"{each:24} {says}")


@app.command("import-weights")
def import_weights(
    file: Annotated[Path, typer.Argument(help="The authors' *.pth.tar.")],
    method: Annotated[
        str, typer.Option(help="Whose: `ssl-tie`, `lvs`, `ez-vsl` or `slavc`.")
    ] = "ssl-tie",
    out: Annotated[Path | None, typer.Option(help="Default: FILE with .safetensors.")] = None,
) -> None:
    """Turn weights that authors released into a checkpoint of this package.

    Example: hearsight import-weights SSL_TIE_vggss144k.pth.tar --out vggss144k.safetensors
    """
    from hearsight.released import import_weights as convert
    from hearsight.released import target_of

    target = target_of(file) if out is None else out
    if target.exists() and file.exists() and target.samefile(file):
        raise HearsightError(f"'{target}' is the file that is read: name another with --out.")
    convert(file, target, method)
    print(json.dumps({"checkpoint": str(target)}))


app.command()(ablate)
app.command()(compare)


@app.command()
def demo(
    out: Annotated[
        Path, typer.Option(help="Where everything goes.", metavar="PATH", parser=parse_folder)
    ] = Path("demo"),
    minutes: Annotated[
        float,
        typer.Option(help="Of training; the rest takes one or two.", callback=above_zero),
    ] = 6.5,
    pack: Annotated[
        str | None,
        typer.Option(help="`menagerie`, `menagerie:FOLDER` or `toys`; else the best to be had."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0)] = 4,
    looks: Annotated[
        int, typer.Option(help="Of each training cut-out; 8 are for an hour, not minutes.", min=1)
    ] = 1,
    device: Device = None,
    workers: Workers = 1,
    threads: Threads = 2,
) -> None:
    """Compose scenes, train SSL-TIE on them, score it, localise in a video, write report.html.

    Example: hearsight demo --out demo --minutes 6.5
    """
    import torch

    from hearsight.demo import Settings as DemoSettings
    from hearsight.demo import run_demo
    from hearsight.demo_report import sentence
    from hearsight.evaluate import table_text

    torch.set_num_threads(threads)
    with Bars() as bars:
        made = run_demo(
            out,
            DemoSettings(
                minutes=minutes,
                pack=pack,
                seed=seed,
                looks=looks,
                device=device,
                workers=workers,
                command=command_line(),
                progress=bars,
            ),
        )
    print(f"Made of {made.pack}.")
    for title, evaluation in made.scores.items():
        print(table_text(evaluation))
        print(sentence(title, evaluation))
    print(f"In the video {made.hits[0]} of {made.hits[1]} sounding moments are found.")
    print(f"Model: {made.model}")
    print(f"Report: {made.report.resolve()}")
    print(f"Took {made.seconds / 60:.1f} minutes.")


def say(sentence: str) -> None:
    """One line on stderr, however many the sentence had; a name in it may be endless."""
    line = one_line(sentence)
    print(f"hearsight: {line if len(line) < LONGEST else line[:LONGEST] + ' ...'}", file=sys.stderr)


def run() -> int:
    """Run the command as it was typed; its exit code, mistakes of the user's said in a sentence."""
    try:
        code = app(standalone_mode=False)
        sys.stdout.flush()
    except HearsightError as error:
        say(str(error))
    except UsageError as error:
        if type(error).__name__ != "NoArgsIsHelpError":  # then rich has printed the help
            say(error.format_message())
    except BrokenPipeError:
        # the reader has had enough: nothing to say, now or when Python flushes at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1  # as typer, where it meets the closed pipe first
    except OSError as error:
        named = f"{error.filename}: " if error.filename else ""
        say(f"{named}{error.strerror or error}.")
    except MemoryError:
        say(NO_MEMORY)
    except RuntimeError as error:
        if not any(words in str(error) for words in OUT_OF_MEMORY):
            raise
        say(NO_MEMORY)
    except (KeyboardInterrupt, typer.Abort):
        return INTERRUPTED
    else:
        return code if isinstance(code, int) else 0
    return 2


def main() -> None:
    """The `hearsight` program."""
    if isinstance(sys.stdout, io.TextIOWrapper):  # a name in it may be no text
        sys.stdout.reconfigure(errors="backslashreplace")
    code = run()
    if code == INTERRUPTED:
        say("Interrupted; what was written so far is whole.")
    sys.exit(code)
