"""Every command that a developer or CI runs, by name: `uv run nox -l` lists them.

Rule: sessions run in the environment that `uv run` has just created from the workspace. So a
    session is one command, and nothing is installed twice. For another Python version:
    `uv run --isolated --python 3.13 nox -s tests full`.
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

# The tests start hundreds of interpreters. Without cached bytecode each of them needs three seconds
# to import the packages, instead of one.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

ROOT = Path(__file__).parent
_FEW_EXAMPLES = ("--conformance-examples", "30")  # runs of the model


@nox.session
def tests(session: nox.Session) -> None:
    """Run the tests that a change needs, in some minutes.

    These are the unit tests, the kit over memory, SQLite, a Redis and a Valkey server, and the
    broken adapters, each by the clauses that it breaks.
    """
    _pytest(session, "-m", "not full and not thorough", *_FEW_EXAMPLES)


@nox.session
def full(session: nox.Session) -> None:
    """Run the longer tests, which `tests` leaves out; CI runs both.

    They start processes, fork, break connections, move clusters, and try random inputs.
    """
    _pytest(session, "-m", "full and not thorough", *_FEW_EXAMPLES)


@nox.session
def thorough(session: nox.Session) -> None:
    """Run every test, with as many examples as its time allows. It takes half an hour.

    Run it before a release, and after a change of the kit.
    """
    _pytest(session)


def _pytest(session: nox.Session, *options: str) -> None:
    required = ("--require-backends", "redis,valkey") if os.environ.get("CI") else ()
    workers = str(
        2 * (os.cpu_count() or 1) + 1
    )  # most of the time is spent waiting, mainly for servers
    session.run(
        "pytest", "-n", workers, "--dist", "worksteal", *options, *required, *session.posargs
    )


@nox.session
def lint(session: nox.Session) -> None:
    """Run Ruff, with every rule that pyproject.toml doesn't refuse, and check the wording."""
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("python", "checks/wording.py")


@nox.session
def types(session: nox.Session) -> None:
    """Run mypy and pyright, both strict, over sources and tests.

    One checks for the oldest Python, the other for the newest.
    """
    session.run("mypy", "--python-version", "3.11")
    session.run("pyright", "--pythonversion", "3.14", "--pythonpath", sys.executable)


@nox.session
def arrows(session: nox.Session) -> None:
    """Check which package may import which."""
    session.run("lint-imports")


@nox.session
def demo(session: nox.Session) -> None:
    """Play the tour of real uses, in memory."""
    session.run("igniter-store", "demo", *session.posargs)


@nox.session
def bench(session: nox.Session) -> None:
    """Run the benchmarks with their peers.

    This writes benchmarks/results and the table in benchmarks/README.md.
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
    """Run the suite over every broken adapter; this takes some minutes.

    It writes the findings into conformance/README.md.
    """
    session.run(
        "python",
        "-m",
        "broken_adapters.killing",
        env={"PYTHONPATH": str(ROOT / "conformance" / "tests")},
    )


@nox.session
def conformance(session: nox.Session) -> None:
    """Run the suite on every server available here; this takes many minutes.

    It tests the plain adapter and the backend, and the model next to memory.
    """
    folders = (
        "conformance/every_server",
        "backends/redis/every_server",
        "backends/valkey/every_server",
    )
    session.run("pytest", "-n", "auto", "--dist", "worksteal", *folders, *session.posargs)


@nox.session
def backends(session: nox.Session) -> None:
    """Write docs/backends.md; this takes half an hour.

    The document lists which clauses each backend keeps on every server available here, from runs of
    the suite.
    """
    folder = Path(session.create_tmp()).resolve()
    suites = {
        "memory": "conformance/tests/test_memory_conformance.py::TestMemory",
        "sqlite": "backends/sqlite/tests/test_sqlite_conformance.py",
        "redis": "backends/redis/every_server",
        "valkey": "backends/valkey/every_server",
    }
    reports = {name: folder / f"{name}.json" for name in suites}
    workers = str(2 * (os.cpu_count() or 1))  # most of the time is spent waiting
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
    """Run the suite over memory twenty times, each with other random numbers.

    This reveals a test that fails now and then.
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
    """Run the suite over SQLite ten times, on a file with its processes and in memory."""
    for _ in range(10):
        session.run(
            "pytest", "-n", "auto", "-q", "backends/sqlite/tests/test_sqlite_conformance.py"
        )


@nox.session
def soak(session: nox.Session) -> None:
    """Put the Redis backend under load for ten minutes, with every connection cut once a second.

    With `-- --backend valkey` it is the Valkey backend.
    """
    session.run("python", "tests/soak.py", *session.posargs)


def _built(session: nox.Session) -> tuple[Path, Path, Path]:
    """Return a folder, and in it the wheels of this repository and an empty environment."""
    folder = Path(session.create_tmp()).resolve()
    wheels, environment = folder / "wheels", folder / "environment"
    for old in (wheels, environment):
        shutil.rmtree(old, ignore_errors=True)
    build = ("uv", "build", "--all-packages", "--wheel", "--out-dir", str(wheels))
    session.run(*build, external=True, silent=True)
    create = ("uv", "venv", "--python", sys.executable, str(environment))
    session.run(*create, external=True, silent=True)
    return folder, wheels, environment


@nox.session
def typed(session: nox.Session) -> None:
    """Check that the public types of each wheel are complete, for a user's type checker."""
    folder, wheels, environment = _built(session)
    names = [path.name.split("-")[0] for path in sorted(wheels.glob("*.whl"))]
    install = ("uv", "pip", "install", "--python", str(environment))
    session.run(*install, *map(str, wheels.glob("*.whl")), external=True, silent=True)
    # pyright finds the wheels only if their environment is active. `--pythonpath` isn't enough.
    active = {
        "VIRTUAL_ENV": str(environment),
        "PATH": f"{environment / 'bin'}{os.pathsep}{os.environ['PATH']}",
    }
    pyright = shutil.which("pyright") or "pyright"
    with session.chdir(folder):
        for name in names:
            session.run(
                pyright, "--ignoreexternal", "--verifytypes", name, env=active, external=True
            )


@nox.session
def packaging(session: nox.Session) -> None:
    """Build every wheel, and use them in an empty environment, as a user of the packages would."""
    folder, wheels, environment = _built(session)
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
    """Test the example adapter and the kit from wheels in an empty environment.

    The runs are: bare pytest, then xdist next to pytest-asyncio and anyio.

    In CI the clock of the adapter is moved, the first run leaves out the long tests of the
    crossing, and the other two runs only include the tests of life cycles and tasks, which a plugin
    could disturb.
    """
    in_ci = bool(os.environ.get("CI"))
    long = "_similar_ or _long_ or _bytes_ or _list_ or _count_ or _state_ or _other_ or _race_"
    chosen = f"TestInMovedTime and not ({long})"
    first = ("--conformance-examples", "20", "-k", chosen) if in_ci else ()
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
    )  # a rootdir of its own, so that pytest finds nothing of the repository
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
