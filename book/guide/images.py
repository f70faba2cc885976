"""Images and augmentation."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import torch

from .row import Seen, row

TABLE = "images"


@row(
    TABLE,
    "Two views as a pair of tensors in torchvision v2",
    libraries="torchvision",
    expect="Both are transformed, each with its own draw or with the same.",
    happens="Only the **first** plain tensor of a call is an image; the second comes back as it "
    "went in (first: {first}, second: {second}). Wrapped as `tv_tensors.Image` both change.",
    cost="One view of every pair is never augmented. Training works, and the result is weaker "
    "for a reason that nobody looks for.",
    instead="[[augment.sample]] and [[augment.apply]] once for the stacked batch of all views.",
    holds=lambda seen: (seen["first"], seen["second"]) == ("changed", "the same"),
)
def pair_of_plain_tensors() -> Seen:
    from torchvision.transforms import v2

    pair = torch.rand(3, 8, 8), torch.rand(3, 8, 8)
    first, second = v2.RandomHorizontalFlip(p=1.0)(*pair)
    same = {True: "the same", False: "changed"}
    return {
        "first": same[torch.equal(first, pair[0])],
        "second": same[torch.equal(second, pair[1])],
    }


@row(
    TABLE,
    "A blur of small sigma in Pillow and in torchvision",
    libraries="torchvision pillow",
    expect="Two Gaussian blurs, equal to rounding.",
    happens="Pillow's is an approximation by boxes. A white point blurred with sigma 0.4 keeps "
    "{pillow} of 255 in Pillow and {torchvision} in torchvision.",
    cost="lightly's transforms blur with Pillow and kornia's with a kernel: one recipe, two "
    "strengths, at the small sigmas that suit 32 × 32 images.",
    instead="[[augment.apply]] computes the kernel of torchvision on the device.",
    holds=lambda seen: abs(seen["pillow"] - seen["torchvision"]) > 10,
)
def blur_of_small_sigma() -> Seen:
    from PIL import Image, ImageFilter
    from torchvision.transforms.functional import gaussian_blur

    point = np.zeros((9, 9, 3), dtype=np.uint8)
    point[4, 4] = 255
    blurred = Image.fromarray(point).filter(ImageFilter.GaussianBlur(0.4))
    kernel = gaussian_blur(torch.from_numpy(point).permute(2, 0, 1), [9, 9], [0.4, 0.4])
    return {"pillow": int(np.asarray(blurred)[4, 4, 0]), "torchvision": int(kernel[0, 4, 4])}


@row(
    TABLE,
    'RandomErasing with `value="random"` on uint8',
    libraries="torchvision",
    expect="Random colours, every value as likely as any other.",
    happens="Standard normal numbers are cast to bytes: {black}% of the erased values are 0, "
    "{wrapped}% wrap round to 253 or more, and none lie between 10 and 245.",
    cost="The erased rectangle is black with white specks, the same in every image: a mark that "
    "two views can share.",
    instead="Erase after normalising, or the cutout of [[augment.Policy]], which is black on "
    "purpose.",
    holds=lambda seen: seen["black"] > 50 and seen["between"] == 0,
)
def erasing_bytes() -> Seen:
    from torchvision.transforms import v2

    torch.manual_seed(0)
    image = torch.full((3, 64, 64), 100, dtype=torch.uint8)
    erase = v2.RandomErasing(p=1, value="random")
    filled = torch.cat([x[x != 100] for x in (erase(image) for _ in range(20))]).float()
    return {
        "black": round(100 * float((filled == 0).float().mean())),
        "wrapped": round(100 * float((filled > 245).float().mean())),
        "between": int(((filled >= 10) & (filled <= 245)).sum()),
    }


@row(
    TABLE,
    "White in float16, back to uint8",
    libraries="torchvision",
    expect="255.",
    happens="`v2.ToDtype(torch.uint8, scale=True)` of white: {half} from float16, {brain} from "
    "bfloat16, {full} from float32. The factor just below 256 rounds up to 256 and wraps.",
    cost="Overexposed places turn black in saved views and in figures of features; means of "
    "bright images fall.",
    instead="Convert to float32 first. [[augment.apply]] returns float32.",
    holds=lambda seen: seen["half"] == 0 and seen["full"] == 255,
)
def white_in_float16() -> Seen:
    from torchvision.transforms import v2

    to_bytes = v2.ToDtype(torch.uint8, scale=True)
    kinds = {"half": torch.float16, "brain": torch.bfloat16, "full": torch.float32}
    return {name: int(to_bytes(torch.ones(3, 2, 2, dtype=k))[0, 0, 0]) for name, k in kinds.items()}


@row(
    TABLE,
    "Resize by bicubic before or after conversion to float",
    libraries="torchvision",
    expect="Equal to a rounding step.",
    happens="Up to {bicubic} of 255 levels apart (bilinear: {bilinear}). uint8 cuts off what "
    "bicubic puts above white and below black; float keeps it.",
    cost="Evaluation in another order than training shifts edges, and features with them.",
    instead="Fix one order. [[data.load]] resizes once, in uint8.",
    holds=lambda seen: seen["bicubic"] > 5 >= seen["bilinear"],
)
def bicubic_before_or_after_float() -> Seen:
    from torchvision.transforms import InterpolationMode, v2

    image = (torch.rand(3, 32, 32) > 0.5).to(torch.uint8) * 255
    to_float = v2.ToDtype(torch.float32, scale=True)
    seen = {}
    for name in ("bicubic", "bilinear"):
        resize = v2.Resize(64, interpolation=InterpolationMode[name.upper()], antialias=True)
        seen[name] = round(
            float(255 * (to_float(resize(image)) - resize(to_float(image))).abs().max())
        )
    return seen


@row(
    TABLE,
    "kornia's augmentations in `eval()`",
    libraries="kornia",
    expect="No augmentation, as dropout is off.",
    happens="They go on: in evaluation mode a flip with p = 1 gives {image} image.",
    cost="An augmentation built into the model, as kornia suggests, also augments test images; "
    "scores fall and vary from call to call.",
    instead="Augment outside the model: [[augment.apply]] is a function.",
    holds=lambda seen: seen["image"] == "another",
)
def kornia_in_eval() -> Seen:
    import kornia.augmentation as K

    images = torch.rand(2, 3, 8, 8)
    flip = K.RandomHorizontalFlip(p=1.0).eval()
    return {"image": "the same" if torch.equal(flip(images), images) else "another"}


@row(
    TABLE,
    "kornia's colour jitter on normalised images",
    libraries="kornia",
    expect="Brightness and contrast are changed, the range is kept.",
    happens="The result is clamped to 0 … 1: of an image from −2 to 2, {lost:.0%} of the values "
    "become exactly 0 or 1, with factors of one.",
    cost="After `Normalize` half of every image is black. It still looks like augmentation in the "
    "loss.",
    instead="Augment before normalising; [[augment.apply]] takes uint8 or 0 … 1.",
    holds=lambda seen: seen["lost"] > 0.5,
)
def kornia_clamps() -> Seen:
    import kornia.augmentation as K

    images = torch.rand(4, 3, 8, 8) * 4 - 2
    jitter = K.ColorJitter(brightness=(1.0, 1.0), contrast=(1.0, 1.0), p=1.0)
    out = jitter(images)
    return {"lost": float(((out == 0) | (out == 1)).float().mean())}


@row(
    TABLE,
    "The order of colour operations in kornia",
    libraries="kornia",
    expect="A random order for every image, as torchvision draws for its single image.",
    happens="One order for the whole batch: {orders} for 64 images, although the factors differ "
    "from image to image ({factors} different).",
    cost="Views of a batch are more alike than in torchvision's recipe; the batch itself carries "
    "a mark that a contrastive loss can read.",
    instead="[[augment.sample]] draws an order for every image.",
    holds=lambda seen: seen["orders"] == 1 and seen["factors"] > 60,
)
def kornia_draws_one_order() -> Seen:
    import kornia.augmentation as K

    jitter = K.ColorJitter(0.4, 0.4, 0.4, 0.1, p=1.0)
    jitter(torch.rand(64, 3, 8, 8))
    order = jitter._params["order"]
    return {
        "orders": 1 if order.ndim == 1 else len({tuple(row.tolist()) for row in order}),
        "factors": len(set(jitter._params["brightness_factor"].tolist())),
    }


@row(
    TABLE,
    "A random crop in kornia and in torchvision",
    libraries="kornia torchvision",
    expect="The same pixels for the same box.",
    happens="kornia resizes with `align_corners=True`: for one box the largest difference to "
    "torchvision is {difference:.2f} of the range.",
    cost="Sub-pixel shifts at every edge; results of the two libraries are not one recipe.",
    instead="[[augment.apply]] computes torchvision's arithmetic in a batch.",
    holds=lambda seen: seen["difference"] > 0.05,
)
def crop_in_kornia() -> Seen:
    import kornia.augmentation as K
    from torchvision.transforms.functional import resized_crop

    images = torch.rand(1, 3, 32, 32)
    crop = K.RandomResizedCrop((32, 32), scale=(0.25, 0.25), ratio=(1.0, 1.0), p=1.0)
    out = crop(images)
    (left, top), (right, bottom) = crop._params["src"][0, 0], crop._params["src"][0, 2]
    box = int(top), int(left), int(bottom - top) + 1, int(right - left) + 1
    return {"difference": float((out - resized_crop(images, *box, [32, 32])).abs().max())}


@row(
    TABLE,
    "A batch through torchvision's v2 transforms",
    libraries="torchvision",
    expect="A draw for every image of the batch.",
    happens="**One** draw for the batch: 16 equal images with colour jitter give {different} "
    "different result.",
    cost="All positives and negatives share one colour shift, so colour stays a perfect shortcut.",
    instead="[[augment.sample]] draws for every image; the batch stays on the device.",
    holds=lambda seen: seen["different"] == 1,
)
def one_draw_for_a_batch() -> Seen:
    from torchvision.transforms import v2

    batch = torch.rand(1, 3, 8, 8).repeat(16, 1, 1, 1)
    out = v2.ColorJitter(0.4, 0.4, 0.4, 0.1)(batch)
    return {"different": len(torch.unique(out.flatten(1), dim=0))}


@row(
    TABLE,
    "Colour jitter on images that are not in 0 … 1",
    libraries="torchvision",
    expect="It works on any float.",
    happens="A standardised image comes out of `ColorJitter` in the range {all_low:.1f} to "
    "{all_high:.1f} with every operation on, and in {hue_low:.1f} to {hue_high:.1f} with hue "
    "alone.",
    cost="`Normalize` before the jitter cuts every dark place to black, and the network sees half "
    "of each image.",
    instead="Normalise last.",
    holds=lambda seen: seen["all_low"] >= 0 > seen["hue_low"],
)
def jitter_after_normalize() -> Seen:
    from torchvision.transforms import v2

    image = torch.randn(3, 16, 16)
    every, hue = v2.ColorJitter(0.4, 0.4, 0.4, 0.1)(image), v2.ColorJitter(hue=0.1)(image)
    return {
        "all_low": float(every.min()),
        "all_high": float(every.max()),
        "hue_low": float(hue.min()),
        "hue_high": float(hue.max()),
    }


@row(
    TABLE,
    "Saturation in uint8 and in float",
    libraries="torchvision",
    expect="Equal to half a level on average.",
    happens="uint8 is rounded down: with factor 0.6 it is darker by {darker:.2f} levels on "
    "average.",
    cost="The two pipelines differ in the mean of every image, always in one direction.",
    instead="[[augment.apply]] computes in float and rounds once at the end.",
    holds=lambda seen: seen["darker"] > 0.6,
)
def saturation_in_uint8() -> Seen:
    from torchvision.transforms.functional import adjust_saturation

    image = torch.randint(0, 256, (3, 64, 64), dtype=torch.uint8)
    in_float = adjust_saturation(image.float() / 255, 0.6) * 255
    return {"darker": float((in_float - adjust_saturation(image, 0.6)).mean())}


@row(
    TABLE,
    "lightly's SimCLR transform: what is in it by default?",
    libraries="lightly",
    expect="The CIFAR recipe of the paper: crop, flip, jitter, gray.",
    happens="It also blurs with p = {blur:.1f}, has a hue range of ±{hue:.1f} and normalises by "
    "ImageNet's statistics.",
    cost="A blur made for 224 pixels on 32-pixel images; another hue range than the 0.1 of most "
    "CIFAR codes, which moves the colour shortcut.",
    instead="Write every number out. [[augment.describe]] prints a policy.",
    holds=lambda seen: seen["blur"] == 0.5 and abs(seen["hue"] - 0.2) < 1e-6 and seen["normalizes"],
)
def defaults_of_lightly_simclr() -> Seen:
    import inspect

    from lightly.transforms import SimCLRTransform

    given = {k: p.default for k, p in inspect.signature(SimCLRTransform).parameters.items()}
    return {
        "blur": float(given["gaussian_blur"]),
        "hue": float(given["cj_hue"] * given["cj_strength"]),
        "normalizes": given["normalize"] is not None,
    }


@row(
    TABLE,
    "A 16-bit grey PNG through `to_tensor`",
    libraries="torchvision pillow",
    expect="Values in 0 … 1.",
    happens="An int16 tensor that is not scaled: white (65,535) comes out as **{white}**, and "
    "half white (32,768) as {half}.",
    cost="Microscopy and depth images enter training with the bright half negative.",
    instead="Scale to uint8 yourself, by the bit depth that the instrument writes.",
    holds=lambda seen: seen["white"] < 0 and seen["half"] < 0,
)
def sixteen_bit_gray() -> Seen:
    from PIL import Image
    from torchvision.transforms.functional import to_tensor

    tensor = to_tensor(Image.fromarray(np.array([[65535, 32768]], dtype=np.uint16)))
    return {"white": int(tensor[0, 0, 0]), "half": int(tensor[0, 0, 1])}


@row(
    TABLE,
    "kornia's single colour operations beside its `ColorJitter`",
    libraries="kornia torchvision",
    expect="One factor, one result.",
    happens="For factor 1.5 `ColorJitter` agrees with torchvision; alone, `RandomBrightness` is "
    "off by {brightness:.2f} of the range (it adds 0.5), `RandomContrast` by {contrast:.2f} and "
    "`RandomSaturation` by {saturation:.2f}.",
    cost="A recipe that is spelled out operation by operation is not the recipe of the paper.",
    instead="[[augment.apply]] has one arithmetic, checked against torchvision.",
    holds=lambda seen: seen["jitter"] < 1e-3 and min(seen["brightness"], seen["saturation"]) > 0.1,
)
def single_colour_operations_in_kornia() -> Seen:
    import kornia.augmentation as K
    from torchvision.transforms import functional as F

    images, factor = 0.5 * torch.rand(1, 3, 32, 32), (1.5, 1.5)
    seen = {"jitter": 0.0}
    for name in ("brightness", "contrast", "saturation"):
        right = getattr(F, f"adjust_{name}")(images, 1.5)
        jitter = K.ColorJitter(**{name: factor}, p=1.0)(images)
        alone = getattr(K, f"Random{name.title()}")(**{name: factor}, p=1.0)(images)
        seen["jitter"] = max(seen["jitter"], float((jitter - right).abs().max()))
        seen[name] = float((alone - right).abs().max())
    return seen


@row(
    TABLE,
    "A folder of images that has a class called train, in the datasets library",
    libraries="datasets pillow",
    expect="`imagefolder` makes a class of each folder, as torchvision does.",
    happens="It takes that folder for a split: {rows} of 9 images in three folders are loaded, and "
    "the columns are {columns}, without labels. With the folder called trains: {whole} images.",
    cost="CIFAR-100 has a class called train. The other 99 are left out without a word.",
    instead="Rename the folder, or put the class folders into a folder called train. [[data.load]] "
    "sees three classes.",
    holds=lambda seen: (seen["rows"], seen["columns"], seen["whole"]) == (3, "image", 9),
    slow=True,
)
def class_folder_called_train() -> Seen:
    import datasets
    from PIL import Image

    def load(name: str) -> datasets.Dataset:
        with tempfile.TemporaryDirectory() as folder:
            for kind in ("apple", name, "whale"):
                (Path(folder) / "images" / kind).mkdir(parents=True)
                for number in range(3):
                    path = Path(folder) / "images" / kind / f"{number}.png"
                    Image.new("RGB", (4, 4)).save(path)
            where = {"data_dir": f"{folder}/images", "cache_dir": f"{folder}/cache"}
            return datasets.load_dataset("imagefolder", split="train", **where)

    hidden, whole = load("train"), load("trains")
    columns = ", ".join(hidden.column_names)
    return {"rows": len(hidden), "columns": columns, "whole": len(whole)}


@row(
    TABLE,
    "Make class ids of a column of numbers with the datasets library's `class_encode_column`",
    libraries="datasets",
    expect="A column of 0 to 99 keeps its numbers.",
    happens="The numbers are sorted as **text**, 0, 1, 10, 11, 2: class 2 of twelve gets the id "
    "{two}, and of 100 classes {moved} have another id.",
    cost="Labels no longer fit names, centres or results that were kept elsewhere; with ten "
    "classes nothing shows.",
    instead="`cast_column` with `ClassLabel(num_classes=100)`, which keeps them.",
    holds=lambda seen: seen["two"] == 4 and seen["moved"] > 50,
)
def class_ids_sorted_as_text() -> Seen:
    from datasets import Dataset

    def ids(classes: int) -> list[int]:
        rows = Dataset.from_dict({"label": list(range(classes))})
        return list(rows.class_encode_column("label")["label"])

    return {"two": ids(12)[2], "moved": sum(a != b for a, b in enumerate(ids(100)))}


@row(
    TABLE,
    "Two views of a batch by timm's `Mixup` or `RandomErasing`",
    libraries="timm",
    expect="Each call returns a new batch, as torchvision's transforms do.",
    happens="The batch that is handed in is **written over** and returned (largest change "
    "{moved:.1f}): two views by two calls are one tensor, {apart:.0f} apart.",
    cost="The positive pair is a row and itself, and a batch kept for a plot or a second loss is "
    "no longer the data.",
    instead="Hand in `batch.clone()`; [[augment.two_views]] leaves its images as they are.",
    holds=lambda seen: seen["moved"] > 0.1 and seen["apart"] == 0,
)
def mixup_writes_over_its_batch() -> Seen:
    from timm.data import Mixup

    batch = torch.linspace(0, 1, 4 * 3 * 8 * 8).reshape(4, 3, 8, 8)
    kept, labels = batch.clone(), torch.arange(4)
    mixup = Mixup(mixup_alpha=1e6, num_classes=4)  # weights of a half, whatever is drawn
    one, two = mixup(batch, labels)[0], mixup(batch, labels)[0]
    return {
        "moved": float((batch - kept).abs().max()),
        "apart": float((one - two).abs().max()),
    }
