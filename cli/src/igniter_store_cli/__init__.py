"""The command line `igniter-store`: one module per command, put together in `program`."""

from igniter_store_cli.program import main

__all__ = ["main"]
