"""Key frames of a track: none lies on a frame that the film has not."""

from dataclasses import replace
from fractions import Fraction

import pytest
from made_moments import BOXES, FILM, moment

from hearsight.exports.tracks import key_frames

RATE = Fraction(25)


@pytest.mark.parametrize("every", [0.5, 1.0])
@pytest.mark.parametrize("sounds_until", [9.04, 6.0])
def test_a_box_that_lasts_longer_than_the_picture_is_left_open_at_its_last_frame(
    every: float, sounds_until: float
) -> None:
    """The film has 75 frames, the last of which stands while the sound goes on."""
    film = replace(FILM, frame_rate=RATE, duration=9.04)
    times = [every * number for number in range(int(9.04 / every) + 1)]
    found = [
        replace(
            moment(time, BOXES[0] if time < sounds_until else None, film),
            frame=min(74, int(time * RATE)),
        )
        for time in times
    ]
    keys = list(key_frames(found, film, every))
    assert [key.outside for key in keys] == [False] * len(keys)
    assert [key.frame for key in keys] == [
        *(int(time * RATE) for time in times if time < 74 / RATE),
        74,
    ]


def test_a_box_ends_where_its_moment_does() -> None:
    film = replace(FILM, frame_rate=RATE, duration=9.0)
    found = [moment(0.0, BOXES[0], film), moment(4.0, BOXES[1], film), moment(5.0, None, film)]
    keys = list(key_frames(found, film, 1.0))
    assert [(key.frame, key.outside) for key in keys] == [
        (0, False),
        (25, True),
        (100, False),
        (125, True),
    ]
