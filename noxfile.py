"""Every command that a person or CI runs, by name: `uv run nox -l` lists them.

Rule: sessions run in the environment that `uv run` has just made from the workspace, so a session
    is one command, and nothing is installed
twice. For another Python: `uv run --isolated --python 3.13 nox -s tests`.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import nox

nox.options.default_venv_backend = "none"
nox.options.sessions = ["tests", "lint", "types", "arrows"]
nox.options.error_on_missing_interpreters = True

# The tests start hundreds of interpreters; without cached bytecode each takes three seconds to
# import the packages instead of one.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

ROOT = Path(__file__).parent


@nox.session
def tests(session: nox.Session) -> None:
    """The tests that a change needs, on all cores; those that compare with the model try few
    examples.
    """
    _pytest(session, "-m", "not thorough", "--conformance-examples", "30")


@nox.session
def thorough(session: nox.Session) -> None:
    """Every test, with as many examples as its time allows: before a release, and after a change of
    the kit. Half an hour.
    """
    _pytest(session)


def _pytest(session: nox.Session, *options: str) -> None:
    required = ("--require-backends", "redis,valkey") if os.environ.get("CI") else ()
    workers = str(
        2 * (os.cpu_count() or 1) + 1
    )  # much of the time is waiting, for servers above all
    session.run(
        "pytest", "-n", workers, "--dist", "worksteal", *options, *required, *session.posargs
    )


@nox.session
def lint(session: nox.Session) -> None:
    """Ruff: every rule that is not refused with a reason in pyproject.toml, and the format."""
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session
def types(session: nox.Session) -> None:
    """Mypy and pyright, both strict, over sources and tests: one as the oldest Python sees them,
    the other as the newest.
    """
    session.run("mypy", "--python-version", "3.11")
    session.run("pyright", "--pythonversion", "3.14", "--pythonpath", sys.executable)


@nox.session
def arrows(session: nox.Session) -> None:
    """Who may import whom."""
    session.run("lint-imports")


@nox.session
def demo(session: nox.Session) -> None:
    """The tour of real uses, in memory."""
    session.run("igniter-store", "demo", *session.posargs)


@nox.session
def bench(session: nox.Session) -> None:
    """The benchmarks with their peers; writes benchmarks/results and the table of
    benchmarks/README.md.
    """
    session.run(
        "uv",
        "run",
        "--group",
        "bench",
        "python",
        "-m",
        "benchmarks",
        *session.posargs,
        external=True,
    )


@nox.session
def contract(session: nox.Session) -> None:
    """Write docs/contract.md from the kit's list of clauses."""
    with (ROOT / "docs" / "contract.md").open("w", encoding="utf-8") as document:
        session.run("igniter-conformance", "clauses", stdout=document)


@nox.session
def matrix(session: nox.Session) -> None:
    """Run the suite over every broken adapter and write what it finds into conformance/README.md:
    some minutes.
    """
    session.run(
        "python",
        "-m",
        "broken_adapters.killing",
        env={"PYTHONPATH": str(ROOT / "conformance" / "tests")},
    )


@nox.session
def conformance(session: nox.Session) -> None:
    """The suite on every server that can be had here: the plain adapter and the backend, and the
    model beside memory. Many minutes.
    """
    folders = (
        "conformance/every_server",
        "backends/redis/every_server",
        "backends/valkey/every_server",
    )
    session.run("pytest", "-n", "auto", "--dist", "worksteal", *folders, *session.posargs)


@nox.session
def backends(session: nox.Session) -> None:
    """Write docs/backends.md: what every backend keeps on every server that can be had here, from
    runs of the suite. Half an hour.
    """
    folder = Path(session.create_tmp()).resolve()
    suites = {
        "memory": "conformance/tests/test_memory_conformance.py::TestMemory",
        "sqlite": "backends/sqlite/tests/test_sqlite_conformance.py",
        "redis": "backends/redis/every_server",
        "valkey": "backends/valkey/every_server",
    }
    reports = {name: folder / f"{name}.json" for name in suites}
    workers = str(2 * (os.cpu_count() or 1))  # much of the time is waiting
    for name, path in suites.items():
        report = f"--conformance-report=json={reports[name]}"
        session.run(
            "pytest", "-q", "-n", workers, "--dist", "worksteal", report, *session.posargs, path
        )
    merged = ("--report", f"markdown={ROOT / 'docs' / 'backends.md'}")
    session.run(
        "igniter-conformance", "report", *(str(report) for report in reports.values()), *merged
    )


@nox.session
def steady(session: nox.Session) -> None:
    """The suite over memory twenty times in a row, each with other random numbers: a test that
    fails now and then shows.
    """
    for _ in range(20):
        session.run(
            "pytest",
            "-n",
            "auto",
            "-q",
            "conformance/tests/test_memory_conformance.py",
            "-k",
            "TestMemory and not Beside",
        )


@nox.session
def steady_sqlite(session: nox.Session) -> None:
    """The suite over SQLite, on a file with its processes and in memory, ten times in a row."""
    for _ in range(10):
        session.run(
            "pytest", "-n", "auto", "-q", "backends/sqlite/tests/test_sqlite_conformance.py"
        )


@nox.session
def soak(session: nox.Session) -> None:
    """The Redis backend, or with `-- --backend valkey` the other, under ten minutes of load with
    every connection cut once a second.
    """
    session.run("python", "tests/soak.py", *session.posargs)


@nox.session
def packaging(session: nox.Session) -> None:
    """Build every wheel, install them into an empty environment, and use them from there as a
    stranger would.
    """
    folder = Path(session.create_tmp()).resolve()
    wheels, environment = folder / "wheels", folder / "environment"
    for old in (wheels, environment):
        shutil.rmtree(old, ignore_errors=True)
    session.run(
        "uv",
        "build",
        "--all-packages",
        "--wheel",
        "--out-dir",
        str(wheels),
        external=True,
        silent=True,
    )
    session.run(
        "uv", "venv", "--python", sys.executable, str(environment), external=True, silent=True
    )
    python = environment / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    install = (
        "uv",
        "pip",
        "install",
        "--python",
        str(python),
        "--find-links",
        str(wheels),
        "--refresh-package",
        "igniter-store",
    )
    installed = (str(python), "-I", str(ROOT / "tests" / "installed.py"))
    refreshed = [
        part
        for name in ("cli", "memory", "sqlite")
        for part in ("--refresh-package", f"igniter-store-{name}")
    ]
    with session.chdir(folder):
        session.run(*install, "igniter-store", external=True, silent=True)
        session.run(*installed, "alone", external=True)
        session.run(
            *install,
            *refreshed,
            "igniter-store[cli,memory,sqlite,testing]",
            external=True,
            silent=True,
        )
        session.run(*installed, external=True)
        session.run(
            str(python),
            "-I",
            "-m",
            "igniter_store_cli",
            "demo",
            "--json",
            external=True,
            silent=True,
        )


@nox.session
def example(session: nox.Session) -> None:
    """The example adapter and the kit from wheels in an empty environment: bare pytest, then with
    xdist beside pytest-asyncio and anyio.

    In CI the clock of the adapter is moved, and the other two runs are the tests of life cycles and
    tasks, which a plugin could disturb.
    """
    in_ci = bool(os.environ.get("CI"))
    first = ("--conformance-examples", "20", "-k", "TestInMovedTime") if in_ci else ()
    others = (
        ("-k", "TestInMovedTime and (open or close or cancel or subscri or loop)") if in_ci else ()
    )
    folder = Path(session.create_tmp()).resolve()
    wheels, environment, tests = folder / "wheels", folder / "example", folder / "tests"
    for old in (wheels, environment, tests):
        shutil.rmtree(old, ignore_errors=True)
    session.run(
        "uv",
        "build",
        "--all-packages",
        "--wheel",
        "--out-dir",
        str(wheels),
        external=True,
        silent=True,
    )
    session.run(
        "uv", "venv", "--python", sys.executable, str(environment), external=True, silent=True
    )
    shutil.copytree(
        ROOT / "examples" / "igniter-store-folder" / "tests",
        tests,
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    (folder / "pytest.ini").write_text(
        "[pytest]\n", encoding="utf-8"
    )  # a root of its own: nothing of the repository is found
    python = environment / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    install = ("uv", "pip", "install", "--python", str(python), "--find-links", str(wheels))
    ours = [
        part
        for name in ("", "-conformance", "-folder")
        for part in ("--refresh-package", f"igniter-store{name}")
    ]
    pytest = (str(python), "-I", "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests")
    with session.chdir(folder):
        session.run(*install, *ours, "igniter-store-folder[dev]", external=True, silent=True)
        session.run(*pytest, *first, external=True)
        session.run(*install, "pytest-asyncio", "pytest-xdist", external=True, silent=True)
        session.run(*pytest, "-n", "2", "-o", "asyncio_mode=auto", *others, external=True)
        session.run(
            "uv",
            "pip",
            "uninstall",
            "--python",
            str(python),
            "pytest-asyncio",
            external=True,
            silent=True,
        )
        session.run(*install, "anyio", external=True, silent=True)
        session.run(*pytest, "-n", "2", *others, external=True)
