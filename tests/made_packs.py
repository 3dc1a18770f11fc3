"""Small packs for tests: flat shapes, tones, noise; and Debian packages made by hand."""

import csv
import io
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import soundfile
from jaxtyping import Int16, UInt8
from PIL import Image

from hearsight.media.samples import RATE
from hearsight.scenes.pack import Cutout, Pack, Recording
from hearsight.scenes.scenes import Scenes

LABELS = ("bell", "cow", "dog", "drum")
Row = tuple[str, str, str, str]  # kind, file, class, split


def flat_cutout(
    colour: tuple[int, int, int], width: int = 60, height: int = 40
) -> UInt8[np.ndarray, "height width 4"]:
    """An ellipse of one colour with hard edges, touching the borders of its rectangle."""
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    pixels = np.zeros((height, width, 4), np.uint8)
    pixels[..., :3] = colour
    pixels[..., 3] = np.where(x**2 + y**2 <= 1.01, 255, 0)
    return pixels


def tone(hertz: float, seconds: float) -> Int16[np.ndarray, " samples"]:
    """A sine at `RATE`."""
    time = np.arange(round(seconds * RATE)) / RATE
    return np.rint(9000 * np.sin(2 * np.pi * hertz * time)).astype(np.int16)


def make_pack(colours: Mapping[str, tuple[int, int, int]] | None = None) -> Pack:
    """A pack of `LABELS`, one cut-out and two recordings each; noise for backgrounds."""
    generator = np.random.default_rng(0)
    colours = colours or dict.fromkeys(LABELS, (200, 40, 90))
    sizes = {label: (40 + 25 * at, 90 - 20 * at) for at, label in enumerate(colours)}
    return Pack(
        name="made",
        split="train",
        cutouts=tuple(
            Cutout(id=f"cutout {label}", label=label, pixels=flat_cutout(colour, *sizes[label]))
            for label, colour in colours.items()
        ),
        recordings=tuple(
            Recording(id=f"{label} {at}", label=label, samples=tone(300 + 100 * at, 0.5 + 4 * at))
            for label in colours
            for at in range(2)
        ),
        backgrounds=tuple(generator.integers(0, 256, (3, 90, 120, 3), dtype=np.uint8)),
    )


def cast_of(scenes: Scenes, index: int) -> tuple[str, str, tuple[str, ...]]:
    """Sounding class, id of its recording and ids of the cut-outs of a scene, the source first."""
    label, recording, _ = scenes._draw_sound(index)
    cutouts, _, _ = scenes._draw_picture(index, label)
    return (
        scenes.labels[label],
        scenes.pack.recordings[recording].id,
        tuple(scenes.pack.cutouts[number].id for number in cutouts),
    )


def write_pack(folder: Path, rows: Sequence[Row]) -> Path:
    """A pack folder whose files are all made up."""
    generator = np.random.default_rng(1)
    for kind, name, _, _ in rows:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if kind == "cutout":
            Image.fromarray(flat_cutout((10, 120, 200))).save(path, lossless=True)
        elif kind == "background":
            Image.fromarray(generator.integers(0, 256, (60, 80, 3), dtype=np.uint8)).save(path)
        else:
            noise = generator.normal(0, 4000, 2 * RATE).astype(np.int16)
            soundfile.write(path, noise, RATE, format="OGG", subtype="OPUS")
    with (folder / "pack.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["kind", "file", "class", "split"])
        table.writerows(rows)
    return folder


def rows_of(label: str, cutouts: str, sounds: str) -> list[Row]:
    """Rows of a class: a `t` is a file for train, a `v` one for val, an `e` one for test."""
    splits = {"t": "train", "v": "val", "e": "test"}
    return [
        *(("cutout", f"{label}{at}.webp", label, splits[s]) for at, s in enumerate(cutouts)),
        *(("sound", f"{label}{at}.opus", label, splits[s]) for at, s in enumerate(sounds)),
    ]


BACKGROUNDS: list[Row] = [
    ("background", "back0.webp", "", "train"),
    ("background", "back1.webp", "", "val"),
]


def tar_of(files: Mapping[str, bytes], mode: str) -> bytes:
    """A tar archive; mode as `w:xz`."""
    result = io.BytesIO()
    with tarfile.open(fileobj=result, mode=mode) as tar:  # type: ignore[call-overload]
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return result.getvalue()


def make_deb(
    folder: Path, name: str, files: Mapping[str, bytes], *, packing: str = "xz", version: str = "1"
) -> Path:
    """A Debian package made by hand: an ar archive of a version and two tar archives."""
    control = f"Package: {name}\nVersion: {version}\nArchitecture: all\n".encode()
    data = tar_of(files, "w:" if packing == "zst" else f"w:{packing}")
    if packing == "zst":
        import pyarrow

        data = pyarrow.compress(data, codec="zstd", asbytes=True)
    members = {
        "debian-binary": b"2.0\n",
        "control.tar.gz": tar_of({"./control": control}, "w:gz"),
        f"data.tar{'.' if packing else ''}{packing}": data,
    }
    content = b"!<arch>\n"
    for member, body in members.items():
        content += f"{member:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(body):<10}`\n".encode()
        content += body + b"\n" * (len(body) % 2)
    path = folder / f"{name}_{version}_all.deb"
    path.write_bytes(content)
    return path
