"""Checkpoints scored on the same clips under the same protocols, each row named after its run."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath

import torch

from hearsight.checkpoints.checkpoint import BEST, LAST, Model, load_model
from hearsight.clips.clip import Clips
from hearsight.clips.leaks import footnotes, marks
from hearsight.clips.selection import name_left_out, remarks_in, restrict
from hearsight.datasets.open import open_joined
from hearsight.files.tables import Row
from hearsight.files.text import count_and_name
from hearsight.model.device import move
from hearsight.progress import Progress, no_progress
from hearsight.scoring.inference import Inference
from hearsight.scoring.object_guidance import ObjectGuide
from hearsight.scoring.protocol_registry import check_clips, evaluate_protocol
from hearsight.scoring.results import MARKED, Results, is_reference

NAMED = (".safetensors", ".npz")  # endings that say nothing beside a name


@dataclass(frozen=True, slots=True, kw_only=True)
class SideBySide:
    """Scores of checkpoints, or of maps that other code wrote.

    results: under each protocol, of each of them. clips: lines per clip, of all of these.
    notes: on clips, a line each. footnotes: of the marks of rows.
    """

    results: tuple[tuple[Results, ...], ...]
    clips: tuple[Row, ...]
    notes: tuple[str, ...]
    footnotes: tuple[str, ...]


def run_names(sources: Sequence[str]) -> list[str]:
    """A short name for each checkpoint or file of maps: of its run folder, its file, or itself.

    The best and the last weights of a run have the name of their run. Folders are put before names
    that would be the same, or those of blind rows; and the file behind them, if that is not enough.
    """
    paths = [
        PurePath(source) if PurePath(source).name not in ("", "..") else Path(source).resolve()
        for source in sources
    ]
    files = [path.with_suffix("") if path.suffix in NAMED else path for path in paths]
    runs = [
        path.parent if path.name in (BEST, LAST) and path.parent.name else file
        for path, file in zip(paths, files, strict=True)
    ]
    most = max(len(path.parts) for path in paths)
    depths = [*((runs, depth) for depth in range(1, most + 1))]
    depths += [(files, depth) for depth in range(2, most + 1)]
    for named, depth in depths:
        names = ["/".join(path.parts[-depth:]) for path in named]
        if len(set(names)) == len(names) and not any(is_reference({"name": n}) for n in names):
            return names
    return [str(Path(source).resolve()) for source in sources]


def score_checkpoints(
    sources: Sequence[str],
    data: Sequence[str],
    protocols: Sequence[str],
    *,
    ids: Path | None = None,
    guide: ObjectGuide | None = None,
    draws: int | None = None,
    batch_size: int = 32,
    device: torch.device | str | None = None,
    progress: Progress = no_progress,
) -> SideBySide:
    """Score checkpoints on annotated clips.

    Scenes are composed at the largest frame size of the models, so that all see the same.

    Args:
        sources: as `load_model` takes them, each once.
        data: names of the clips.
        protocols: names.
        ids: a list of the clips to score; None for all.
        guide: an object network to mix in; it is moved to the device and left there.
        draws: how often `negatives` draws sounds; by default 3.
        batch_size: clips that go through the encoders at once; does not change the scores.
        device: the GPU if there is one, else the CPU, unless named.
        progress: of the stage `scoring`, with checkpoint and protocol where there are several.

    Raises:
        HearsightError: what opening models and clips, and `evaluate_protocol` raise.
    """
    models = [load_model(source) for source in sources]
    signs = [
        marks(one.facts, epochs=one.recipe.epochs, from_boxes=one.recipe.needs_boxes)
        for one in models
    ]
    names = run_names(sources)
    size = max(one.recipe.frame_size for one in models)
    clips, left_out, unknown = open_scored(data, ids, size)
    for protocol in protocols:  # the last of them before the first work
        check_clips(protocol, clips)
    several = len(models) * len(protocols) > 1

    def score(model: Model, name: str, own: Mapping[str, str], protocol: str) -> Results:
        place = move(model.encoders, device)
        if guide is not None:
            guide.network.to(place)
        stage = f"scoring {name}, {protocol}" if several else "scoring"
        inference = Inference(
            encoders=model.encoders,
            recipe=model.recipe,
            device=place,
            name=name,
            guide=guide,
            batch_size=batch_size,
            progress=lambda _, *done: progress(stage, *done),
        )
        asked = draws if protocol == "negatives" else None
        found = with_marks(evaluate_protocol(inference, clips, protocol, draws=asked), own)
        model.encoders.cpu()
        return found if ids is None else of_list(found, ids.stem)

    results = tuple(
        tuple(score(*each, protocol) for each in zip(models, names, signs, strict=True))
        for protocol in protocols
    )
    return side_by_side(
        names,
        results,
        before=(*left_out, *remarks_in(clips)),
        after=unknown,
        footnotes=tuple(dict.fromkeys(line for own in signs for line in footnotes(own))),
    )


def side_by_side(
    names: Sequence[str],
    results: tuple[tuple[Results, ...], ...],
    *,
    before: Sequence[str],
    after: Sequence[str],
    footnotes: tuple[str, ...],
) -> SideBySide:
    """Results under each protocol of each name, with the lines of their clips.

    before, after: notes on the clips, that stand before and after those of the results.
    """
    every = [(name, one) for each in results for name, one in zip(names, each, strict=True)]
    return SideBySide(
        results=results,
        clips=tuple({"name": name, **line} for name, one in every for line in one.clips),
        notes=(*before, *dict.fromkeys(note for _, one in every for note in one.notes), *after),
        footnotes=footnotes,
    )


def open_scored(
    data: Sequence[str], ids: Path | None, size: int = 224
) -> tuple[Clips, list[str], list[str]]:
    """The clips; notes on what is left out, and on ids of the list that no clip has."""
    clips = open_joined(data, split="val", size=size)
    left_out, unknown = name_left_out(clips, " ".join(data)), list[str]()
    if ids is not None:
        clips, unknown = restrict(clips, ids)
    said = count_and_name(
        unknown, f"id in '{ids}' is not among the clips", f"ids in '{ids}' are not among the clips"
    )
    return clips, left_out, said


def with_marks(results: Results, marks: Iterable[str]) -> Results:
    """The results, the rows of the model with its marks in a column of their own."""
    signs = {MARKED: " ".join(marks)}
    rows = (
        row if is_reference(row) else {"name": row["name"], **signs, **row} for row in results.rows
    )
    return replace(results, rows=tuple(rows))


def of_list(results: Results, name: str) -> Results:
    """The results, each row with the name of the list whose clips alone were scored."""
    return replace(results, rows=tuple({**row, "list": name} for row in results.rows))
