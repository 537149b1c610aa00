"""Runs the command `igniter-conformance` as `python -m igniter_store_conformance`."""

import sys

from igniter_store_conformance.cli import main

if __name__ == "__main__":
    sys.exit(main())
