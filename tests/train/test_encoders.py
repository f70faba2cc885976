"""encoders: sizes as stated, seeds respected."""

import pytest
import torch
from torch import nn

from contrastive_tutorial.errors import InputError
from contrastive_tutorial.norm import convert_norm
from contrastive_tutorial.train import encoders


@pytest.mark.parametrize(
    ("name", "parameters", "feature_dim"),
    [
        ("two_conv", 472_256, 2048),  # 5*5*3*64 + 5*5*64*128 + 2*(64+128) + 2048*128 + 128
        ("two_conv_strided", 95_424, 128),  # 5*5*3*64 + 3*3*64*128 + 384 + 128*128 + 128
        ("resnet18", 11_168_832 + 512 * 1024 + 1024 + 1024 * 128 + 128, 512),
    ],
)
def test_sizes(name, parameters, feature_dim):
    model = encoders.build(name)
    assert sum(p.numel() for p in model.parameters()) == parameters
    assert model.encoder.feature_dim == feature_dim
    h, z = model.eval()(torch.zeros(2, 3, 32, 32))
    assert h.shape == (2, feature_dim)
    assert z.shape == (2, 128)
    assert torch.equal(h, model.encode(torch.zeros(2, 3, 32, 32)))


def test_the_cifar_stem_keeps_the_resolution():
    model = encoders.resnet18()
    x = model.maxpool(model.relu(model.bn1(model.conv1(torch.zeros(1, 3, 32, 32)))))
    assert x.shape == (1, 64, 32, 32)


@pytest.mark.parametrize("order", [torch.channels_last, torch.contiguous_format])
def test_the_mean_over_a_map_is_pytorchs_and_its_gradient_lies_as_the_map_does(order):
    x = torch.randn(6, 16, 4, 4, generator=torch.Generator().manual_seed(3))
    found = []
    for pool in (encoders.MeanOverMap(), torch.nn.AdaptiveAvgPool2d(1)):
        leaf = x.clone().contiguous(memory_format=order).requires_grad_()
        seen, mapped = [], leaf * 1
        mapped.register_hook(seen.append)
        y = pool(mapped)
        y.backward(torch.ones_like(y).cumsum(0))
        found.append((y.detach(), leaf.grad, seen[0]))
    assert torch.equal(found[0][0], found[1][0])
    assert torch.equal(found[0][1], found[1][1])
    assert found[0][2].is_contiguous(memory_format=torch.channels_last)


def test_seeded_weights_leave_the_global_generator_alone():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    one, two, other = (encoders.seeded(seed, "two_conv_strided") for seed in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), before)
    for a, b, c in zip(one.parameters(), two.parameters(), other.parameters(), strict=True):
        assert torch.equal(a, b)
        assert a.ndim == 1 or not torch.equal(a, c)


def test_projection_head_forms():
    assert [type(layer).__name__ for layer in encoders.ProjectionHead(8, 4)] == ["Linear"]
    mlp = encoders.ProjectionHead(8, 4, hidden=16)
    assert mlp(torch.zeros(3, 8)).shape == (3, 4)
    assert [type(layer).__name__ for layer in mlp] == ["Linear", "ReLU", "Linear"]


def test_unknown_encoder():
    with pytest.raises(InputError, match="two_conv_strided"):
        encoders.build("vgg")


@pytest.mark.parametrize("kind", ["bn", "dsbn", "ghost", "renorm", "gn"])
def test_a_kept_encoder_comes_back_with_the_same_features(kind, tmp_path):
    network = encoders.seeded(0, "two_conv_strided").encoder
    if kind != "bn":
        network = convert_norm(network, kind, 4, total_steps=9,
                               grouping="contiguous" if kind == "ghost" else None)  # fmt: skip
    network(torch.rand(8, 3, 32, 32))  # moves the running statistics
    file = tmp_path / "B0-K4-s0.safetensors"
    encoders.save_encoder(file, network, encoder="two_conv_strided", norm=kind, num_subsets=4)
    again = encoders.load_encoder(file)
    assert not again.training
    x = torch.rand(4, 3, 32, 32)
    assert torch.equal(again(x), network.eval()(x))


def test_a_compiled_encoder_is_kept_under_the_names_of_the_plain_one(tmp_path):
    plain = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Sequential(nn.BatchNorm2d(4)), nn.Flatten())
    partly = nn.Sequential(plain[0], torch.compile(plain[1], backend="eager"), plain[2])
    for network in (torch.compile(plain, backend="eager"), partly):
        encoders.save_encoder(tmp_path / "x", network, encoder="", norm="bn", num_subsets=1)
        again = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Sequential(nn.BatchNorm2d(4)), nn.Flatten())
        assert torch.equal(encoders.load_encoder(tmp_path / "x", again)[0].weight, plain[0].weight)
        encoders.load_encoder(tmp_path / "x", torch.compile(again, backend="eager"))
        encoders.load_encoder(tmp_path / "x", network)


def test_weights_of_something_else_are_refused(tmp_path):
    file = tmp_path / "x.safetensors"
    with pytest.raises(InputError, match="--keep-weights"):
        encoders.load_encoder(file)
    file.write_bytes(b"no")
    with pytest.raises(InputError, match="--keep-weights"):
        encoders.load_encoder(file)
    own = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten())
    encoders.save_encoder(file, own, encoder="", norm="bn", num_subsets=1)
    with pytest.raises(InputError, match="network of your own"):
        encoders.load_encoder(file)
    assert torch.equal(encoders.load_encoder(file, own)[0].weight, own[0].weight)
    with pytest.raises(InputError, match="another network"):
        encoders.load_encoder(file, nn.Linear(3, 3))
