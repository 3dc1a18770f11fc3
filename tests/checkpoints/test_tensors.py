"""What is kept of tensors besides their values: the digest that tells weights apart."""

from hashlib import blake2b

import torch

from hearsight.checkpoints.tensors import weights_digest


def test_a_digest_is_of_names_and_values_whatever_their_order_and_layout() -> None:
    values = torch.arange(6.0).reshape(2, 3)
    weights = {"b": torch.tensor([1, 2]), "a": values}
    by_hand = b"a" + values.numpy().tobytes() + b"b" + torch.tensor([1, 2]).numpy().tobytes()
    assert weights_digest(weights, 8) == blake2b(by_hand, digest_size=8).hexdigest()
    assert len(weights_digest(weights, 16)) == 32
    turned = values.T.contiguous().T.requires_grad_()
    assert not turned.is_contiguous()
    assert weights_digest({"a": turned, "b": weights["b"]}, 8) == weights_digest(weights, 8)
    begun = blake2b(b"Trunk" + by_hand, digest_size=8).hexdigest()
    assert weights_digest(weights, 8, begin="Trunk") == begun
    others = ({**weights, "c": values}, {"b": weights["b"]}, {**weights, "a": values + 1})
    assert weights_digest(weights, 8) not in [weights_digest(one, 8) for one in others]
