"""Released weights are read without running code, and land where they belong."""

import json
import os
import pickle
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from made_commands import Hearsight, refused
from made_released import PlainMethod, fill, released_entries
from PIL import Image
from torch import Tensor

from hearsight.checkpoints.checkpoint import load_checkpoint, load_model
from hearsight.checkpoints.import_weights import (
    METHODS,
    import_weights,
    released_names,
    released_recipe,
    target_of,
)
from hearsight.errors import HearsightError
from hearsight.model.encoders import Encoder, Encoders
from hearsight.recipes.catalogue import load_recipe


@pytest.fixture
def released() -> OrderedDict[str, Tensor]:
    """A model file of the released layout, all 257 entries of it."""
    return released_entries()


def test_our_weights_have_official_names(released: OrderedDict[str, Tensor]) -> None:
    for name, value in Encoders(Encoder(), bare=True).state_dict().items():
        assert released[released_names(name)[0][0]].shape == value.shape
    name = "frames.stages.1.0.shortcut.1.bias"
    assert released_names(name)[0][0] == "imgnet.layer2.0.downsample.1.bias"


@pytest.mark.parametrize(
    ("prefix", "inside"),
    [
        ("", None),
        ("module.", "model_state_dict"),
        ("module.", "state_dict"),
        ("", "model"),
        ("_orig_mod.", None),  # torch.compile
        ("module.module.", "state_dict"),  # two wrappers
        ("_orig_mod.module.", "model"),
        ("module._orig_mod.", "model"),
        ("model.", "state_dict"),  # Lightning
        ("model._orig_mod.", "state_dict"),
    ],
)
def test_released_files_are_imported(
    released: OrderedDict[str, Tensor], tmp_path: Path, prefix: str, inside: str | None
) -> None:
    if not prefix:  # as long as the files of others
        released = OrderedDict((key, value.clone()) for key, value in released.items())
    model = OrderedDict((prefix + key, value) for key, value in released.items())
    scores = {"epoch": 80, "best_acc": np.float64(0.38), "args": None}
    file, target = tmp_path / "best.pth.tar", tmp_path / "best.safetensors"
    torch.save(model if inside is None else {inside: model, **scores}, file)
    import_weights(file, target)
    found = load_checkpoint(target)
    assert found.recipe == load_recipe("ssl_tie")
    for name, value in found.weights.items():
        assert torch.equal(value, released[released_names(name)[0][0]])


def test_parts_that_are_wrapped_are_imported(
    released: OrderedDict[str, Tensor], tmp_path: Path
) -> None:
    file, target = tmp_path / "best.ckpt", tmp_path / "best.safetensors"
    for inside in ("_orig_mod.", "module.", "module._orig_mod."):
        wrapped = {key.replace(".", f".{inside}", 1): value for key, value in released.items()}
        torch.save({"state_dict": {"model": wrapped}, "epoch": 3}, file)
        import_weights(file, target)
        for name, value in load_checkpoint(target).weights.items():
            assert torch.equal(value, released[released_names(name)[0][0]])
        target.unlink()


def test_a_file_of_two_models_is_refused(
    released: OrderedDict[str, Tensor], tmp_path: Path
) -> None:
    file, target = tmp_path / "best.ckpt", tmp_path / "best.safetensors"
    key = "imgnet.layer3.0.conv2.weight"
    torch.save({**released, f"module.{key}": released[key]}, file)
    import_weights(file, target)  # the same values again are no second model
    torch.save({**released, f"module.{key}": released[key] + 1}, file)
    with pytest.raises(HearsightError, match=f"holds two models: {key} twice"):
        import_weights(file, target)


def test_files_of_old_torch_are_imported(
    released: OrderedDict[str, Tensor], tmp_path: Path
) -> None:
    file = tmp_path / "best.pth.tar"
    whole = {key: value.clone() for key, value in released.items()}
    torch.save({"state_dict": whole}, file, _use_new_zipfile_serialization=False)
    import_weights(file, tmp_path / "best.safetensors")
    for name, value in load_checkpoint(tmp_path / "best.safetensors").weights.items():
        assert torch.equal(value, released[released_names(name)[0][0]])


def test_another_key_layout_is_refused(released: OrderedDict[str, Tensor], tmp_path: Path) -> None:
    file, target = tmp_path / "best.pth.tar", tmp_path / "best.safetensors"
    key = "imgnet.layer3.0.conv2.weight"
    weight = released.pop(key)
    for change, says in (
        ({}, f"lacks {key}"),
        ({key: weight, "head.weight": weight}, r"holds the unexpected head\.weight"),
        ({key: weight[:7]}, rf"{key} .* shape \(7, 256, 3, 3\), .* \(256, 256, 3, 3\)"),
    ):
        torch.save({**released, **change}, file)
        with pytest.raises(HearsightError, match=says):
            import_weights(file, target)
    endless: dict[str, object] = {}
    endless["model"] = endless
    torch.save(endless, file)
    with pytest.raises(HearsightError, match="holds no named weights"):
        import_weights(file, target)
    torch.save([1, 2], file)
    with pytest.raises(HearsightError, match="holds no named weights"):
        import_weights(file, target)
    assert not target.exists()


class Hostile:
    """Unpickled by a careless reader, it makes a file."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self.trace}",)


@pytest.mark.parametrize("form", ["zip", "legacy", "bare pickle"])
def test_a_hostile_pickle_is_refused_and_not_run(tmp_path: Path, form: str) -> None:
    trace, file = tmp_path / "trace", tmp_path / "evil.pth.tar"
    hostile = {"state_dict": {"imgnet.conv1.weight": Hostile(trace)}}
    if form == "bare pickle":
        file.write_bytes(pickle.dumps(hostile))
    else:
        torch.save(hostile, file, _use_new_zipfile_serialization=form == "zip")
    with pytest.raises(HearsightError, match=r"evil\.pth\.tar was refused: it holds more than"):
        import_weights(file, tmp_path / "out.safetensors")
    assert not trace.exists()
    assert not (tmp_path / "out.safetensors").exists()
    torch.load(file, weights_only=False) if form != "bare pickle" else pickle.loads(
        file.read_bytes()
    )
    assert trace.exists()  # the trap was real


def test_a_pickle_of_a_newer_protocol_is_refused_in_one_sentence(hearsight: Hearsight) -> None:
    """Torch warns of protocols above 2, and in tests a warning is an error."""
    file = Path("evil.pth.tar")
    for protocol in (2, 4, 5):
        file.write_bytes(pickle.dumps({"a": Hostile(Path("trace"))}, protocol=protocol))
        refused(hearsight, "import-weights evil.pth.tar", "evil.pth.tar was refused: it holds more")


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("best.pth.tar", "best.safetensors"),
        ("wrong.v1.2.pth.tar", "wrong.v1.2.safetensors"),
        ("best.v1.pth", "best.v1.safetensors"),
        ("best.PT", "best.safetensors"),
        ("best.tar", "best.safetensors"),
        ("epoch.80", "epoch.80.safetensors"),
        ("best", "best.safetensors"),
        (".pth", ".pth.safetensors"),
    ],
)
def test_the_checkpoint_keeps_the_name_of_the_file(tmp_path: Path, name: str, target: str) -> None:
    assert target_of(tmp_path / name) == tmp_path / target


def test_a_checkpoint_is_replaced_only_by_force(hearsight: Hearsight) -> None:
    torch.save(foreign("ez-vsl"), "best.v1.pth")
    line = "import-weights best.v1.pth --method ez-vsl"
    code, out, _ = hearsight(line)
    assert (code, json.loads(out)) == (0, {"checkpoint": "best.v1.safetensors"})
    Path("best.v1.safetensors").write_bytes(b"mine")
    for named in ("", " --out best.v1.safetensors"):
        refused(hearsight, line + named, "'best.v1.safetensors' exists", "--force")
    assert Path("best.v1.safetensors").read_bytes() == b"mine"
    assert hearsight(f"{line} --force")[0] == 0
    assert load_checkpoint("best.v1.safetensors").facts == {"imported_from": "best.v1.pth"}


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP"])
def test_a_picture_is_no_weights_file(tmp_path: Path, form: str) -> None:
    file = tmp_path / "picture"
    Image.new("RGB", (40, 30), (220, 30, 30)).save(file, form)
    with pytest.raises(HearsightError, match=r"picture is no weights file"):
        import_weights(file, tmp_path / "out.safetensors")


@pytest.mark.parametrize("content", [b"", b"no weights here", b"PK\x03\x04" + b"\0" * 60])
def test_a_file_that_is_no_pickle_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "best.pth.tar"
    file.write_bytes(content)
    with pytest.raises(HearsightError, match=r"best\.pth\.tar"):
        import_weights(file, tmp_path / "out.safetensors")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(HearsightError, match=r"no file .*best\.pth\.tar"):
        import_weights(tmp_path / "best.pth.tar", tmp_path / "out.safetensors")


def foreign(method: str) -> dict[str, Tensor]:
    """A model of random numbers in the layout that the method's authors released."""
    generator = torch.Generator().manual_seed(3)
    encoder = released_recipe(method).encoder
    found = {}
    for name, value in Encoders(encoder, bare=True).state_dict().items():
        names = released_names(name, encoder.heads)[-1]
        for key, part in zip(names, value.chunk(len(names)), strict=True):
            found[key] = torch.rand(part.shape, generator=generator)
    return found


@pytest.mark.parametrize("method", METHODS)
def test_the_layouts_of_other_methods_are_imported(tmp_path: Path, method: str) -> None:
    theirs = foreign(method)
    if method == "slavc":
        assert {"img_proj1.weight", "aud_proj2.bias", "momentum_img_proj2.weight"} <= theirs.keys()
        assert "momentum_imgnet.layer4.1.bn2.running_var" in theirs
    torch.save({"model": {f"module.{k}": v for k, v in theirs.items()}}, tmp_path / "best.pth")
    recipe = import_weights(tmp_path / "best.pth", tmp_path / "out.safetensors", method)
    found = load_checkpoint(tmp_path / "out.safetensors")
    assert found.recipe == recipe
    for name, value in found.weights.items():
        names = released_names(name, recipe.encoder.heads)[-1]
        assert torch.equal(value, torch.cat([theirs[key] for key in names]))


def test_a_linear_map_may_stand_for_a_convolution_of_one_pixel(tmp_path: Path) -> None:
    theirs = foreign("ez-vsl")
    wanted = theirs["img_proj.weight"]
    theirs["img_proj.weight"] = wanted.flatten(1)
    torch.save(theirs, tmp_path / "best.pth")
    import_weights(tmp_path / "best.pth", tmp_path / "out.safetensors", "ez-vsl")
    found = load_checkpoint(tmp_path / "out.safetensors").weights["frame_projection.weight"]
    assert torch.equal(found, wanted)


def test_an_unknown_method_is_refused(tmp_path: Path) -> None:
    with pytest.raises(HearsightError, match=r"no method 'ezvsl'.*Did you mean 'ez-vsl'\?"):
        import_weights(tmp_path / "a.pth", tmp_path / "out.safetensors", "ezvsl")


@pytest.mark.parametrize("method", [name for name in METHODS if name != "ssl-tie"])
def test_imported_weights_give_the_maps_of_their_network(tmp_path: Path, method: str) -> None:
    """SSL-TIE's are compared with the numbers of its code, in test_parity.py."""
    with torch.device("meta"):  # every value is filled in
        bare = PlainMethod(method)
    network = fill(bare.to_empty(device="cpu"))
    beside = {"semantic_proj.weight": torch.ones(4, 4)} if method == "ssl-align" else {}
    momentum = {f"momentum_{key}": value for key, value in network.state_dict().items()}
    held = network.state_dict() | beside | (momentum if method == "slavc" else {})
    torch.save({"model": held}, tmp_path / "best.pth")
    import_weights(tmp_path / "best.pth", tmp_path / "out.safetensors", method)
    found = load_model(tmp_path / "out.safetensors")
    generator = torch.Generator().manual_seed(5)
    height, width = found.recipe.spectrogram.shape
    frames = torch.randn(2, 3, 96, 96, generator=generator)
    sounds = torch.randn(2, 1, height, width, generator=generator)
    with torch.inference_mode():
        ours, theirs = found.encoders(frames, sounds), network(frames, sounds)
    assert theirs.std() > 0.01  # maps that say something
    torch.testing.assert_close(ours[[0, 1], [0, 1]], theirs, rtol=0, atol=1e-5)


def test_ssl_align_hears_three_seconds_in_299_columns() -> None:
    assert released_recipe("ssl-align").spectrogram.shape == (257, 299)


def test_only_ssl_aligns_file_may_hold_other_networks(tmp_path: Path) -> None:
    for method in METHODS:
        found = {key: torch.zeros(()).expand(value.shape) for key, value in foreign(method).items()}
        torch.save(found | {"other.weight": torch.ones(3)}, tmp_path / "best.pth")
        target = tmp_path / f"{method}.safetensors"
        if method == "ssl-align":
            import_weights(tmp_path / "best.pth", target, method)
            aligned = found
            continue
        with pytest.raises(HearsightError, match=r"holds the unexpected other\.weight"):
            import_weights(tmp_path / "best.pth", target, method)
    torch.save(aligned | {"imgnet.layer5.weight": torch.ones(3)}, tmp_path / "a.pth")
    with pytest.raises(HearsightError, match=r"holds the unexpected imgnet\.layer5"):
        import_weights(tmp_path / "a.pth", tmp_path / "a.safetensors", "ssl-align")
