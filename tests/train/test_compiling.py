"""The one place where the package compiles."""

from __future__ import annotations

import pytest
import torch
import torch._inductor.config as config

from contrastive_tutorial.train import compiled


@pytest.mark.parametrize(
    ("version", "wrong"),
    [
        ("2.9.1", False),
        ("2.10.0", True),
        ("2.11.0+cu128", True),
        ("2.13.1", True),
        ("2.14.0", False),
    ],
)
def test_mix_order_reductions_are_off_where_they_are_wrong(
    version: str, wrong: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(config.triton, "mix_order_reduction", True)
    monkeypatch.setattr(torch, "__version__", torch.torch_version.TorchVersion(version))
    monkeypatch.setattr(torch, "compile", lambda function, mode: (function, mode))
    assert compiled(len, "max-autotune") == (len, "max-autotune")
    assert config.triton.mix_order_reduction is not wrong
