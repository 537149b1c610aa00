"""Run all questions, each in a separate process, and print the final table.

The table is also written into README.md if the results go to benchmarks/results. This isn't the
case with --quick or with another --results.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from benchmarks import tables
from benchmarks.question import RESULTS
from benchmarks.results import Result, read

QUESTIONS: Final = (
    "memory_operations",
    "store_share",
    "telemetry_share",
    "growth",
    "memory_per_key",
    "redis_operations",
    "redis_shares",
    "redis_streams",
    "valkey_operations",
    "sqlite_operations",
)
README: Final = Path(__file__).parent / "README.md"


def main() -> int:
    """Return the exit code: 0 even if a figure misses its bound, because machines differ."""
    parser = _parser()
    arguments = parser.parse_args()
    quick: bool = arguments.quick
    if quick and arguments.results and arguments.results.resolve() == RESULTS:
        parser.error(
            "--quick must not overwrite benchmarks/results: its numbers mean nothing. Give another "
            "--results, or none."
        )
    if arguments.table:
        print(tables.document(_stored(RESULTS)))
        return 0
    with tempfile.TemporaryDirectory() as temporary:
        directory: Path = arguments.results or (Path(temporary) if quick else RESULTS)
        for name in arguments.only or QUESTIONS:
            command = [
                sys.executable,
                "-m",
                f"benchmarks.{name}",
                "--results",
                str(directory.resolve()),
                *(["--quick"] if quick else []),
            ]
            # a module of ours
            code = subprocess.run(command, check=False, cwd=README.parent.parent).returncode  # noqa: S603
            if code:
                print(f"\n{name} failed; see above.", file=sys.stderr)
                return code
            print(flush=True)
        results = _stored(directory)
        print(tables.figures_table(results))
        if quick:
            print("\nA quick run only shows that the benchmarks work. Its numbers mean nothing.")
        if directory.resolve() == RESULTS:
            tables.fill(README, tables.document(results))
            print(f"\nwritten: {README.name}")
    return 0


def _stored(directory: Path) -> list[Result]:
    return [read(path) for name in QUESTIONS if (path := directory / f"{name}.json").exists()]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--only",
        action="append",
        choices=QUESTIONS,
        help="run this question; repeat it for several",
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="only check that it runs: few calls, numbers that mean nothing",
    )
    parser.add_argument(
        "--results",
        type=Path,
        help="directory for raw numbers and pictures (benchmarks/results; none with --quick)",
    )
    parser.add_argument(
        "--table",
        action="store_true",
        help="measure nothing; print the table of README.md for benchmarks/results",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
