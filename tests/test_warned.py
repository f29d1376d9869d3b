"""Filters of warnings are put back, also where threads overlap."""

import threading
import warnings

from pullback.warned import own_warnings


def test_two_threads_at_once_leave_the_filters_as_they_were():
    before, inside, go_on = list(warnings.filters), threading.Event(), threading.Event()

    def first():
        with own_warnings():
            warnings.simplefilter("error", DeprecationWarning)
            inside.set()
            go_on.wait(5)

    def second():
        inside.wait(5)
        threading.Timer(0.05, go_on.set).start()
        with own_warnings():
            warnings.simplefilter("ignore", UserWarning)

    threads = [threading.Thread(target=task) for task in (first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(warnings.filters) == before
