"""The backend of igniter-store on Redis and Valkey, over redis-py and hiredis."""

from igniter_store_redis.adapter import RedisAdapter

__all__ = ["RedisAdapter"]
