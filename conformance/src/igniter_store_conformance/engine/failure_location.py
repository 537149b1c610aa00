"""Locates a failure in two lines: the suite's line that found it, and the adapter's last line."""

from __future__ import annotations

import os
import sysconfig
from pathlib import Path
from traceback import FrameSummary, extract_tb
from typing import Final

_KIT: Final = f"{Path(__file__).parent.parent}{os.sep}"
# The other packages make the calls, and assert nothing.
_TESTS: Final = (f"{_KIT}suite{os.sep}", f"{_KIT}model{os.sep}")
_LIBRARIES: Final = tuple(
    {
        f"{sysconfig.get_path(name)}{os.sep}"
        for name in ("stdlib", "platstdlib", "purelib", "platlib")
    }
)


def places(error: BaseException) -> list[str]:
    """Return at most two locations: `counters.py:172 assert ...`, `my_adapter.py:11 in increment`.

    A location has only the name of the file, without its folder.
    """
    frames = extract_tb(error.__traceback__)
    waiting = error.__cause__
    while waiting is not None:  # the call that was pending when the time limit was reached
        frames += extract_tb(waiting.__traceback__)
        waiting = waiting.__cause__
    asked = [frame for frame in frames if frame.filename.startswith(_KIT)]
    asking = [frame for frame in asked if frame.filename.startswith(_TESTS)] or asked
    others = [frame for frame in frames if not frame.filename.startswith((_KIT, "<"))]
    own = [frame for frame in others if not frame.filename.startswith(_LIBRARIES)] or others
    found = [f"{_spelled(asking[-1])}  {asking[-1].line or ''}".strip()] if asking else []
    return found + ([f"{_spelled(own[-1])} in {own[-1].name}"] if own else [])


def _spelled(frame: FrameSummary) -> str:
    return f"{Path(frame.filename).name}:{frame.lineno}"
