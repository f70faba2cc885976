#!/usr/bin/env bash
# nltk's k-means with repeats=2 starts once: its second trial begins where the first one ended.
# Versions: nltk 3.10.4, numpy 2.4.6.
# Expected (by its description): each of the trials draws its own means, and one of the results is taken.
# Seen: a draw is made for trial 0 and from trial 2 on; trial 1 takes the means of trial 0, which
# hardly move any more. So repeats=2 gives the result of repeats=1 for each of 50 seeds, and of 3
# trials two are one and the same, which then lies nearest to the others and is chosen: the third
# trial changes the result for no seed either.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet nltk==3.10.4 numpy==2.4.6
"$work/env/bin/python" -W ignore - <<'PYTHON'
import random

import numpy as np
from nltk.cluster import KMeansClusterer, euclidean_distance

rows = list(np.random.default_rng(0).random((40, 2)))


class Counting(random.Random):
    draws = 0

    def sample(self, *arguments, **options):
        self.draws += 1
        return super().sample(*arguments, **options)


def cluster(repeats, seed):
    rng = Counting(seed)
    clusterer = KMeansClusterer(4, euclidean_distance, repeats=repeats, rng=rng,
                                avoid_empty_clusters=True)
    labels = clusterer.cluster(rows, assign_clusters=True)
    groups = frozenset(frozenset(np.flatnonzero(np.array(labels) == of)) for of in set(labels))
    return groups, rng.draws


draws, same = {}, {}
for repeats in (1, 2, 3, 4, 6):
    results = [cluster(repeats, seed) for seed in range(50)]
    draws[repeats] = {count for _, count in results}
    same[repeats] = sum(groups == cluster(1, seed)[0] for seed, (groups, _) in enumerate(results))
    print(f"repeats={repeats}: draws {draws[repeats]}, "
          f"result of repeats=1 in {same[repeats]} of 50")
distinct = len({cluster(1, seed)[0] for seed in range(50)})
print(f"different results of repeats=1 over 50 seeds: {distinct}")
assert draws == {1: {1}, 2: {1}, 3: {2}, 4: {3}, 6: {5}} and distinct > 5
assert same[2] == same[3] == 50 and same[6] < 45
PYTHON
