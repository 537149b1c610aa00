"""The command line `igniter-store`: one module per command, combined in `program`."""

from igniter_store_cli.program import main

__all__ = ["main"]
