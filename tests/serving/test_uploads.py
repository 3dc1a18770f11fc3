"""Uploads: on disk as they come, bounded, named safely, and removed."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from made_server import finished

from hearsight.errors import HearsightError
from hearsight.serving import uploads
from hearsight.serving.uploads import Upload, Uploads, UploadTooLargeError, clean_name


async def blocks(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


def receive(into: Uploads, name: str, *parts: bytes, length: int | None = None) -> Upload:
    taken: Upload = finished(into.receive(name, blocks(*parts), length))
    return taken


@pytest.fixture
def held(tmp_path: Path) -> Uploads:
    made = Uploads(folder=tmp_path / "uploads", most=100)
    made.begin()
    return made


def test_a_file_lies_on_disk_until_it_is_taken(held: Uploads) -> None:
    sent = receive(held, "a b.MP4", b"12", b"", b"345")
    assert sent.path.read_bytes() == b"12345"
    assert (sent.name, sent.path.suffix, sent.path.parent) == ("a b.MP4", ".mp4", held.folder)
    assert held.take(sent.id) == sent
    with pytest.raises(HearsightError, match="send it again"):
        held.take(sent.id)


def test_of_several_that_are_wanted_none_is_left_behind_if_one_is_not_there(held: Uploads) -> None:
    said = "The {} that was sent is not here any more: send the picture and the sound again."
    for wanted in ("0", None):  # one that was never sent, and the same twice
        sent = receive(held, "a.png", b"1")
        with (
            pytest.raises(HearsightError, match=said.format("sound")),
            held.taken(picture=sent.id, sound=wanted or sent.id),
        ):
            pytest.fail("one of them is not there")
        assert list(held.folder.iterdir()) == []
        assert held.held == {}
    for gone in ("picture", "sound"):  # from the disk, such as by who tidies up there
        both = {"picture": receive(held, "a.png", b"1"), "sound": receive(held, "b.wav", b"2")}
        both[gone].path.unlink()
        keys = {called: upload.id for called, upload in both.items()}
        with pytest.raises(HearsightError, match=said.format(gone)), held.taken(**keys):
            pytest.fail("one of them is not there")
        assert list(held.folder.iterdir()) == []
        assert held.held == {}
    first, second = receive(held, "a.png", b"1"), receive(held, "b.wav", b"2")
    with held.taken(picture=first.id, sound=second.id) as found:
        assert found == [first, second]
        first.path.rename(held.folder.parent / "a.png")
    assert second.path.exists()
    third = receive(held, "c.mp4", b"3")
    with pytest.raises(OSError, match="full"), held.taken(file=third.id):
        raise OSError("the disk is full")
    assert not third.path.exists()


@pytest.mark.parametrize("length", [None, 101])
def test_what_is_too_large_is_refused_and_leaves_nothing(held: Uploads, length: int | None) -> None:
    with pytest.raises(UploadTooLargeError, match="larger than the 100 bytes"):
        receive(held, "a.mp4", b"1" * 60, b"1" * 60, length=length)
    assert list(held.folder.iterdir()) == []
    assert receive(held, "a.mp4", b"1" * 100).path.stat().st_size == 100


def test_a_sender_who_goes_away_leaves_nothing(held: Uploads) -> None:
    async def cut() -> AsyncIterator[bytes]:
        yield b"12"
        raise ConnectionError

    with pytest.raises(HearsightError):
        finished(held.receive("a.mp4", cut(), 10))
    with pytest.raises(HearsightError, match="is empty"):
        receive(held, "a.mp4")
    assert list(held.folder.iterdir()) == []


def test_what_nothing_used_is_removed(held: Uploads, monkeypatch: pytest.MonkeyPatch) -> None:
    first = receive(held, "a.mp4", b"1")
    monkeypatch.setattr(uploads, "STALE", -1.0)
    second = receive(held, "b.mp4", b"2")
    assert [one for one in (first, second) if one.path.exists()] == [second]
    Uploads(folder=held.folder).begin()  # as a server that is started anew
    assert list(held.folder.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "clean"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\films\\a.mp4", "a.mp4"),
        ("a\nb\0.mp4", "a b\\x00.mp4"),
        ("", "file"),
        ("/", "file"),
        ("x" * 300 + ".mp4", "x" * 196 + ".mp4"),
    ],
)
def test_names_are_shown_and_lead_nowhere(name: str, clean: str, held: Uploads) -> None:
    assert clean_name(name) == clean
    assert receive(held, name, b"1").path.parent == held.folder
