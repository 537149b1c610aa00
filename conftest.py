"""Settings for every test of the workspace."""

from __future__ import annotations

import signal

import pytest

# A shell that starts pytest in the background makes it ignore Ctrl-C, together with every program
# that a test starts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the slow tests of an example that readers copy.

    A marker in its source would only need an explanation.
    """
    for item in items:
        if "test_folder_adapter.py::TestInRealTime::" in item.nodeid:
            item.add_marker(pytest.mark.thorough)
        elif "test_folder_adapter.py::" in item.nodeid:
            item.add_marker(pytest.mark.full)
