"""A preset that trains three steps, for tests of everything around training."""

from contrastive_tutorial.train import Preset

TINY = Preset(
    "tiny", "two_conv_strided", steps=3, batch_size=40, bank=300, kmeans_restarts=1, menu_bank=300,
    checkpoint_every=2,
)  # fmt: skip
