"""The pretended accelerator of the tests refuses what a GPU refuses."""

import numpy as np
import pytest
import torch
from pretended import MixedDevicesError, There, accelerator, values


def test_it_computes_what_the_host_computes_with_gradients():
    torch.manual_seed(0)
    layer = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
    x = torch.randn(5, 3)
    layer(x).square().mean().backward()
    expected = [p.grad.clone() for p in layer.parameters()]
    layer.zero_grad()
    with accelerator() as device:
        layer.to(device)
        assert all(isinstance(p, There) and p.device == device for p in layer.parameters())
        layer(x.to(device)).square().mean().backward()
        found = [values(p.grad) for p in layer.parameters()]
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(expected, found, strict=True))


@pytest.mark.parametrize(
    "mix",
    [
        lambda there, here: there + here,
        lambda there, here: torch.cat([here, there]),
        lambda there, here: here[there.long()],
        lambda there, here: there.index_select(0, here.long()),
        lambda there, here: there.add_(here),
        lambda there, here: there.numpy(),
        lambda there, here: np.asarray(there),
        lambda there, here: torch.rand(2, generator=torch.Generator(), device=there.device),
        lambda there, here: torch.rand(
            2, generator=torch.Generator(device=there.device), device=here.device
        ),
    ],
)
def test_mixing_raises(mix):
    with accelerator() as device, pytest.raises((MixedDevicesError, TypeError)):
        mix(torch.zeros(2, device=device), torch.zeros(2))


def test_what_a_gpu_allows():
    with accelerator() as device:
        there = torch.arange(4.0, device=device)
        assert (there * torch.tensor(2.0)).tolist() == [0, 2, 4, 6]  # a number of the host
        assert there[torch.tensor([1, 3])].tolist() == [1, 3]  # indices of the host
        assert float(there.sum()) == 6
        assert there.cpu().numpy().tolist() == [0, 1, 2, 3]
        assert torch.zeros(4).copy_(there).device.type == "cpu"
        generator = torch.Generator(device=device).manual_seed(3)
        drawn = torch.rand(2, generator=generator, device=device)
    assert torch.equal(values(drawn), torch.rand(2, generator=torch.Generator().manual_seed(3)))
