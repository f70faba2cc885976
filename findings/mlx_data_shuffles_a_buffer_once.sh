#!/usr/bin/env bash
# A shuffled buffer of mlx-data deals the same batches in each epoch.
# Versions: mlx-data 0.1.0, numpy 2.4.6.
# Expected (a first guess): buffer.shuffle().to_stream().batch(4), read again after reset(), comes
# in another order, as from a DataLoader with shuffle=True.
# Seen: the order is the same each time, and so are the batches: it is drawn once, when shuffle() is
# called. A contrastive loss then compares an image with the same few others in all epochs, and
# batch statistics are those of the same sets. shuffle(count) of a stream draws anew after reset(),
# and so does a new buffer.shuffle() in each epoch.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  mlx-data==0.1.0 numpy==2.4.6
"$work/env/bin/python" -W ignore - <<'PYTHON'
import mlx.data as dx

buffer = dx.buffer_from_vector([{"row": row} for row in range(64)])


def epochs(stream, count=5):
    orders = []
    for _ in range(count):
        orders.append(tuple(tuple(batch["row"].tolist()) for batch in stream))
        stream.reset()
    assert all(sorted(sum(order, ())) == list(range(64)) for order in orders)
    return orders


once = epochs(buffer.shuffle().to_stream().batch(4))
stream = epochs(buffer.to_stream().shuffle(64).batch(4))
anew = [epochs(buffer.shuffle().to_stream().batch(4), 1)[0] for _ in range(5)]
for name, orders in (("buffer.shuffle()", once), ("shuffle(64) of a stream", stream),
                     ("buffer.shuffle() in each epoch", anew)):
    print(f"{name}: {len(set(orders))} orders in 5 epochs; first batches",
          [order[0] for order in orders[:3]])
assert len(set(once)) == 1 and len(set(stream)) == len(set(anew)) == 5
assert once[0] != tuple(tuple(range(i, i + 4)) for i in range(0, 64, 4))
PYTHON
