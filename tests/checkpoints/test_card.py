"""Cards: what a model can and cannot do is told where it is used, from the file beside it."""

import logging
from pathlib import Path

import pytest
import soundfile
from made_commands import Hearsight
from made_library import make_clip, tiny_model
from made_media import sine

from hearsight.checkpoints.card import card_of, write_card
from hearsight.checkpoints.checkpoint import load_model, shipped_models

CARD = """# `tiny`, made for a test

**In short:** it can find circles;
it cannot find squares.

More of it.
"""


@pytest.mark.parametrize("name", shipped_models())
def test_every_model_that_comes_with_the_package_has_a_card(name: str) -> None:
    card = card_of(name)
    assert card is not None
    assert card.name == name
    assert "can" in card.short
    assert "cannot" in card.short
    assert len(card.sentence) < 250
    assert card == card_of(shipped_models()[name])


def test_a_card_lies_beside_the_weights(tmp_path: Path) -> None:
    weights = tiny_model(tmp_path / "tiny.safetensors")
    assert card_of(weights) is None
    for nothing in ("", "# `tiny`\n\nno paragraph", "**In short:**\n\nfar below"):
        (tmp_path / "tiny.md").write_text(nothing)
        assert card_of(weights) is None
    (tmp_path / "tiny.md").write_bytes(b"\xff\xfe\x00")
    assert card_of(weights) is None
    (tmp_path / "tiny.md").write_text(CARD)
    card = card_of(weights)
    assert card is not None
    assert card.sentence == "tiny: it can find circles; it cannot find squares."
    assert card_of("no_such_model") is None


def test_a_card_that_is_written_is_read_again(tmp_path: Path) -> None:
    written = write_card(tmp_path / "a.safetensors", short="it can hop.", text="Much\n\nmore.")
    assert card_of(tmp_path / "a.safetensors") is None  # without its weights
    (tmp_path / "a.safetensors").touch()
    assert card_of(tmp_path / "a.safetensors") == written


def test_loading_logs_the_card(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    weights = tiny_model(tmp_path / "tiny.safetensors")
    (tmp_path / "tiny.md").write_text(CARD)
    with caplog.at_level(logging.INFO, "hearsight"):
        load_model(weights)
    assert "tiny: it can find circles; it cannot find squares." in caplog.records[-1].message


def test_commands_say_it_once_and_pages_show_it(hearsight: Hearsight) -> None:
    tiny_model(Path("tiny.safetensors"))
    Path("tiny.md").write_text(CARD)
    make_clip(Path("film.mp4"), 1, 4.0)
    soundfile.write("tone.wav", sine(440.0, 2.0, 16_000), 16_000)
    says = "tiny: it can find circles; it cannot find squares. Its card: "
    lines = (
        "localise film.mp4 --model tiny.safetensors",
        "localise film.mp4 --model tiny.safetensors -v",
        "index lib film.mp4 --model tiny.safetensors",
        "search lib --sound tone.wav --page found.html",
        "similar lib film.mp4 --at 1 --page alike.html",
    )
    for line in lines:
        code, out, err = hearsight(line)
        assert code == 0, err
        assert err.count(says) == 1
        assert says not in out
        assert [text for text in err.splitlines() if text.startswith(says)]
    for page in ("found.html", "alike.html"):
        assert "Model tiny: it can find circles; it cannot" in Path(page).read_text()
    assert hearsight(f"{lines[0]} --quiet")[2] == ""
