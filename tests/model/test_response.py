"""Response maps against their definition."""

import pytest
import torch

from hearsight.model.response import matched, region_mean, response


def test_a_response_is_the_cosine_of_two_vectors() -> None:
    torch.manual_seed(0)
    visual, audio = torch.randn(3, 5, 2, 4).double(), torch.randn(2, 5).double()
    found = response(visual, audio)
    assert found.shape == (3, 2, 2, 4)
    for frame in range(3):
        for sound in range(2):
            for y in range(2):
                for x in range(4):
                    place, heard = visual[frame, :, y, x], audio[sound]
                    cosine = (place @ heard) / (place.norm() * heard.norm())
                    assert found[frame, sound, y, x].item() == pytest.approx(cosine.item())


def test_a_response_does_not_know_loudness() -> None:
    visual, audio = torch.randn(2, 5, 3, 3), torch.randn(2, 5)
    torch.testing.assert_close(response(3 * visual, 7 * audio), response(visual, audio))


def test_half_precision_embeddings_give_single_precision_responses() -> None:
    visual, audio = torch.randn(2, 64, 3, 3), torch.randn(2, 64)
    with torch.autocast("cpu", torch.bfloat16):
        found = response(visual.bfloat16(), audio.bfloat16())
    assert found.dtype == torch.float32
    exact = response(visual.bfloat16().float(), audio.bfloat16().float())
    torch.testing.assert_close(found, exact)


@pytest.mark.parametrize("first", [0, 3])
def test_each_frame_is_matched_with_its_own_sound(first: int) -> None:
    responses = torch.randn(3, 8, 2, 2)
    for frame, found in enumerate(matched(responses, first)):
        assert torch.equal(found, responses[frame, first + frame])


def test_a_region_mean_is_a_weighted_mean() -> None:
    values, inside = torch.randn(2, 3, 4, 4).double(), 5 * torch.randn(2, 3, 4, 4).double()
    weights = torch.sigmoid(inside)
    expected = (weights * values).sum((2, 3)) / weights.sum((2, 3))
    torch.testing.assert_close(region_mean(values, inside), expected)


def test_a_region_that_holds_next_to_nothing_still_has_a_mean() -> None:
    values = torch.tensor([[0.25, 0.75]])
    mean = region_mean(values, torch.full((1, 2), -300.0))
    assert mean.item() == pytest.approx(0.5)
