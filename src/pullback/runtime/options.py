"""What a constructor says of its options is said to who typed them."""

import linecache
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from pullback.errors import UserError
from pullback.runtime.parts import ConfigError

_OF_CALLS = ("unexpected keyword argument", "required positional argument", "required keyword-only argument")
_PACKAGES = ("pullback", "lightning")  # whose constructors are called


class OptionError(ConfigError):
    """A part of the program cannot work with a value of the configuration."""


class MissingPackage(UserError, ImportError):
    """A part of the program needs a package that is not installed."""


@contextmanager
def options_at_fault() -> Iterator[None]:
    """A context in which the parts of a run are built: what they refuse is a mistake in the configuration.

    Raises OptionError and MissingPackage with the words of the part itself. Errors that no part raised on purpose pass:
    those of numpy or of Python itself are faults of the program.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        if not _is_refusal(error):
            raise
        raise (MissingPackage if isinstance(error, ImportError) else OptionError)(str(error)) from error


def _is_refusal(error: Exception) -> bool:
    """Whether a part refuses its options: by a ``raise`` of its own, or because the call itself does not fit."""
    frames = [
        (frame, line, frame.f_globals.get("__name__", "").split(".")[0])
        for frame, line in traceback.walk_tb(error.__traceback__)
    ]
    if isinstance(error, TypeError):
        innermost = [frame.f_code.co_name for frame, _, package in frames if package == "pullback"][-1]
        return innermost == "_built" and any(words in str(error) for words in _OF_CALLS)
    # of Lightning's trainer
    if not isinstance(error, ValueError | ImportError) and type(error).__name__ != "MisconfigurationException":
        return False
    frame, line, package = frames[-1]
    return package in _PACKAGES and linecache.getline(frame.f_code.co_filename, line).lstrip().startswith("raise ")
