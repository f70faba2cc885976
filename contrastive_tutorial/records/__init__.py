"""Records: what one run of one cell with one seed left behind, and statistics over seeds.

Enters: metrics, curves and hyper-parameters of a run; JSON and ``.npz`` files of anybody.
Leaves: validated :class:`Record` objects; intervals, tests and tables of a few numbers.
Never: trains or evaluates, opens a pickle, or fills in what a file does not say.
"""

from contrastive_tutorial.errors import require_extra

require_extra("study", "scipy", "statsmodels")

from contrastive_tutorial.records.alike import (
    USUAL,
    WORDS,
    one_each_seed,
    require_alike,
    require_one_cell,
    said,
)
from contrastive_tutorial.records.folder import (
    find_record,
    find_results,
    load_record,
    load_records,
)
from contrastive_tutorial.records.intervals import (
    Interval,
    holm,
    mean,
    mean_interval,
    seeds_needed,
    sign_flip_p,
)
from contrastive_tutorial.records.provenance import git_commit, versions
from contrastive_tutorial.records.schema import Record, record_file
from contrastive_tutorial.records.summary import NotRecordedError, Summary, summarize, value
from contrastive_tutorial.records.table import as_markdown, markdown_table, result_table

__all__ = [
    "USUAL",
    "WORDS",
    "Interval",
    "NotRecordedError",
    "Record",
    "Summary",
    "as_markdown",
    "find_record",
    "find_results",
    "git_commit",
    "holm",
    "load_record",
    "load_records",
    "markdown_table",
    "mean",
    "mean_interval",
    "one_each_seed",
    "record_file",
    "require_alike",
    "require_one_cell",
    "result_table",
    "said",
    "seeds_needed",
    "sign_flip_p",
    "summarize",
    "value",
    "versions",
]
