"""What holds for every test of the workspace."""

from __future__ import annotations

import signal

import pytest

# A shell that starts pytest in the background makes it deaf to Ctrl-C, and every program that a
# test starts with it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what takes long in an example that its readers copy: there the marker would only ask for
    an explanation.
    """
    for item in items:
        if "test_folder_adapter.py::TestInRealTime::" in item.nodeid:
            item.add_marker(pytest.mark.thorough)
