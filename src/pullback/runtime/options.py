"""What a constructor says of its options is said to who typed them."""

from collections.abc import Iterator
from contextlib import contextmanager

from pullback.errors import UserError
from pullback.runtime.checks import ConfigError

_OF_CALLS = ("unexpected keyword argument", "required positional argument", "required keyword-only argument")


class OptionError(ConfigError):
    """A part of the program cannot work with a value of the configuration."""


class MissingPackage(UserError, ImportError):
    """A part of the program needs a package that is not installed."""


@contextmanager
def options_at_fault() -> Iterator[None]:
    """A context in which the parts of a run are built: what they refuse is a mistake in the configuration.

    Raises OptionError and MissingPackage with the words of the part itself.
    """
    try:
        yield
    except UserError:
        raise
    except ImportError as error:
        raise MissingPackage(str(error)) from error
    except ValueError as error:
        raise OptionError(str(error)) from error
    except Exception as error:
        lightning = type(error).__name__ == "MisconfigurationException"  # of the trainer; not imported for its name alone
        if lightning or (isinstance(error, TypeError) and any(words in str(error) for words in _OF_CALLS)):
            raise OptionError(str(error)) from error
        raise
