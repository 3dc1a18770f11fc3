"""Every protocol by its name: those on boxes, and those with an evaluation of their own."""

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from hearsight.clips.clip import Clips
from hearsight.errors import HearsightError
from hearsight.scoring.avatar import evaluate_avatar
from hearsight.scoring.avsbench_official import evaluate_avsbench
from hearsight.scoring.clip_maps import MapSource, check_boxes, check_masks
from hearsight.scoring.detection import evaluate_detection
from hearsight.scoring.duets import evaluate_duets
from hearsight.scoring.evaluation import evaluate_source
from hearsight.scoring.fixed_thresholds import evaluate_fixed_thresholds
from hearsight.scoring.inference import Inference
from hearsight.scoring.interactive import check_groups, evaluate_interactive
from hearsight.scoring.negatives import evaluate_negatives
from hearsight.scoring.prompted import evaluate_prompted
from hearsight.scoring.protocols import PROTOCOLS, Protocol, check_known, load_protocol
from hearsight.scoring.ref_avs import evaluate_ref_avs
from hearsight.scoring.results import Results
from hearsight.scoring.segmentation import evaluate_segmentation

LOGGER = logging.getLogger(__name__)
UPSAMPLINGS = {
    "linear": "bilinear, centres",
    "linear corners": "bilinear, corners",
    "cubic": "bicubic, centres",
    "cubic corners": "bicubic, corners",
}
MASKS = "clips with masks"  # what protocols on these need
FRAMES = {"crop": "centre crop", "stretch": "stretched", "stretch plainly": "stretched, no filter"}


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomProtocol:
    """A protocol with an evaluation of its own.

    base: up-sampling, normalisation, threshold and truths. run: the evaluation. needs: the clips
    that it takes. reports: its scores. threshold, map: where they are not those of `base`. hears:
    whether it needs a model to hear other sounds, so that maps alone do not suffice.
    """

    base: Protocol
    run: Callable[[Any, Clips, Protocol], Results]
    needs: str
    reports: str
    threshold: str | None = None
    map: str | None = None
    hears: bool = False


def _extended(name: str, sets: str) -> CustomProtocol:
    """A protocol on an extended test set, where some clips show no source."""
    protocol = load_protocol(name)
    method, colon, kind = name.partition(":")
    return CustomProtocol(
        base=replace(
            protocol,
            name=f"{method}-extended{colon}{kind}",
            source=f"{protocol.source}, on clips of which some show no source",
            sets=sets,
        ),
        run=evaluate_detection,
        needs="clips with boxes, and FOLDER@LIST of video, audio, non-sounding, or offscreen:toys",
        reports="AP as released, full and strict; max F1, LocAcc by size, AUC",
    )


def _acl(name: str) -> CustomProtocol:
    """The protocol of ACL on boxes."""
    kind = name.partition(":")[2]
    return CustomProtocol(
        base=replace(
            load_protocol("ez-vsl-train"),
            name=name,
            source="ACL (Park et al., WACV 2024), released Eval.py: 19 fixed thresholds on a "
            f"sigmoid{', each box half' if kind else ''}",
            scale="cosine",
            fixed=0.5,
            values="probability",
            truth="consensus" if kind else "union",
            sets="VGG-SS, files present of 5,158; Flickr 250",
        ),
        run=evaluate_fixed_thresholds,
        needs="clips with boxes",
        reports="cIoU@0.5, AUC at each threshold, and at the best on these clips",
        threshold="fixed: 0.05, 0.10 ... 0.95",
    )


SIGMOID = replace(
    load_protocol("ez-vsl-train"),
    upsampling="linear",
    scale="cosine",
    fixed=0.5,
    values="probability",
    inclusive=False,
)
ALIGN = replace(load_protocol("ssl-align-others"), truth="pixels")
CUSTOM_PROTOCOLS = (
    _extended("slavc", "VGG-SS 5,158 + 5,158"),
    _extended("slavc-relative", "VGG-SS 5,158 + 5,158"),
    _extended("slavc:flickr", "Flickr 250 + 250"),
    _extended("slavc-relative:flickr", "Flickr 250 + 250"),
    CustomProtocol(
        base=replace(
            ALIGN,
            name="interactive",
            source="SSL-Alignment (Senocak et al., ICCV 2023), released test.py: one frame, two "
            "sounds in turn",
            sets="IS3 3,240 scenes x 2",
        ),
        run=evaluate_interactive,
        needs="clips STEM_0, STEM_1 of one frame: pairs:toys, pairs:menagerie",
        reports="cIoU, AUC, iIoU, iAUC; the same adaptive",
    ),
    CustomProtocol(
        base=replace(
            load_protocol("ssl-align-others"),
            name="negatives",
            source="Negative audio (Juanola et al., ICASSP 2025), released eval.py: silence, "
            "noise and other clips",
            upsampling="linear",
            frame="crop",
            sets="VGG-SS 5,158; IS3 6,480; 10 draws",
        ),
        run=evaluate_negatives,
        needs="clips with boxes",
        reports="mean IoU, AUC, pIA by kind, F_LOC, F_AUC",
        hears=True,
        threshold="one for all: max, 90 %, Q3 of maxima",
        map="cosine",
    ),
    CustomProtocol(
        base=replace(
            load_protocol("ssl-align-others"),
            name="masks",
            source="Exact masks: ACL (Park et al., WACV 2024) and SSL-Alignment, as released",
            sets="AVSBench S4, MS3",
        ),
        run=evaluate_segmentation,
        needs=f"{MASKS}: toys, menagerie, stores of them",
        reports="mIoU, adaptive mIoU, F (255 levels, beta squared 0.3), F marked",
    ),
    CustomProtocol(
        base=replace(
            ALIGN,
            name="duets",
            source="Two sources: DSOL (Hu et al., NeurIPS 2020), AVGN (Mo and Tian, CVPR 2023), "
            "T-VSL (Mahmud et al., CVPR 2024) and NoPrior (Kim et al., CVPR 2024), as released",
            sets="MUSIC-Duet, VGGSound-Duet",
        ),
        run=evaluate_duets,
        needs="clips STEM_0, STEM_1: MUSIC-Duet, VGGSound-Duet, pairs:toys, pairs:menagerie",
        reports="CIoU, NSA, precision, AP and PIAP as released and as meant, IoU at 0.3, CIoU and "
        "CAP of matched sources and of their union",
        threshold="0.2 of each map's highest; cosine 0; 0.3; > median",
        hears=True,
    ),
    _acl("acl"),
    _acl("acl:flickr"),
    CustomProtocol(
        base=replace(
            SIGMOID,
            name="avsbench-official",
            source="AVSBench (Zhou et al., ECCV 2022), released test.py: a sigmoid above 0.5",
            sets="AVSBench S4 740 clips, MS3 64, 5 frames each",
        ),
        run=evaluate_avsbench,
        needs=MASKS,
        reports="mIoU, F; as released by batches of 4 clips, per clip, of the whole set",
    ),
    CustomProtocol(
        base=replace(
            SIGMOID,
            name="denseav-prompted",
            source="DenseAV (Hamilton et al., CVPR 2024), released eval_utils.py: prompted ADE20K",
            scale="own range",
            fixed=None,
            values="cosine",
            sets="ADE20K with sounds of VGGSound, or speech",
        ),
        run=evaluate_prompted,
        needs=f"{MASKS}, and labels",
        reports="best IoU, mAP: means over classes",
        threshold="the best of 20 of each class",
        map="one minmax for all maps",
    ),
    CustomProtocol(
        base=replace(
            SIGMOID,
            name="avatar",
            source="AVATAR (Choi et al., ICCV 2025), measures as released by ACL-SaN: from 0.5 on",
            inclusive=True,
            sets="AVATAR 5,000 videos, 24,266 frames",
        ),
        run=evaluate_avatar,
        needs=MASKS,
        reports="cIoU@0.5, mean cIoU, AUC, by kind; off the screen pIA, AUC_N",
    ),
    CustomProtocol(
        base=replace(
            SIGMOID,
            name="ref-avs",
            source="Ref-AVS (Wang et al., ECCV 2024), released utility.py: a sigmoid above 0.4",
            sets="Ref-AVS seen, unseen, null",
        ),
        run=evaluate_ref_avs,
        needs=MASKS,
        reports="J above 0.4 as released and above 0.5, F, S of null expressions",
    ),
)


def _every() -> list[tuple[Protocol, CustomProtocol | None]]:
    """Every protocol, with its own evaluation where it has one."""
    return [*((one, None) for one in PROTOCOLS), *((one.base, one) for one in CUSTOM_PROTOCOLS)]


def _custom(name: str) -> CustomProtocol | None:
    """The protocol of that name, if it has an evaluation of its own."""
    return next((custom for custom in CUSTOM_PROTOCOLS if custom.base.name == name), None)


def check_name(name: str) -> None:
    """Refuse a name that no protocol has.

    Raises:
        HearsightError: no protocol has it; the message suggests the nearest name.
    """
    check_known(name, [one.name for one, _ in _every()])


def check_validation(name: str) -> None:
    """Refuse a name that no protocol for validation has.

    Raises:
        HearsightError: the protocol has an evaluation of its own, or there is none of that name.
    """
    known = [one.name for one in PROTOCOLS]
    if _custom(name) is not None:
        raise HearsightError(
            f"The protocol '{name}' cannot score a validation: choose from {', '.join(known)}."
        )
    check_known(name, known)


def check_options(name: str, *, guided: bool, draws: int | None) -> None:
    """Refuse options that a protocol does not use.

    Args:
        name: of the protocol.
        guided: whether an object network is mixed in.
        draws: of noise and of other clips; None if not given.

    Raises:
        HearsightError: there is no such protocol, it does not mix in object maps, or does not draw.
    """
    check_name(name)
    custom = _custom(name)
    run = None if custom is None else custom.run
    if guided and run in (evaluate_negatives, evaluate_duets, evaluate_prompted):
        raise HearsightError(f"The protocol '{name}' scores responses alone, without object maps.")
    if draws is not None and run is not evaluate_negatives:
        raise HearsightError(f"The protocol '{name}' draws no sounds: `draws` is for 'negatives'.")


def check_maps_suffice(name: str) -> None:
    """Refuse a protocol that maps of the clips' own sounds do not suffice for.

    Raises:
        HearsightError: there is no such protocol, or it needs maps of other sounds.
    """
    check_name(name)
    custom = _custom(name)
    if custom is not None and custom.hears:
        raise HearsightError(
            f"The protocol '{name}' needs a model, to hear other sounds than those of the clips: "
            "maps of these do not suffice."
        )


def check_clips(name: str, clips: Clips) -> None:
    """Refuse clips that a protocol cannot score, as far as it shows before they are read.

    Raises:
        HearsightError: there is no such protocol, or they have no boxes, no masks or no pairs where
            it needs these.
    """
    check_name(name)
    custom = _custom(name)
    if custom is not None and MASKS in custom.needs:
        check_masks(clips)
    else:
        check_boxes(clips)
    if custom is not None and custom.run is evaluate_interactive:
        check_groups(clips.ids)


def takes_confidence(name: str) -> bool:
    """Whether a protocol uses a confidence per clip."""
    custom = _custom(name)
    return custom is not None and custom.run is evaluate_detection


def base_of(name: str) -> Protocol:
    """The up-sampling, scale and truths of any protocol.

    Raises:
        HearsightError: there is no such protocol.
    """
    check_name(name)
    custom = _custom(name)
    return load_protocol(name) if custom is None else custom.base


def evaluate_protocol(
    source: MapSource, clips: Clips, name: str, *, draws: int | None = None
) -> Results:
    """Score a model, or maps of another origin, under any protocol.

    Args:
        source: a model on its device, or maps.
        clips: as the protocol needs them.
        name: of the protocol.
        draws: how often `negatives` draws noise and another clip for each clip; by default 3.

    Raises:
        HearsightError: no such protocol, options that it does not use, or clips that do not fit it.
    """
    guided = isinstance(source, Inference) and source.guide is not None
    check_options(name, guided=guided, draws=draws)
    found = _evaluate(source, clips, name, draws)
    LOGGER.info("scored %s under %s", source.name, name)
    return found


def _evaluate(source: MapSource, clips: Clips, name: str, draws: int | None) -> Results:
    """As `evaluate_protocol`, with options that fit."""
    custom = _custom(name)
    if custom is None:
        return evaluate_source(source, clips, load_protocol(name)).results()
    if not isinstance(source, Inference):
        check_maps_suffice(name)
    elif draws is not None:
        return evaluate_negatives(source, clips, custom.base, draws=draws)
    return custom.run(source, clips, custom.base)


def protocol_names() -> dict[str, str]:
    """Every protocol by name, with a few words on each: its paper, or what it is a variant of."""
    return {protocol.name: _brief(protocol) for protocol, _ in _every()}


def _brief(protocol: Protocol) -> str:
    """The paper of a protocol, or of what it is a variant."""
    method, colon, _ = protocol.name.partition(":")
    if colon:
        return f"{method}, each box of a clip half"
    method, extended, _ = method.partition("-extended")
    if extended:
        return f"{method}, some clips show no source"
    paper = re.match(r"[^(]+ \([^)]+\)", protocol.source)
    return paper[0] if paper else protocol.source.replace(" released", "")


def protocol_table() -> list[dict[str, str]]:
    """The settings of every protocol, one row each."""
    return [_described(*each) for each in _every()]


def _described(protocol: Protocol, custom: CustomProtocol | None) -> dict[str, str]:
    """The settings of a protocol in words, by the columns of `protocol_table`."""
    threshold, compare = _threshold(protocol)
    boxes = "cIoU@0.5, AUC; adaptive cIoU@0.5, AUC; pointing"
    return {
        "protocol": protocol.name,
        "up-sampling": UPSAMPLINGS[protocol.upsampling],
        "map": _map(protocol) if custom is None or custom.map is None else custom.map,
        "threshold": threshold if custom is None or custom.threshold is None else custom.threshold,
        "marked": compare,
        "frame": FRAMES[protocol.frame],
        "truth": "masks" if custom is not None and MASKS in custom.needs else protocol.truth,
        "sets of its authors": protocol.sets,
        "reported": boxes if custom is None else custom.reports,
        "needs": "clips with boxes" if custom is None else custom.needs,
        "from": protocol.source,
    }


def _map(protocol: Protocol) -> str:
    """How maps are brought to 0 to 1."""
    if protocol.scale == "own range":
        return "1 - minmax(-map)" if protocol.reverse else "minmax(map)"
    cosines = "(cosine + 1) / 2"
    return cosines if protocol.values == "cosine" else f"as it is; of a model {cosines}"


def _threshold(protocol: Protocol) -> tuple[str, str]:
    """The threshold of the headline score, and the comparison with it."""
    if protocol.adaptive:
        return "adaptive: pixels of the truth", ">"
    sign = ">=" if protocol.inclusive else ">"
    if protocol.fixed is not None:
        return f"fixed: {protocol.fixed}", sign
    return "median", sign + (", and 1" if protocol.saturated else "")
