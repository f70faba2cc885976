"""Encoders: the article's two-convolution network, its strided variant, four convolutions.

An encoder maps images ``(B, 3, 32, 32)`` to features **h** ``(B, feature_dim)``; a projection head
maps h to **z**, where the contrastive loss lives (Chen et al. 2020, arXiv 2002.05709, section 2.1).
Evaluation uses h.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedParameter

from contrastive_tutorial.errors import InputError
from contrastive_tutorial.files import load_tensors, on_host, save_tensors
from contrastive_tutorial.norm import convert_norm


class ConvNet(nn.Module):
    """Convolutions in a row, each followed by BN and ReLU, and pooling at the end.

    Built by :func:`two_conv` and :func:`four_conv`; ``feature_dim`` is the length of h.
    """

    def __init__(self, features: nn.Sequential, feature_dim: int):
        super().__init__()
        self.features = features
        self.feature_dim = feature_dim

    def forward(self, x: Tensor) -> Tensor:
        """h ``(B, feature_dim)`` of images ``(B, 3, 32, 32)``."""
        return self.features(x).flatten(1)


class MeanOverMap(nn.Module):
    """Mean over height and width: ``(B, C, H, W)`` to ``(B, C, 1, 1)``.

    As ``nn.AdaptiveAvgPool2d(1)``, bit by bit. But the gradient of that comes back in NCHW, and
    under a map in ``channels_last`` all that follows pays for the change of order: ReLU's backward
    pass ten times what it costs.
    """

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, 1, 1)``."""
        return x.permute(0, 2, 3, 1).flatten(1, 2).mean(1)[:, :, None, None]


def _block(before: int, channels: int, kernel: int, stride: int = 1) -> list[nn.Module]:
    """A convolution that keeps the size, but for its stride, with BN and ReLU."""
    convolution = nn.Conv2d(before, channels, kernel, stride, padding=kernel // 2, bias=False)
    return [convolution, nn.BatchNorm2d(channels), nn.ReLU(inplace=True)]


def two_conv(strided: bool = False) -> ConvNet:
    """The article's "2 conv, 2 BN, 1 FC" network without its FC (which is the projection head).

    The article gives no sizes. We take 5x5 convolutions with 64 and 128 channels and max pooling,
    pooled to 4x4: h has 2,048 numbers, and with a 128-unit FC the network has 472,256 parameters.

    ``strided=True`` is the variant for CPUs: the stride of the convolutions (4, then 2) replaces
    pooling, and the mean over the 4x4 map gives h with 128 numbers. It has 95,424 parameters with
    its FC and costs 1/38 of the
    multiplications (1.5 against 57.6 million a forward pass of one image).
    """
    if strided:
        layers = [*_block(3, 64, 5, stride=4), *_block(64, 128, 3, stride=2), MeanOverMap()]
        return ConvNet(nn.Sequential(*layers), 128)
    layers = [*_block(3, 64, 5), nn.MaxPool2d(2), *_block(64, 128, 5), nn.MaxPool2d(2)]
    return ConvNet(nn.Sequential(*layers, nn.AdaptiveAvgPool2d(4)), 2048)


def four_conv() -> ConvNet:
    """Four 3x3 convolutions of 32, 64, 128 and 256 channels, strides 2, 2, 2, 1, then the mean.

    The network of the second study: of six recipes at equal computing time it gave the best kNN
    accuracy on validation images (``benchmarks/calibration.py``). 7.3 million multiplications an
    image, five times those of the strided two-convolution network; h has 256 numbers.
    """
    layers: list[nn.Module] = []
    before = 3
    for channels, stride in ((32, 2), (64, 2), (128, 2), (256, 1)):
        layers += _block(before, channels, 3, stride)
        before = channels
    return ConvNet(nn.Sequential(*layers, MeanOverMap()), before)


def resnet18() -> nn.Module:
    """torchvision's ResNet-18 with the CIFAR stem: 3x3 stride-1 convolution and no max pooling.

    With the ImageNet stem a 32x32 image is reduced to one position before the last stage; leaving
    it in costs about ten points (lightly issue 1419). ``feature_dim`` is 512.
    """
    from torchvision.models import resnet18 as torchvision_resnet18

    model = torchvision_resnet18(weights=None)
    model.conv1 = nn.Conv2d(3, 64, 3, stride=1, padding=1, bias=False)
    nn.init.kaiming_normal_(model.conv1.weight, mode="fan_out", nonlinearity="relu")
    model.maxpool = nn.Identity()
    model.fc = nn.Identity()
    model.feature_dim = 512
    return model


class ProjectionHead(nn.Sequential):
    """g: h to z. One linear layer, or an MLP ``in - hidden - out`` with ReLU and no BN.

    Args:
        in_features: length of h.
        out_features: length of z.
        hidden: width of the hidden layer; ``None`` for a single linear layer (the article's FC).
    """

    def __init__(self, in_features: int, out_features: int = 128, hidden: int | None = None):
        if hidden is None:
            super().__init__(nn.Linear(in_features, out_features))
        else:
            super().__init__(
                nn.Linear(in_features, hidden),
                nn.ReLU(inplace=True),
                nn.Linear(hidden, out_features),
            )


class ContrastiveModel(nn.Module):
    """Encoder f and projection head g as one module: ``z = g(f(x))``.

    ``encode(x)`` gives h; ``forward(x)`` gives ``(h, z)``.
    """

    def __init__(self, encoder: nn.Module, head: nn.Module):
        super().__init__()
        self.encoder = encoder
        self.head = head

    def encode(self, x: Tensor) -> Tensor:
        """h ``(B, feature_dim)``."""
        return self.encoder(x)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """``(h, z)`` of images ``(B, 3, 32, 32)``."""
        h = self.encoder(x)
        return h, self.head(h)


ENCODERS: dict[str, Callable[[], ContrastiveModel]] = {
    # The two-conv networks take the article's single FC.
    "two_conv": lambda: ContrastiveModel(two_conv(), ProjectionHead(2048)),
    "two_conv_strided": lambda: ContrastiveModel(two_conv(strided=True), ProjectionHead(128)),
    "four_conv": lambda: ContrastiveModel(four_conv(), ProjectionHead(256, hidden=256)),
    # The head of the best published small recipe (``dkobak/simclr-cifar10``).
    "resnet18": lambda: ContrastiveModel(resnet18(), ProjectionHead(512, 128, hidden=1024)),
}


def build(name: str) -> ContrastiveModel:
    """An encoder by its name in :data:`ENCODERS`, with its head."""
    if name not in ENCODERS:
        raise InputError(f"encoder: expected one of {', '.join(ENCODERS)}, got {name!r}")
    return ENCODERS[name]()


def with_head(encoder: nn.Module, size: int = 32) -> ContrastiveModel:
    """An encoder of your own with the article's head: one linear layer from h to 128 numbers.

    Args:
        encoder: maps float images ``(N, 3, size, size)`` to features ``(N, D)``.
        size: height and width of the images.

    Raises:
        InputError: if it does not, saying what it did instead; if it has nothing to train.
    """
    parameters = list(encoder.parameters())
    if not any(p.requires_grad for p in parameters):
        raise InputError("encoder: expected a module with parameters to train, found none")
    if any(isinstance(p, UninitializedParameter) for p in parameters):
        raise InputError(
            "encoder: has lazy layers, whose sizes nobody knows yet; show it some images first"
        )
    if odd := sorted({str(p.dtype) for p in parameters if p.is_complex()}):
        raise InputError(f"encoder: expected floating point parameters, got {', '.join(odd)}")
    device = next(encoder.parameters()).device
    with torch.random.fork_rng(devices=[]):  # dropout draws in training mode
        width, again = (_width(encoder, size, device, mode) for mode in (False, True))
    if width != again:
        raise InputError(
            f"encoder: expected as many features in training as in evaluation, got {again} and "
            f"{width}"
        )
    return ContrastiveModel(encoder, ProjectionHead(width).to(device))


@torch.no_grad()
def _width(encoder: nn.Module, size: int, device: torch.device, training: bool) -> int:
    """How many features an encoder gives in one of its modes."""
    mode = "training" if training else "evaluation"
    what = f"encoder: expected features (N, D), float32, of images (N, 3, {size}, {size}) in {mode}"
    images = torch.rand(2, 3, size, size, device=device)
    shown = images.clone()
    try:
        twin = copy.deepcopy(encoder).train(training)  # a forward pass may change buffers
        h = twin(shown)
    except (RuntimeError, TypeError, ValueError, IndexError, NotImplementedError) as error:
        raise InputError(f"{what}, but it fails on two: {' '.join(str(error).split())}") from error
    # Evaluation shows it the same images more than once.
    if not shown.is_meta and not torch.equal(shown, images):
        raise InputError(
            f"encoder: writes into the images that it is given in {mode}; let it work on a copy "
            "(x - mean for x.sub_(mean), inplace=False)"
        )
    sound = isinstance(h, Tensor) and h.ndim == 2 and h.dtype == torch.float32
    if not sound or h.shape[0] != 2 or h.shape[1] == 0:
        got = f"{h.dtype} {tuple(h.shape)}" if isinstance(h, Tensor) else type(h).__name__
        raise InputError(f"{what}, got {got} of two; end it with nn.Flatten() or a pooling")
    return h.shape[1]


def seeded(
    seed: int, encoder: str | nn.Module | Callable[[], nn.Module], size: int = 32
) -> ContrastiveModel:
    """A model whose weights are drawn from ``seed``, leaving the global generator untouched.

    Args:
        seed: of every weight that is drawn here.
        encoder: a name for :func:`build`; or a function that makes an encoder, or an encoder, of
            which a copy with the weights that it has is taken, for :func:`with_head`.
        size: height and width of the images.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if isinstance(encoder, str):
            return build(encoder)
        made = _copied(encoder) if isinstance(encoder, nn.Module) else encoder()
        if not isinstance(made, nn.Module):
            raise InputError(
                f"encoder: expected a module or a function that makes one, got {type(made)}"
            )
        return with_head(made, size)


def _copied(encoder: nn.Module) -> nn.Module:
    """A copy: whoever gives one network to several experiments compares equal beginnings."""
    try:
        return copy.deepcopy(encoder)
    except (RuntimeError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"encoder: cannot be copied ({reason:.120}); give a function that makes one"
        ) from error


def save_encoder(path: Path, network: nn.Module, **made: object) -> None:
    """Write an encoder's weights and running statistics as safetensors, atomically.

    Args:
        path: of the file.
        network: what :func:`load_encoder` is to give back.
        made: how it was made: ``encoder`` (a name of :data:`ENCODERS`, or empty for one of your
            own), ``norm``, ``num_subsets``, and what else a reader may want to know.

    Raises:
        InputError: if the file cannot be written.
    """
    words = {name: str(value) for name, value in made.items()}
    weights = {_uncompiled(name): tensor for name, tensor in network.state_dict().items()}
    save_tensors(path, on_host(weights), words)


def _uncompiled(name: str) -> str:
    """Without what torch.compile adds to the names of a network's parts."""
    return name.replace("_orig_mod.", "")


def load_encoder(path: str | Path, encoder: nn.Module | None = None) -> nn.Module:
    """A trained encoder that a run kept (``--keep-weights``), in evaluation mode, on the CPU.

    Args:
        path: ``<cell>-K<num_subsets>-s<seed>.safetensors``, beside its record.
        encoder: for a network of your own, one built like the one that was trained.

    Returns:
        Maps float images ``(N, 3, S, S)`` in [0, 1] to features ``(N, D)``. With statistics per
        subset, say which to use: :func:`contrastive_tutorial.norm.evaluation_statistics`.

    Raises:
        InputError: for a file that is none of these, or that belongs to another network.
    """
    from safetensors import SafetensorError

    try:
        tensors, made = load_tensors(path)
    except (OSError, SafetensorError) as error:
        raise InputError(
            f"{path}: no weights of an encoder ({' '.join(str(error).split()):.120}); make them "
            "with `run CELL --keep-weights`"
        ) from error
    name, kind, k = made.get("encoder", ""), made.get("norm", ""), made.get("num_subsets", "")
    if encoder is None and name not in ENCODERS:
        raise InputError(f"{path}: holds a network of your own; give one built like it as encoder=")
    network = build(name).encoder if encoder is None else encoder
    try:
        if kind != "bn":
            grouping = "contiguous" if kind == "ghost" else None
            network = convert_norm(network, kind, int(k), grouping=grouping, total_steps=1)
        names = {_uncompiled(name): name for name in network.state_dict()}
        uncompiled = {_uncompiled(name): tensor for name, tensor in tensors.items()}
        network.load_state_dict({names.get(name, name): t for name, t in uncompiled.items()})
    except (RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: holds weights of another network ({reason:.120})") from error
    return network.eval()
