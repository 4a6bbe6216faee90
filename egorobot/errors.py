"""The errors that a person's input can cause."""


class UserError(Exception):
    """Bad input, told in one line: what is wrong, where, and the mend.

    Commands print the message after ``error:`` and exit with status 2. Code
    raises it for what a user can cause and mend; everything else stays an
    ordinary exception with its traceback.
    """


class BusyError(UserError):
    """Another process is at the same work, and will do it: nothing is wrong with the input.

    A sweep leaves such a run to that process, and goes on with the next.
    """
