"""Shapes, start and statistics of the two networks."""

from contextlib import nullcontext
from dataclasses import replace

import pytest
import torch
from torch import nn

from hearsight.errors import HearsightError
from hearsight.model.distributed import BatchNorm, gather
from hearsight.model.encoders import Encoder, Encoders

TINY = Encoder(widths=(4, 8), blocks=(1, 2), strides=(1, 2), sound_strides=(2, 1))


def test_the_default_grid_is_ssl_ties() -> None:
    encoders = Encoders(Encoder()).eval()
    with torch.no_grad():
        assert encoders.embed_frames(torch.zeros(1, 3, 224, 224)).shape == (1, 512, 14, 14)
        assert encoders.sounds(torch.zeros(1, 1, 257, 670)).shape == (1, 512, 17, 42)


def test_a_sound_is_its_largest_values() -> None:
    encoders, sounds = Encoders(TINY).eval(), torch.randn(3, 1, 40, 50)
    grid = encoders.sounds(sounds)
    assert torch.equal(encoders.embed_sounds(sounds), grid.amax((2, 3)))


def test_responses_are_cosines_of_every_frame_with_every_sound() -> None:
    encoders = Encoders(TINY)
    found = encoders(torch.randn(2, 3, 32, 32), torch.randn(5, 1, 40, 50))
    assert found.shape == (2, 5, 4, 4)
    assert found.abs().max() <= 1 + 1e-6


def test_weights_start_as_released_and_follow_the_seed() -> None:
    torch.manual_seed(3)
    encoders = Encoders(
        Encoder(widths=(64, 256), blocks=(2, 2), strides=(1, 2), sound_strides=(1, 2))
    )
    for module in encoders.modules():
        if isinstance(module, nn.Conv2d):
            fan_out = module.weight[:, 0].numel()
            expected = (2 / fan_out) ** 0.5
            assert module.weight.std().item() == pytest.approx(expected, rel=0.1)
    gains = torch.cat([m.weight for m in encoders.modules() if isinstance(m, BatchNorm)])
    assert gains.mean().item() == pytest.approx(1.0, abs=0.005)
    assert gains.std().item() == pytest.approx(0.02, rel=0.1)
    torch.manual_seed(3)
    again = Encoders(Encoder(widths=(64, 256), blocks=(2, 2), strides=(1, 2), sound_strides=(1, 2)))
    for one, other in zip(encoders.parameters(), again.parameters(), strict=True):
        assert torch.equal(one, other)


def test_batch_norm_is_torchs() -> None:
    torch.manual_seed(0)
    ours, theirs = BatchNorm(6, momentum=0.1, synchronised=True), nn.BatchNorm2d(6)
    for _ in range(2):
        values = torch.randn(4, 6, 5, 5) * 3 + 1
        torch.testing.assert_close(ours(values), theirs(values))
    torch.testing.assert_close(ours.running_mean, theirs.running_mean)
    torch.testing.assert_close(ours.running_var, theirs.running_var)
    torch.testing.assert_close(ours.eval()(values), theirs.eval()(values))


def test_momentum_019_is_two_updates_at_01() -> None:
    once = BatchNorm(6, momentum=0.19, synchronised=True)
    twice = BatchNorm(6, momentum=0.1, synchronised=True)
    values = torch.randn(4, 6, 5, 5) * 3 + 1
    once(values), twice(values), twice(values)
    torch.testing.assert_close(once.running_mean, twice.running_mean)
    torch.testing.assert_close(once.running_var, twice.running_var)


def test_one_process_gathers_itself() -> None:
    values = torch.randn(3, 2)
    assert torch.equal(gather(values), values[None])


@pytest.mark.parametrize(
    "wrong",
    [
        {"widths": (8, 16)},
        {"widths": (), "blocks": (), "strides": (), "sound_strides": ()},
        {"blocks": (2, 2, 0, 2)},
        {"stem_kernel": 4},
        {"sound_momentum": 0.0},
        {"widths": (8, 8, 8, 65_537)},
        {"blocks": (1, 1, 1, 998)},
        {"stem_kernel": 257},
        {"strides": (1, 1, 1, 256)},
    ],
)
def test_a_shape_that_makes_no_network_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(HearsightError, match="encoder"):
        Encoder(**wrong)  # type: ignore[arg-type]


def test_what_is_dropped_is_dropped_in_training_alone() -> None:
    torch.manual_seed(0)
    encoder = replace(TINY, projection=6, dropout=0.75, ema=0.9)
    encoders, frames = Encoders(encoder), torch.randn(2, 3, 64, 64)
    spectrograms = torch.randn(2, 1, 32, 32)
    seen: list[torch.Tensor] = []
    encoders.frame_projection.register_forward_pre_hook(lambda _, values: seen.append(values[0]))
    first, second = encoders.embed_frames(frames), encoders.embed_frames(frames)
    assert not torch.equal(first, second)
    assert not torch.equal(*(encoders.embed_by_ema(frames, spectrograms)[0] for _ in range(2)))
    encoders.eval()
    assert torch.equal(encoders.embed_frames(frames), encoders.embed_frames(frames))
    whole = (seen[2] == 0).float().mean()  # what ReLU left at nought
    assert abs((seen[0] == 0).float().mean() - (whole + 0.75 * (1 - whole))) < 0.1


def test_several_heads_stand_one_after_the_other() -> None:
    torch.manual_seed(0)
    encoders = Encoders(replace(TINY, projection=6, heads=2)).eval()
    frames, spectrograms = torch.randn(3, 3, 64, 64), torch.randn(2, 1, 32, 32)
    grids, sounds = encoders.embed_frames(frames), encoders.embed_sounds(spectrograms)
    assert (grids.shape[1], sounds.shape[1]) == (12, 12)
    cosine = torch.nn.functional.cosine_similarity
    for b, a in ((0, 0), (2, 1)):
        parts = [
            cosine(grids[b, at : at + 6], sounds[a, at : at + 6, None, None], dim=0)
            for at in (0, 6)
        ]
        torch.testing.assert_close(encoders(frames, spectrograms)[b, a], sum(parts) / 2)


def test_the_momentum_encoder_follows_by_its_share() -> None:
    encoders = Encoders(replace(TINY, ema=0.75))
    assert encoders.ema is not None
    before = encoders.ema["sounds"].stem.weight.clone()
    with torch.no_grad():
        encoders.sounds.stem.weight += 1
    encoders.update_ema()
    torch.testing.assert_close(encoders.ema["sounds"].stem.weight, before + 0.25)
    assert not any(weights.requires_grad for weights in encoders.ema.parameters())


def test_the_momentum_encoder_answers_outside_of_training_if_it_is_to() -> None:
    torch.manual_seed(0)
    encoders = Encoders(replace(TINY, projection=6, ema=0.75, ema_eval=True))
    frames, spectrograms = torch.randn(2, 3, 32, 32), torch.randn(3, 1, 32, 40)
    with torch.no_grad():
        for weights in (encoders.frames.stem.weight, encoders.sounds.stem.weight):
            weights.add_(torch.randn_like(weights))
    encoders.eval()
    grids, sounds = encoders.embed_by_ema(frames, spectrograms)
    answer = encoders(frames, spectrograms)
    assert torch.equal(answer, encoders.respond(grids, sounds))
    encoders.ema_eval = False
    assert not torch.allclose(answer, encoders(frames, spectrograms))
    encoders.ema_eval = True
    encoders.train()
    learning = encoders.embed_frames(frames)
    assert learning.requires_grad
    assert not torch.allclose(learning, encoders.embed_by_ema(frames, spectrograms)[0])


@pytest.mark.parametrize(
    "change",
    [
        {"heads": 2},
        {"heads": 0},
        {"ema": 1.0},
        {"dropout": 1.0},
        {"projection": 0},
        {"projection": 65_537},
        {"projection": 4, "heads": 1_025},
        {"projection": 4, "hidden": 10**20},
        {"predictor": 10**20},
        {"classes": 10**20},
        {"prototypes": 10**20},
        {"ema_eval": True},
    ],
)
def test_what_makes_no_network_is_refused(change: dict[str, float]) -> None:
    with pytest.raises(HearsightError, match=r"encoder\."):
        replace(TINY, **change)


def test_more_weights_than_a_machine_holds_are_refused_before_they_are_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    count = sum(value.numel() for value in Encoders(TINY).state_dict().values())
    for most in (count, count - 1):
        monkeypatch.setattr("hearsight.model.encoders.MOST_WEIGHTS", most, raising=False)
        refused = pytest.raises(HearsightError, match=f"makes {count:,} weights, and a model may")
        with nullcontext() if most == count else refused:
            Encoders(TINY)


def test_linear_heads_project_sounds_without_the_hidden_layer() -> None:
    """Of three heads the last: equal steps of the features are equal steps of its embedding."""
    torch.manual_seed(2)
    encoder = replace(TINY, projection=4, hidden=6, heads=3, linear_heads=1)
    encoders = Encoders(encoder).eval()
    projection = encoders.sound_projection
    with torch.no_grad():
        zero, one, two = (
            projection(torch.linspace(-3, 3, 8)[None] * scale)[0] for scale in (-1.0, 0.0, 1.0)
        )
    assert one.shape == (12,)
    torch.testing.assert_close((two - one)[8:], (one - zero)[8:], rtol=1e-4, atol=1e-5)
    assert not torch.allclose((two - one)[:8], (one - zero)[:8], atol=1e-3)
    frames = encoders.embed_frames(torch.randn(2, 3, 32, 32))
    assert frames.shape[1] == 12


def test_linear_heads_are_checked() -> None:
    for heads, linear, hidden in ((2, 3, 4), (2, -1, 4), (2, 1, None)):
        with pytest.raises(HearsightError, match=r"encoder\.linear_heads must lie in 0\.\."):
            replace(TINY, projection=4, hidden=hidden, heads=heads, linear_heads=linear)
