"""`python -m igniter_store_conformance`: the command `igniter-conformance`."""

import sys

from igniter_store_conformance.cli import main

if __name__ == "__main__":
    sys.exit(main())
