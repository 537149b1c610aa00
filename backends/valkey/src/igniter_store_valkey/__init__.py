"""The Valkey and Dragonfly backend of igniter-store, built on valkey-glide."""

from igniter_store_valkey.adapter import ValkeyAdapter

__all__ = ["ValkeyAdapter"]
