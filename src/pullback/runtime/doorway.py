"""How a command ends that goes wrong: a mistake that its user can mend is told in one paragraph, without a traceback.

Exit code 1, or 2 where the command line itself is at fault. Anything else is a fault of the program and shows where it
happened. Ctrl-C is told in a sentence, and a reader of the output that goes away (``| head``) ends the command in
silence. ``--debug``, or PULLBACK_DEBUG=1 in the environment, shows it always. Imports nothing heavy.
"""

import errno
import logging
import os
import re
import sys
import traceback
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pullback.errors import UserError
from pullback.places import called_as
from pullback.plain_data import with_visible_controls
from pullback.runtime.signals import AGAIN, telling_interrupts

DEBUG = "PULLBACK_DEBUG"
_PROCESS = uuid.uuid4().hex  # this one, among those of all machines
_FAULT = "This is a fault of the program, not of what was typed. Please report it with the command and the lines above."
# What a file system or a machine refuses, whatever the program did.
_OF_THE_MACHINE = {
    errno.ENOSPC,
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.EDQUOT,
    errno.ENAMETOOLONG,
    errno.EMFILE,
    errno.ESTALE,
}

# Messages name commands as a checkout has them; who called ``pullback match`` has these.
_INSTALLED = (
    (r"\b(?:python )?(train|eval|match)\.py\b", r"pullback \1"),
    (r"\bpython -m pullback\.data\.check\b", "pullback check-data"),
    (r"\bpython -m experiments\.(compare|paired|curves|tables)\b", r"pullback \1"),
)


def no_words(error: BaseException) -> str | None:
    """The mistakes of libraries that a command can tell apart: none."""
    return None


def is_debugging() -> bool:
    """Whether tracebacks are wanted."""
    return "--debug" in sys.argv[1:] or any(
        os.environ.get(name, "0") not in ("", "0") for name in (DEBUG, "HYDRA_FULL_ERROR")
    )


@contextmanager
def telling(in_words: Callable[[BaseException], str | None] = no_words) -> Iterator[None]:
    """Errors inside end the process: mistakes after one paragraph, others after a traceback.

    What runs inside may have a `stopping` of its own. ``in_words`` gives the sentence for errors of libraries that are
    mistakes as well.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # file names that are no text, and √ on a terminal without it
            stream.reconfigure(errors="surrogateescape" if "utf" in stream.encoding.lower() else "backslashreplace")
    debugging = is_debugging()
    logging.raiseExceptions = debugging  # else it prints a traceback for each line that nobody reads
    try:
        with telling_interrupts(AGAIN):
            yield
        for stream in filter(None, (sys.stdout, sys.stderr)):
            stream.flush()
    except BrokenPipeError:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - Python flushes it at the very end, once more
        raise SystemExit(128 + 13) from None  # as SIGPIPE would
    except Exception as error:
        if debugging:
            raise
        raise SystemExit(tell_once(error, in_words)) from None


def tell_once(error: Exception, in_words: Callable[[BaseException], str | None] = no_words, *, before: str = "") -> int:
    """As ``tell``, but nothing is printed where this process has told the error before.

    A job of a sweep may have told it elsewhere, in the log of a cluster: then it is told here once more.
    """
    process, code, said = getattr(error, "told", (None, 1, before))
    if process != _PROCESS:
        code = tell(error, in_words, before=said)
        error.told = (_PROCESS, code, said)  # type: ignore[attr-defined]  # goes wherever the error goes
    return code


def tell(error: Exception, in_words: Callable[[BaseException], str | None] = no_words, *, before: str = "") -> int:
    """Prints an error to stderr: its message where its user can mend it, else where it happened.

    Returns the exit code.
    """
    message = message_of(error) or in_words(error)
    if message is None:
        traceback.print_exception(error)
        print(f"{before}{_FAULT}", file=sys.stderr)
        return 1
    print(f"error: {before}{with_visible_controls(as_called(in_one_paragraph(message)))}", file=sys.stderr)
    return getattr(error, "exit_code", 1)


def message_of(error: Exception) -> str | None:
    """The message of an error that a user can mend; None for a fault of the program."""
    if isinstance(error, UserError):
        return str(error)
    if isinstance(error, OSError) and error.errno in _OF_THE_MACHINE:
        return f"{error.filename or 'a file'}: {error.strerror}"
    return None


def reason(error: Exception, in_words: Callable[[BaseException], str | None] = no_words) -> str:
    """Why something failed: the message for its user, else the error's own."""
    return message_of(error) or in_words(error) or f"{type(error).__name__}: {error}"


class LogFormatter(logging.Formatter):
    """Lines for the log, in which names and messages out of strangers' files cannot command the terminal."""

    def format(self, record: logging.LogRecord) -> str:
        return with_visible_controls(super().format(record))


def in_one_paragraph(message: str) -> str:
    return " ".join(line.strip() for line in message.splitlines() if line.strip())


def as_called(message: str) -> str:
    """A message in which commands are called as this process was: ``pullback match`` or ``python match.py``."""
    for words, installed in _INSTALLED if called_as().startswith("pullback ") else ():
        message = re.sub(words, installed, message)
    return message
