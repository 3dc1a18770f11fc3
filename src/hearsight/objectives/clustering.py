"""Clustering losses: DMC's, on places of a frame, and CoarseToFine's, on clips of a batch."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor
from torch.nn.functional import cosine_similarity, log_softmax, normalize, relu, softmax

from hearsight.errors import HearsightError
from hearsight.model.distributed import gather
from hearsight.objectives.attention import EXACT, Others, negative_pairs, row_mean
from hearsight.objectives.embedded_batch import EmbeddedBatch
from hearsight.objectives.trimap_contrast import true_pairs

MOST_ROUNDS = 1_000  # of k-means, each of which is held for the gradient


def soft_kmeans(
    points: Float[Tensor, "b n c"], count: int, *, rounds: int, sharpness: float
) -> Float[Tensor, "b k c"]:
    """Soft k-means: the centres of `count` clusters of each row's points; differentiable.

    Centres are initialised with the points 0, n // k, 2 (n // k) ... In each round every point is
    assigned to the clusters by softmax(-sharpness * distance), and each centre becomes the mean of
    all points, weighted by assignment.

    Source: the second released code of DMC, Hu et al., CVPR 2019 (4 rounds, sharpness 30).
    Differs from the released code: means are computed in the log domain; there an empty cluster
    gives 0 / 0.

    Raises:
        HearsightError: fewer points than clusters.
    """
    if points.shape[1] < count:
        raise HearsightError(
            f"contrast.clusters is {count}, but there are {points.shape[1]} points to cluster."
        )
    centres = points[:, : points.shape[1] // count * count : points.shape[1] // count]
    with torch.autocast(points.device.type, enabled=False):
        for _ in range(rounds):
            distances = torch.cdist(centres, points, compute_mode=EXACT)
            shares = log_softmax(-sharpness * distances, dim=1)
            centres = softmax(shares, dim=2) @ points
    return centres


@dataclass(slots=True, kw_only=True)
class ClusterContrast:
    """Max-margin loss of each sound and the nearest cluster centre of a frame.

    The places of each frame are clustered (`soft_kmeans`); d+ is the distance of its own sound to
    the nearest centre, d- that of another sound in the batch; the loss is the mean of
    (d+^2 + max(0, distance - d-)^2) / 4.

    Source
        DMC: Hu et al., *Deep Multimodal Clustering for Unsupervised Audiovisual Learning*,
        CVPR 2019, in its second released code (Simplified DMC) for clips with one source: 2
        clusters of places, 1 of sound. The paper and the first code contrast cosines of matched
        centres instead.
    Differs from the released code
        The one cluster of sound is the max-pooled sound vector; there it is the mean. Several
        clusters of sound are not offered, since its time-frequency grid is not kept. The negative
        frame is drawn at random there; here the negative sound is the next one, or, with `others`
        "all", the loss is the mean over all, which has the expectation of random draws with less
        noise.

    Raises:
        HearsightError: a number out of range.
    """

    no_margin: ClassVar[str] = (
        "ClusterContrast has no margin: it compares no scores, its hinge is contrast.distance."
    )

    clusters: int = 2  # of the places of a frame: sounding, and the rest
    rounds: int = 4
    sharpness: float = 30.0  # of soft assignment, per unit of distance
    distance: float = 5.0  # hinge of mismatched pairs, in units of the embedding
    others: Others = "next"  # negatives of each frame

    def __post_init__(self) -> None:
        _check(self.clusters, self.rounds, self.sharpness, self.distance)

    def __call__(self, embedded: EmbeddedBatch) -> Float[Tensor, ""]:
        cells = embedded.grids.flatten(2).transpose(1, 2).to(embedded.responses.dtype)
        centres = soft_kmeans(cells, self.clusters, rounds=self.rounds, sharpness=self.sharpness)
        others = negative_pairs(embedded, self.others)
        sounds = embedded.sounds.to(cells.dtype)
        every = sounds.expand(len(centres), -1, -1)
        nearest = torch.cdist(centres, every, compute_mode=EXACT).amin(1)
        hinges = relu(self.distance - nearest).square()
        own = nearest.diagonal(embedded.first)
        return (own.square() + row_mean(hinges, others)).mean() / 4


@dataclass(slots=True, kw_only=True)
class PseudoLabelContrast:
    """Contrastive loss with pseudo labels: coarse alignment of clips, fine alignment of places.

    The clips of the joined batch of all processes are clustered by frame and sound vectors side by
    side; the cluster of a clip is its pseudo label. With D^2 = 2 - 2 cosine,

        coarse     mean vector of a frame: sounds of its pseudo label are positives
        fine       sound-attended vector of a frame: its own sound is the positive
        negatives  of both: sounds of other pseudo labels

    where positives cost the mean of D^2 and negatives the mean of max(0, distance - D)^2, each over
    the sounds in question of one frame. In the fine term, other clips of the same pseudo label are
    neither.

    Source
        The idea of CoarseToFine: Qian et al., *Multiple Sound Sources Localization from Coarse to
        Fine*, ECCV 2020. The form is ours. From the released code: D, its hinge, the number of
        classes, and k-means with its rounds and sharpness.
    Differs from the released code
        There pseudo labels come from classifiers trained with labels on other data, each network
        is trained to classify them, attention is by class, and the two stages are trained in turn.
        Here labels come from clustering, attention from the sound, and both terms are trained
        together. `coarse` and `temperature` are not the paper's (?).

    Raises:
        HearsightError: a number out of range.
    """

    no_margin: ClassVar[str] = (
        "PseudoLabelContrast has no margin: it compares no scores, its hinge is contrast.distance."
    )

    clusters: int = 7  # pseudo labels, as released; at most as many as there are clips
    rounds: int = 10
    sharpness: float = 1000.0  # of soft assignment, per unit of distance
    distance: float = 1.4  # hinge of mismatched pairs; distances are at most 2
    temperature: float = 0.1  # cosine, of the attention (?)
    coarse: float = 1.0  # weight of the coarse term (?)

    def __post_init__(self) -> None:
        _check(self.clusters, self.rounds, self.sharpness, self.distance)
        if self.temperature <= 0 or self.coarse < 0:
            raise HearsightError(
                "contrast.temperature must be positive, contrast.coarse must not be negative."
            )

    @torch.no_grad()
    def pseudo_labels(
        self, frames: Float[Tensor, "b c"], sounds: Float[Tensor, "a c"]
    ) -> Int64[Tensor, " a"]:
        """The cluster of every clip of all processes, from own frames and all sounds."""
        joined = gather(frames).flatten(0, 1)
        clips = torch.cat([normalize(joined), normalize(sounds)], dim=1)[None]
        centres = soft_kmeans(
            clips,
            min(self.clusters, len(sounds)),
            rounds=self.rounds,
            sharpness=self.sharpness,
        )
        return torch.cdist(clips, centres)[0].argmin(1)

    def __call__(self, embedded: EmbeddedBatch) -> Float[Tensor, ""]:
        responses, exact = embedded.responses, embedded.responses.dtype
        with torch.autocast(responses.device.type, enabled=False):
            grids, sounds = embedded.grids.to(exact), embedded.sounds.to(exact)
            frames = grids.mean((2, 3))
            labels = self.pseudo_labels(frames, sounds)
            own = true_pairs(responses, embedded.first)
            alike = labels[embedded.first :][: len(grids), None] == labels[None]
            attention = softmax(responses.flatten(2) / self.temperature, dim=2)
            attended = torch.einsum("bak,bck->bac", attention, grids.flatten(2))
            fine = cosine_similarity(attended, sounds[None], dim=2)
            coarse = normalize(frames) @ normalize(sounds).T
        return self.cost(fine, own, ~alike) + self.coarse * self.cost(coarse, alike, ~alike)

    def cost(
        self,
        cosines: Float[Tensor, "b a"],
        positives: Bool[Tensor, "b a"],
        negatives: Bool[Tensor, "b a"],
    ) -> Float[Tensor, ""]:
        """Mean squared distance of positives plus mean squared hinge of negatives, over frames."""
        squares = 2 - 2 * cosines
        # The square root has no finite gradient at 0, which rounding reaches.
        hinges = relu(self.distance - squares.clamp(min=1e-6).sqrt()).square()
        return (row_mean(squares, positives) + row_mean(hinges, negatives)).mean()


def _check(clusters: int, rounds: int, sharpness: float, distance: float) -> None:
    """Refuse numbers out of range."""
    if clusters < 1 or not 0 <= rounds <= MOST_ROUNDS:
        raise HearsightError(
            f"contrast.clusters must be at least 1, contrast.rounds 0 to {MOST_ROUNDS:,}."
        )
    if sharpness <= 0 or distance <= 0:
        raise HearsightError("contrast.sharpness and contrast.distance must be positive.")
