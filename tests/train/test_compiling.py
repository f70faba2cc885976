"""The one place where the package compiles."""

from __future__ import annotations

import pytest
import torch
import torch._inductor.config as config

from contrastive_tutorial.train import compiled

VERSIONS = {"2.9.1": 0, "2.10.0": 1, "2.11.0+cu128": 1, "2.13.1": 1, "2.14.1": 1, "2.15.0": 0}


@pytest.mark.parametrize(("version", "wrong"), VERSIONS.items())
def test_mix_order_reductions_are_off_where_they_are_wrong(
    version: str, wrong: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not hasattr(config.triton, "mix_order_reduction"):
        pytest.skip(f"torch {torch.__version__} has no mix-order reductions")
    monkeypatch.setattr(torch, "__version__", torch.torch_version.TorchVersion(version))
    monkeypatch.setattr(torch, "compile", lambda function, mode: (function, mode))
    with config.patch({"triton.mix_order_reduction": True}):
        assert compiled(len, "max-autotune") == (len, "max-autotune")
        assert config.triton.mix_order_reduction == (not wrong)
