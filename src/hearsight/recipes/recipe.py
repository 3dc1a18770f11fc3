"""The `Recipe`: every setting of a method and its training, as one typed record."""

from dataclasses import dataclass, field
from typing import Literal

from hearsight.errors import HearsightError
from hearsight.model.aisfx import SoundEffectSpectrogram
from hearsight.model.augmentation import Appearance, Mixing, SpectrogramMask, Warp
from hearsight.model.encoders import SOUND_TRUNKS, Encoder
from hearsight.model.spectrogram import LogSpectrogram, MelSpectrogram
from hearsight.objectives.attention import AttendedTriplet
from hearsight.objectives.classification import SoundClassification
from hearsight.objectives.clustering import ClusterContrast, PseudoLabelContrast
from hearsight.objectives.composed_truth import ComposedTruth
from hearsight.objectives.false_negatives import FalseNegativeContrast
from hearsight.objectives.hard_positives import HardPositiveContrast
from hearsight.objectives.max_contrast import MaxContrast
from hearsight.objectives.momentum_contrast import MomentumContrast
from hearsight.objectives.siamese import SiamesePrediction
from hearsight.objectives.trimap_contrast import PaperContrast, TrimapContrast

Objective = (
    TrimapContrast
    | PaperContrast
    | MaxContrast
    | FalseNegativeContrast
    | HardPositiveContrast
    | MomentumContrast
    | SiamesePrediction
    | AttendedTriplet
    | ClusterContrast
    | PseudoLabelContrast
    | SoundClassification
    | ComposedTruth
)
"""The first two are called with responses alone, the others with an `EmbeddedBatch`."""

Spectrogram = MelSpectrogram | LogSpectrogram | SoundEffectSpectrogram

LEAST_SIDE, MOST_SIDE = 32, 4096  # pixels, range of frame_size
MOST_EPOCHS = 1_000_000  # a run looks at each of them to tell how long it will take


@dataclass(slots=True, kw_only=True)
class Recipe:
    """One method, complete; fields are in the order in which a clip passes through training.

    Raises:
        HearsightError: a number outside its range.
    """

    name: str = ""  # as `load_recipe` knows it
    frame_size: int = 224  # pixels, side of the square the encoder sees
    spectrogram: Spectrogram = field(default_factory=MelSpectrogram)
    appearance: Appearance | None = None
    mixing: Mixing | None = None
    mask: SpectrogramMask | None = None
    warp: Warp | None = None
    views: int = 1  # augmented views of each frame; 2: the objective compares them
    encoder: Encoder = field(default_factory=Encoder)
    contrast: Objective = field(default_factory=TrimapContrast)
    equivariance: float = 0.0  # weight of mean (warped map - map of the warped frame)^2
    learning_rate: float = 1e-4  # of Adam
    decay: bool = False  # cosine decay of the learning rate to 0
    weight_decay: float = 1e-4  # L2, added to the gradient
    betas: tuple[float, float] = (0.9, 0.999)
    batch_size: int = 32  # clips, of all processes together
    epochs: int = 80
    fresh_epochs: int | None = None  # of composed clips, which then repeat; None: all are new
    validate_every: int = 1  # epochs
    labels: tuple[str, ...] = ()  # classes in the order of the classifier's outputs
    precision: Literal["fp32", "bf16"] = "fp32"
    channels_last: bool = False
    compile: bool = False
    activation_checkpointing: bool = False  # less memory for more time; the same numbers
    seed: int = 4

    def __post_init__(self) -> None:
        if not LEAST_SIDE <= self.frame_size <= MOST_SIDE:
            raise HearsightError(
                f"frame_size must be {LEAST_SIDE} to {MOST_SIDE} pixels, not {self.frame_size}."
            )
        for name in ("validate_every", "fresh_epochs"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise HearsightError(f"{name} must be at least 1, not {value}.")
        if self.batch_size < self.least_clips:
            least = f"{self.least_clips} for {type(self.contrast).__name__}"
            raise HearsightError(f"batch_size must be at least {least}, not {self.batch_size}.")
        for name in ("equivariance", "weight_decay", "seed", "epochs"):
            if getattr(self, name) < 0:
                raise HearsightError(f"{name} must not be negative, not {getattr(self, name)}.")
        if self.epochs > MOST_EPOCHS:
            raise HearsightError(f"epochs must be at most {MOST_EPOCHS:,}, not {self.epochs}.")
        if self.seed >= 2**63:
            raise HearsightError(f"seed must be below 2^63, not {self.seed}.")
        if not 0 < self.learning_rate <= 1e30:  # larger steps of Adam overflow fp32
            raise HearsightError(
                f"learning_rate must be positive, to 1e30, not {self.learning_rate}."
            )
        if not all(0 <= beta < 1 for beta in self.betas):
            raise HearsightError(f"betas must lie in [0, 1), not {self.betas}.")
        if (self.encoder.sound_trunk in SOUND_TRUNKS) != isinstance(
            self.spectrogram, SoundEffectSpectrogram
        ):
            raise HearsightError(
                f"encoder.sound_trunk={self.encoder.sound_trunk} and spectrogram="
                f"{type(self.spectrogram).__name__} do not fit: {', '.join(SOUND_TRUNKS)} and "
                "SoundEffectSpectrogram need each other."
            )
        if self.equivariance and self.warp is None:
            raise HearsightError("equivariance compares maps under a warp: it needs `warp`.")
        if self.views not in (1, 2) or (self.views == 2 and self.appearance is None):
            raise HearsightError("views must be 1 or 2, and 2 need `appearance` to differ.")
        if self.compile and self.activation_checkpointing:
            raise HearsightError(
                "compile and activation_checkpointing exclude each other: set one of them to false."
            )
        if self.needs_boxes and self.appearance is not None:
            raise HearsightError("contrast learns from boxes, which `appearance` would crop away.")

    @property
    def least_clips(self) -> int:
        """The smallest batch of the objective: contrastive ones need a second clip."""
        return int(getattr(self.contrast, "least_clips", 2))

    @property
    def needs_labels(self) -> bool:
        """Whether the objective is trained with class labels."""
        return bool(getattr(self.contrast, "needs_labels", False))

    @property
    def teaches_frames(self) -> bool:
        """Whether the frame network is trained."""
        return bool(self.equivariance) or getattr(self.contrast, "teaches_frames", True)

    @property
    def needs_boxes(self) -> bool:
        """Whether the objective is trained with boxes."""
        return bool(getattr(self.contrast, "needs_truths", False))
