"""CVAT for video 1.1: one track of boxes, which is uploaded to a task as annotations.

CVAT holds or interpolates boxes between key frames and shows none from a box with `outside="1"`
on; a track without such an end lasts until the end of the video. Other readers take key frames
alone, so every moment is one.

Source: CVAT, docs "CVAT for videos 1.1"; the parts of `meta` that readers ask for.
"""

from collections.abc import Iterable, Iterator
from itertools import chain
from xml.sax.saxutils import escape

from hearsight.exports.intervals import LABEL
from hearsight.exports.names import name_of, start_tag, xml_text
from hearsight.exports.tracks import KeyFrame, frame_count, key_frames
from hearsight.localising.moments import Moment
from hearsight.media.read import MediaInfo

ATTRIBUTE = "confidence"


def write(moments: Iterable[Moment], film: MediaInfo, every: float | None = None) -> Iterator[str]:
    """The task's facts and the track; without any source there is no track."""
    yield '<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n  <version>1.1</version>\n'
    yield _meta(film)
    boxes = key_frames(moments, film, every)
    first = next(boxes, None)
    if first is not None:
        yield f"  {start_tag('track', id=0, label=LABEL, source='auto')}\n"
        yield from map(_box, chain([first], boxes))
        yield "  </track>\n"
    yield "</annotations>\n"


def _box(key: KeyFrame) -> str:
    left, top, right, bottom = key.box
    start = start_tag(
        "box",
        frame=key.frame,
        outside=int(key.outside),
        occluded=0,
        keyframe=1,
        xtl=f"{left:.2f}",
        ytl=f"{top:.2f}",
        xbr=f"{right:.2f}",
        ybr=f"{bottom:.2f}",
        z_order=0,
    )
    value = f"{start_tag('attribute', name=ATTRIBUTE)}{key.confidence:.3f}</attribute>"
    return f"    {start}\n      {value}\n    </box>\n"


def _meta(film: MediaInfo) -> str:
    name, frames = escape(xml_text(name_of(film))), frame_count(film)
    return f"""  <meta>
    <task>
      <name>{name}</name>
      <size>{frames}</size>
      <mode>interpolation</mode>
      <overlap>0</overlap>
      <start_frame>0</start_frame>
      <stop_frame>{frames - 1}</stop_frame>
      <frame_filter></frame_filter>
      <z_order>False</z_order>
      <labels>
        <label>
          <name>{LABEL}</name>
          <attributes>
            <attribute>
              <name>{ATTRIBUTE}</name>
              <mutable>True</mutable>
              <input_type>text</input_type>
              <default_value></default_value>
              <values></values>
            </attribute>
          </attributes>
        </label>
      </labels>
      <original_size>
        <width>{film.width}</width>
        <height>{film.height}</height>
      </original_size>
    </task>
    <source>{name}</source>
  </meta>
"""
