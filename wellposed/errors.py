"""The one exception that means "a person can fix this": its text is shown as it is, without a traceback."""


class UserError(Exception):
    """Something outside the program is wrong (an argument, a file, a full disk).

    The message is one or more whole sentences: what was wrong, and what to do about it.
    The command line prints it and exits with a non-zero code.
    """
