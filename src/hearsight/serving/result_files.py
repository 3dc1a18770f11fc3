"""The files of a result: the facts of a film, its moments with its loudness, and their maps."""

import json
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from hearsight.files.output import write_bytes, write_text

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import UInt8

    from hearsight.localising.moments import MappedMoment, Moment

FACTS, MOMENTS, MAPS = "result.json", "moments.json", "maps.bin"
PLAYABLE, PICTURE, SOUND = "playable.mp4", "picture.jpg", "sound.wav"  # made of the source


def write_result(
    folder: Path, facts: Mapping[str, Any], moments: "Sequence[Moment]", levels: Mapping[str, Any]
) -> None:
    """Write moments, their maps and the facts of a film; with the facts the result is there.

    Raises:
        HearsightError: they cannot be written.
    """
    import numpy as np

    from hearsight.localising.moments import Moment

    mapped = cast("Sequence[MappedMoment]", moments)
    maps = np.stack([heatmap_of(moment) for moment in mapped])
    write_bytes(folder / MAPS, maps.tobytes())
    listed = [Moment.to_dict(one) for one in mapped]  # without the map
    held = {"grid": list(maps.shape[1:]), "moments": listed, "levels": levels}
    write_text(folder / MOMENTS, json.dumps(held))
    write_text(folder / FACTS, json.dumps(dict(facts)))


def read_moment(held: Mapping[str, Any]) -> "Moment":
    """A moment as `write_result` wrote it."""
    from hearsight.localising.moments import Moment

    box, rate = held["box"], held.get("frame_rate")
    values = {**held, "box": None if box is None else tuple(box)}
    return Moment(**values if rate is None else {**values, "frame_rate": Fraction(rate)})


def heatmap_of(moment: "MappedMoment") -> "UInt8[np.ndarray, 'h w']":
    """The response map from 0 (its lowest) to 255 (its peak); 0 everywhere without a source."""
    import numpy as np

    from hearsight.localising.moments import to_heatmap

    if moment.box is None:
        return np.zeros(moment.response.shape, np.uint8)
    heatmap: UInt8[np.ndarray, "h w"] = np.rint(to_heatmap(moment.response) * 255).astype(np.uint8)
    return heatmap
