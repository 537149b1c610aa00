"""The errors that all backends share, with the name of this one."""

from typing import Final

from igniter_store.contract import BackendErrors

NAME: Final = "memory"
ERRORS: Final = BackendErrors(NAME)
