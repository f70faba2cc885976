"""`python -m guide`: see the package's docstring."""

import sys

from . import ROWS
from .run import main

sys.exit(main(ROWS, sys.argv[1:]))
