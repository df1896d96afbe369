"""The one exception that means "a person can fix this": its text is shown as it is, without a traceback."""


class UserError(Exception):
    """Something outside the program is wrong (an argument, a file, a full disk).

    The message is one or more whole sentences: what was wrong, and what to do about it.
    The command line prints it and exits with a non-zero code.
    """


def require(condition: bool, setting: str, rule: str, got: object) -> None:
    """Refuse a setting that breaks its rule: `require(k >= 0, "replay.k", "must not be negative", k)`.

    Raises:
        UserError: naming the setting as the command line does.
    """
    if not condition:
        raise UserError(f"--{setting.replace('_', '-')} {rule}, got {got}.")
