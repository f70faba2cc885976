"""What machines and people do to a study, and what must be left of it: the faults of ``FAULTS.md``.

    OMP_NUM_THREADS=1 python tests/faults/faults.py [--moments 50] [KIND ...]

Every fault is tried in a process of its own, split off one that has loaded everything, so that a
``kill -9`` is a real one and costs little. After each, two things must hold: nothing is lost,
half-written or silently wrong, and the same command run again ends with the results of a study
that nobody disturbed. ``fault_running.py`` disturbs a study while it runs, ``fault_files.py``
spoils what it left, ``fault_commands.py`` looks at everything else that writes or reads files.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "helpers"))

import fault_commands
import fault_files
import fault_running
from make_faults import show
from trials import Outcome, Plan, prepared, undisturbed

FAULTS: dict[str, Callable[[Plan], Outcome]] = {
    **fault_running.FAULTS,
    **fault_files.FAULTS,
    **fault_commands.FAULTS,
}


def try_all(moments: int, kinds: list[str] | None = None) -> list[Outcome]:
    """Every fault, ``moments`` times where moments are random."""
    with prepared():
        plan = undisturbed(moments)
        found = []
        for name, fault in FAULTS.items():
            if not kinds or name in kinds:
                found.append(dataclasses.replace(fault(plan), moments=moments))
                print(f"{name}: lost {len(found[-1].lost)} of {found[-1].tried}", file=sys.stderr)
        return found


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=f"default: all of {list(FAULTS)}")
    parser.add_argument("--moments", type=int, default=50)
    parser.add_argument("--json", action="store_true", help="one line of JSON")
    options = parser.parse_args()
    if unknown := set(options.kinds) - set(FAULTS):
        parser.error(f"no such kind: {', '.join(sorted(unknown))}; there are {', '.join(FAULTS)}")
    return show(try_all(options.moments, options.kinds), options.json)


if __name__ == "__main__":
    sys.exit(main())
