"""The command `igniter-conformance`: runs the suite without a test file, and merges its reports."""

from igniter_store_conformance.cli.program import main

__all__ = ["main"]
