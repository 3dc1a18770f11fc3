"""Every recipe trains, takes a margin or says why not, and takes equivariance."""

import math
from dataclasses import replace

import pytest
import torch
from made_steps import clips, loss_of

from hearsight.errors import HearsightError
from hearsight.model.encoders import Encoders
from hearsight.recipes.catalogue import load_recipe, recipe_names
from hearsight.recipes.recipe import Recipe
from hearsight.recipes.serialisation import assign
from hearsight.training.batches import Batch
from hearsight.training.step import Step, box_coverage, draw, square_boxes

LABELS = ("bell", "dog", "drum")
MARGINLESS = {"coarse_to_fine", "dmc", "sspl", "vgg_h"}


def tiny(name: str) -> Recipe:
    """The recipe on a network of nothing."""
    recipe = load_recipe(name)
    encoder = recipe.encoder
    recipe.encoder = replace(
        encoder,
        widths=(4, 8),
        blocks=(1, 1),
        strides=(1, 2),
        sound_strides=(1, 2),
        projection=encoder.projection and 8,
        predictor=encoder.predictor and 4,
        classes=len(LABELS) if recipe.needs_labels else 0,
    )
    recipe.frame_size, recipe.labels = 32, LABELS if recipe.needs_labels else ()
    return recipe


def annotated(count: int) -> Batch:
    return replace(
        clips(count),
        labels=tuple(LABELS[number % 3] for number in range(count)),
        boxes=(((0.25, 0.25, 0.75, 0.75),),) * count,
    )


def small_names() -> list[str]:
    return [name for name in recipe_names() if "small" in name]


def step_of(recipe: Recipe) -> Step:
    torch.manual_seed(0)
    return Step(recipe, Encoders(recipe.encoder))


@pytest.mark.parametrize("name", small_names())
def test_every_recipe_takes_a_step(name: str) -> None:
    recipe = tiny(name)
    step = step_of(recipe)
    before = {key: value.clone() for key, value in step.state_dict().items()}
    terms = step(annotated(6), draw(recipe, 6, 9, torch.Generator().manual_seed(0)))
    loss = loss_of(terms)
    loss.backward()
    assert loss.isfinite()
    gradients = [p.grad for p in step.parameters() if p.grad is not None]
    assert all(gradient.isfinite().all() for gradient in gradients)
    assert any(gradient.abs().max() > 0 for gradient in gradients)
    with torch.no_grad():
        for parameter in step.parameters():
            if parameter.grad is not None:
                parameter -= 0.1 * parameter.grad
    step.encoders.update_ema()
    followed = [key for key in before if key.startswith("encoders.ema.") and "running" not in key]
    assert bool(followed) == (recipe.encoder.ema > 0)
    if followed:
        state = step.state_dict()
        assert any(not torch.equal(state[key], before[key]) for key in followed)


@pytest.mark.parametrize("name", small_names())
def test_a_lower_margin_lowers_the_loss_or_is_refused(name: str) -> None:
    recipe = tiny(name)
    if name.split(":")[0] in MARGINLESS:
        with pytest.raises(HearsightError, match=r"^\w+ has no margin: [^.]*[.]?[^.]*\.$"):
            assign(recipe, "contrast.margin=-0.2")
        return
    losses = []
    for margin in (0.2, 0.0, -0.2, -0.4, -0.6):
        assign(recipe, f"contrast.margin={margin}")
        step = step_of(recipe).eval()
        with torch.no_grad():
            terms = step(annotated(6), draw(recipe, 6, 0, torch.Generator().manual_seed(0)))
        losses.append(terms["contrast"].item())
    assert losses == sorted(losses, reverse=True)
    assert losses[0] > losses[-1]


@pytest.mark.parametrize("name", small_names())
def test_equivariance_can_be_added_to_every_recipe(name: str) -> None:
    recipe = tiny(name)
    if recipe.warp is None:
        assign(recipe, "warp=Warp")
        assign(recipe, "warp.form=per_image")
    assign(recipe, "equivariance=2.0")
    step = step_of(recipe)
    draws = draw(recipe, 6, 0, torch.Generator().manual_seed(0))
    terms = step(annotated(6), draws)
    assert terms["equivariance"] > 0
    terms["equivariance"].backward()
    assert any(p.grad is not None and p.grad.abs().max() > 0 for p in step.parameters())


def test_a_class_that_is_not_known_is_named() -> None:
    recipe = tiny("vgg_h:small")
    batch = replace(annotated(3), labels=("dog", "cat", "bell"))
    draws = draw(recipe, 3, 0, torch.Generator().manual_seed(0))
    with pytest.raises(HearsightError, match=r"The class 'cat' cannot be learned: .* bell, dog"):
        step_of(recipe)(batch, draws)


def test_clips_without_boxes_are_named_where_boxes_are_learned() -> None:
    recipe = tiny("attention10k:small_supervised")
    batch = replace(annotated(3), boxes=(None,) * 3)
    draws = draw(recipe, 3, 0, torch.Generator().manual_seed(0))
    with pytest.raises(HearsightError, match="Clip 'clip0' has no boxes"):
        step_of(recipe)(batch, draws)


@pytest.mark.parametrize("edge", [math.nan, math.inf])
def test_a_box_with_an_edge_that_is_no_number_is_named(edge: float) -> None:
    recipe = tiny("attention10k:small_supervised")
    batch = replace(annotated(3), boxes=(((0.25, 0.25, 0.75, 0.75),), ((0.0, 0.0, edge, 1.0),), ()))
    draws = draw(recipe, 3, 0, torch.Generator().manual_seed(0))
    with pytest.raises(HearsightError, match="Clip 'clip1' has a box with an edge that is no"):
        step_of(recipe)(batch, draws)


def test_a_box_that_reaches_beyond_the_frame_covers_what_of_it_lies_inside() -> None:
    grids = torch.zeros(3, 1, 2, 2)
    boxes = [((-0.5, 0.5, 9.0, 1.5),), ((-1e308, 0.0, 0.25, 1e308),), ((1.5, 0.0, 2.0, 1.0),)]
    shares = box_coverage(boxes, grids)
    assert shares.tolist() == [[[0, 0], [1, 1]], [[0.5, 0], [0.5, 0]], [[0, 0], [0, 0]]]
    batch = replace(annotated(1), boxes=(((-1e308, 0.0, 1e308, 1.0),),))
    assert box_coverage([square_boxes(batch, 0)], grids[:1]).tolist() == [[[1, 1], [1, 1]]]
