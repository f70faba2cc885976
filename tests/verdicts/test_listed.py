"""listed: which studies speak of a preset, and their verdicts as lines."""

import pytest
from recorded import make

from contrastive_tutorial.verdicts import load_hypotheses, studies_of, verdict_lines

LONGER = ["second-study", "amendment-c", "amendment-d", "amendment-e"]


@pytest.mark.parametrize(
    ("preset", "studies"),
    [
        ("cpu", ["hypotheses", "amendment-a"]),
        ("cpu-long", LONGER),
        # a change of the one above
        ("cpu-long+precision=bfloat16", LONGER),
        ("cpu-long+precision=bfloat16+steps=5000", ["amendment-b"]),
        ("resnet", ["hypotheses", "amendment-a"]),  # a replication
        ("norm", []),
    ],
)
def test_studies_of_a_preset(preset, studies):
    assert studies_of(preset) == studies


def test_what_waits_for_all_its_runs_has_a_row_in_a_file_and_shares_a_line_on_a_terminal():
    records = [make("B0", 0)]
    ids = [hypothesis.id for hypothesis in load_hypotheses()]
    written = verdict_lines(records, records[0].preset, records[0].data)
    assert [line.split()[1] for line in written if line.startswith("- ")] == [f"**{i}" for i in ids]
    plain = verdict_lines(records, records[0].preset, records[0].data, markdown=False)
    assert [line.rpartition(": ")[2] for line in plain] == [", ".join(ids)]
