"""optimizers: the rate never passes its peak, and decay spares what normalises."""

import itertools

import pytest
from torch import nn

from contrastive_tutorial.norm import KINDS, convert_norm
from contrastive_tutorial.train.encoders import two_conv
from contrastive_tutorial.train.loop import TrainConfig
from contrastive_tutorial.train.optimizers import learning_rate, make_optimizer


@pytest.mark.parametrize(
    ("steps", "warmup"),
    itertools.product([1, 2, 3, 15, 48, 100, 3_072], [0.0, 0.005, 0.01, 0.1, 0.3, 0.999, 1.0]),
)
def test_the_rate_rises_to_its_peak_falls_to_zero_and_never_passes_it(steps, warmup):
    config = TrainConfig(steps, lr=0.2, warmup=warmup)
    rates = [learning_rate(config, step) for step in range(steps)]
    assert max(rates) == 0.2
    assert min(rates) > 0
    top = rates.index(0.2)
    assert rates[: top + 1] == sorted(rates[: top + 1])
    assert rates[top:] == sorted(rates[top:], reverse=True)


@pytest.mark.parametrize("kind", KINDS)
def test_decay_takes_weights_and_spares_norms_of_any_shape(kind):
    model = convert_norm(two_conv(), kind, 4, total_steps=10)
    model = nn.Sequential(model, nn.LayerNorm((3, 3)))
    decayed, spared = make_optimizer(model, TrainConfig(1)).param_groups
    assert (decayed["weight_decay"], spared["weight_decay"]) == (1e-4, 0.0)
    convolutions = [m.weight for m in model.modules() if isinstance(m, nn.Conv2d)]
    assert {id(p) for p in decayed["params"]} == {id(p) for p in convolutions}
    everything = decayed["params"] + spared["params"]
    assert {id(p) for p in everything} == {id(p) for p in model.parameters()}
