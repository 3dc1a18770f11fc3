"""Model cards: what weights can and cannot do, in a file beside them.

A card is a Markdown file named as the weights, `.md` in place of `.safetensors`; of a model folder
it is the README.md, below its YAML head. Its title names the model in backticks; its paragraph that
begins with `**In short:**` is told where the model is used. A notice, `.notice.md` or LICENSE.md in
a model folder, names the licences of what the weights were learned from.
"""

import logging
import re
from dataclasses import dataclass
from pathlib import Path

from hearsight.checkpoints.hub import find_cached, is_hub_name
from hearsight.files.output import write_text

LOGGER = logging.getLogger(__name__)

SHIPPED = Path(__file__).parent / "weights"
SUFFIX = ".safetensors"
README, LICENCE = "README.md", "LICENSE.md"  # card and notice in a model folder
TITLE = re.compile(r"^# `([^`\n]+)`", re.MULTILINE)
HEAD = re.compile(r"\A---\n.*?^---\n\s*", re.MULTILINE | re.DOTALL)
LICENCES = re.compile(r"^SPDX-License-Identifier: (.+)$", re.MULTILINE)
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
    return SHIPPED / f"{name.replace(':', '_')}{SUFFIX}"


def _beside(model: str | Path, suffix: str, name: str) -> Path:
    """A file that belongs to a model: named as its weights, or by its name in a model folder."""
    path = Path(model)
    if not path.exists():
        cached = find_cached(str(model)) if is_hub_name(str(model)) else None
        path = cached or shipped_file(str(model))
    return path / name if path.is_dir() else path.with_suffix(suffix)


def _read(path: Path) -> str:
    """The text of a file; empty if it cannot be read."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return ""


def card_of(model: str | Path) -> ModelCard | None:
    """The card of a checkpoint file, a model folder, or a model that comes with the package.

    Of a model on a hub the card in the cache. None without one; a card that cannot be read, or
    says nothing in short, counts as none.
    """
    path = _beside(model, ".md", README)
    text = _read(path)
    short = SHORT.search(text)
    if short is None:
        return None
    title = TITLE.search(text)
    name = path.stem if title is None else title[1]
    return ModelCard(name=name, short=" ".join(short[1].split()), path=path)


def card_text(model: str | Path) -> str:
    """The Markdown of a card without its YAML head; empty without a card."""
    return HEAD.sub("", _read(_beside(model, ".md", README)))


def notice_text(model: str | Path) -> str:
    """The Markdown of a notice; empty without one."""
    return _read(_beside(model, ".notice.md", LICENCE))


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
    write_text(card.path, f"# `{card.name}`\n\n**In short:** {short}\n\n{text}\n")
    return card


def log_card(card: ModelCard | None) -> None:
    """Log what a model that is used can and cannot do; the commands print it, each line once."""
    if card is not None:
        LOGGER.info("%s Its card: %s", card.sentence, card.path)
