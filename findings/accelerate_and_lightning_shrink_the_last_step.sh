#!/usr/bin/env bash
# Where batches do not divide by the steps of accumulation, the last update of an epoch is too
# small, in accelerate and in Lightning.
# Versions: accelerate 1.15.0, lightning 2.6.6, torch 2.14.1.
# Expected (a first guess): an update uses the mean gradient of the batches that it holds: with five
# equal batches and four to an update, the second update, of one batch, moves the weight as far as
# the first.
# Seen: it moves a quarter as far. Each batch is divided by four, and the last update comes at the
# end of the epoch all the same. With plain SGD it is a step at a quarter of the rate.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  torch==2.14.1 numpy==2.4.6 \
  accelerate==1.15.0 lightning==2.6.6
"$work/env/bin/python" -W ignore - <<'PYTHON'
import logging

import lightning
import torch
from accelerate import Accelerator

rows = torch.utils.data.DataLoader(torch.ones(5, 1), batch_size=1)


def layer():
    made = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.zeros_(made.weight)
    return made


accelerator = Accelerator(cpu=True, gradient_accumulation_steps=4)
model = layer()
model, optimizer, loader = accelerator.prepare(model, torch.optim.SGD(model.parameters(), 1), rows)
first = [0.0]
for batch in loader:
    with accelerator.accumulate(model):
        accelerator.backward(model(batch).sum())
        optimizer.step()
        optimizer.zero_grad()
        first.append(float(model.weight))


class Module(lightning.LightningModule):
    def __init__(self):
        super().__init__()
        self.layer, self.seen = layer(), [0.0]

    def training_step(self, batch, index):
        return self.layer(batch).sum()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 1)

    def on_train_batch_end(self, *arguments):
        self.seen.append(float(self.layer.weight))


logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
module = Module()
lightning.Trainer(max_epochs=1, accumulate_grad_batches=4, accelerator="cpu", logger=False,
                  enable_checkpointing=False, enable_progress_bar=False,
                  enable_model_summary=False).fit(module, rows)
print(f"the weight after each batch: accelerate {first}, lightning {module.seen}")
assert first == module.seen == [0, 0, 0, 0, -1, -1.25]
PYTHON
