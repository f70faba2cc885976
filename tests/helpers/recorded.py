"""Records made by hand, for tests of what is computed from records."""

from contrastive_tutorial.records import Record

HEADLINE = {
    "S-P1": "branch:0",
    "M-P1": "branch:0",
    "M-split": "branch:0",
    "M-aff": "branch:0",
    "S-P0": "pooled",
    "M-P0": "pooled",
    "raw-pixels": "none",
    "pca": "none",
}


def make_record(cell, seed, metrics=None, **changes):
    """A valid record of ``cell`` under its registered headline statistics."""
    fields = {
        "preset": "cpu",
        "num_subsets": 10,
        "data": "cifar10-jpeg75",
        "data_hash": "a",
        "evaluation": HEADLINE.get(cell, "running"),
        "hyperparameters": {"preset": {"steps": 450}},
    }
    return Record(cell=cell, seed=seed, metrics=metrics or {}, **{**fields, **changes})


class Held(Record):
    """A record whose arrays are at hand, in ``content``."""

    def has_arrays(self):
        return bool(self.content)

    def arrays(self):
        return dict(self.content)


def held(content, *which, kind=Held, **options):
    """As :func:`make`, with these arrays."""
    record = make(*which, kind=kind, **options)
    object.__setattr__(record, "content", content)
    return record


def make(cell="B0", seed=0, num_subsets=10, accuracy=0.25, kind=Record, **options):
    """A valid record on ``shapes``, whatever the cell's registered statistics."""
    fields = {
        "cell": cell,
        "preset": "cpu",
        "seed": seed,
        "num_subsets": num_subsets,
        "data": "shapes",
        "data_hash": "0" * 64,
        "evaluation": "running",
        "metrics": {"cluster_accuracy": accuracy},
        "loss_curve": [(0, 6.9), (10, 5.5)],
    }
    return kind(**{**fields, **options})
