"""Norm layers where two libraries meet."""

from __future__ import annotations

import copy

import torch
from torch import nn

from .row import Seen, error_of, row

TABLE = "norm"


def two_groups(rows: int = 8, offset: float = 10.0) -> torch.Tensor:
    """Images of four channels: the first half has mean 0, the second half mean `offset`."""
    images = torch.randn(rows, 4, 6, 6)
    images[rows // 2 :] += offset
    return images


def train(layer: nn.Module, images: torch.Tensor, steps: int = 200) -> nn.Module:
    layer.train()
    for _ in range(steps):
        layer(images)
    return layer


@row(
    TABLE,
    "Which statistics does timm's split BN use at test time?",
    libraries="timm",
    expect="Those of all splits together, for instance their mean.",
    happens="Those of the **first split alone**. After training on a first half of mean 0 and a "
    "second half of mean 10, evaluation subtracts {used:.2f}; the mean of both would be "
    "{mean_of_both:.2f}. The other splits' statistics stay in `aux_bn`, unread.",
    cost="Test images are scored as if all came from the first subset. If the subsets have recipes "
    "of their own, one recipe decides every number.",
    instead="Choose the statistics and say which: [[norm.SplitBatchNorm2d]] with "
    "[[norm.evaluation_statistics]], or re-estimate them with [[norm.precise_bn]].",
    holds=lambda seen: abs(seen["used"]) < 0.5 and seen["mean_of_both"] > 4,
)
def split_bn_at_test_time_in_timm() -> Seen:
    from timm.layers import convert_splitbn_model

    images = two_groups()
    layer = train(convert_splitbn_model(nn.BatchNorm2d(4), num_splits=2), images).eval()
    zero = layer(torch.zeros(1, 4, 1, 1)).mean()
    deviation = (layer.running_var + layer.eps).sqrt().mean()
    return {"used": float(-zero * deviation), "mean_of_both": float(images.mean())}


@row(
    TABLE,
    "Which statistics does lightly's split BN use at test time?",
    libraries="lightly",
    expect="The mean and the variance of all training images.",
    happens="`eval()` overwrites every split's statistics by the **mean over the splits**: mean "
    "{mean:.2f}, variance {variance:.2f}. The variance of all images is {pooled:.0f}, because the "
    "distance between the splits is not in the mean of their variances.",
    cost="With subsets that differ, the network sees test images far wider than in training. And "
    "the statistics of the splits are gone: training goes on from their mean.",
    instead="[[norm.evaluation_statistics]] has both, `mean` and `pooled`, and keeps the branches.",
    holds=lambda seen: abs(seen["mean"] - 5) < 0.5 and seen["variance"] < 2 and seen["pooled"] > 20,
)
def split_bn_at_test_time_in_lightly() -> Seen:
    from lightly.models.batchnorm import SplitBatchNorm

    images = two_groups()[[0, 4, 1, 5, 2, 6, 3, 7]]  # its splits are every second row
    layer = train(SplitBatchNorm(4, num_splits=2), images).eval()
    return {
        "mean": float(layer.running_mean[:4].mean()),
        "variance": float(layer.running_var[:4].mean()),
        "pooled": float(images.var(dim=(0, 2, 3)).mean()),
    }


@row(
    TABLE,
    "Which rows of a batch share statistics in a split BN?",
    libraries="timm lightly",
    expect="The same in both: the batch is cut into blocks of consecutive rows.",
    happens="timm cuts blocks; **lightly deals the rows out like cards**: row i belongs to split "
    "i mod K. With rows 0 to 3 of mean 0 and rows 4 to 7 of mean 10, K = 2, rows 0 to 3 come out "
    "at {timm_first:.2f} in timm and {lightly_first:.2f} in lightly.",
    cost="A batch ordered for one library is wrong for the other, with no error: each split then "
    "holds a mixture of the subsets, and the experiment compares nothing.",
    instead='[[norm.SplitBatchNorm2d]] takes `grouping="contiguous"` or `"interleaved"` and '
    "refuses a batch that it cannot divide.",
    holds=lambda seen: abs(seen["timm_first"]) < 0.2 and seen["lightly_first"] < -0.8,
)
def which_rows_share_statistics() -> Seen:
    from lightly.models.batchnorm import SplitBatchNorm
    from timm.layers import SplitBatchNorm2d

    images = two_groups()
    return {
        "timm_first": float(SplitBatchNorm2d(4, num_splits=2)(images)[:4].mean()),
        "lightly_first": float(SplitBatchNorm(4, num_splits=2)(images)[:4].mean()),
    }


@row(
    TABLE,
    "Load a checkpoint into lightly's split BN that is in eval mode already",
    libraries="lightly",
    expect="The same output as `load_state_dict` and then `eval()`.",
    happens="The order decides. `eval()` after loading subtracts {after:.2f}, the mean of the "
    "splits; loading after `eval()` subtracts {before:.2f}, **the first split's** mean.",
    cost="A script that builds the model, calls `eval()` and loads the weights scores another "
    "network than the one that was validated in training.",
    instead="Ours keeps the branches and chooses at evaluation: [[norm.evaluation_statistics]].",
    holds=lambda seen: abs(seen["after"] - 5) < 0.5 and abs(seen["before"]) < 0.5,
)
def load_into_lightly_split_after_eval() -> Seen:
    from lightly.models.batchnorm import SplitBatchNorm

    images = two_groups()[[0, 4, 1, 5, 2, 6, 3, 7]]
    saved = train(SplitBatchNorm(4, num_splits=2), images).state_dict()
    first, second = SplitBatchNorm(4, num_splits=2), SplitBatchNorm(4, num_splits=2)
    first.load_state_dict(saved)
    first.eval()
    second.eval()
    second.load_state_dict(saved)
    return {
        "after": float(first.running_mean[:4].mean()),
        "before": float(second.running_mean[:4].mean()),
    }


@row(
    TABLE,
    "Re-estimate lightly's split BN with torch's `update_bn`",
    libraries="lightly",
    expect="Statistics of the images that were passed.",
    happens="Nothing is learned: the mean stays {mean:.2f} and the variance {variance:.2f}, for "
    "images of mean 5. `update_bn` sets `momentum=None`, and the layer reads None as 0.",
    cost="Stochastic weight averaging leaves a network whose norm layers do not normalise, and no "
    "message says why.",
    instead="[[norm.precise_bn]] re-estimates our layers and torch's BatchNorm.",
    holds=lambda seen: abs(seen["mean"]) < 0.01 and abs(seen["variance"] - 1) < 0.01,
)
def update_bn_on_lightly_split() -> Seen:
    from lightly.models.batchnorm import SplitBatchNorm

    layer = SplitBatchNorm(4, num_splits=2)
    torch.optim.swa_utils.update_bn([two_groups() for _ in range(5)], layer)
    return {"mean": float(layer.running_mean.mean()), "variance": float(layer.running_var.mean())}


@row(
    TABLE,
    "Split a timm model, then convert it to SyncBatchNorm",
    libraries="timm",
    expect="The same layers, now synchronised.",
    happens="timm's own conversion returns a layer **without the activation**: bn(-3) is "
    "{before:.2f} after splitting and {after:.2f} after synchronising.",
    cost="Every ReLU or SiLU that lived in a norm layer is gone. The network still trains, only "
    "worse.",
    instead="Convert once, from plain BatchNorm: [[norm.convert_norm]] keeps the activation or "
    "raises an error that names the layer.",
    holds=lambda seen: seen["before"] >= 0 > seen["after"],
)
def timm_split_then_sync() -> Seen:
    from timm.layers import BatchNormAct2d, convert_splitbn_model, convert_sync_batchnorm

    split = convert_splitbn_model(BatchNormAct2d(2), num_splits=2).eval()
    synced = convert_sync_batchnorm(copy.deepcopy(split)).eval()
    image = torch.full((1, 2, 1, 1), -3.0)
    # SyncBatchNorm in evaluation is an ordinary batch norm, so a CPU runs it.
    return {"before": float(split(image).max()), "after": float(synced(image).max())}


@row(
    TABLE,
    "Convert a timm model to SyncBatchNorm with torch's function",
    libraries="timm",
    expect="torch's conversion handles subclasses of BatchNorm.",
    happens="It returns a plain `{kind}` for timm's `BatchNormAct2d`: bn(-3) was {before:.2f} and "
    "is {after:.2f}. timm's own `convert_sync_batchnorm` gives {own:.2f}.",
    cost="The network loses its activations when it goes to several GPUs, and only there.",
    instead="Use timm's function on timm's models. [[norm.audit]] lists layers that lost an "
    "activation.",
    holds=lambda seen: seen["before"] >= 0 > seen["after"] and seen["own"] >= 0,
)
def torch_sync_conversion_of_timm() -> Seen:
    from timm.layers import BatchNormAct2d, convert_sync_batchnorm

    layer = BatchNormAct2d(2).eval()
    synced = nn.SyncBatchNorm.convert_sync_batchnorm(copy.deepcopy(layer)).eval()
    image = torch.full((1, 2, 1, 1), -3.0)
    return {
        "kind": type(synced).__name__,
        "before": float(layer(image).max()),
        "after": float(synced(image).max()),
        "own": float(convert_sync_batchnorm(copy.deepcopy(layer)).eval()(image).max()),
    }


@row(
    TABLE,
    "Convert lightly's split BN to SyncBatchNorm",
    libraries="lightly",
    expect="An error, or a synchronised layer.",
    happens="The conversion succeeds; the first evaluation raises {error}: {channels} channels, "
    "but {entries} running means.",
    cost="The failure comes at the end of the first epoch on the cluster.",
    instead="K groups in one process equal K processes with local BN, so you rarely need both: see "
    "[chapter 5](05-normalisation-family.html).",
    holds=lambda seen: seen["error"] == "RuntimeError" and seen["entries"] == 2 * seen["channels"],
)
def lightly_split_then_sync() -> Seen:
    from lightly.models.batchnorm import SplitBatchNorm

    synced = nn.SyncBatchNorm.convert_sync_batchnorm(SplitBatchNorm(8, num_splits=2)).eval()
    return {
        "error": error_of(lambda: synced(torch.randn(4, 8, 3, 3))),
        "channels": synced.num_features,
        "entries": len(synced.running_mean),
    }


@row(
    TABLE,
    "Load weights of plain BN into a split BN",
    libraries="timm lightly",
    expect="Both load, or both refuse.",
    happens="lightly raises {lightly} (its buffers are K times as long). timm raises {timm} unless "
    "`strict=False`; then the first split gets the statistics and the others start at mean "
    "{others:.0f}.",
    cost="With `strict=False` K − 1 subsets begin as if untrained; at test time nobody notices, "
    "since only the first split is read.",
    instead="[[norm.convert_norm]] copies the statistics of a trained model into every branch.",
    holds=lambda seen: seen["lightly"] == seen["timm"] == "RuntimeError" and seen["others"] == 0,
)
def load_plain_weights_into_split() -> Seen:
    from lightly.models.batchnorm import SplitBatchNorm
    from timm.layers import SplitBatchNorm2d

    saved = train(nn.BatchNorm2d(4), two_groups() + 3).state_dict()
    layer = SplitBatchNorm2d(4, num_splits=2)
    layer.load_state_dict(saved, strict=False)
    return {
        "lightly": error_of(lambda: SplitBatchNorm(4, num_splits=2).load_state_dict(saved)),
        "timm": error_of(lambda: SplitBatchNorm2d(4, num_splits=2).load_state_dict(saved)),
        "others": float(layer.aux_bn[0].running_mean.mean()),
    }


@row(
    TABLE,
    "lightly's split BN in the channels-last layout",
    libraries="lightly",
    expect="Slower or faster, but it runs.",
    happens="`{error}`: the layer calls `view`, which needs the other layout. In evaluation the "
    "same input runs ({evaluation}).",
    cost="The usual speed-up, `model.to(memory_format=torch.channels_last)`, ends the run.",
    instead="[[norm.SplitBatchNorm2d]] takes both layouts and returns the one it got.",
    holds=lambda seen: seen["error"] == "RuntimeError" and seen["evaluation"] == "no error",
)
def lightly_split_in_channels_last() -> Seen:
    from lightly.models.batchnorm import SplitBatchNorm

    layer = SplitBatchNorm(4, num_splits=2)
    images = two_groups().contiguous(memory_format=torch.channels_last)
    error = error_of(lambda: layer(images))
    layer.eval()
    return {"error": error, "evaluation": error_of(lambda: layer(images))}


@row(
    TABLE,
    "A batch that K does not divide",
    libraries="timm lightly",
    expect="A message that names N and K.",
    happens="timm: {timm}. lightly: {lightly}, about a shape that is invalid. Neither names the "
    "batch size, and `python -O` removes timm's check.",
    cost="The last batch of an epoch ends the run; with `drop_last=True` those images are never "
    "trained on.",
    instead="[[norm.SplitBatchNorm2d]] raises an InputError with both numbers and the way out.",
    holds=lambda seen: seen["timm"] == "AssertionError" and seen["lightly"] == "RuntimeError",
)
def batch_that_does_not_divide() -> Seen:
    from lightly.models.batchnorm import SplitBatchNorm
    from timm.layers import SplitBatchNorm2d

    images = torch.randn(7, 4, 3, 3)
    return {
        "timm": error_of(lambda: SplitBatchNorm2d(4, num_splits=2)(images)),
        "lightly": error_of(lambda: SplitBatchNorm(4, num_splits=2)(images)),
    }


@row(
    TABLE,
    "Fold timm's split BN into the convolution before it",
    libraries="timm torch",
    expect="A refusal, since there are K statistics.",
    happens="torch's `fuse_conv_bn_eval` folds the **first split's** statistics in. The result "
    "equals the layer's own evaluation to {difference:.0e}.",
    cost="The exported network is faithful to a choice that nobody made.",
    instead="Set the statistics first ([[norm.evaluation_statistics]]), then export.",
    holds=lambda seen: seen["difference"] < 1e-4,
)
def fold_timm_split() -> Seen:
    from timm.layers import SplitBatchNorm2d
    from torch.nn.utils.fusion import fuse_conv_bn_eval

    conv, bn = nn.Conv2d(4, 4, 1).eval(), train(SplitBatchNorm2d(4, num_splits=2), two_groups())
    images = torch.randn(4, 4, 5, 5)
    fused = fuse_conv_bn_eval(conv, bn.eval())
    return {"difference": float((fused(images) - bn(conv(images))).abs().max())}


@row(
    TABLE,
    "`momentum=None` in InstanceNorm",
    libraries="torch",
    expect="The cumulative mean, as in BatchNorm.",
    happens="The layer never learns: after 50 batches of mean 5 its running mean is "
    "{instance:.2f}; BatchNorm's is {batch:.2f}. It counts {count} batches.",
    cost="`update_bn` sets exactly this. A style-normalised encoder is then evaluated with mean 0 "
    "and variance 1.",
    instead="Keep a momentum, and leave InstanceNorm out of `update_bn`.",
    holds=lambda seen: abs(seen["instance"]) < 0.5 < abs(seen["batch"]),
)
def instance_norm_without_momentum() -> Seen:
    instance = nn.InstanceNorm2d(4, momentum=None, track_running_stats=True)
    batch = nn.BatchNorm2d(4, momentum=None)
    for layer in (instance, batch):
        train(layer, torch.randn(8, 4, 6, 6) + 5, steps=50)
    return {
        "instance": float(instance.running_mean.mean()),
        "batch": float(batch.running_mean.mean()),
        "count": int(instance.num_batches_tracked),
    }


@row(
    TABLE,
    "A whole model in bfloat16: running statistics",
    libraries="torch",
    expect="Rounded to three digits, but near the truth.",
    happens="`model.bfloat16()` also converts the buffers, and an update of less than a rounding "
    "step is lost. At momentum 0.01 and true mean 1 the mean stops at {half:.3f}; float32 reaches "
    "{full:.3f}.",
    cost="Evaluation is wrong by a part of a deviation in every layer, while training, which does "
    "not read the buffers, looks healthy.",
    instead="Use autocast, which leaves the buffers in float32, or [[norm.precise_bn]] afterwards.",
    holds=lambda seen: seen["half"] < 0.9 and seen["full"] > 0.95,
)
def bfloat16_running_statistics() -> Seen:
    torch.manual_seed(0)
    layers = {"half": nn.BatchNorm2d(4, momentum=0.01), "full": nn.BatchNorm2d(4, momentum=0.01)}
    layers["half"].bfloat16()
    images = torch.randn(16, 4, 6, 6) + 1
    images += 1 - images.mean()
    train(layers["half"], images.bfloat16(), steps=600)
    train(layers["full"], images, steps=600)
    return {name: float(layer.running_mean.float().mean()) for name, layer in layers.items()}


@row(
    TABLE,
    "Turn off `track_running_stats` on a layer that exists",
    libraries="torch",
    expect="The layer uses the batch's statistics in evaluation, as one built without tracking.",
    happens="The flag alone stops the updates and nothing else. With a running mean of −5, images "
    "of mean 5 come out at {flag:.1f} in evaluation; only with the buffers set to None does the "
    "layer use the batch ({buffers:.1f}).",
    cost="An attempt to score with test-batch statistics silently scores with the running ones.",
    instead='[[norm.evaluation_statistics]] with `"test-batch"`: the state stays as it is.',
    holds=lambda seen: seen["flag"] > 5 and abs(seen["buffers"]) < 0.1,
)
def track_running_stats_set_later() -> Seen:
    images = torch.randn(64, 4, 6, 6) + 5
    layer = nn.BatchNorm2d(4, momentum=1.0)
    layer(images - 10)
    layer.eval()
    layer.track_running_stats = False
    flag = layer(images).mean()
    layer.running_mean = layer.running_var = None
    return {"flag": float(flag), "buffers": float(layer(images).mean())}


@row(
    TABLE,
    "An overflow in half precision, a skipped step, and the running statistics",
    libraries="torch",
    expect="The scaler skips the step, so the model is as it was.",
    happens="The scaler skips the optimiser only. The forward pass has written its statistics: "
    "{bad} of {all} running values are not finite, and they stay so.",
    cost="One overflow in epoch 3, and every evaluation after it is NaN; the loss never shows it.",
    instead="Check the buffers after a skipped step, or use bfloat16, which has float32's range.",
    holds=lambda seen: seen["bad"] > 0,
)
def skipped_step_keeps_bad_statistics() -> Seen:
    layer = nn.Sequential(nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4))
    scaler = torch.amp.GradScaler("cpu")
    optimiser = torch.optim.SGD(layer.parameters(), lr=0.1)
    nn.init.constant_(layer[0].weight, 3e4)
    with torch.autocast("cpu", dtype=torch.float16):
        loss = layer(torch.rand(8, 4, 3, 3) * 10).float().square().mean()
    scaler.scale(loss).backward()
    scaler.step(optimiser)
    scaler.update()
    values = torch.cat([layer[1].running_mean, layer[1].running_var])
    return {"bad": int((~values.isfinite()).sum()), "all": values.numel()}


@row(
    TABLE,
    "Activation checkpointing around BatchNorm",
    libraries="torch",
    expect="Same numbers, less memory.",
    happens="The layer runs twice a step and updates its statistics twice: {steps} steps count as "
    "{count}, and the mean after the first is {once:.2f} of the truth instead of 0.10.",
    cost="Momentum 0.1 acts like 0.19. Runs with and without checkpointing differ at evaluation.",
    instead="Checkpoint around the norm layers, or re-estimate with [[norm.precise_bn]].",
    holds=lambda seen: seen["count"] == 2 * seen["steps"],
)
def checkpointing_updates_twice() -> Seen:
    from torch.utils.checkpoint import checkpoint

    layer, images = nn.BatchNorm2d(4), torch.randn(64, 4, 6, 6) + 1
    images += 1 - images.mean()
    once = 0.0
    for step in range(4):
        checkpoint(layer, images.clone().requires_grad_(), use_reentrant=False).sum().backward()
        once = float(layer.running_mean.mean()) if step == 0 else once
    return {"steps": 4, "count": int(layer.num_batches_tracked), "once": once}


@row(
    TABLE,
    "An average of weights (`AveragedModel`) and BatchNorm",
    libraries="torch",
    expect="The statistics are averaged along with the weights.",
    happens="By default the average keeps a **copy of the source's buffers** at its last update "
    "(mean {default:.2f}, as the source's {source:.2f}). With `use_buffers=True` they are "
    "averaged ({averaged:.2f}), and the integer counter with them: {counter} after 8 batches.",
    cost="The teacher of BYOL or MoCo v3 evaluates averaged weights with statistics of other "
    "weights.",
    instead="Re-estimate before scoring: [[norm.precise_bn]] on the average.",
    holds=lambda seen: seen["default"] == seen["source"] != seen["averaged"],
)
def averaged_model_buffers() -> Seen:
    from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

    model = nn.BatchNorm2d(2)
    average = get_ema_multi_avg_fn(0.9)
    plain = AveragedModel(model, multi_avg_fn=average)
    with_buffers = AveragedModel(model, multi_avg_fn=average, use_buffers=True)
    for _ in range(8):
        model(torch.randn(64, 2, 3, 3) + 1)
        plain.update_parameters(model)
        with_buffers.update_parameters(model)
    return {
        "source": float(model.running_mean.mean()),
        "default": float(plain.module.running_mean.mean()),
        "averaged": float(with_buffers.module.running_mean.mean()),
        "counter": int(with_buffers.module.num_batches_tracked),
    }


@row(
    TABLE,
    "Which norm layers does lightly spare from weight decay?",
    libraries="lightly",
    expect="All of torch's norm layers.",
    happens="`get_weight_decay_parameters` decays the weight of {decayed} and spares that of "
    "{spared}: it goes by a list of classes.",
    cost="A scale of a layer that is not in the list shrinks towards zero, in one arm of a "
    "comparison of norms and not in the other.",
    instead="[[norm.audit]] says for every norm layer whether usual filters would decay it.",
    holds=lambda seen: "RMSNorm" in seen["decayed"] and "BatchNorm2d" in seen["spared"],
)
def weight_decay_of_norms_in_lightly() -> Seen:
    from lightly.models.utils import get_weight_decay_parameters

    layers = [nn.BatchNorm2d(4), nn.GroupNorm(2, 4), nn.LayerNorm(4), nn.RMSNorm(4)]
    decayed, _ = get_weight_decay_parameters(layers)
    held = {id(parameter) for parameter in decayed}
    names = {True: [], False: []}
    for layer in layers:
        names[id(layer.weight) in held].append(type(layer).__name__)
    return {"decayed": ", ".join(names[True]), "spared": ", ".join(names[False])}


@row(
    TABLE,
    "Export a model that is in training mode",
    libraries="torch onnx onnxscript",
    expect="The exported BatchNorm normalises by the batch.",
    happens="It is exported as **inference** BatchNorm on the running statistics: the graph holds "
    "{nodes}, and its output is {to_eval:.0e} from `eval()` and {to_train:.1f} from `train()`.",
    cost="An attempt to ship test-batch statistics ships the running ones.",
    instead="Choose statistics with [[norm.evaluation_statistics]], then export in `eval()`.",
    holds=lambda seen: seen["to_eval"] < 1e-4 < seen["to_train"],
    slow=True,
)
def export_in_training_mode() -> Seen:
    import io

    import onnx
    from onnx.reference import ReferenceEvaluator

    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
    model(torch.randn(8, 3, 4, 4) + 2)
    images, file = torch.randn(8, 3, 4, 4), io.BytesIO()
    torch.onnx.export(copy.deepcopy(model).train(), (images,), file, dynamo=True)
    graph = onnx.load_from_string(file.getvalue())
    (out,) = ReferenceEvaluator(graph).run(None, {graph.graph.input[0].name: images.numpy()})
    in_training = copy.deepcopy(model).train()(images)
    return {
        "nodes": ", ".join(sorted({node.op_type for node in graph.graph.node})),
        "to_eval": float((torch.from_numpy(out) - model.eval()(images)).abs().max()),
        "to_train": float((torch.from_numpy(out) - in_training).abs().max()),
    }


@row(
    TABLE,
    "The averaged teacher of ema-pytorch",
    libraries="ema-pytorch",
    expect="In evaluation mode: it uses averaged running statistics and does not change.",
    happens="It stays in training mode: images of mean 100 come out at {out:.1f}, and "
    "50 such calls move its running mean from {before:.0f} to {after:.0f}.",
    cost="A BYOL-style teacher normalises by its batch and learns statistics from whatever it is "
    "asked, test images too.",
    instead="Call `.ema_model.eval()`, then [[norm.precise_bn]] before scoring.",
    holds=lambda seen: seen["training"] and seen["after"] > 10 * seen["before"],
)
def teacher_of_ema_pytorch() -> Seen:
    from ema_pytorch import EMA

    online = nn.BatchNorm1d(2)
    average = EMA(online, beta=0.9)
    for _ in range(300):
        online(torch.randn(8, 2) + 5)
        average.update()
    teacher = average.ema_model
    before = float(teacher.running_mean.mean())
    out = float(average(torch.randn(64, 2) + 100).mean())
    for _ in range(50):
        average(torch.randn(64, 2) + 100)
    return {
        "training": teacher.training,
        "out": abs(round(out, 3)),
        "before": before,
        "after": float(teacher.running_mean.mean()),
    }


@row(
    TABLE,
    "A functional call with other weights (`torch.func.functional_call`)",
    libraries="torch",
    expect="It computes an output and leaves everything as it was.",
    happens="A call with other parameters moves the model's own running mean, from 0 to {own:.2f}. "
    "Given the buffers too, it writes into those tensors: they come back at {given:.2f}.",
    cost="Trying weights (a line search, meta-learning, an ensemble) changes the statistics that "
    "the model is evaluated with.",
    instead="Hand in clones of the buffers, or call in `eval()`; measure statistics again with "
    "[[norm.precise_bn]] before scoring.",
    holds=lambda seen: seen["own"] > 0.4 and seen["given"] > 0.4 and seen["left"] == 0,
)
def functional_calls_of_batch_norm() -> Seen:
    from torch.func import functional_call

    images = torch.randn(64, 2) + 5
    model, fresh = nn.BatchNorm1d(2), nn.BatchNorm1d(2)
    functional_call(model, {k: torch.zeros_like(p) for k, p in model.named_parameters()}, (images,))
    state = {name: value.clone() for name, value in fresh.state_dict().items()}
    functional_call(fresh, state, (images,))
    return {
        "own": float(model.running_mean.mean()),
        "given": float(state["running_mean"].mean()),
        "left": float(fresh.running_mean.mean()),
    }


@row(
    TABLE,
    "Ask a tool how large a model is: torchsummary, thop, ptflops",
    libraries="torchsummary thop ptflops",
    expect="A table; the model stays as it was.",
    happens="torchsummary sends noise through the model in training mode: the counter of its norm "
    "layer is {count} and a running variance {variance:.2f}. ptflops leaves it in {mode} mode. "
    "thop leaves {left} names in `state_dict()`; a strict load into a fresh model: {load}.",
    cost="A run with the table is not the run without it: other statistics, other random numbers, "
    "frozen norm layers, or a checkpoint that does not load.",
    instead="Give the tool a copy, `copy.deepcopy(model).eval()`. [[norm.audit]] reads a model "
    "without running it.",
    holds=lambda seen: (
        (seen["count"], seen["mode"], seen["load"]) == (1, "evaluation", "RuntimeError")
        and seen["variance"] < 0.97
    ),
)
def tools_that_count_a_model() -> Seen:
    from ptflops import get_model_complexity_info
    from thop import profile
    from torchsummary import summary

    def build() -> torch.nn.Sequential:
        parts = torch.nn.Conv2d(3, 8, 3), torch.nn.BatchNorm2d(8), torch.nn.Flatten()
        return torch.nn.Sequential(*parts).train()

    summed, frozen, counted = build(), build(), build()
    summary(summed, (3, 8, 8), device="cpu")
    get_model_complexity_info(frozen, (3, 8, 8), print_per_layer_stat=False, verbose=False)
    profile(counted, inputs=(torch.zeros(2, 3, 8, 8),), verbose=False)
    return {
        "count": int(summed[1].num_batches_tracked),
        "variance": float(summed[1].running_var[0]),
        "mode": "training" if frozen.training else "evaluation",
        "left": len(set(counted.state_dict()) - set(build().state_dict())),
        "load": error_of(lambda: build().load_state_dict(counted.state_dict())),
    }


@row(
    TABLE,
    "The output of a norm layer by torchvision's `create_feature_extractor`",
    libraries="torchvision",
    expect="What the layer returns: about half of it is below 0.",
    happens="Asked for alone, {alone:.0%} of `bn1` is below 0; together with `layer4`, {both:.0%}. "
    "The ReLU behind the layer writes into the same memory, and the extractor hands out what came "
    "of it.",
    cost="Means, variances and similarities of a layer depend on which other layers were asked "
    "for; a study of BatchNorm's outputs looks at rectified ones.",
    instead="Set `inplace = False` in each ReLU first, or a forward hook that clones.",
    holds=lambda seen: seen["both"] == 0 and seen["alone"] > 0.3 and seen["mended"] > 0.3,
)
def extractors_return_what_came_later() -> Seen:
    from torchvision.models import resnet18
    from torchvision.models.feature_extraction import create_feature_extractor

    model, images = resnet18(), torch.randn(8, 3, 32, 32)

    def below(*names: str) -> float:
        with torch.no_grad():
            features = create_feature_extractor(model, list(names))(images)
        return float(features["bn1"].lt(0).float().mean())

    alone, both = below("bn1"), below("bn1", "layer4")
    for module in model.modules():
        if isinstance(module, torch.nn.ReLU):
            module.inplace = False
    return {"alone": alone, "both": both, "mended": below("bn1", "layer4")}
