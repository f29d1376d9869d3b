"""What a person can mend: the only errors that end a command in one paragraph instead of a traceback.

Imports nothing heavy.
"""


class UserError(Exception):
    """Something about the input, the command line or the machine that its user can mend.

    The message names the file (or the setting) and says what to do. The errors of each part inherit from this class and
    from the builtin that fits (``class MeshError(UserError, ValueError)``). The commands print the message alone, and
    the traceback only on request; every other exception is a fault of the program and shows where it happened.
    """


class UsageError(UserError, ValueError):
    """The command line cannot be read, or names what there is not or what an option cannot take."""

    exit_code = 2
