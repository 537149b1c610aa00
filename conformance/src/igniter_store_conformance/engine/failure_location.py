"""Where a test failed, in two lines: the line of the suite that found it, and the last one of the
adapter's author.
"""

from __future__ import annotations

import os
import sysconfig
from pathlib import Path
from traceback import FrameSummary, extract_tb
from typing import Final

_KIT: Final = f"{Path(__file__).parent.parent}{os.sep}"
_TESTS: Final = (
    f"{_KIT}suite{os.sep}",
    f"{_KIT}model{os.sep}",
)  # the other packages make the calls, and assert nothing
_LIBRARIES: Final = tuple(
    {
        f"{sysconfig.get_path(name)}{os.sep}"
        for name in ("stdlib", "platstdlib", "purelib", "platlib")
    }
)


def places(error: BaseException) -> list[str]:
    """At most two: `counters.py:172 assert ...`, and `my_adapter.py:11 in increment`; of the file
    its name alone.
    """
    frames = extract_tb(error.__traceback__)
    waiting = error.__cause__
    while waiting is not None:  # what was waited for when the time was over
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
