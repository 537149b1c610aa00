"""The purpose of each command, for errors about a missing command.

A server, a proxy or access rules may not support a command; the error then names the operation that
doesn't work.
"""

from __future__ import annotations

from functools import cache
from hashlib import sha1
from importlib import resources
from typing import Any, Final

_COMMANDS: Final = {
    "AUTH": "the user and the password of the URL",
    "SELECT": "the database of the URL, where that isn't 0",
    "CLIENT SETNAME": "client_name",
    "CLUSTER SLOTS": "finding the nodes of a cluster",
    "PING": "asking the server for a sign of life",
    "GET": "reading values",
    "GETDEL": "pop",
    "SET": "writing values and claims",
    "DEL": "removing keys",
    "UNLINK": "delete_prefix",
    "EXISTS": "exists",
    "PEXPIRE": "expire",
    "PERSIST": "persist",
    "PTTL": "ttl",
    "MGET": "reading batches",
    "MSET": "writing batches",
    "INCRBY": "counters",
    "DELEX": "releasing claims",
    "DELIFEQ": "releasing claims",
    "PUBLISH": "publishing events",
    "SPUBLISH": "publishing events on sharded channels",
    "SUBSCRIBE": "subscriptions",
    "PSUBSCRIBE": "subscriptions to patterns",
    "SSUBSCRIBE": "subscriptions to sharded channels",
    "SCAN": "scans and delete_prefix",
    "XADD": "appending to streams",
    "XLEN": "the length of streams",
    "XTRIM": "trimming streams",
    "XDEL": "deleting entries of streams",
    "XRANGE": "reading streams",
    "XREVRANGE": "reading streams backwards",
    "XGROUP": "making groups of streams",
    "XREADGROUP": "reading streams in groups",
    "XACK": "acknowledging entries of streams",
    "XPENDING": "listing pending entries of streams",
}

_SCRIPTS: Final = {
    "acquire": "leases",
    "compare_delete": "releasing claims",
    "compare_expire": "renewing claims",
    "increment": "counters with a TTL, and all counters on a client that changes values",
    "mset": "writing batches with TTLs",
    "set_nx": "claims on a client that changes values",
    "xautoclaim": "taking over pending entries of streams",
    "xgroup_destroy": "removing groups of streams",
    "xgroups": "listing groups of streams",
}


def needed(words: tuple[Any, ...]) -> str:
    """Name the command and its purpose, for use inside a sentence.

    Args:
        words: the command and its arguments.
    """
    if not words:
        return "the command"
    command = command_of(words)
    purpose = _COMMANDS.get(command)
    if command in {"EVALSHA", "EVAL"} and len(words) > 1:
        purpose = next((_SCRIPTS.get(name) for name in _SCRIPTS if words[1] in script(name)), None)
    return f"{command} (needed for {purpose})" if purpose else command


def command_of(words: tuple[Any, ...]) -> str:
    """Return the name of the command."""
    word = words[0] if words else "a command"
    return word.decode("ascii", "replace") if isinstance(word, bytes) else str(word)


@cache
def script(name: str) -> tuple[str, str]:
    """Return the text of a script, and the digest that identifies it on the server."""
    text = (resources.files("igniter_store.redis_commands") / "scripts" / f"{name}.lua").read_text(
        encoding="utf-8"
    )
    return text, sha1(text.encode(), usedforsecurity=False).hexdigest()
