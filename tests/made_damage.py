"""Small data sets of every layout that is read, each with a second clip that can be damaged."""

import csv
import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import made_masked as made
from made_layouts import FLICKR_IDS, VGGSOUND_IDS, flickr_layout, scoring_layout, training_layout
from made_media import make_video, numbered, sine

BOX = [0.1, 0.2, 0.5, 0.9]


@dataclass(frozen=True, kw_only=True)
class Reader:
    """A layout in which a clip is repeated under another name.

    make writes it below a folder, and returns what is opened. names: of the first clip, to those
    of the second, for which files and rows are copied. part: what stands behind the folder in
    `--data`. split: of `open_clips`; None where it has no effect. pictures, sounds, masks,
    annotations: patterns of the second clip's files, from the folder. table, boxed: the files that
    list clips, and boxes.
    """

    make: Callable[[Path], Path]
    names: Mapping[str, str]
    part: str = ""
    split: str | None = None
    pictures: str = ""
    sounds: str = ""
    masks: str = ""
    annotations: str = ""
    table: str = ""
    boxed: str = ""

    def write(self, folder: Path) -> Path:
        """The data set with both clips."""
        opened = self.make(folder)
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            name = str(path.relative_to(folder))
            if (other := self.second(name)) != name:
                (folder / other).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, folder / other)
            elif path.suffix == ".csv":
                with path.open(newline="") as file:
                    rows = list(csv.reader(file))
                made.save_table(path, [*rows, *self._seconds(rows)])
            elif path.suffix == ".json":
                held = json.loads(path.read_text())
                if isinstance(held, list):
                    path.write_text(json.dumps(held + self._seconds(held)))
        return opened

    def _seconds(self, rows: list) -> list:
        texts = [(json.dumps(row), row) for row in rows]
        return [json.loads(self.second(text)) for text, _ in texts if self.second(text) != text]

    def second(self, text: str) -> str:
        """A text about the first clip made one about the second."""
        for first, other in self.names.items():
            text = text.replace(first, other)
        return text

    def is_second(self, id: str) -> bool:
        return any(other in id for other in self.names.values())


def _vggsound(folder: Path) -> Path:
    scoring_layout(folder)
    held = [{"file": id, "class": "dog", "bbox": [BOX]} for id in VGGSOUND_IDS]
    (folder / "vggss.json").write_text(json.dumps(held))
    return folder


def _videos(folder: Path) -> Path:
    (folder / "videos").mkdir(parents=True)
    for number, id in enumerate(VGGSOUND_IDS[:2]):
        frames = [numbered(7 * number + each) for each in range(3)]
        make_video(
            folder / f"videos/{id}.mp4",
            frames,
            rate=Fraction(5),
            sound=sine(300 + 200 * number, 0.6, 16_000),
            sound_rate=16_000,
        )
    rows = [(id[:11], int(id[12:]), "dog", "test") for id in VGGSOUND_IDS[:2]]
    made.save_table(folder / "vggsound.csv", rows)
    held = [{"file": id, "class": "dog", "bbox": [BOX]} for id in VGGSOUND_IDS[:2]]
    (folder / "vggss.json").write_text(json.dumps(held))
    return folder


def _listed_videos(folder: Path) -> Path:
    """Videos with `vggsound.csv` alone, which then tells what is test."""
    (_videos(folder) / "vggss.json").unlink()
    return folder


def _boxes(maker: Callable[[Path], Path], name: str, frames: list[str]) -> Callable[[Path], Path]:
    """A layout with a list of boxes in it."""

    def make(folder: Path) -> Path:
        opened = maker(folder)
        items = made.box_items("/mnt/somewhere/visual_frames", frames)
        (opened / name).write_text(json.dumps(items))
        return opened

    return make


def _vpo_flat(folder: Path) -> Path:
    for name in ("000000000042_dog", "000000000044_cat"):
        made.save_picture(folder / f"visual_frames/{name}.jpg")
        made.save_sound(folder / f"audio_wav/{name}.wav")
        made.save_mask(folder / f"gray_masks/{name}.png", made.square())
    return folder


S4_FRAMES = [f"BBBBBBBBBBB_{number}.png" for number in range(1, 6)]
MS3_FRAMES = [f"CCCCCCCCCCC_1.mp4_{number}.png" for number in range(1, 6)]
S4 = Reader(
    make=made.s4,
    names={"BBBBBBBBBBB": "BBBBBBBBBBZ"},
    part="@test",
    pictures="s4_data/visual_frames/*/*/*/BBBBBBBBBBZ_*.png",
    sounds="s4_data/audio_wav/*/*/BBBBBBBBBBZ.wav",
    masks="s4_data/gt_masks/*/*/*/BBBBBBBBBBZ_*.png",
    table="s4_meta_data.csv",
)
MS3 = Reader(
    make=made.ms3,
    names={"CCCCCCCCCCC": "CCCCCCCCCCZ"},
    part="@test",
    pictures="ms3_data/visual_frames/*/CCCCCCCCCCZ_*.png",
    sounds="ms3_data/audio_wav/*/CCCCCCCCCCZ_1.wav",
    masks="ms3_data/gt_masks/*/*/CCCCCCCCCCZ_*.png",
    table="ms3_meta_data.csv",
)
FLAT = Reader(
    make=made.flat,
    names={"BBBBBBBBBBB": "BBBBBBBBBBZ"},
    pictures="visual_frames/BBBBBBBBBBZ_*.png",
    sounds="audio_wav/BBBBBBBBBBZ.wav",
    masks="gt_masks/BBBBBBBBBBZ_*.png",
)
VPO_NAMES = {"000000000042": "000000000043", '"42"': '"43"', "GGGGGGGGGGG": "GGGGGGGGGGZ"}
READERS = {
    "vggsound": Reader(
        make=_vggsound,
        names={VGGSOUND_IDS[0]: "zpWuikVorYZ_000032"},
        pictures="frame/zpWuikVorYZ_*.jpg",
        sounds="audio/zpWuikVorYZ_*.wav",
        boxed="vggss.json",
    ),
    "vggsound training": Reader(
        make=training_layout,
        names={VGGSOUND_IDS[0]: "zpWuikVorYZ_000032"},
        pictures="total_video_frames/zpWuikVorYZ_*/125.jpg",
        sounds="total_video_3s_audio/zpWuikVorYZ_*.wav",
    ),
    "vggsound videos": Reader(
        make=_videos,
        names={VGGSOUND_IDS[0]: "zpWuikVorYZ_000032", "zpWuikVorYg": "zpWuikVorYZ"},
        split="val",
        pictures="videos/zpWuikVorYZ_*.mp4",
        table="vggsound.csv",
        boxed="vggss.json",
    ),
    "vggsound table": Reader(
        make=_listed_videos,
        names={VGGSOUND_IDS[0]: "zpWuikVorYZ_000032", "zpWuikVorYg": "zpWuikVorYZ"},
        split="val",
        pictures="videos/zpWuikVorYZ_*.mp4",
        table="vggsound.csv",
    ),
    "flickr": Reader(
        make=flickr_layout,
        names={FLICKR_IDS[0]: "10000130167"},
        pictures="frame/10000130167.jpg",
        sounds="audio/10000130167.wav",
        annotations="anno/10000130167.xml",
    ),
    "is3": Reader(
        make=made.is3,
        names={"dog_harp_2822": "dog_harp_2823"},
        pictures="images/dog_harp_2823_*.jpg",
        sounds="audio_waw/dog_harp_2823_*.wav",
        masks="gt_segmentation/dog_harp_2823_*.jpg",
        boxed="IS3_annotation.json",
    ),
    "s4": S4,
    "ms3": MS3,
    "flat": FLAT,
    "avss": Reader(
        make=made.semantic,
        names={"EEEEEEEEEEE": "EEEEEEEEEEZ"},
        part="@test",
        pictures="v2/EEEEEEEEEEZ_*/frames/*.jpg",
        sounds="v2/EEEEEEEEEEZ_*/audio.wav",
        masks="v2/EEEEEEEEEEZ_*/labels_rgb/*.png",
        table="metadata.csv",
    ),
    "vpo": Reader(
        make=made.vpo,
        names=VPO_NAMES,
        part="@val",
        pictures="data/000000000043.jpg",
        sounds="../VGGSound/audios/GGGGGGGGGGZ_*.wav",
        masks="mask/000000000043_*.png",
        table="vpo.csv",
    ),
    "vpo several": Reader(
        make=lambda folder: made.vpo(folder, several=True),
        names=VPO_NAMES | {"HHHHHHHHHHH": "HHHHHHHHHHZ"},
        part="@val",
        pictures="data/000000000043.jpg",
        sounds="../VGGSound/audios/HHHHHHHHHHZ_*.wav",
        masks="mask/000000000043.png",
        table="vpo.csv",
    ),
    "ref-avs": Reader(
        make=made.ref_avs,
        names={"IIIIIIIIIII": "IIIIIIIIIIZ"},
        part="@test_u",
        pictures="media/IIIIIIIIIIZ_*/frames/*.jpg",
        sounds="media/IIIIIIIIIIZ_*/audio.wav",
        masks="gt_mask/IIIIIIIIIIZ_*/fid_3/*.png",
        table="metadata.csv",
    ),
    "avatar": Reader(
        make=made.avatar,
        names={"l_7B1wnTNtA": "l_7B1wnTNtZ"},
        pictures="metadata/l_7B1wnTNtZ_*/00[02]*.jpg",
        sounds="audio/l_7B1wnTNtZ_*.wav",
        annotations="metadata/l_7B1wnTNtZ_*/00[02]*.json",
    ),
    "s4 boxes": Reader(
        make=_boxes(made.s4, "s4_box.json", S4_FRAMES),
        names=S4.names,
        part="@s4_box.json",
        pictures=S4.pictures,
        sounds=S4.sounds,
        masks=S4.masks,
        table=S4.table,
        boxed="s4_box.json",
    ),
    "ms3 boxes": Reader(
        make=_boxes(made.ms3, "ms3_box.json", MS3_FRAMES),
        names=MS3.names,
        part="@ms3_box.json",
        pictures=MS3.pictures,
        sounds=MS3.sounds,
        masks=MS3.masks,
        table=MS3.table,
        boxed="ms3_box.json",
    ),
    "vpo boxes": Reader(
        make=_boxes(
            _vpo_flat, "vpo_ss_bbox.json", ["000000000042_dog.jpg", "000000000044_cat.jpg"]
        ),
        names={"000000000042": "000000000043"},
        pictures="visual_frames/000000000043_*.jpg",
        sounds="audio_wav/000000000043_*.wav",
        masks="gray_masks/000000000043_*.png",
        boxed="vpo_ss_bbox.json",
    ),
}
