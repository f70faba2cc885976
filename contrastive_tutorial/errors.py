"""The one exception that means *the input was bad*: what was wrong, what was expected, what to do.

The command line prints it on one line and exits with status 2; nothing else is caught there, so a
defect of ours still shows its traceback.
"""


class InputError(ValueError):
    """Bad input from the caller. The message names the argument, what was expected and got."""
