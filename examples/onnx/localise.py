"""Where in a picture does a sound come from? With onnxruntime, without torch and hearsight.

python localise.py FOLDER PICTURE SOUND, where `hearsight export-onnx` has written FOLDER.
"""

import json
import sys
from pathlib import Path

import onnxruntime
import soundfile
from inputs import box_of, decibels, frames_of, loudest, spectrogram
from PIL import Image, ImageOps

folder, picture, sound = map(Path, sys.argv[1:])
config = json.loads((folder / "config.json").read_text())
graphs = [folder / f"{name}.onnx" for name in ("frames", "sounds", "response")]
see, hear, respond = (onnxruntime.InferenceSession(graph) for graph in graphs)

image = ImageOps.exif_transpose(Image.open(picture))
(grids,) = see.run(None, {"frames": frames_of(image, config["frame"])})

wave, rate = soundfile.read(sound, dtype="float32", always_2d=True)
if rate != config["sound"]["rate"]:
    sys.exit(f"{sound} has {rate} samples a second: resample it to {config['sound']['rate']}.")
window = loudest(wave.mean(1), round(config["sound"]["seconds"] * rate))
(vectors,) = hear.run(None, {"spectrograms": spectrogram(window, rate, config["spectrogram"])})

(responses,) = respond.run(None, {"grids": grids, "vectors": vectors})
response = responses[0, 0]  # of the first frame to the first sound: cosines, a row each
silent = decibels(window) < config["sound"]["quiet"]
confidence = 0.0 if silent else float(response.max())
found = not silent and confidence >= config["threshold"]
box = box_of(response, image.size, config["region"]) if found else None
print(json.dumps({"box": box, "confidence": confidence, "response": response.tolist()}))
