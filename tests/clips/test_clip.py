"""Clips: what goes in comes out, and what is damaged says so."""

import pickle
import sys
from io import BytesIO

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from made_clips import picture, tone
from PIL import Image

from hearsight.clips.clip import (
    Clip,
    UnreadableClip,
    encode_clip,
    encode_picture,
    list_unreadable,
)
from hearsight.media.picture import decode_picture
from hearsight.media.samples import RATE


def wav(sound: np.ndarray, rate: int = RATE, subtype: str = "PCM_16") -> bytes:
    file = BytesIO()
    soundfile.write(file, sound, rate, format="WAV", subtype=subtype)
    return file.getvalue()


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP"])
def test_an_encoded_clip_decodes_to_itself(form: str) -> None:
    frame, sound = picture(), tone()
    mask = np.zeros(frame.shape[:2], dtype=bool)
    mask[5:20, 7:30] = True
    clip = encode_clip(
        "a",
        frame,
        sound,
        picture=form,
        label="dog",
        boxes=((0.1, 0.2, 0.3, 0.4),),
        mask=mask,
        source="film.mp4",
        time=1.5,
    )
    decoded = clip.decode()
    assert np.array_equal(decoded.sound, sound)
    assert np.array_equal(decoded.mask, mask)
    assert decoded.boxes == ((0.1, 0.2, 0.3, 0.4),)
    assert (decoded.id, decoded.label, decoded.source, decoded.time) == (
        "a",
        "dog",
        "film.mp4",
        1.5,
    )
    lost = np.abs(decoded.frame.astype(int) - frame).mean()
    assert lost == 0 if form == "PNG" else 0 < lost < 8


def test_the_same_arrays_give_the_same_bytes() -> None:
    assert encode_clip("a", picture(), tone()) == encode_clip("a", picture(), tone())


@pytest.mark.parametrize("size", [(37, 51), (224, 224), (1, 1), (281, 500), (8, 3)])
@pytest.mark.parametrize("quality", [40, 90])
def test_simplejpeg_and_pillow_give_the_same_pixels(
    size: tuple[int, int], quality: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("simplejpeg")
    file = encode_picture(picture(1, *size), quality=quality)
    fast = decode_picture(file)
    monkeypatch.setitem(sys.modules, "simplejpeg", None)
    assert np.array_equal(fast, decode_picture(file))


@pytest.mark.parametrize("mode", ["L", "CMYK", "1", "P", "RGBA", "LA", "I;16"])
def test_pictures_of_every_mode_become_rgb(mode: str) -> None:
    image = Image.fromarray(picture())
    image = image.convert("L").convert("I;16") if mode == "I;16" else image.convert(mode)
    file = BytesIO()
    image.save(file, "JPEG" if mode in ("L", "CMYK") else "PNG")
    assert decode_picture(file.getvalue()).shape == (37, 51, 3)


def claiming(flac: bytes, samples: int) -> bytes:
    """A FLAC file whose header claims so many samples: 36 bits that end at byte 26."""
    head = int.from_bytes(flac[21:26], "big") >> 36 << 36 | samples
    return flac[:21] + head.to_bytes(5, "big") + flac[26:]


def damaged_clips() -> dict[str, tuple[Clip, str]]:
    """Each damage with the words its reason must hold."""
    clip = encode_clip("x", picture(), tone())
    jpeg, flac = clip.frame, clip.sound
    bomb = BytesIO()
    Image.new("1", (2, 2)).save(bomb, "PNG")
    huge = bytearray(bomb.getvalue())
    huge[16:24] = (60_000).to_bytes(4, "big") * 2
    stereo = np.stack([tone(), tone()], 1)

    def changed(frame: bytes = jpeg, sound: bytes = flac, mask: bytes | None = None) -> Clip:
        return Clip(id="x", frame=frame, sound=sound, mask=mask)

    return {
        "no frame": (changed(frame=b""), "not a picture"),
        "text frame": (changed(frame=b"hello"), "not a picture"),
        "cut frame": (changed(frame=jpeg[: len(jpeg) // 2]), "damaged"),
        "frame header alone": (changed(frame=jpeg[:20]), "picture"),
        "huge frame": (changed(frame=bytes(huge)), "picture"),
        "no sound": (changed(sound=b""), "neither FLAC nor WAV"),
        "text sound": (changed(sound=b"hello"), "neither FLAC nor WAV"),
        "huge sound": (changed(sound=claiming(flac, 2**36 - 1)), "claims 68,719,476,735 samples"),
        "longer sound": (changed(sound=claiming(flac, 5000)), "ends after 4,000 of 5,000|damaged"),
        "cut sound": (changed(sound=flac[: len(flac) // 2]), "sound"),
        "sound header alone": (changed(sound=flac[:30]), "sound"),
        "44100 Hz": (changed(sound=wav(tone(), 44_100)), "44100 Hz"),
        "stereo": (changed(sound=wav(stereo)), "2 channels"),
        "float": (changed(sound=wav(tone() / 32768, 8_000, subtype="FLOAT")), "8000 Hz"),
        "cut wav": (changed(sound=wav(tone())[:5000]), "cut: 5,000 of 8,044 bytes"),
        "empty sound": (changed(sound=wav(tone(0))), "empty"),
        "mask of another size": (changed(mask=encode_picture(picture()[:5, :, 0], "PNG")), "mask"),
        "mask of text": (changed(mask=b"hello"), "picture"),
    }


@pytest.mark.parametrize("name", damaged_clips())
@pytest.mark.parametrize("simplejpeg", [True, False])
def test_a_damaged_clip_says_what_is_wrong(
    name: str, simplejpeg: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not simplejpeg:
        monkeypatch.setitem(sys.modules, "simplejpeg", None)
    clip, words = damaged_clips()[name]
    with pytest.raises(UnreadableClip, match=words) as caught:
        clip.decode()
    assert caught.value.id == "x"
    assert "clip 'x' cannot be read" in str(caught.value)


@given(st.integers(0, 2**31), st.integers(0, 200))
def test_any_single_damage_is_read_or_reported(place: int, byte: int) -> None:
    clip = encode_clip("x", picture(height=16, width=16), tone(400))
    for part in ("frame", "sound"):
        file = bytearray(getattr(clip, part))
        file[place % len(file)] = byte
        parts = {"frame": clip.frame, "sound": clip.sound, part: bytes(file)}
        try:
            decoded = Clip(id="x", **parts).decode()
        except UnreadableClip:
            continue
        assert decoded.frame.ndim == 3


def test_an_unreadable_clip_survives_pickling() -> None:
    error = pickle.loads(pickle.dumps(UnreadableClip("a/b", "no frame")))
    assert (error.id, error.reason) == ("a/b", "no frame")


def test_skipped_clips_are_listed_by_name() -> None:
    skipped = [UnreadableClip(f"c{n}", "no frame") for n in range(25)]
    lines = list_unreadable(skipped, 1234).splitlines()
    assert lines[0].startswith("25 of 1,234 clips")
    assert lines[1] == "  c0: no frame"
    assert lines[-1].endswith("5 more")
    assert list_unreadable([], 5) == ""
