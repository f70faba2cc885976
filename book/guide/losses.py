"""Losses and miners."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F

from .row import Seen, error_of, row

TABLE = "losses"


@row(
    TABLE,
    "pytorch-metric-learning's NT-Xent in float16",
    libraries="pytorch-metric-learning",
    expect="A little rounding: half precision has three digits.",
    happens="A hard positive stops counting. For a pair that points in opposite directions at "
    "temperature 0.07 the loss is {full:.1f} in float32 and **{half:.1f}** in float16, and the "
    "gradient falls from {full_gradient:.1f} to {half_gradient:.1f}: the exponential is zero, and "
    "a small constant inside the logarithm takes over.",
    cost="Under float16 the pairs that have most to learn teach nothing, and the loss looks "
    "better.",
    instead="[[losses.nt_xent]] stays with logarithms, in float32, whatever comes in.",
    holds=lambda seen: seen["half"] < 0.7 * seen["full"] and seen["half_gradient"] == 0,
)
def ntxent_in_float16() -> Seen:
    from pytorch_metric_learning.losses import NTXentLoss

    seen = {}
    for name, kind in {"full": torch.float32, "half": torch.float16}.items():
        rows = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.9, 0.1], [0.9, -0.1]]).to(kind)
        rows.requires_grad_()
        pair = (torch.tensor([0]), torch.tensor([1]), torch.tensor([0, 0]), torch.tensor([2, 3]))
        loss = NTXentLoss(temperature=0.07)(rows, indices_tuple=pair)
        loss.backward()
        seen |= {name: float(loss), f"{name}_gradient": float(rows.grad.abs().max())}
    return seen


@row(
    TABLE,
    "Distances of equal rows: 25 rows and 26 rows",
    libraries="torch",
    expect="Zero, whatever the number of rows.",
    happens="`torch.cdist` of a set of rows with itself, each of length 1,000: the largest "
    "distance of a row to itself is {few:.2f} for 25 rows and **{many:.2f}** for 26. From 26 on "
    "it goes through a matrix product and subtracts large numbers.",
    cost="A triplet margin of 0.2 is within this error for embeddings that are not normalised, and "
    "the error comes and goes with the batch size.",
    instead='Normalise first, or pass `compute_mode="donot_use_mm_for_euclid_dist"`.',
    holds=lambda seen: seen["few"] == 0 < seen["many"],
)
def distances_of_26_rows() -> Seen:
    rows = 1000 * F.normalize(torch.randn(26, 64), dim=1)
    few = torch.cdist(rows[:25], rows[:25]).diagonal().max()
    return {"few": float(few), "many": float(torch.cdist(rows, rows).diagonal().max())}


@row(
    TABLE,
    "pytorch-metric-learning's distances in bfloat16",
    libraries="pytorch-metric-learning",
    expect="Rounded distances, for any batch.",
    happens="25 rows: {small}. 26 rows: {large}, through a matrix product, and two rows whose "
    "distance is {true:.2f} are at {seen:.2f}.",
    cost="A test on a small batch fails where training runs, and training decides margins of 0.05 "
    "by rounding.",
    instead="[[losses.triplet_loss]] takes distances in float32.",
    holds=lambda seen: (
        seen["small"] == "NotImplementedError"
        and seen["large"] == "no error"
        and abs(seen["seen"] / seen["true"] - 1) > 0.1
    ),
)
def distances_in_bfloat16() -> Seen:
    from pytorch_metric_learning.distances import LpDistance

    rows = F.normalize(torch.ones(26, 64) + 0.05 * torch.randn(26, 64), dim=1)
    measure = LpDistance()
    true, half = measure(rows), measure(rows.bfloat16()).float()
    worst = int(((half - true).abs() / true.clamp(min=1e-3)).fill_diagonal_(0).argmax())
    return {
        "small": error_of(lambda: measure(rows[:25].bfloat16())),
        "large": error_of(lambda: measure(rows.bfloat16())),
        "true": float(true.flatten()[worst]),
        "seen": float(half.flatten()[worst]),
    }


@row(
    TABLE,
    "`TripletMarginLoss` of pytorch-metric-learning against torch's",
    libraries="pytorch-metric-learning",
    expect="One loss, one number.",
    happens="{pml:.3f} against torch's {torch:.3f} on the same triplets. The first normalises the "
    "rows, has margin 0.05 and averages over the triplets **above zero** only; the second does "
    "none of this, with margin 1.",
    cost="The mean over active triplets stays level while training solves them: the curve looks as "
    "if nothing were learned. Learning rates do not carry over.",
    instead="[[losses.triplet_loss]] has both means by name (`reduction`). Log the share of active "
    "triplets beside the loss.",
    holds=lambda seen: abs(seen["pml"] - seen["torch"]) > 0.1,
)
def triplet_margin_losses_differ() -> Seen:
    from pytorch_metric_learning.losses import TripletMarginLoss

    anchor, positive, negative = torch.randn(3, 16, 8)
    rows = torch.cat([anchor, positive, negative])
    a = torch.arange(16)
    pml = TripletMarginLoss()(rows, torch.zeros(48), indices_tuple=(a, a + 16, a + 32))
    return {
        "pml": float(pml),
        "torch": float(F.triplet_margin_loss(anchor, positive, negative)),
    }


@row(
    TABLE,
    "A batch without a single positive pair",
    libraries="pytorch-metric-learning",
    expect="An error: NT-Xent has no numerator.",
    happens="The loss is {loss:.0f} with a gradient of {gradient:.0f}, and no message. Labels that "
    "are all different (a forgotten second view) look like a solved task.",
    cost="A run with a mistake in its labels has the best loss of all.",
    instead="[[losses.nt_xent]] takes the two views as two tensors: the pairs cannot be missing.",
    holds=lambda seen: seen["loss"] == seen["gradient"] == 0,
)
def no_positive_pair() -> Seen:
    from pytorch_metric_learning.losses import NTXentLoss

    rows = torch.randn(8, 4, requires_grad=True)
    loss = NTXentLoss()(rows, torch.arange(8))
    loss.backward()
    return {"loss": float(loss), "gradient": float(rows.grad.abs().sum())}


@row(
    TABLE,
    "lightly's memory bank in its first steps",
    libraries="lightly",
    expect="Few negatives at first, more as the bank fills.",
    happens="The bank is full of **random vectors** from the start. With 256 of them and two views "
    "that are equal, the first loss is {loss:.2f}; against no negatives it would be 0. The vectors "
    "leave as real ones come in.",
    cost="For the first bank-sizeful of images the loss measures distance to noise. Short runs, as "
    "on a CPU, may be noise for a good part.",
    instead="[[losses.nt_xent]] takes its negatives from the batch. With a bank, do not count the "
    "steps of its first filling.",
    holds=lambda seen: seen["loss"] > 2,
)
def memory_bank_starts_random() -> Seen:
    from lightly.loss import NTXentLoss

    rows = F.normalize(torch.randn(16, 128), dim=1)
    return {"loss": float(NTXentLoss(temperature=0.5, memory_bank_size=(256, 128))(rows, rows))}


@row(
    TABLE,
    "Memory banks in evaluation",
    libraries="lightly pytorch-metric-learning",
    expect="`eval()` stops them, as it stops BatchNorm.",
    happens="Neither stops. After one call in `eval()` lightly's pointer has moved by {lightly} "
    "rows and pytorch-metric-learning's queue by {pml}.",
    cost="A validation pass puts validation images among the negatives of the next training steps: "
    "a leak that no loss curve shows.",
    instead="Compute validation losses with [[losses.nt_xent]], which has no state.",
    holds=lambda seen: seen["lightly"] > 0 and seen["pml"] > 0,
)
def memory_banks_in_evaluation() -> Seen:
    from lightly.loss import NTXentLoss
    from pytorch_metric_learning.losses import ContrastiveLoss, CrossBatchMemory

    ours = NTXentLoss(memory_bank_size=(64, 8)).eval()
    ours(torch.randn(4, 8, requires_grad=True), torch.randn(4, 8, requires_grad=True))
    bank = CrossBatchMemory(ContrastiveLoss(), embedding_size=8, memory_size=64).eval()
    bank(torch.randn(4, 8), torch.arange(4))
    return {"lightly": int(ours.memory_bank.bank_ptr), "pml": int(bank.queue_idx)}


@row(
    TABLE,
    "Triplet loss where all embeddings are one point",
    libraries="torch",
    expect="The margin, and a gradient that pulls the rows apart.",
    happens="The loss is exactly the margin ({loss:.1f}), and the anchor's gradient is "
    "{anchor:.0f}: what positive and negative say cancels.",
    cost="A loss that stands at the margin is a collapsed encoder, not a hard task, and it does "
    "not leave by itself.",
    instead="Watch [[metrics.rankme]] or the mean similarity beside the loss.",
    holds=lambda seen: seen["loss"] == 1 and seen["anchor"] == 0,
)
def triplet_loss_at_collapse() -> Seen:
    anchor, positive, negative = (torch.ones(3, 4, requires_grad=True) for _ in range(3))
    loss = F.triplet_margin_loss(anchor, positive, negative)
    loss.backward()
    return {"loss": float(loss), "anchor": float(anchor.grad.abs().max())}


@row(
    TABLE,
    "Cosine similarity of a zero row",
    libraries="torch",
    expect="Zero, in any precision: there is an `eps`.",
    happens="float32 {full}, bfloat16 {brain}, **float16 {half}**: the `eps` of 1e-8 is zero in "
    "float16, so 0/0 is left.",
    cost="A ReLU head can return a zero row (a dead image); one is enough to make the whole loss "
    "NaN.",
    instead="[[losses.nt_xent]] normalises in float32.",
    holds=lambda seen: seen["full"] == seen["brain"] == "0.0" and seen["half"] == "nan",
)
def cosine_of_a_zero_row() -> Seen:
    zero, other = torch.zeros(1, 4), torch.ones(1, 4)
    types = {"full": torch.float32, "brain": torch.bfloat16, "half": torch.float16}
    return {
        name: str(float(F.cosine_similarity(zero.to(kind), other.to(kind))))
        for name, kind in types.items()
    }


@row(
    TABLE,
    "Label smoothing on logits with the diagonal set to −∞",
    libraries="torch",
    expect="A slightly larger loss: the self-pair is masked out.",
    happens="{loss}. Smoothing gives every column a share of the target, the masked ones too.",
    cost="A usual trick of supervised training ends a SimCLR run in the first step.",
    instead="No smoothing: [[losses.nt_xent]] has none. The temperature does that work.",
    holds=lambda seen: seen["loss"] == "inf",
)
def label_smoothing_with_masked_diagonal() -> Seen:
    logits = torch.randn(6, 6).fill_diagonal_(-math.inf)
    target = torch.arange(6).roll(3)
    return {"loss": str(float(F.cross_entropy(logits, target, label_smoothing=0.1)))}


@row(
    TABLE,
    "Clip gradients that hold one infinity",
    libraries="torch",
    expect="The infinite entry is cut down, the rest stays.",
    happens="The norm is infinite, so every other gradient becomes {others:.0f} and the infinite "
    "one {itself}. `clip_grad_value_` keeps the others ({kept:.0f}).",
    cost="One step writes NaN into one weight; the next forward pass spreads it.",
    instead="`error_if_nonfinite=True`, or skip the step as a gradient scaler does.",
    holds=lambda seen: seen["others"] == 0 and seen["itself"] == "nan" and seen["kept"] == 1,
)
def clip_one_infinity() -> Seen:
    def gradients() -> torch.Tensor:
        weight = torch.zeros(3, requires_grad=True)
        weight.grad = torch.tensor([1.0, 2.0, math.inf])
        return weight

    by_norm, by_value = gradients(), gradients()
    torch.nn.utils.clip_grad_norm_([by_norm], 1.0)
    torch.nn.utils.clip_grad_value_([by_value], 5.0)
    return {
        "others": float(by_norm.grad[:2].abs().max()),
        "itself": str(float(by_norm.grad[2])),
        "kept": float(by_value.grad[0]),
    }


@row(
    TABLE,
    "KL divergence in torchmetrics and in torch",
    libraries="torchmetrics",
    expect="KLDivergence(p, q) of the rows that are passed.",
    happens="torchmetrics normalises the rows first: doubling p changes nothing "
    "({doubled:.4f} = {plain:.4f}), but with `log_prob=True` it does not normalise ({logs:.2f}). "
    "`torch.nn.functional.kl_div` takes them in the other order, and logarithms.",
    cost="Unnormalised histograms give a plausible number in one mode and nonsense in the other.",
    instead="[[losses.kl_normal]] for Gaussians; for rows, normalise yourself and use torch.",
    holds=lambda seen: (
        abs(seen["doubled"] - seen["plain"]) < 1e-6 and abs(seen["logs"] - seen["plain"]) > 0.1
    ),
)
def kl_divergence_in_torchmetrics() -> Seen:
    from torchmetrics.functional import kl_divergence

    p, q = torch.tensor([[0.2, 0.3, 0.5]]), torch.tensor([[0.3, 0.3, 0.4]])
    return {
        "plain": float(kl_divergence(p, q)),
        "doubled": float(kl_divergence(2 * p, q)),
        "logs": float(kl_divergence((2 * p).log(), q.log(), log_prob=True)),
    }


@row(
    TABLE,
    "The length of an epoch with pytorch-metric-learning's `MPerClassSampler`",
    libraries="pytorch-metric-learning",
    expect="The number of rows, or a little less.",
    happens="{usual} for a data set of 60 rows: `length_before_new_iter` is 100,000 and the "
    "length of one pass. With 60 there it is {told}, and {different} different rows come.",
    cost="Plans in epochs, schedules and comparisons of samplers are off by the factor.",
    instead="Set `length_before_new_iter` to the number of rows, and count steps.",
    holds=lambda seen: seen["usual"] > 90_000 and seen["told"] == 60 and seen["different"] < 60,
)
def epochs_of_the_class_sampler() -> Seen:
    from pytorch_metric_learning.samplers import MPerClassSampler

    labels = [row % 6 for row in range(60)]
    told = MPerClassSampler(labels, m=2, batch_size=12, length_before_new_iter=60)
    return {
        "usual": len(MPerClassSampler(labels, m=2, batch_size=12)),
        "told": len(told),
        "different": len(set(told)),
    }
