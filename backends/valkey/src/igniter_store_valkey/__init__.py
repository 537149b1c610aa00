"""The Valkey and Dragonfly backend of igniter-store, built on valkey-glide."""

try:
    from igniter_store_valkey.adapter import ValkeyAdapter
except ModuleNotFoundError as _error:
    if _error.name != "glide":
        raise
    message = (
        "valkey-glide isn't installed. It has no wheels for Windows and for Linux with musl; "
        "install igniter-store[redis] there, which serves the same URLs."
    )
    raise ModuleNotFoundError(message, name=_error.name) from None

__all__ = ["ValkeyAdapter"]
