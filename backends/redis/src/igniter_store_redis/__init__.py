"""The Redis and Valkey backend of igniter-store, built on redis-py and hiredis."""

from igniter_store_redis.adapter import RedisAdapter

__all__ = ["RedisAdapter"]
