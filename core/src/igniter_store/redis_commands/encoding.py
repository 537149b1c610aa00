"""Text as bytes: what goes to the server as a word of a command, spelled as `contract.names` has
it.
"""

from igniter_store.contract.names import name_from_bytes as decoded
from igniter_store.contract.names import name_to_bytes as encoded

__all__ = ["decoded", "encoded"]
