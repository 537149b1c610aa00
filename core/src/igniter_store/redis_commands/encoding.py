"""Text as bytes: the arguments of commands, encoded as `contract.names` does."""

from igniter_store.contract.names import name_from_bytes as decoded
from igniter_store.contract.names import name_to_bytes as encoded

__all__ = ["decoded", "encoded"]
