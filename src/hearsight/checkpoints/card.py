"""Model cards: what weights can and cannot do, in a file beside them.

A card is a Markdown file named as the weights, `.md` in place of `.safetensors`. Its title names
the model in backticks; its paragraph that begins with `**In short:**` is told where the model is
used.
"""

import logging
import re
from dataclasses import dataclass
from pathlib import Path

from hearsight.files.output import written_whole

LOGGER = logging.getLogger(__name__)

SHIPPED = Path(__file__).parent / "weights"
WEIGHTS = ".safetensors"
TITLE = re.compile(r"^# `([^`\n]+)`", re.MULTILINE)
SHORT = re.compile(r"^\*\*In short:\*\* (.+?)(?:\n\s*\n|\Z)", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCard:
    """What a card says in short."""

    name: str  # of the model
    short: str  # what it can and cannot do, on one line
    path: Path  # of the card

    @property
    def sentence(self) -> str:
        """The name of the model and what it can and cannot do."""
        return f"{self.name}: {self.short}"


def shipped_file(name: str) -> Path:
    """Where weights of that name lie if they come with the package."""
    return SHIPPED / f"{name.replace(':', '_')}{WEIGHTS}"


def card_of(model: str | Path) -> ModelCard | None:
    """The card of a checkpoint file, or of a model that comes with the package; None without one.

    A card that cannot be read, or says nothing in short, counts as none.
    """
    path = Path(model)
    if not path.exists():
        path = shipped_file(str(model))
    path = path.with_suffix(".md")
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return None
    short = SHORT.search(text)
    if short is None:
        return None
    title = TITLE.search(text)
    name = path.stem if title is None else title[1]
    return ModelCard(name=name, short=" ".join(short[1].split()), path=path)


def write_card(model: Path, *, short: str, text: str) -> ModelCard:
    """Write the card of a checkpoint file beside it, whole or not at all.

    Args:
        model: the file.
        short: what it can and cannot do, in a sentence that begins with a small letter.
        text: Markdown below that.

    Raises:
        HearsightError: it cannot be written.
    """
    card = ModelCard(name=model.stem, short=short, path=model.with_suffix(".md"))
    with written_whole(card.path) as part:
        part.write_text(f"# `{card.name}`\n\n**In short:** {short}\n\n{text}\n", encoding="utf-8")
    return card


def log_card(card: ModelCard | None) -> None:
    """Log what a model that is used can and cannot do; the commands print it, each line once."""
    if card is not None:
        LOGGER.info("%s Its card: %s", card.sentence, card.path)
