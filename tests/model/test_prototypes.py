"""Sounds as mixtures of prototypes: the definition as loops, known answers, and where it holds."""

import math
from dataclasses import replace

import pytest
import torch
from torch.nn.functional import normalize

from hearsight.errors import HearsightError
from hearsight.model.encoders import Encoder, Encoders
from hearsight.model.prototypes import SHARPNESS, assign_softly

TINY = Encoder(
    widths=(4, 8), blocks=(1, 1), strides=(1, 2), sound_strides=(1, 2), projection=4, hidden=6
)


def unit(values: list[float]) -> list[float]:
    length = math.sqrt(sum(value * value for value in values))
    return [value / length for value in values]


def test_a_sound_is_the_mean_of_prototypes_weighted_by_their_cosines() -> None:
    """Loops over sounds, prototypes and heads, in double precision."""
    generator = torch.Generator().manual_seed(1)
    heads, channels = 2, 3
    sounds = torch.randn(4, heads * channels, generator=generator, dtype=torch.float64)
    prototypes = torch.randn(5, heads * channels, generator=generator, dtype=torch.float64)
    found = assign_softly(sounds, prototypes, heads)
    for row, sound in enumerate(sounds.tolist()):
        weights, parts = [], []
        for prototype in prototypes.tolist():
            cosine, whole = 0.0, []
            for head in range(heads):
                part = slice(head * channels, (head + 1) * channels)
                one, other = unit(sound[part]), unit(prototype[part])
                cosine += sum(x * y for x, y in zip(one, other, strict=True)) / heads
                whole += other
            weights.append(math.exp(SHARPNESS * cosine))
            parts.append(whole)
        parts[-1] = [-sum(column) / len(parts[:-1]) for column in zip(*parts[:-1], strict=True)]
        expected = [
            sum(w * part[place] for w, part in zip(weights, parts, strict=True)) / sum(weights)
            for place in range(heads * channels)
        ]
        assert found[row].tolist() == pytest.approx(expected, abs=1e-12)


def test_a_known_sound_stays_and_a_sound_between_two_lies_between_them() -> None:
    prototypes = torch.eye(4)
    known = assign_softly(7 * torch.eye(4)[:3], prototypes)
    torch.testing.assert_close(known, torch.eye(4)[:3], rtol=0, atol=1e-6)
    between = assign_softly(torch.tensor([[1.0, 1.0, 0.0, 0.0]]), prototypes)[0]
    torch.testing.assert_close(between, torch.tensor([0.5, 0.5, 0, 0]), rtol=0, atol=1e-6)


def test_silence_points_away_from_all_that_is_known() -> None:
    drawn = assign_softly(torch.tensor([[0.0, 0.0, 0.0, 2.0]]), torch.eye(4))[0]
    torch.testing.assert_close(drawn, torch.tensor([-1.0, -1, -1, 0]) / 3, rtol=0, atol=1e-6)


def test_a_recording_beside_what_is_known_is_drawn_to_it() -> None:
    generator = torch.Generator().manual_seed(2)
    prototypes = normalize(torch.randn(7, 64, generator=generator), dim=1)
    strange = normalize(torch.randn(6, 64, generator=generator), dim=1)
    heard = normalize(prototypes[:6] + 0.8 * strange, dim=1)
    drawn = normalize(assign_softly(heard, prototypes), dim=1)
    before, after = ((each * prototypes[:6]).sum(1) for each in (heard, drawn))
    assert bool((after > before + 0.1).all())


def test_prototypes_that_are_not_chosen_yet_change_nothing() -> None:
    sounds = torch.randn(3, 8, generator=torch.Generator().manual_seed(3))
    assert torch.equal(assign_softly(sounds, torch.zeros(5, 8), 2), sounds)


def test_sounds_are_drawn_to_them_outside_training_alone() -> None:
    torch.manual_seed(4)
    encoders = Encoders(replace(TINY, prototypes=3))
    plain = Encoders(TINY)
    plain.load_state_dict(encoders.state_dict(), strict=False)
    grids, sounds = torch.randn(2, 4, 5, 5), torch.randn(3, 4)
    assert torch.equal(encoders.eval().respond(grids, sounds), plain.respond(grids, sounds))
    assert encoders.sound_prototypes is not None
    encoders.sound_prototypes.copy_(torch.randn(3, 4))
    drawn = assign_softly(sounds, encoders.sound_prototypes)
    assert torch.equal(encoders.respond(grids, sounds), plain.respond(grids, drawn))
    assert torch.equal(encoders.train().respond(grids, sounds), plain.respond(grids, sounds))


def test_noise_is_added_to_normalised_features_in_training_alone() -> None:
    """Of features that are all alike the batch norm leaves zero: what is projected is the noise."""
    torch.manual_seed(5)
    encoders = Encoders(replace(TINY, noise=0.5))
    plain = Encoders(TINY)
    plain.load_state_dict(encoders.state_dict())
    frames = torch.zeros(2, 3, 16, 16)
    assert torch.equal(encoders.eval().embed_frames(frames), plain.eval().embed_frames(frames))
    encoders.train()
    seen: list[torch.Tensor] = []
    assert encoders.frame_projection.first is not None
    encoders.frame_projection.first.register_forward_hook(lambda _, inputs, __: seen.extend(inputs))
    drawn = []
    for seed in (1, 1, 2):
        encoders.generator = torch.Generator().manual_seed(seed)
        drawn.append(encoders.embed_frames(torch.zeros(40, 3, 32, 32)))
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])
    noise = torch.stack(seen)
    assert noise.std().item() == pytest.approx(0.5, rel=0.05)
    assert encoders.embed_sounds(torch.zeros(3, 1, 20, 20)).std(0).max() > 0


@pytest.mark.parametrize(
    "change", [{"noise": -1.0}, {"noise": math.inf}, {"prototypes": -1}, {"prototypes": 1}]
)
def test_what_makes_no_noise_or_prototypes_is_refused(change: dict[str, float]) -> None:
    with pytest.raises(HearsightError, match=rf"encoder\.{next(iter(change))} must"):
        replace(TINY, **change)
    with pytest.raises(HearsightError, match=r"needs encoder\.hidden"):
        replace(TINY, hidden=None, noise=1.0)
