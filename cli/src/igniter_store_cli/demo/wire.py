"""Finds and deletes the keys that the demo creates on the backend.

Rule: The demo uses only its own service, which has a random name, so it can run on a shared
    backend.
Rule: A backend without `Scan` can't list its keys. For such a backend, the calls are recorded, and
    the written keys are derived from them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from igniter_store.contract import KeyValue, Scan
from igniter_store.scopes import prefix_of
from igniter_store.wrappers.recording import RecordingAdapter

if TYPE_CHECKING:
    from collections.abc import Iterable

    from igniter_store.contract import Adapter, Entry
    from igniter_store.store import Store
    from igniter_store.wrappers.recording import RecordedCall

# The methods of the contract that can create a key. The key is their first argument.
_MAKING = ("set", "increment", "set_nx", "acquire", "xadd", "xgroup_create")


def observed(adapter: Adapter) -> Adapter:
    """Return `adapter`, or a recorder around it if it can't scan."""
    return adapter if isinstance(adapter, Scan) else RecordingAdapter(adapter)


async def keys_on_the_wire(store: Store[str], namespaces: Iterable[str]) -> list[str]:
    """Return the complete keys of `store` in `namespaces`, in order.

    Without `Scan`, these are the keys that were written.
    """
    found: set[str] = set()
    for namespace in namespaces:
        prefix = f"{prefix_of(store.service, store.scopes)}{namespace}:"
        if isinstance(store.adapter, Scan):
            found.update(
                [
                    prefix + key
                    async for key in store.dev.iterate("*", namespace=namespace, count=1000)
                ]
            )
        else:
            found.update(key for key in _written(store.adapter) if key.startswith(prefix))
    return sorted(found)


def channel(store: Store[str], event: str) -> str:
    """Return the complete name of the channel for `event`."""
    return f"{prefix_of(store.service, store.scopes)}events:{event}"


async def delete_keys(store: Store[str]) -> int:
    """Delete all keys of the store's service, and return how many there were."""
    prefix, adapter = prefix_of(store.service, ()), store.adapter
    if isinstance(adapter, Scan):
        return await adapter.delete_prefix(prefix)
    if isinstance(adapter, RecordingAdapter):
        written = [key for key in _written(adapter) if key.startswith(prefix)]
        adapter.calls.clear()
        if isinstance(adapter, KeyValue):
            return await adapter.delete(written) if written else 0
    return 0


def _written(adapter: Adapter) -> list[str]:
    calls = adapter.calls if isinstance(adapter, RecordingAdapter) else []
    return list(dict.fromkeys(key for call in calls for key in _made_by(call)))


def _made_by(call: RecordedCall) -> list[Any]:
    if call.method == "mset":
        return [entry.key for entry in cast("list[Entry]", call.args[0])]
    if call.method in _MAKING:
        return [
            call.args[0],
            *(value for name, value in call.kwargs.items() if name == "token_key"),
        ]
    return []
