"""What the frame network may begin with: a ResNet of ImageNet, by others' names, or a model."""

import re
from pathlib import Path

from hearsight.checkpoints.checkpoint import find_model, load_checkpoint, shipped_models
from hearsight.checkpoints.hub import download, is_hub_name
from hearsight.checkpoints.model_folder import CONFIG, WEIGHTS
from hearsight.checkpoints.released_file import read_weights
from hearsight.checkpoints.tensors import read_tensors
from hearsight.errors import HearsightError
from hearsight.files.text import first_names, parse_json
from hearsight.model.encoders import Encoder, Encoders
from hearsight.model.resnet import Trunk

PICKLED = "pytorch_model.bin"  # of older folders on the hub
CLASSIFIER = re.compile(r"(fc|classifier)\.|.*\.num_batches_tracked$")
PARTS = ("first", "second", "third")  # convolutions of a block, in order


def torchvision_name(name: str) -> str:
    """The name in a ResNet of torchvision, and of timm, of a weight of `Trunk`.

    `stages.1.0.shortcut.1.bias` is `layer2.0.downsample.1.bias` there.
    """
    name = re.sub(r"^stem_norm\.", "bn1.", name)
    name = re.sub(r"^stem\.", "conv1.", name)
    name = re.sub(r"^stages\.(\d+)", lambda found: f"layer{int(found[1]) + 1}", name)
    for number, part in enumerate(PARTS, 1):
        name = name.replace(f".{part}_norm.", f".bn{number}.")
        name = name.replace(f".{part}.", f".conv{number}.")
    return name.replace(".shortcut.", ".downsample.")


def transformers_name(name: str) -> str:
    """The name in transformers' ResNetModel of a weight of `Trunk`.

    `stages.1.0.shortcut.1.bias` is `encoder.stages.1.layers.0.shortcut.normalization.bias` there.
    """
    name = re.sub(r"^stem_norm\.", "embedder.embedder.normalization.", name)
    name = re.sub(r"^stem\.", "embedder.embedder.convolution.", name)
    name = re.sub(r"^stages\.(\d+)\.(\d+)\.", r"encoder.stages.\1.layers.\2.", name)
    for number, part in enumerate(PARTS):
        name = name.replace(f".{part}_norm.", f".layer.{number}.normalization.")
        name = name.replace(f".{part}.", f".layer.{number}.convolution.")
    return name.replace(".shortcut.0.", ".shortcut.convolution.").replace(
        ".shortcut.1.", ".shortcut.normalization."
    )


def transformers_inner_name(name: str) -> str:
    """`transformers_name` where a classifier stands beside the network."""
    return f"resnet.{transformers_name(name)}"


NAMINGS = (torchvision_name, transformers_name, transformers_inner_name)


def load_imagenet(trunk: Trunk, file: Path) -> None:
    """Load a ResNet's weights, by the names of torchvision, timm or transformers, into a trunk.

    Its classifier is not used.

    Raises:
        HearsightError: no such file, one that would run code, other names or shapes.
    """
    theirs, ours = read_weights(file), trunk.state_dict()
    naming = max(NAMINGS, key=lambda naming: sum(naming(name) in theirs for name in ours))
    names = {name: naming(name) for name in ours}
    fits = f"{file} does not fit the frame network, by the names of torchvision or transformers"
    for name, value in ours.items():
        key = names[name]
        if key not in theirs or theirs[key].shape != value.shape:
            found = tuple(theirs[key].shape) if key in theirs else "nothing"
            raise HearsightError(
                f"{fits}: {key} should have shape {tuple(value.shape)}, the file holds {found}."
            )
        if not theirs[key].isfinite().all():
            raise HearsightError(f"{key} in {file} holds values that are no numbers.")
    deeper = [key for key in sorted(theirs.keys() - names.values()) if not CLASSIFIER.match(key)]
    if deeper:  # such as a ResNet-34 for a ResNet-18
        raise HearsightError(f"{fits}: it holds the unexpected {first_names(deeper, 3)}.")
    trunk.load_state_dict({name: theirs[key] for name, key in names.items()})


def find_imagenet(source: str) -> Path | None:
    """The file of weights that others wrote, in a file, a folder or on a hub; None for a model.

    Raises:
        HearsightError: as `hub.download`.
    """
    path = Path(source)
    if not path.exists() and is_hub_name(source):
        path = download(source)
    if path.is_dir():
        found = [path / name for name in (WEIGHTS, PICKLED) if (path / name).is_file()]
        return found[0] if found and not _is_ours(path / CONFIG) else None
    if path.suffix == ".safetensors":
        ours = not path.is_file() or "recipe" in read_tensors(path, ())[1]
        return None if ours else path
    return None if source in shipped_models() and not path.exists() else path


def _is_ours(config: Path) -> bool:
    """Whether a folder's config is of a model of ours, or so damaged that its reader must say."""
    try:
        read = parse_json(config.read_bytes())
    except (OSError, ValueError):
        return config.exists()
    return isinstance(read, dict) and read.get("library_name") == "hearsight"


def load_frame_network(trunk: Trunk, source: str) -> None:
    """Load the frame network of a model of ours into a trunk.

    Raises:
        HearsightError: as `find_model` and `load_checkpoint`, or the networks differ.
    """
    path = find_model(source)
    weights = load_checkpoint(path, with_state=False).weights
    theirs = {
        name.removeprefix("frames."): value
        for name, value in weights.items()
        if name.startswith("frames.")
    }
    ours = trunk.state_dict()
    other = [
        name
        for name in sorted(ours.keys() | theirs.keys())
        if name not in ours or name not in theirs or ours[name].shape != theirs[name].shape
    ]
    if other:
        raise HearsightError(
            f"The frame network in {path} is another than the recipe's: it differs in "
            f"{first_names(other, 3)}."
        )
    trunk.load_state_dict(theirs)


def load_trunk(encoders: Encoders, encoder: Encoder) -> None:
    """Start the frame network, and its momentum encoder, from what `encoder.weights` names.

    That is a model of ours, or a ResNet trained on ImageNet: a file, a folder or a name on a hub.

    Raises:
        HearsightError: as `load_frame_network`, `load_imagenet` or `find_imagenet`.
    """
    source = encoder.weights
    assert source is not None
    assert isinstance(encoders.frames, Trunk)
    file = find_imagenet(source)
    if file is None:
        load_frame_network(encoders.frames, source)
    else:
        load_imagenet(encoders.frames, file)
    if encoders.ema is not None:
        encoders.ema["frames"].load_state_dict(encoders.frames.state_dict())
