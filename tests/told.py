"""What a command tells somebody who made a mistake."""

from collections.abc import Callable, Sequence

import pytest


def told(capsys: pytest.CaptureFixture[str], main: Callable[[Sequence[str]], object], *arguments: object) -> str:
    """The paragraph that a program of experiments/ ends with: one, without a traceback."""
    capsys.readouterr()
    with pytest.raises(SystemExit):
        main([str(argument) for argument in arguments])
    message = capsys.readouterr().err
    assert message.startswith("error: ") and "Traceback" not in message and "\n\n" not in message
    return message
