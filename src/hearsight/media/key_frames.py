"""Where the key frames of a film lie: whether a seek to a frame is cheaper than reading on."""

import math
from array import array
from bisect import bisect_right
from collections.abc import Sequence
from fractions import Fraction

from av.video.stream import VideoStream

from hearsight.media.decode import usual_ticks
from hearsight.media.timeline import REORDERED

SPARED = 4  # frames; a seek has to spare the decoding of more, since a decoder looks so far ahead


class KeyFrames:
    """The times of key frames, as the index of a file tells them.

    They are those of decoding, a few frames early: good enough to weigh, not to choose a frame.
    """

    def __init__(
        self, times: Sequence[float] = (), end: float = -math.inf, spared: float = 0.0
    ) -> None:
        """`times` in seconds, rising; `end`: up to which they are known; `spared`: see `jumps`."""
        self._times, self._end, self._spared = times, end, spared

    @classmethod
    def of(cls, stream: VideoStream, zero: Fraction) -> "KeyFrames":
        """The keys of a stream by its index, `zero` being time 0 on the clock of the file."""
        tick, start = float(stream.time_base or 1), float(zero)
        entries = stream.index_entries
        times = array("d", (e.timestamp * tick - start for e in entries if e.is_keyframe))
        if not times:
            return cls()
        frame = usual_ticks(stream) * tick
        end = entries[len(entries) - 1].timestamp * tick - start + REORDERED * frame
        return cls(times, end, SPARED * frame)

    def jumps(self, reached: float, wanted: float, far: float) -> bool:
        """Whether a seek to a time (seconds) is cheaper than reading on from where one is.

        far: seconds from which on it is taken to be, where key frames are not known.
        """
        if wanted > self._end:
            return wanted - reached > far
        before = bisect_right(self._times, wanted - self._spared)
        return before > 0 and self._times[before - 1] > reached + self._spared
