"""Runs the command line as `python -m igniter_store_cli`.

It is useful if the script `igniter-store` isn't on the path.
"""

import sys

from igniter_store_cli import main

if __name__ == "__main__":
    sys.exit(main())
