"""From what glide raises to troubles and `StoreError`s: one table of its words for the server's, and one translator.

Rule: glide renames half of the server's error words. They get their own names back here, and then mean what they mean everywhere.
"""

from __future__ import annotations

import re
from functools import partial
from typing import Final

import glide
from igniter_store.contract import ErrorCode, StoreError, errors, store_error
from igniter_store.contract.commands.troubles import Late, Lost, Refused, Shut, Trouble, unwelcome

NAME: Final = "valkey"

closed = partial(errors.closed, NAME)
not_connected = partial(errors.not_connected, NAME)
elsewhere = partial(errors.elsewhere, NAME)
misconfigured = partial(errors.misconfigured, backend=NAME)

UNREACHABLE: Final = (glide.GlideError, OSError, TimeoutError)
"""What is raised while a client connects."""

# What glide calls the server's words; the others it leaves alone, but for a colon behind them.
_KINDS: Final = {
    "ResponseError": "ERR",
    "NoScriptError": "NOSCRIPT",
    "BusyLoadingError": "LOADING",
    "ExecAbortError": "EXECABORT",
    "Moved": "MOVED",
    "Ask": "ASK",
    "TryAgain": "TRYAGAIN",
    "ClusterDown": "CLUSTERDOWN",
    "CrossSlot": "CROSSSLOT",
    "MasterDown": "MASTERDOWN",
    "ReadOnly": "READONLY",
    "NotBusy": "NOTBUSY",
    "PermissionDenied": "NOPERM",
    "AuthenticationFailed": "WRONGPASS",
}
_SIGNALLED: Final = re.compile(r"An error was signalled by the server: - (\w+): (.*)", re.DOTALL)
_SAID: Final = re.compile(r"([A-Z]+): (.*)", re.DOTALL)
_ANY_WORD: Final = re.compile(r"\b[A-Za-z]{4,}\b")
_RECOVERING: Final = "Connection in recovery"
_UNSENT: Final = ("FatalSendError", "connect failed", "AllConnectionsUnavailable", "ConnectionNotFoundForRoute", "Connection refused")


class Unreached(Lost):
    """There was no connection to send it on."""

    def __init__(self) -> None:
        super().__init__(is_sent=False)


class Recovering(Unreached):
    """There was none just now: a cluster's client refuses what comes while it connects again."""


def trouble_of(error: BaseException) -> Trouble:
    """What a caller gets for an exception of glide.

    Raises:
        BaseException: the error itself, if it isn't glide's.
    """
    text = str(error)
    trouble: Trouble
    match error:
        case glide.TimeoutError() | TimeoutError():
            trouble = Late()
        case glide.ClosingError():
            trouble = Shut()
        case glide.RequestError() if (words := server_words(text)) is not None:
            trouble = Refused(words)
        case glide.RequestError() if _RECOVERING in text:
            trouble = Recovering()
        case glide.RequestError():
            trouble = Unreached() if any(sign in text for sign in _UNSENT) else Lost(is_sent=True)
        case _:
            raise error
    trouble.__cause__ = error
    return trouble


def server_words(text: str) -> str | None:
    """What the server has said, as the server says it; nothing for what glide itself has to say."""
    signalled = _SIGNALLED.match(text)
    if signalled is not None:
        return f"{_KINDS.get(signalled[1], 'ERR')} {signalled[2]}"
    said = _SAID.match(text)
    return None if said is None else f"{said[1]} {said[2]}"


def not_reached(error: BaseException, *, is_cluster: bool = False) -> StoreError:
    """The error for what was raised while a client connected."""
    text = str(error)
    for match in _ANY_WORD.finditer(text):  # glide puts words of its own around the server's
        word = match[0]
        if (known := unwelcome(_KINDS.get(word, word), NAME)) is not None:
            return known
    if "refused to switch database" in text:
        message = "The server has no such database. Correct the number at the end of the URL; there are 16 unless it is configured."
        return store_error(ErrorCode.STORE_CONNECTION_FAILED, message, backend=NAME, retryable=False)
    if "invalid peer certificate" in text:
        message = "The server's certificate isn't trusted. Give the authority's in tls_ca_certs, or use the name that stands in it."
        return store_error(ErrorCode.STORE_CONNECTION_FAILED, message, backend=NAME, retryable=False)
    message = "The server can't be reached. Is it there, is the URL right, and does it want TLS (valkeys://), or none?"
    if is_cluster:
        message = (
            "The cluster can't be reached, or isn't whole, or the server is none. Is it there, is the URL right, and does it want TLS "
            "(valkeys+cluster://)? For a single server the URL begins with valkey://."
        )
    return store_error(ErrorCode.STORE_CONNECTION_FAILED, message, backend=NAME)
