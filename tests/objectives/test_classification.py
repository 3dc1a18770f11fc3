"""VGG-H's objective against its definition, written out as loops."""

import math
from dataclasses import replace

import pytest
import torch
from made_views import Heads, flat, halves, view

from hearsight.errors import HearsightError
from hearsight.objectives.classification import SoundClassification

LABELS = torch.tensor([3, 0, 1, 1])


def test_it_is_its_definition() -> None:
    heads = Heads()
    seen = view(networks=heads, labels=LABELS)
    losses = []
    for frame, label in enumerate(LABELS.tolist()):
        sound = seen.sounds[2 + frame].tolist()
        logits = [
            bias + sum(w * x for w, x in zip(row, sound, strict=True))
            for row, bias in zip(
                heads.classifier.weight.tolist(), heads.classifier.bias.tolist(), strict=True
            )
        ]
        losses.append(math.log(sum(math.exp(x) for x in logits)) - logits[label])
    by_hand = sum(losses) / len(losses)
    assert SoundClassification()(seen).item() == pytest.approx(by_hand, rel=1e-9)


def test_a_classifier_that_knows_nothing_costs_the_logarithm_of_the_classes() -> None:
    heads = Heads(classes=7)
    torch.nn.init.zeros_(heads.classifier.weight)
    torch.nn.init.zeros_(heads.classifier.bias)
    loss = SoundClassification()(view(networks=heads, labels=LABELS))
    assert loss.item() == pytest.approx(math.log(7))


def test_frames_teach_it_nothing() -> None:
    seen = view(networks=Heads(), labels=LABELS)
    loss = SoundClassification()(seen)
    to_frames, to_sounds = torch.autograd.grad(loss, (seen.grids, seen.sounds), allow_unused=True)
    assert to_frames is None
    assert (to_sounds.abs().sum(1) > 0).tolist() == [False] * 2 + [True] * 4 + [False] * 3


def test_two_processes_have_the_loss_of_one() -> None:
    whole = view(sounds=4, first=0, networks=Heads(), labels=LABELS)
    parts = torch.stack([SoundClassification()(half) for half in halves(whole)]).mean()
    torch.testing.assert_close(parts, SoundClassification()(whole))


def test_one_clip_alone_is_enough() -> None:
    seen = flat(1, networks=Heads().float(), labels=torch.tensor([2]))
    assert SoundClassification()(seen).isfinite()


def test_it_needs_classes() -> None:
    seen = view(networks=Heads(), labels=LABELS)
    with pytest.raises(HearsightError, match="clips with a class"):
        SoundClassification()(replace(seen, labels=None))
    with pytest.raises(HearsightError, match=r"set encoder\.classes"):
        SoundClassification()(replace(seen, networks=None))
