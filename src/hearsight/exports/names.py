"""The names of films as other formats can hold them."""

import os
import re
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

from hearsight.files.text import writable
from hearsight.media.read import MediaInfo

FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 cannot hold, escaped or not. Source: its production 2, Char."""


def name_of(film: MediaInfo) -> str:
    """The file's name, without its folder; bytes that are no text appear as escapes."""
    return writable(film.path.name)


def address_of(film: MediaInfo) -> str:
    """The file as a URL: absolute if its path is, else relative to the file that is written."""
    path = film.path
    return path.as_uri() if path.is_absolute() else quote(os.fsencode(path.as_posix()))


def start_tag(tag: str, **attributes: object) -> str:
    """The start of an XML element, its attributes escaped; what XML cannot hold as U+FFFD."""
    words = [tag, *(f"{name}={quoteattr(xml_text(value))}" for name, value in attributes.items())]
    return f"<{' '.join(words)}>"


def empty_element(tag: str, **attributes: object) -> str:
    """An XML element with nothing in it, attributes as in `start_tag`."""
    return f"{start_tag(tag, **attributes)[:-1]}/>"


def xml_text(value: object) -> str:
    """A value as text without the characters that XML cannot hold, not yet escaped."""
    return FORBIDDEN.sub("\ufffd", str(value))
