"""Frame and sound encoders: a frame becomes a grid of embeddings, a sound becomes one.

Their trunks are residual networks of the ResNet-18 family, or pretrained ones of other kinds.
Projections, momentum encoder, predictor and classifier of some methods are part of the same
weights.
"""

import math
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import adaptive_max_pool2d, relu

from hearsight.errors import HearsightError
from hearsight.model.aisfx import SoundEffectNetwork
from hearsight.model.distributed import BatchNorm
from hearsight.model.efficientnet import EfficientNetLite0
from hearsight.model.prototypes import assign_softly
from hearsight.model.resnet import BARE, Block, Bottleneck, Norm, Trunk
from hearsight.model.response import response
from hearsight.model.sound_controls import Deafness, SoundControl, SpectrogramStatistics

RESNETS = ("resnet", "resnet50")
"""Trunks of frames that are residual networks, trained whole."""

SOUND_TRUNKS: Mapping[str, type[SoundEffectNetwork] | type[SoundControl]] = MappingProxyType(
    {"aisfx": SoundEffectNetwork, "statistics": SpectrogramStatistics, "deaf": Deafness}
)
"""Trunks of sounds that are no residual networks; all hear a `SoundEffectSpectrogram`."""

RESNET_50 = (3, 4, 6, 3)
"""Bottlenecks of each stage of a ResNet-50 (He et al., CVPR 2016, table 1)."""

MOST_WEIGHTS = 2**30  # of a model: 4 GiB in single precision
MOST_BLOCKS = 1_000  # residual blocks of a trunk
MOST: Mapping[str, int] = MappingProxyType(
    {
        **dict.fromkeys(("strides", "sound_strides", "stem_stride", "stem_kernel"), 255),
        **dict.fromkeys(("widths", "projection", "hidden", "predictor"), 65_536),
        **dict.fromkeys(("classes", "prototypes"), 10_000_000),
        "heads": 1_024,
    }
)
"""The most that a number of an `Encoder` may be, far above what the field has."""


@dataclass(slots=True, kw_only=True)
class Encoder:
    """The architecture of both encoders; the defaults are SSL-TIE's.

    Source
        SSL-TIE as released: ResNet-18 (He et al., CVPR 2016) with stride 1 in its last stage and
        no projection head; a frame of 3 x 224 x 224 gives 512 x 14 x 14, a spectrogram of
        1 x 257 x 670 gives 512 x 17 x 42, of which the largest value per channel is kept.
    Differs from the released code
        For the two branches (plain and warped frame) a clip's sound is embedded once, not twice
        with the same result. Running statistics of the sound encoder are then updated once a step;
        `sound_momentum` 0.19 = 1 - 0.9^2 equals two updates at 0.1.

    Raises:
        HearsightError: a value out of range, or values that contradict each other.
    """

    frame_trunk: Literal["resnet", "resnet50", "efficientnet_lite0"] = "resnet"
    sound_trunk: Literal["resnet", "aisfx", "statistics", "deaf"] = "resnet"
    pretrained: bool = True  # trunks that are no ResNets have their published weights, else random
    free_blocks: int = 0  # last blocks of each of these that are trained; the others are frozen
    widths: tuple[int, ...] = (64, 128, 256, 512)  # of a ResNet: channels of each stage
    blocks: tuple[int, ...] = (2, 2, 2, 2)  # residual blocks of each stage; resnet50 has its own
    strides: tuple[int, ...] = (1, 2, 2, 1)  # of each stage, for frames
    sound_strides: tuple[int, ...] = (1, 2, 2, 1)  # of each stage, for spectrograms
    stem_kernel: int = 7  # pixels, odd
    stem_stride: int = 2
    stem_pool: bool = True  # 3 x 3 max pooling of stride 2 after the stem
    momentum: float = 0.1  # of the batch normalisation of frames: share of the newest batch
    sound_momentum: float = 0.1  # the same for sounds; 0.19 equals the two released updates
    sync_batch_norm: bool = True  # statistics of the joined batch of all processes
    weights: str | None = None  # ResNet of ImageNet, or model: the frame network begins as it
    projection: int | None = None  # channels of a projection of each encoder; None: none
    hidden: int | None = None  # channels of its hidden layer; None: the projection is linear
    dropout: float = 0.0  # probability of dropout before the projection of frames, in training
    noise: float = 0.0  # added before the hidden layers in training, in deviations of the features
    heads: int = 1  # parallel projections, whose cosines are averaged
    linear_heads: int = 0  # of these, how many project sounds without the hidden layer
    prototypes: int = 0  # silence and sounds learned from, as mixtures of which sounds are heard
    ema: float = 0.0  # decay of the momentum encoder (EMA of the weights) per step; 0: none
    ema_eval: bool = False  # use the momentum encoder in evaluation
    predictor: int | None = None  # hidden channels of projector and predictor; None: neither
    classes: int = 0  # of a classifier of sound embeddings; 0: no classifier

    @property
    def channels(self) -> int:
        """Channels of an embedding, of all heads together."""
        return self.heads * (self.projection or self.trunk_channels[0])

    @property
    def trunk_channels(self) -> tuple[int, int]:
        """Channels of the features of frames and of sounds."""
        frames = {
            "resnet": self.widths[-1],
            "resnet50": self.widths[-1] * Bottleneck.expansion,
            "efficientnet_lite0": EfficientNetLite0.channels,
        }[self.frame_trunk]
        if self.sound_trunk == "resnet":
            return frames, self.widths[-1]
        return frames, SOUND_TRUNKS[self.sound_trunk].channels

    def __post_init__(self) -> None:
        per_stage = (self.widths, self.blocks, self.strides, self.sound_strides)
        if len({len(values) for values in per_stage}) != 1 or not self.widths:
            raise HearsightError(
                "encoder.widths, blocks, strides and sound_strides need one number per stage each."
            )
        if min(self.stem_stride, *(n for values in per_stage for n in values)) < 1:
            raise HearsightError("The widths, blocks and strides of encoder must be at least 1.")
        if self.stem_kernel < 1 or self.stem_kernel % 2 == 0:
            raise HearsightError(
                f"encoder.stem_kernel must be odd and positive, not {self.stem_kernel}."
            )
        if not (0 < self.momentum <= 1 and 0 < self.sound_momentum <= 1):
            raise HearsightError("encoder.momentum and sound_momentum must lie in (0, 1].")
        if self.heads < 1 or (self.heads > 1 and self.projection is None):
            raise HearsightError("encoder.heads must be at least 1; several need a projection.")
        if min(1 if n is None else n for n in (self.projection, self.predictor)) < 1:
            raise HearsightError("encoder.projection and predictor must be at least 1, or null.")
        if not (0 <= self.ema < 1 and 0 <= self.dropout < 1) or self.classes < 0:
            raise HearsightError(
                "encoder.ema and dropout must lie in [0, 1), classes must not be negative."
            )
        if not 0 <= self.noise < math.inf or (self.noise and self.hidden is None):
            raise HearsightError("encoder.noise must not be negative, and needs encoder.hidden.")
        if self.prototypes < 0 or self.prototypes == 1:
            raise HearsightError("encoder.prototypes must be 0, or at least 2: one is silence's.")
        self._check_sizes()
        self._check_trunks()
        if self.ema_eval and not self.ema:
            raise HearsightError("encoder.ema_eval needs a momentum encoder: encoder.ema above 0.")

    def _check_sizes(self) -> None:
        """Refuse numbers of which one alone makes a network that no machine holds."""
        if (total := sum(self.blocks)) > MOST_BLOCKS:
            raise HearsightError(
                f"encoder.blocks must be at most {MOST_BLOCKS:,} together, not {total:,}."
            )
        for name, most in MOST.items():
            given = getattr(self, name)
            largest = max(given) if isinstance(given, tuple) else given
            if largest is not None and largest > most:
                raise HearsightError(f"encoder.{name} must be at most {most:,}, not {largest:,}.")

    def _check_trunks(self) -> None:
        """Refuse trunks and projections that contradict each other."""
        if self.free_blocks < 0 or (self.hidden is not None and self.hidden < 1):
            raise HearsightError(
                "encoder.free_blocks must not be negative, encoder.hidden at least 1, or null."
            )
        if not 0 <= self.linear_heads <= self.heads or (self.linear_heads and self.hidden is None):
            raise HearsightError(
                "encoder.linear_heads must lie in 0..encoder.heads, and needs encoder.hidden."
            )
        frames, sounds = self.trunk_channels
        if self.projection is None and (frames != sounds or self.hidden is not None):
            raise HearsightError(
                f"Frames have {frames} features and sounds {sounds}: set encoder.projection."
                if frames != sounds
                else "encoder.hidden is a layer of the projection: set encoder.projection too."
            )
        if self.frame_trunk == "resnet50" and len(self.widths) != len(RESNET_50):
            raise HearsightError(
                f"encoder.frame_trunk resnet50 has {len(RESNET_50)} stages, but encoder.widths "
                f"{len(self.widths)}."
            )
        if self.weights is not None and self.frame_trunk not in RESNETS:
            raise HearsightError(
                f"encoder.weights is for a ResNet, but frame_trunk is {self.frame_trunk}."
            )


def residual_trunk(encoder: Encoder, part: Literal["frames", "sounds"], norm: Norm) -> Trunk:
    """The residual network of frames or sounds, without values: they are on torch's `meta`."""
    frames = part == "frames"
    deep = frames and encoder.frame_trunk == "resnet50"
    return Trunk(
        3 if frames else 1,
        widths=encoder.widths,
        blocks=RESNET_50 if deep else encoder.blocks,
        strides=encoder.strides if frames else encoder.sound_strides,
        stem=(encoder.stem_kernel, encoder.stem_stride),
        pool=encoder.stem_pool,
        norm=norm,
        block=Bottleneck if deep else Block,
    )


class Perceptron(nn.Module):
    """MLP with one hidden layer: linear, batch normalisation, ReLU, linear."""

    def __init__(self, channels: int, hidden: int, norm: Norm) -> None:
        super().__init__()
        self.first = nn.Linear(channels, hidden, bias=False, device=BARE)
        self.norm = norm(hidden)
        self.second = nn.Linear(hidden, channels, device=BARE)

    def forward(self, values: Float[Tensor, "b c"]) -> Float[Tensor, "b c"]:
        inside = self.norm(self.first(values)[..., None, None])[..., 0, 0]
        changed: Tensor = self.second(relu(inside))
        return changed


class Projection(nn.Module):
    """Batch normalisation, then an MLP with one hidden layer: at each place, or of a vector.

    The last `linear` channels are a linear map of the same values instead.
    """

    def __init__(self, inner: int, hidden: int, outer: int, norm: Norm, linear: int = 0) -> None:
        super().__init__()
        self.norm = norm(inner)
        self.first = nn.Conv2d(inner, hidden, 1, device=BARE) if outer > linear else None
        self.second = nn.Conv2d(hidden, outer - linear, 1, device=BARE) if outer > linear else None
        self.linear = nn.Conv2d(inner, linear, 1, device=BARE) if linear else None

    def forward(
        self,
        values: Float[Tensor, "b inner *place"],
        noise: Float[Tensor, "b inner *place"] | None = None,
    ) -> Float[Tensor, "b outer *place"]:
        grid: Tensor = values if values.dim() == 4 else values[..., None, None]
        grid, parts = self.norm(grid), []
        if noise is not None:
            grid = grid + noise.reshape(grid.shape)
        if self.first is not None and self.second is not None:
            parts.append(self.second(relu(self.first(grid))))
        if self.linear is not None:
            parts.append(self.linear(grid))
        grid = torch.cat(parts, 1)
        return grid if values.dim() == 4 else grid[..., 0, 0]


def _as_torch_does(network: nn.Module, generator: torch.Generator | None) -> None:
    """Initialise convolutions and linear layers as their constructors do, from a generator."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_uniform_(module.weight, a=math.sqrt(5), generator=generator)
            if module.bias is not None:
                reach = 1 / math.sqrt(module.weight[0].numel())
                nn.init.uniform_(module.bias, -reach, reach, generator=generator)


def freeze(trunk: EfficientNetLite0 | SoundEffectNetwork | SoundControl, free_blocks: int) -> None:
    """Freeze a trunk but for its last blocks."""
    trunk.requires_grad_(False)
    for block in list(trunk.blocks)[max(len(trunk.blocks) - free_blocks, 0) :]:
        block.requires_grad_(True)


class Encoders(nn.Module):
    """The frame encoder and the sound encoder of one model, with projections and heads.

    Initial weights: convolutions of ResNets N(0, 2 / fan_out), of other trunks N(0, 2 / fan_in)
    until `pretrained_trunks` loads their own, gains of batch normalisation N(1, 0.02), the linear
    projection of sounds N(0, 0.01), all others as torch initialises them.

    Args:
        encoder: the architecture.
        generator: of the initial weights; by default torch's global generator.
        bare: give no values: all tensors are on torch's device `meta`, as `to_empty` takes them.

    Raises:
        HearsightError: more than `MOST_WEIGHTS`, unless `bare`.
    """

    ema: nn.ModuleDict | None
    generator: torch.Generator | None = None  # of dropout and noise; by default torch's global one
    caches: Mapping[str, Callable[[Tensor], Tensor]] = MappingProxyType({})
    """Of frozen trunks, by name: what gives their features in training."""

    def __init__(
        self, encoder: Encoder, *, generator: torch.Generator | None = None, bare: bool = False
    ) -> None:
        super().__init__()
        norm = partial(BatchNorm, synchronised=encoder.sync_batch_norm, device=BARE)
        self.widths, self.heads, self.dropout = encoder.widths, encoder.heads, encoder.dropout
        self.noise = encoder.noise
        self.momentum, self.ema_eval = encoder.ema, encoder.ema_eval
        frames = partial(norm, momentum=encoder.momentum)
        sounds = partial(norm, momentum=encoder.sound_momentum)
        self.frames: nn.Module = (
            residual_trunk(encoder, "frames", frames)
            if encoder.frame_trunk in RESNETS
            else EfficientNetLite0()
        )
        self.sounds: nn.Module = (
            residual_trunk(encoder, "sounds", sounds)
            if encoder.sound_trunk == "resnet"
            else SOUND_TRUNKS[encoder.sound_trunk]()
        )
        (seen, heard), channels, hidden = encoder.trunk_channels, encoder.channels, encoder.hidden
        self.frame_projection: nn.Module = nn.Identity()
        self.sound_projection: nn.Module = nn.Identity()
        if hidden is not None:
            self.frame_projection = Projection(seen, hidden, channels, frames)
            linear = channels * encoder.linear_heads // encoder.heads
            self.sound_projection = Projection(heard, hidden, channels, sounds, linear)
        elif encoder.projection is not None:
            self.frame_projection = nn.Conv2d(seen, channels, 1, device=BARE)
            self.sound_projection = nn.Linear(heard, channels, device=BARE)
        if encoder.predictor is not None:
            self.projector = Perceptron(channels, encoder.predictor, frames)
            self.predictor = Perceptron(channels, encoder.predictor, frames)
        if encoder.classes:
            self.classifier = nn.Linear(channels, encoder.classes, device=BARE)
        self.sound_prototypes: Tensor | None
        prototypes = torch.zeros(encoder.prototypes, channels, device=BARE)
        self.register_buffer("sound_prototypes", prototypes if encoder.prototypes else None)
        if not bare:
            self._check_weights()
            self.to_empty(device="cpu")
            self._initialise(generator)
        for trunk in (self.frames, self.sounds):
            if isinstance(trunk, EfficientNetLite0 | SoundEffectNetwork | SoundControl):
                freeze(trunk, encoder.free_blocks)
        self.ema = None
        if encoder.ema:
            self.ema = nn.ModuleDict({name: deepcopy(getattr(self, name)) for name in EMA_NETWORKS})
            self.ema.requires_grad_(False)

    def _check_weights(self) -> None:
        """Refuse more than `MOST_WEIGHTS`, before they take memory."""
        count = sum(one.numel() for one in (*self.parameters(), *self.buffers()))
        if count > MOST_WEIGHTS:
            raise HearsightError(
                f"encoder makes {count:,} weights, and a model may have {MOST_WEIGHTS:,}: set its "
                "widths, projection, heads, hidden, predictor, classes or prototypes lower."
            )

    @torch.no_grad()
    def _initialise(self, generator: torch.Generator | None) -> None:
        """Give every weight its initial value."""
        if self.sound_prototypes is not None:
            self.sound_prototypes.zero_()
        for module in self.modules():
            if isinstance(module, BatchNorm):
                module.reset()
        trunks = (self.frames, self.sounds)
        for trunk in trunks:
            if isinstance(trunk, Trunk):
                _as_torch_does(trunk, generator)  # drawn first and lost: seeds keep their weights
        for trunk in trunks:
            for module in trunk.modules():
                if isinstance(module, nn.Conv2d) and not isinstance(trunk, Trunk):
                    nn.init.kaiming_normal_(module.weight, generator=generator)  # of each group
                    assert module.bias is not None
                    nn.init.zeros_(module.bias)
                elif isinstance(module, nn.Conv2d):
                    nn.init.kaiming_normal_(module.weight, mode="fan_out", generator=generator)
                elif isinstance(module, BatchNorm):
                    nn.init.normal_(module.weight, 1.0, 0.02, generator=generator)
        grid, vector = self.frame_projection, self.sound_projection
        if isinstance(grid, nn.Conv2d) and isinstance(vector, nn.Linear):
            _as_torch_does(grid, generator)
            _as_torch_does(vector, generator)
            nn.init.kaiming_normal_(grid.weight, mode="fan_out", generator=generator)
            nn.init.trunc_normal_(vector.weight, std=0.01, generator=generator)
            for bias in (grid.bias, vector.bias):
                assert bias is not None
                nn.init.zeros_(bias)
        for head in (grid, vector):
            if isinstance(head, Projection):
                _as_torch_does(head, generator)
        for name in ("projector", "predictor", "classifier"):
            if hasattr(self, name):
                _as_torch_does(getattr(self, name), generator)

    def _used(self, name: str) -> nn.Module:
        """One of `EMA_NETWORKS`, or its momentum copy where `ema_eval` asks for it."""
        if self.ema is not None and self.ema_eval and not self.training:
            return self.ema[name]
        network: nn.Module = getattr(self, name)
        return network

    def embed_frames(self, frames: Float[Tensor, "b 3 y x"]) -> Float[Tensor, "b c h w"]:
        """Embeddings of every place of every frame, not normalised; heads are concatenated."""
        features = self._features("frames", frames)
        return self._project("frame_projection", self._drop(features))

    def _project(self, name: str, values: Tensor) -> Tensor:
        projection, inputs = self._used(name), [values]
        if self.noise and self.training:
            deviates = torch.empty_like(values)
            inputs.append(deviates.normal_(0, self.noise, generator=self.generator))
        projected: Tensor = projection(*inputs)
        return projected

    def _features(self, trunk: str, inputs: Tensor) -> Tensor:
        if self.training and trunk in self.caches:
            return self.caches[trunk](inputs)
        features: Tensor = self._used(trunk)(inputs)
        return features

    def _drop(self, values: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        if not (self.dropout and self.training):
            return values
        kept = torch.empty_like(values, dtype=torch.bool)
        kept.bernoulli_(1 - self.dropout, generator=self.generator)
        return values * kept * (1 / (1 - self.dropout))

    def embed_sounds(self, spectrograms: Float[Tensor, "a 1 bins times"]) -> Float[Tensor, "a c"]:
        """Embeddings of sounds, max-pooled over the spectrogram, not normalised."""
        largest = adaptive_max_pool2d(self._features("sounds", spectrograms), 1).flatten(1)
        return self._project("sound_projection", largest)

    @torch.no_grad()
    def embed_by_ema(
        self, frames: Float[Tensor, "b 3 y x"], spectrograms: Float[Tensor, "a 1 bins times"]
    ) -> tuple[Float[Tensor, "b c h w"], Float[Tensor, "a c"]]:
        """`embed_frames` and `embed_sounds` by the momentum encoder, without gradient.

        Raises:
            ValueError: there is no momentum encoder (`Encoder.ema` is 0).
        """
        if self.ema is None:
            raise ValueError("these encoders have no momentum encoder")
        grid = self.ema["frame_projection"](self._drop(self.ema["frames"](frames)))
        largest = adaptive_max_pool2d(self.ema["sounds"](spectrograms), 1).flatten(1)
        return grid, self.ema["sound_projection"](largest)

    @torch.no_grad()
    def update_ema(self) -> None:
        """Update the momentum encoder, if there is one, by the weights."""
        if self.ema is None:
            return
        for name, copy in self.ema.items():
            for behind, ahead in zip(
                copy.parameters(), getattr(self, name).parameters(), strict=True
            ):
                behind.lerp_(ahead, 1 - self.momentum)

    def respond(
        self, grids: Float[Tensor, "b c h w"], sounds: Float[Tensor, "a c"]
    ) -> Float[Tensor, "b a h w"]:
        """The response map of every embedded frame to every embedded sound, cosines in [-1, 1].

        Outside training sounds are drawn to the prototypes, if there are any.
        """
        if self.sound_prototypes is not None and not self.training:
            sounds = assign_softly(sounds, self.sound_prototypes, self.heads)
        return response(grids, sounds, self.heads)

    def forward(
        self, frames: Float[Tensor, "b 3 y x"], spectrograms: Float[Tensor, "a 1 bins times"]
    ) -> Float[Tensor, "b a h w"]:
        """The response map of every frame to every sound, cosines in [-1, 1]."""
        return self.respond(self.embed_frames(frames), self.embed_sounds(spectrograms))


EMA_NETWORKS = ("frames", "sounds", "frame_projection", "sound_projection")
