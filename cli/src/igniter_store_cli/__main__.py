"""`python -m igniter_store_cli`: the command line where the script `igniter-store` is not on the
path.
"""

import sys

from igniter_store_cli import main

if __name__ == "__main__":
    sys.exit(main())
