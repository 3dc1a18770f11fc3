"""A model as a model folder to give away: weights, config, card, notice and texts of licences.

The README.md begins with the YAML head that hubs read; its values are written as JSON, which is
YAML too.
"""

import json
import re
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from hearsight.checkpoints.card import LICENCE, LICENCES, README, card_text, notice_text
from hearsight.checkpoints.checkpoint import Model, find_model, load_model
from hearsight.checkpoints.facts import is_number
from hearsight.checkpoints.model_folder import CONFIG, write_model_folder
from hearsight.errors import HearsightError
from hearsight.files.output import check_folder, written_folder
from hearsight.files.text import one_line

TASK = "object-detection"  # hubs have no task for sounds in pictures; this one gives boxes too
TAGS = ("visual-sound-localization", "audio-visual", "sound", "image")
HUB_LICENCES = (
    "MIT",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "CC0-1.0",
    "CC-BY-4.0",
    "CC-BY-SA-3.0",
    "CC-BY-SA-4.0",
    "CC-BY-NC-4.0",
    "CC-BY-NC-SA-4.0",
)
"""Licences that have a word of their own on hubs, their name in small letters."""
LINK = re.compile(r"\[([^\]]*)\]\((?!\w+:|#)([^)]*)\)")  # to another file, not to an address
USE = "## How to use this folder"


def export_model(
    source: str | Path,
    folder: Path,
    *,
    licence: str | None = None,
    half: bool = False,
    force: bool = False,
) -> list[Path]:
    """Write a model as a model folder, whole or not at all.

    Args:
        source: as `find_model` takes it.
        folder: new or empty; its parent must exist.
        licence: SPDX expression of the weights, where no notice beside them states one.
        half: write weights in half precision; they are computed with in single precision.
        force: write into a folder that is not empty, over files of the same names.

    Returns:
        The files written.

    Raises:
        HearsightError: as `load_model`, the folder cannot be written, or the licence is stated
            twice or is no SPDX expression.
    """
    check_folder(folder, force=force)
    path = find_model(source)
    if folder.exists() and path.exists() and path.is_dir() and path.samefile(folder):
        raise HearsightError(f"'{folder}' is read for this: name another folder to write.")
    if licence is not None:
        _check_licence(licence)
        stated = LICENCES.search(notice_text(path))
        if stated is not None:
            raise HearsightError(
                f"The notice beside '{path}' states the licence {stated[1]}: leave out `licence`."
            )
    model = load_model(path)
    with written_folder(folder, CONFIG) as part:
        write_model_folder(part, *model, half=half)
        write_papers(part, model, path, licence, use=_use(model))
        written = [file.relative_to(part) for file in sorted(part.rglob("*")) if file.is_file()]
    return [folder / name for name in written]


def write_papers(
    folder: Path, model: Model, path: Path, licence: str | None = None, *, use: str
) -> None:
    """Write card, notice and texts of licences of a model into a folder.

    path: of the model's file or folder. licence: where no notice states one. use: Markdown.

    Raises:
        OSError: they cannot be written.
    """
    notice = notice_text(path)
    stated = LICENCES.search(notice)
    licence = licence if stated is None else stated[1].strip()
    readme = readme_text(model, card_text(path), licence, noticed=bool(notice), use=use)
    (folder / README).write_text(readme, encoding="utf-8")
    if notice:
        (folder / LICENCE).write_text(_relinked(notice), encoding="utf-8")
    for name, text in licence_texts(identifiers(licence or ""), path).items():
        (folder / "LICENSES").mkdir(exist_ok=True)
        (folder / "LICENSES" / f"{name}.txt").write_text(text, encoding="utf-8")


def identifiers(expression: str) -> list[str]:
    """The licences of an SPDX expression, each once."""
    return sorted(set(re.split(r" (?:AND|OR|WITH) |[()\s]", expression)) - {""})


def _check_licence(expression: str) -> None:
    if not re.fullmatch(r"[\w.+-]+( (AND|OR|WITH) [\w.+-]+)*", expression, re.ASCII):
        raise HearsightError(
            f"'{expression}' is no SPDX expression of licences, such as CC-BY-4.0 or "
            "'MIT AND CC0-1.0'."
        )


def licence_texts(names: Iterable[str], model: Path) -> dict[str, str]:
    """The texts of licences that are at hand: beside the model, or with this package."""
    places = [model / "LICENSES"] if model.is_dir() else []
    places.append(Path(__file__).parents[3] / "LICENSES")  # of a checkout
    try:
        files = distribution("hearsight").files or []
    except PackageNotFoundError:
        files = []
    installed = (file for file in files if file.parent.name == "LICENSES")
    places += {Path(str(file.locate())).parent for file in installed}
    found = {}
    for name in names:
        texts = (place / f"{name}.txt" for place in places)
        text = next((file for file in texts if file.is_file()), None)
        if text is not None:
            found[name] = text.read_text(encoding="utf-8")
    return found


def readme_text(model: Model, card: str, licence: str | None, *, noticed: bool, use: str) -> str:
    """The README.md of a folder: YAML head, card, and how the folder is used.

    noticed: whether there is a notice to link to.
    """
    name = one_line(model.recipe.name) or "model"
    body = _relinked(card.partition(USE)[0]).strip()
    body = body or f"# `{name}`\n\nA model of hearsight, without a card."
    head = "".join(f"{line}\n" for line in _yaml(head_of(model, name, licence, noticed)))
    return f"---\n{head}---\n\n{body}\n\n{USE}\n\n{use}\n"


def head_of(model: Model, name: str, licence: str | None, noticed: bool) -> dict[str, Any]:
    """What hubs read of a model, by their names."""
    head: dict[str, Any] = {}
    if licence in HUB_LICENCES:
        head["license"] = licence.lower()
    elif licence is not None:
        head["license"] = "other"
        head["license_name"] = re.sub(r"[^a-z0-9.+-]+", "-", licence.lower())
    if licence is not None and noticed:
        head["license_link"] = LICENCE
    method = name.partition(":")[0].replace("_", "-")
    head |= {"library_name": "hearsight", "pipeline_tag": TASK, "tags": [*TAGS, method]}
    results = [
        {
            "task": {"type": TASK, "name": "visual sound localisation"},
            "dataset": {"type": "hearsight", "name": data},
            "metrics": [{"type": metric, "value": value} for metric, value in scores.items()],
        }
        for data, scores in known_scores(model.facts).items()
    ]
    if results:
        head["model-index"] = [{"name": name, "results": results}]
    return head


def known_scores(facts: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """Scores in the facts of a model, by the clips they are of and by metric.

    They are the score that chose the epoch, under its protocol, and those of a demo.
    """
    found: dict[str, dict[str, float]] = {}
    position = facts.get("position", {})
    protocol, _, clips = (position.get("judge") or "").partition(":")
    if protocol:
        kind = "test" if facts.get("selected_on_test") else "validation"
        found[f"{kind} clips that chose the epoch, digest {clips}"] = {protocol: position["best"]}
    written = facts.get("scores")
    for data, scores in written.items() if isinstance(written, dict) else ():
        if isinstance(scores, dict) and scores and all(map(is_number, scores.values())):
            found[one_line(data)] = {one_line(metric): value for metric, value in scores.items()}
    return found


def _yaml(value: Any, indent: str = "") -> Iterable[str]:
    """YAML of objects and lists, a line each; what stands in them is written as JSON."""
    entries = value.items() if isinstance(value, dict) else [(None, one) for one in value]
    for key, inside in entries:
        begin = f"{indent}- " if key is None else f"{indent}{key}:"
        if not isinstance(inside, dict | list):
            yield f"{begin.rstrip()} {json.dumps(inside, ensure_ascii=False)}"
        elif key is None:
            first, *rest = _yaml(inside, f"{indent}  ")
            yield f"{begin}{first.lstrip()}"
            yield from rest
        else:
            yield begin
            yield from _yaml(inside, f"{indent}  ")


def _relinked(text: str) -> str:
    """Markdown whose links to card and notice lead to their names in a model folder.

    Links to other files become text.
    """

    def link(found: re.Match[str]) -> str:
        words, target = found[1], found[2]
        if "/" in target or not target.endswith(".md"):
            return words
        noticed = target.endswith(".notice.md") or target == LICENCE
        return f"[{words}]({LICENCE if noticed else README})"

    return LINK.sub(link, text)


def _use(model: Model) -> str:
    """How a model folder is used, and what it was made by, as Markdown."""
    weights = sum(value.numel() for value in model.encoders.parameters())
    made = [
        f"- {words}: {value}"
        for words, value in (
            ("recipe", f"`{model.recipe.name}`" if model.recipe.name else "its own"),
            ("weights", f"{weights:,}"),
            ("confidence threshold", model.facts.get("threshold", "not chosen")),
            ("frames", f"{model.recipe.frame_size} pixels, shorter side"),
            ("sound", f"up to {model.recipe.spectrogram.seconds:g} s"),
        )
    ]
    lines = "\n".join(made)
    return f"""```python
from hearsight import load_model

model = load_model("FOLDER")  # this folder, or OWNER/NAME of it on a hub
for moment in model.localise_video("concert.mp4"):
    print(moment.time, moment.box, moment.confidence)
```

`config.json` holds the recipe and the facts of its training.

{lines}"""
