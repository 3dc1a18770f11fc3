"""FCPXML 1.8: the film as a clip in a project, a marker for each stretch with a source.

Times are rational, whole numbers of frames at the film's rate, for Final Cut Pro and DaVinci
Resolve. Editors know few rates: where the film's mean rate is within 1 % of one of theirs, as of a
telephone's films, times are counted in frames of that one and stay what they are.

Source: Apple, "FCPXML Reference" (asset, asset-clip, marker), document type 1.8.
"""

from collections.abc import Iterable, Iterator
from fractions import Fraction

from hearsight.exports.intervals import Stretch, frame_at, rate_of, stretches
from hearsight.exports.names import address_of, empty_element, name_of, start_tag
from hearsight.localising.moments import Moment
from hearsight.media.read import MediaInfo

RATES = tuple(
    Fraction(rate)
    for rate in ("24000/1001", "24", "25", "30000/1001", "30", "48", "50", "60000/1001", "60")
)
"""Frames per second of a project."""

ALIKE = Fraction(1, 100)  # share by which a film's rate may differ from a project's


def write(moments: Iterable[Moment], film: MediaInfo, every: float | None = None) -> Iterator[str]:
    """Resources, one event, one project, one clip with its markers."""
    rate, name = project_rate(film), name_of(film)
    whole = _seconds(max(1, frame_at(film.duration, rate)), rate)
    shared: dict[str, object] = {"name": name, "format": "r1", "duration": whole}
    sound: dict[str, object] = {
        "hasAudio": 1,
        "audioSources": 1,
        "audioChannels": film.channels or 1,
    }
    size: dict[str, object] = {"width": film.width, "height": film.height}
    yield '<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE fcpxml>\n<fcpxml version="1.8">\n'
    yield " <resources>\n"
    yield f"  {empty_element('format', id='r1', frameDuration=_seconds(1, rate), **size)}\n"
    asset = empty_element(
        "asset", id="r2", src=address_of(film), start="0s", hasVideo=1, **shared, **sound
    )
    yield f"  {asset}\n </resources>\n <library>\n"
    yield f"  {start_tag('event', name='hearsight')}\n"
    yield f"   {start_tag('project', name=name)}\n"
    sequence: dict[str, object] = {
        "format": "r1",
        "duration": whole,
        "tcStart": "0s",
        "tcFormat": "NDF",
    }
    yield f"    {start_tag('sequence', **sequence)}\n     <spine>\n"
    clip = start_tag("asset-clip", ref="r2", offset="0s", start="0s", **shared)
    yield f"      {clip}\n"
    for stretch in stretches(moments, film, every):
        yield f"       {_marker(stretch, rate)}\n"
    yield "      </asset-clip>\n     </spine>\n    </sequence>\n   </project>\n  </event>\n"
    yield " </library>\n</fcpxml>\n"


def project_rate(film: MediaInfo) -> Fraction:
    """The rate of `RATES` that is nearest to the film's, else its own; errors as of `rate_of`."""
    rate = rate_of(film)
    nearest = min(RATES, key=lambda known: abs(known - rate))
    return nearest if abs(nearest - rate) <= ALIKE * rate else rate


def _marker(stretch: Stretch, rate: Fraction) -> str:
    first, last = frame_at(stretch.start, rate), frame_at(stretch.end, rate)
    return empty_element(
        "marker",
        start=_seconds(first, rate),
        duration=_seconds(max(1, last - first), rate),
        value=stretch.label,
    )


def _seconds(frames: int, rate: Fraction) -> str:
    """A number of frames as FCPXML writes times, such as `1001/30000s` or `3s`."""
    return f"{frames / rate}s"
