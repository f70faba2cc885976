#!/usr/bin/env bash
# In the workers of a DataLoader albumentations draws the same augmentation for each, and again in
# each epoch.
# Versions: albumentations 2.0.8, torch 2.14.1.
# Expected (a first guess): each worker has random numbers of its own, and each epoch new ones, as
# torchvision's transforms have through the seeds that PyTorch gives to workers; without a seed the
# numbers are random.
# Seen: the generator is made with the transform and copied into each worker. Two workers draw one
# sequence, a new epoch starts it again, and an image has one view for ever; in the main process all
# is well. A worker_init_fn that calls set_random_seed(torch.initial_seed() % 2**32) gives the
# guess.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  torch==2.14.1 numpy==2.4.6 albumentations==2.0.8
"$work/env/bin/python" -W ignore - <<'PYTHON'
import multiprocessing

import albumentations
import numpy as np
import torch

gray = np.full((2, 2, 3), 128, np.uint8)


class Rows(torch.utils.data.Dataset):
    def __init__(self):
        self.change = albumentations.Compose([albumentations.RandomBrightnessContrast(p=1)])

    def __len__(self):
        return 8

    def __getitem__(self, index):
        return int(self.change(image=gray)["image"][0, 0, 0])


def seed(worker):
    change = torch.utils.data.get_worker_info().dataset.change
    change.set_random_seed(torch.initial_seed() % 2**32)


def epoch(workers, start=None):
    context = multiprocessing.get_context("fork") if workers else None
    batches = torch.utils.data.DataLoader(rows, batch_size=4, num_workers=workers,
                                          worker_init_fn=start,
                                          multiprocessing_context=context)
    return [batch.tolist() for batch in batches]


rows = Rows()
first, second, alone, seeded = epoch(2), epoch(2), epoch(0), epoch(2, seed)
print(f"two workers: {first}, next epoch {second}; no workers: {alone}; seeded: {seeded}")
assert first == second and first[0] == first[1] and alone[0] != alone[1]
assert len(set(first[0])) > 1 and seeded[0] != seeded[1]
PYTHON
