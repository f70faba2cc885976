"""losses: the one name under which the book finds every loss."""

import subprocess
import sys

from contrastive_tutorial import losses


def test_every_public_name_is_there_and_says_what_it_does():
    assert sorted(losses.__all__) == losses.__all__
    for name in losses.__all__:
        assert getattr(losses, name).__doc__, name


def test_the_names_that_other_code_relies_on():
    relied_on = {
        "kl_normal", "kl_categorical", "triplet_loss", "batch_all_triplet_loss",
        "batch_hard_triplet_loss", "semi_hard_triplet_loss", "nt_xent",
    }  # fmt: skip
    assert relied_on <= set(losses.__all__)


def test_importing_the_losses_loads_no_plotting_or_learning_library():
    code = (
        "import sys, contrastive_tutorial.losses; "
        "print([m for m in ('matplotlib', 'seaborn', 'sklearn', 'umap', 'torchvision') "
        "if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
