"""SimCLR in one screen, on images that are drawn on the spot: what does it learn, and from what?

    python examples/simclr.py                 # about a minute on two cores, a few seconds on a GPU
    python examples/simclr.py --colours kept  # the same, but both views keep their colours

Two views of an image should lie close together, views of other images far away. A network that can
tell images apart by colour alone never has to look at shapes. So the views' colours are randomised,
and kNN accuracy (k = 10) says before and after what the features know of the ten shapes.
"""

import argparse

import torch

from contrastive_tutorial import augment, data, losses, metrics, norm
from contrastive_tutorial.train import encoders

COLOURS = {
    "random": augment.Policy(
        "random colours", scale=(0.4, 1.0), jitter=1.0, brightness=(0.4, 1.6), contrast=(0.4, 1.6),
        saturation=(0.0, 2.0), hue=(-0.5, 0.5), grayscale=0.3, solarize=0.3,
    ),
    "kept": augment.Policy("crop and flip", scale=(0.4, 1.0)),
}  # fmt: skip

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--colours", choices=COLOURS, default="random")
parser.add_argument("--norm", default="bn", help="a kind of norm.convert_norm, e.g. bn, gn, none")
parser.add_argument("--steps", type=int, default=200)
parser.add_argument("--batch", type=int, default=200, help="images a step, each seen in two views")
parser.add_argument("--temperature", type=float, default=0.2)
parser.add_argument("--seed", type=int, default=0)
options = parser.parse_args()

device = "cuda" if torch.cuda.is_available() else "cpu"
train, test = (data.load("shapes", split, device) for split in ("train", "test"))
generator = torch.Generator(device=device).manual_seed(options.seed)
policy = COLOURS[options.colours]

model = encoders.seeded(options.seed, "two_conv_strided").to(device)  # images -> h (B, 128), z
norm.convert_norm(model, options.norm, total_steps=options.steps)
optimiser = torch.optim.Adam(model.parameters(), lr=2e-3)


@torch.no_grad()
def accuracy() -> float:
    """kNN accuracy of h on clean test images, with statistics measured on clean training images."""
    clean = [train.images[rows].float() / 255 for rows in torch.randperm(4_000).split(500)]
    norm.reestimate(model.encoder, clean)
    with norm.evaluation_statistics(model.encoder, "reestimated") as forward:
        bank, query = (
            torch.cat([forward(part.float() / 255) for part in images.split(500)])
            for images in (train.images[:4_000], test.images)
        )
    return metrics.knn_accuracy(
        bank, train.labels[:4_000], query, test.labels, k=10, temperature=None
    )


print(f"untrained: kNN {accuracy():.3f}")
for step in range(options.steps):
    rows = torch.randint(len(train.images), (options.batch,), generator=generator, device=device)
    views = augment.two_views(train.images[rows], policy, generator)
    model.train()
    _, z = model(torch.cat(views))  # (2N, D): both views in one batch share BN's statistics
    loss = losses.nt_xent(*z.chunk(2), temperature=options.temperature)
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
    if (step + 1) % 50 == 0 or step + 1 == options.steps:
        print(f"step {step + 1}: loss {loss.item():.3f}, kNN {accuracy():.3f}", flush=True)
