"""Which frame of a video one is that was reached by a seek: its place among all time stamps."""

from array import array
from bisect import bisect_left
from itertools import pairwise
from pathlib import Path

from av.video.frame import VideoFrame

from hearsight.media.decode import shown_stamps
from hearsight.media.source import open_media


class FrameNumbers:
    """The time stamps of all pictures of a file, from a pass over its packets without decoding.

    Memory is 8 bytes per frame. A file whose packets are not its frames one by one is noticed
    where a frame that was counted has another place here.
    """

    def __init__(self, path: Path) -> None:
        """Read the packets of a file whose frames keep their stamps after a seek.

        Raises:
            MediaError: if the file cannot be read.
        """
        stamps: list[int | None] = []
        with open_media(path) as source:
            if source.picture is not None:
                source.skip_others(source.picture)
                stamps = list(shown_stamps(source, source.packets(source.picture)))
        known = sorted(stamp for stamp in stamps if stamp is not None)
        plain = len(known) == len(stamps) and all(one < after for one, after in pairwise(known))
        self._stamps = array("q", known if plain else ())

    def number_of(self, frame: VideoFrame) -> int | None:
        """The number of a frame, from 0 in the order of showing; None where stamps do not tell."""
        if frame.pts is None:
            return None
        place = bisect_left(self._stamps, frame.pts)
        found = place < len(self._stamps) and self._stamps[place] == frame.pts
        return place if found else None
