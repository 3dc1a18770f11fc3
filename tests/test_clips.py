"""Clips: what goes in comes out, and what is damaged says so."""

import pickle
import sys
from io import BytesIO

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from hearsight.clips import (
    RATE,
    ChosenClips,
    Clip,
    Clips,
    DecodedClip,
    JoinedClips,
    UnreadableClip,
    decode_picture,
    encode_clip,
    encode_picture,
    list_unreadable,
    to_samples,
)


def picture(seed: int = 0, height: int = 37, width: int = 51) -> np.ndarray:
    """Smooth colours with some noise, so that JPEG has work to do."""
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 256, (5, 7, 3), dtype=np.uint8)
    smooth = np.asarray(Image.fromarray(coarse).resize((width, height)), dtype=np.int16)
    noise = random.integers(-8, 9, smooth.shape)
    return np.clip(smooth + noise, 0, 255).astype(np.uint8)


def tone(samples: int = RATE // 4, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    return random.normal(0, 3000, samples).astype(np.int16)


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
        "cut sound": (changed(sound=flac[: len(flac) // 2]), "sound"),
        "sound header alone": (changed(sound=flac[:30]), "sound"),
        "44100 Hz": (changed(sound=wav(tone(), 44_100)), "44100 Hz"),
        "stereo": (changed(sound=wav(stereo)), "2 channels"),
        "float": (changed(sound=wav(tone() / 32768, subtype="FLOAT")), "FLOAT"),
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


def test_samples_are_the_nearest_and_loud_ones_are_clipped() -> None:
    sound = tone()
    assert np.array_equal(to_samples(sound / np.float32(32768)), sound)
    assert to_samples(np.array([2.0, -2.0, 0.0])).tolist() == [32767, -32768, 0]


class Listed:
    """Clips held in a list."""

    def __init__(self, *ids: str, source: str = "") -> None:
        self.ids = list(ids)
        self._source = source

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> DecodedClip:
        id = self.ids[index]
        return DecodedClip(id=id, frame=picture(), sound=self.sound(index), source=self._source)

    def sound(self, index: int) -> np.ndarray:
        return tone(100, seed=len(self.ids[index]))


def test_joined_clips_keep_the_first_of_equal_ids_and_name_the_rest() -> None:
    joined = JoinedClips([Listed("a", "bb", source="1"), Listed("bb", "ccc", source="2")])
    assert isinstance(joined, Clips)
    assert joined.ids == ["a", "bb", "ccc"]
    assert joined.repeated == ["bb"]
    assert [joined[n].source for n in range(len(joined))] == ["1", "1", "2"]
    assert all(np.array_equal(joined[n].sound, joined.sound(n)) for n in range(3))
    assert joined[-1].id == "ccc"
    with pytest.raises(IndexError):
        joined[3]


def test_chosen_clips_keep_their_order() -> None:
    chosen = ChosenClips(Listed("a", "bb", "ccc"), [2, 0])
    assert isinstance(chosen, Clips)
    assert [chosen[n].id for n in range(len(chosen))] == chosen.ids == ["ccc", "a"]
    assert np.array_equal(chosen.sound(0), tone(100, seed=3))
