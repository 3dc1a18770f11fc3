"""The loops of docs/score.md, run with stand-ins for the networks that they are for.

Each stand-in gives maps that are highest where the truth is, in the shape and range of its
network; whatever the page saves of them has to find every source under the protocols it names.
"""

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from made_masked import avatar
from made_models import MadeClips

from hearsight.clips.clip import DecodedClip
from hearsight.datasets.open import open_clips
from hearsight.scoring.saved_map_scores import evaluate_maps

PAGE = (Path(__file__).parents[2] / "docs" / "score.md").read_text(encoding="utf-8")
BEFORE, _, REST = PAGE.partition("## What to save in the loop of each code")
EXAMPLES = dict(
    re.findall(
        r"^\*\*([^*]+)\*\*.*?```python\n(.*?)```", REST.partition("## In Python")[0], re.M | re.S
    )
)
CORNERS = {"a": (0, 0), "b": (0, 1), "c": (1, 0), "d": (1, 1)}  # row and column of the source
IDS = [f"{letter * 11}_000030" for letter in CORNERS]
TAU = 0.03


def grid(id: str, side: int, low: float, high: float) -> np.ndarray:
    """A map that is high in the quarter of the clip's source, and falls towards the others."""
    row, column = CORNERS[id[0]]
    rows, columns = np.mgrid[:side, :side] >= side // 2
    inside = (rows == row) & (columns == column)
    fall = 0.01 * np.linspace(0, 1, side * side).reshape(side, side)
    return (np.where(inside, high, low) - (high - low) * fall).astype(np.float32)


def batch(side: int, low: float, high: float) -> torch.Tensor:
    return torch.from_numpy(np.stack([grid(id, side, low, high) for id in IDS]))


def clips() -> MadeClips:
    made = []
    for id in IDS:
        row, column = CORNERS[id[0]]
        box = (column / 2, row / 2, column / 2 + 0.5, row / 2 + 0.5)
        mask = np.zeros((64, 64), np.bool_)
        mask[32 * row : 32 * row + 32, 32 * column : 32 * column + 32] = True
        made.append(
            DecodedClip(
                id=id,
                frame=np.zeros((64, 64, 3), np.uint8),
                sound=np.ones(16, np.int16),
                label=id[0],
                boxes=(box,),
                mask=mask,
            )
        )
    return MadeClips(made)


IMAGE, SPEC = torch.zeros(4, 3, 8, 8), torch.zeros(4, 1, 8, 8)
LOADER = [(IMAGE, SPEC, {}, IDS)]


def of_cosines(image: torch.Tensor, spec: torch.Tensor, **_: object) -> tuple[object, ...]:
    return None, batch(7, -0.2, 0.7) / TAU


def of_trimap(
    image: torch.Tensor, spec: torch.Tensor, args: object, **_: object
) -> tuple[object, ...]:
    return batch(14, -0.2, 0.7)[:, None], None, None, None


def flow_model(image: torch.Tensor, flow: torch.Tensor, spec: torch.Tensor) -> tuple[object, ...]:
    number = int(image[0, 0, 0, 0])
    return None, batch(7, -0.2, 0.7)[number : number + 1]


FLOW = [(torch.full((1, 3, 8, 8), float(n)), SPEC[:1], SPEC[:1], [id]) for n, id in enumerate(IDS)]
STANDINS: dict[str, dict[str, Any]] = {
    "EZ-VSL, MarginNCE, FNAC, SLAVC": {
        "testdataloader": LOADER,
        "audio_visual_model": of_cosines,
        "args": SimpleNamespace(tau=TAU),
    },
    "LVS, SSL-TIE, SSL-Align": {"testdataloader": LOADER, "model": of_trimap, "args": None},
    "SSPL, SACL": {
        "loader": [{"data_id": IDS}],
        "netWrapper": SimpleNamespace(
            forward=lambda batch_data: (0.0, {"orig_sim_map": batch(7, -0.2, 0.7)})
        ),
    },
    "Hear the Flow": {"loader": FLOW, "model": flow_model},
    "ACL": {
        "test_dataloader": [{"ids": IDS}],
        "predict": lambda data: ({"heatmap": batch(224, 0.1, 0.9)[:, None]}, torch.rand(4)),
    },
    "DenseAV": {"ids": IDS, "hm": batch(20, -3.0, 5.0)},
}
PROTOCOLS = {
    "EZ-VSL, MarginNCE, FNAC, SLAVC": ("ez-vsl", "fnac", "fnac-cubic", "slavc", "adaptive"),
    "LVS, SSL-TIE, SSL-Align": ("lvs", "ssl-tie", "ssl-align", "adaptive"),
    "SSPL, SACL": ("sspl", "adaptive"),
    "Hear the Flow": ("htf",),
    "ACL": ("acl", "masks"),
    "DenseAV": ("denseav-prompted",),
}


SHARES = {
    "adaptive": "adaptive cIoU@0.5",
    "acl": "cIoU@0.5",
    "sspl": "cIoU@0.5",
    "slavc": "cIoU@0.5",
    "masks": "F",
    "denseav-prompted": "best IoU",
}


def run(name: str, standins: dict[str, Any], folder: Path) -> dict[str, np.ndarray]:
    """The maps that an example of the page saves."""
    held: dict[str, Any] = {"maps": {}, "np": np, "torch": torch, **standins}
    code = EXAMPLES[name].replace('"sure.json"', repr(str(folder / "sure.json")))
    exec(compile(code, name, "exec"), held)
    return held["maps"]


@pytest.mark.parametrize("name", STANDINS)
def test_what_the_page_saves_finds_every_source(name: str, tmp_path: Path) -> None:
    maps = run(name, STANDINS[name], tmp_path)
    assert sorted(maps) == IDS
    for protocol in PROTOCOLS[name]:
        np.savez_compressed(tmp_path / "maps.npz", **maps)
        row = evaluate_maps(tmp_path / "maps.npz", clips(), protocol, name=name).rows[0]
        if protocol in SHARES:
            assert row[SHARES[protocol]] > 0.9, row
        else:  # half of the frame is marked, of which the source is half
            assert row["pointing"] == 1, row


def test_frames_of_avsbench_are_saved_by_video_and_number(tmp_path: Path) -> None:
    videos = ["AAAAAAAAAAA", "BBBBBBBBBBB"]
    chances = torch.arange(10.0).reshape(10, 1, 1, 1).expand(10, 1, 224, 224) / 10
    standins = {
        "test_dataloader": [(None, None, None, None, videos)],
        "predict": lambda imgs, audio: chances,
    }
    maps = run("AVSBench", standins, tmp_path)
    assert list(maps) == [f"{video}_{number}" for video in videos for number in range(1, 6)]
    assert [round(float(one[0, 0]), 3) for one in maps.values()] == [n / 10 for n in range(10)]


def test_frames_of_avatar_are_saved_by_video_and_frame(tmp_path: Path) -> None:
    frames = open_clips(str(avatar(tmp_path / "AVATAR")), split="val")
    seen = [torch.from_numpy(frames[place].mask.astype(np.float32)) for place in range(2)]
    assert seen[0].any()
    assert not seen[1].any()  # it is off the screen
    standins = {
        "test_dataloader": [{"ids": [frames.ids[place]]} for place in range(2)],
        "predict": lambda data: {"heatmap": seen[frames.ids.index(data["ids"][0])][None, None]},
    }
    maps = run("ACL-SaN on AVATAR", standins, tmp_path)
    np.savez_compressed(tmp_path / "maps.npz", **maps)
    row = evaluate_maps(tmp_path / "maps.npz", frames, "avatar", name="ACL-SaN").rows[0]
    assert (row["clips"], row["frames"], row["off-screen"]) == (1, 2, 1)
    assert row["cIoU@0.5"] == 1
    assert row["pIA"] == 0


def test_every_example_of_the_page_is_run() -> None:
    assert {*EXAMPLES} == {*STANDINS, "AVSBench", "ACL-SaN on AVATAR"}
    named = set(re.findall(r"--protocols? ([\w,-]+)", REST.partition("## In Python")[0]))
    known = {each for names in PROTOCOLS.values() for each in names}
    other = {"interactive", "slavc-relative-extended", "avsbench-official", "avatar"}  # of others
    assert {each for names in named for each in names.split(",")} <= known | other
