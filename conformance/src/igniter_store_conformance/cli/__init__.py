"""The command `igniter-conformance`: the suite without a test file, and what can be made of its
reports.
"""

from igniter_store_conformance.cli.program import main

__all__ = ["main"]
