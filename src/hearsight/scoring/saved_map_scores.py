"""Maps that other code wrote, scored under any protocol that maps suffice for."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hearsight.clips.clip import Clips
from hearsight.errors import HearsightError, refuse_name
from hearsight.files.text import parse_json, read_text, rows_of
from hearsight.progress import Progress, no_progress
from hearsight.scoring.checkpoint_scores import (
    SideBySide,
    of_list,
    open_scored,
    run_names,
    side_by_side,
)
from hearsight.scoring.map_files import HeldMaps, MapFiles
from hearsight.scoring.protocol_registry import (
    base_of,
    check_clips,
    check_maps_suffice,
    evaluate_protocol,
    takes_confidence,
)
from hearsight.scoring.protocols import DEFAULT_PROTOCOL, Values
from hearsight.scoring.results import Results
from hearsight.scoring.saved_maps import SavedMaps


def evaluate_maps(
    maps: str | Path | Mapping[str, Any],
    clips: Clips,
    protocol: str = DEFAULT_PROTOCOL,
    *,
    name: str = "maps",
    values: Values | None = None,
    confidence: Mapping[str, float] | None = None,
    progress: Progress = no_progress,
) -> Results:
    """Score response maps that any code wrote. Clips without a map are skipped and named.

    Args:
        maps: an .npz or a folder, as `map_files` reads them, or arrays (of numpy or torch) by clip
            id: height x width, of any size, over the whole frame.
        clips: annotated as the protocol needs it.
        protocol: the name of any for which maps suffice.
        name: of the maps' row.
        values: cosine (-1 to 1), probability (0 to 1) or logit (its sigmoid is taken); None for
            what the protocol's authors have. It matters where their scale counts, not where each
            map is brought to its own range.
        confidence: that the clip shows its source, by clip id; None for what the protocol computes
            from a map.
        progress: of the stage `scoring`, in clips.

    Raises:
        HearsightError: no such protocol, one that needs more than maps, or that uses no confidence
            though one is given; no map is of any clip, two are of one, or one is not finite, no
            map, or of other values than the protocol takes.
    """
    refuse_name("clips", clips, "open_clips")
    check_maps_suffice(protocol)
    if confidence is not None and not takes_confidence(protocol):
        raise HearsightError(unused_confidence([protocol]))
    files = HeldMaps(maps) if isinstance(maps, Mapping) else MapFiles(maps)
    with files:
        source = SavedMaps(
            files=files, name=name, values=values, confidence=confidence, progress=progress
        )
        found = evaluate_protocol(source, clips, protocol)
    return replace(found, notes=(*found.notes, *source.notes))


def unused_confidence(protocols: Sequence[str]) -> str:
    """Why a confidence is refused."""
    named = [f"'{one}'" for one in protocols]
    use = f"neither {' nor '.join(named)} uses" if len(named) > 1 else f"{named[0]} does not use"
    return (
        f"A confidence per clip was given, but {use} it: those with '-extended' in their names do, "
        "where some clips show no source."
    )


def score_saved_maps(
    sources: Sequence[str],
    data: Sequence[str],
    protocols: Sequence[str],
    *,
    ids: Path | None = None,
    values: Values | None = None,
    confidence: Path | None = None,
    progress: Progress = no_progress,
) -> SideBySide:
    """Score files and folders of maps side by side, as `score_checkpoints` does models.

    Args:
        sources: files and folders, each once.
        data: names of the clips.
        protocols: names.
        ids: a list of the clips to score; None for all.
        values: as of `evaluate_maps`.
        confidence: a file as `read_confidences` takes it.
        progress: of the stage `scoring`, with source and protocol where there are several.

    Raises:
        HearsightError: what opening clips, `read_confidences` and `evaluate_maps` raise.
    """
    for protocol in protocols:
        check_maps_suffice(protocol)
    if confidence is not None and not any(map(takes_confidence, protocols)):
        raise HearsightError(unused_confidence(protocols))
    sure = None if confidence is None else read_confidences(confidence)
    names = run_names(sources)
    clips, left_out, unknown = open_scored(data, ids)
    for protocol in protocols:
        check_clips(protocol, clips)
    for source, name in zip(sources, names, strict=True):  # the last of them before the first work
        with MapFiles(source) as files:
            SavedMaps(files=files, name=name, values=values).check(clips, map(base_of, protocols))
    several = len(sources) * len(protocols) > 1

    def score(source: str, name: str, protocol: str) -> Results:
        stage = f"scoring {name}, {protocol}" if several else "scoring"
        found = evaluate_maps(
            source,
            clips,
            protocol,
            name=name,
            values=values,
            confidence=sure if takes_confidence(protocol) else None,
            progress=lambda _, *done: progress(stage, *done),
        )
        return found if ids is None else of_list(found, ids.stem)

    results = tuple(
        tuple(score(source, name, protocol) for source, name in zip(sources, names, strict=True))
        for protocol in protocols
    )
    footnotes = _unlike(names, results)
    return side_by_side(names, results, before=left_out, after=unknown, footnotes=footnotes)


def _unlike(names: Sequence[str], results: Sequence[Sequence[Results]]) -> tuple[str, ...]:
    """What is to be said beneath tables whose rows are of different clips."""
    found = []
    for each in results:
        scored = [frozenset(line["id"] for line in one.clips) for one in each]
        if len(set(scored)) > 1:
            counts = ", ".join(
                f"{name} {len(own):,}" for name, own in zip(names, scored, strict=True)
            )
            found.append(
                f"Rows under {each[0].protocol} are of different clips ({counts}) and cannot be "
                f"compared; blind rows and ceiling are of those of {names[0]}. A list of clips "
                "that all have, as --ids, makes them alike."
            )
    return tuple(found)


def read_confidences(path: Path) -> dict[str, float]:
    """Confidences by clip id, of a table `id,confidence` or a JSON object.

    Raises:
        HearsightError: it cannot be read, has another form, an id twice, or no finite number.
    """
    text = read_text(path)
    wrong = f"'{path}' is neither a table of id,confidence nor a JSON object of these."
    if text.lstrip()[:1] == "{":
        try:
            pairs = parse_json(text, members=list)
        except ValueError as error:
            raise HearsightError(wrong) from error
    else:
        rows = [row.cells for row in rows_of(text, path)]
        if any(len(cells) != 2 for cells in rows):
            raise HearsightError(wrong)
        pairs = [(id, value) for id, value in rows if value.casefold() != "confidence"]
    found: dict[str, float] = {}
    for id, value in pairs:
        try:
            number = float(value)
        except (TypeError, ValueError, OverflowError):  # the last: of hundreds of digits
            number = math.nan
        if not math.isfinite(number):
            raise HearsightError(f"The confidence of '{id}' in '{path}' is no finite number.")
        if id in found:
            raise HearsightError(f"The id '{id}' stands twice in '{path}'.")
        found[id] = number
    if not found:
        raise HearsightError(wrong)
    return found
