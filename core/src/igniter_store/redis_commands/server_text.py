"""Cuts a server's error text to the parts that an error may have in its cause.

Servers quote keys, groups, users and arguments: "NOGROUP No such key 'orders' or consumer group
'billing'". Keys contain the names of tenants.

Rule: only the error prefix, the command's name, and one phrase from the list in this module are
    kept. Text that isn't in this list can't leak.
"""

from __future__ import annotations

import re
from typing import Final

_WORD: Final = re.compile(r"-?([A-Z][A-Z0-9]{1,24})(?=[ :]|\Z)", re.ASCII)
_COMMAND: Final = re.compile(
    r"-?(?:ERR )?(?:(unknown (?:sub)?command)|"
    r"NOPERM (?:this user|User \S+) has (no permissions to run the)) "
    r"['`\"]([A-Za-z]{2,20}(?:\|[A-Za-z]{2,20})?)['`\"]",
    re.ASCII,
)

# Phrases of Redis, Valkey, Dragonfly and valkey-glide; the first match is kept.
_PHRASES: Final = (
    "value is not an integer or out of range",
    "increment or decrement would overflow",
    "DB index is out of range",
    "invalid DB index",
    "max number of clients reached",
    "called without any password configured",
    "invalid username-password pair or user is disabled",
    "HELLO must be called with the client already authenticated",
    "Authentication required",
    "unsupported protocol version",
    "is running in protected mode",
    "no permissions to access one of the keys",
    "No permissions to access a key",
    "no permissions to access one of the channels",
    "No permissions to access a channel",
    "no permissions to run the",
    "no permissions to access",
    "The XGROUP subcommand requires the key to exist",
    "Consumer Group name already exists",
    "consumer group this client was blocked on no longer exists",
    "the stream key no longer exists",
    "No such key",
    "Operation against a key holding the wrong kind of value",
    "Invalid stream ID specified as stream command argument",
    "The ID specified in XADD is equal or smaller than the target stream top item",
    "The stream has exhausted the last possible ID",
    "string exceeds maximum allowed size",
    "invalid expire time",
    "value is not a valid float",
    "invalid cursor",
    "syntax error",
    "wrong number of arguments",
    "unknown subcommand",
    "unknown command",
    "command not allowed when used memory > 'maxmemory'",
    "You can't write against a read only replica",
    "is configured to save RDB snapshots",
    "is loading the dataset in memory",
    "Redis is busy running a script",
    "busy running a script",
    "Not enough good replicas to write",
    "Link with MASTER is down",
    "SELECT is not allowed in cluster mode",
    "This instance has cluster support disabled",
    "Keys in request don't hash to the same slot",
    "Multiple keys request during rehashing of slot",
    "Hash slot not served",
    "The cluster is down",
    "Client names cannot contain spaces",
    "Script attempted to access nonexistent global variable",
    "Script attempted to access keys that do not hash to the same slot",
    "Script attempted to access a non local key",
    "No matching script",
    "This Redis command is not allowed from script",
    "Unknown Redis command called from script",
    "Protocol error",
    "refused to switch database",
    "refused to set client name",
    "Connection refused",
    "failed to lookup address information",
    "invalid peer certificate",
    "Multiplexed connection driver unexpectedly terminated",
    "Connection in recovery",
    "Connection reset by peer",
    "Broken pipe",
    "timed out",
)


def cut(text: str) -> str:
    """Return the parts of a server's text that contain no user data: "NOGROUP No such key"."""
    found = _WORD.match(text)
    word = found[1] if found is not None else ""
    command = _COMMAND.match(text)
    if command is not None:
        phrase = f"{command[1] or command[2]} '{command[3]}'"
    else:
        phrase = next((phrase for phrase in _PHRASES if phrase in text), "")
    return " ".join(filter(None, (word, phrase)))


def refused_command(text: str) -> str:
    """Return the name of the command that the server rejects or doesn't support.

    The result is empty if the text doesn't name the command.
    """
    command = _COMMAND.match(text)
    return command[3].lower() if command is not None else ""
