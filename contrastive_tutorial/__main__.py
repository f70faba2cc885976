"""``python -m contrastive_tutorial``: the command line."""

import sys

from contrastive_tutorial.cli import main

if __name__ == "__main__":
    sys.exit(main())
