"""Small folders in the layouts of VGGSound and Flickr-SoundNet, for the tests."""

import json
from pathlib import Path

import soundfile
from made_clips import picture, tone

from hearsight.clips.clip import encode_picture
from hearsight.media.samples import RATE

FLICKR_IDS = ["10000130166", "10007936344"]
VGGSOUND_IDS = ["zpWuikVorYg_000032", "gEvCUcZ6w88_000030", "__2MwJ2uHu0_000004"]


def training_layout(folder: Path) -> Path:
    for number, id in enumerate(VGGSOUND_IDS):
        (folder / "total_video_frames" / id).mkdir(parents=True)
        (folder / "total_video_3s_audio").mkdir(exist_ok=True)
        frame = encode_picture(picture(number))
        (folder / "total_video_frames" / id / "125.jpg").write_bytes(frame)
        (folder / "total_video_frames" / id / "001.jpg").write_bytes(b"another frame")
        sound = folder / "total_video_3s_audio" / f"{id}.wav"
        soundfile.write(sound, tone(RATE * 3, number), RATE, subtype="PCM_16")
    return folder


def scoring_layout(folder: Path, frames: str = "frame") -> Path:
    for name in (frames, "audio"):
        (folder / name).mkdir(parents=True)
    for number, id in enumerate(VGGSOUND_IDS):
        (folder / frames / f"{id}.jpg").write_bytes(encode_picture(picture(number)))
        soundfile.write(folder / "audio" / f"{id}.wav", tone(seed=number), RATE, subtype="PCM_16")
    return folder


def xml(*boxes: tuple[object, ...]) -> str:
    """Boxes as SSL-TIE writes them: below `bbox`, one element per box, one per coordinate."""
    inside = "".join(
        "<box>" + "".join(f"<v>{value}</v>" for value in box) + "</box>" for box in boxes
    )
    return f"<annotation><filename>x.jpg</filename><bbox>{inside}</bbox></annotation>"


def vggss(path: Path, held: object) -> Path:
    path.write_text(json.dumps(held))
    return path


def annotation(*annotators: list[tuple[object, ...]]) -> str:
    """As the data has it: per annotator boxes whose first child is no coordinate."""
    text = ""
    for number, boxes in enumerate(annotators):
        inside = ""
        for box in boxes:
            names = ("name", "xmin", "ymin", "xmax", "ymax", "more")
            pairs = zip(names, ("source", *box), strict=False)
            inside += "<bbox>" + "".join(f"<{n}>{v}</{n}>" for n, v in pairs) + "</bbox>"
        text += f"<annotator{number}>{inside}</annotator{number}>"
    return f"<annotations>{text}</annotations>"


def flickr_layout(folder: Path, frames: str = "frame", annotations: str = "anno") -> Path:
    for name in (frames, "audio", annotations):
        (folder / name).mkdir(parents=True)
    for number, id in enumerate(FLICKR_IDS):
        (folder / frames / f"{id}.jpg").write_bytes(encode_picture(picture(number)))
        soundfile.write(folder / "audio" / f"{id}.wav", tone(seed=number), RATE, subtype="PCM_16")
        boxes = annotation([(10, 20, 100, 200)], [(12, 22, 256, 255), (0, 0, 1, 1)])
        (folder / annotations / f"{id}.xml").write_text(boxes)
    return folder


TABLE = """\
---g-f_I2yQ,1,people marching,test
--0PQM4-hqg,30,waterfall burbling,train
-0p7hKXZ1ww,120,"alligators, crocodiles hissing",train
-0p7hKXZ1ww,150,playing banjo,train
-2sOH8XovEE,484,raining,test
-QyGMnE5xjE,3,dog howling,train
"""
