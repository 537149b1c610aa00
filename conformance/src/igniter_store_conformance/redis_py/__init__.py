"""A plain adapter over redis-py, used to check the suite itself on real servers and on fakeredis.

Beside the model it is a second opinion on Redis's behaviour: random sequences are compared with it.
It isn't the backend for production, which is optimized for speed.

Rule: each method is one command or one script. The client keeps no state except subscriptions.
"""

from igniter_store_conformance.redis_py.adapter import RedisPyAdapter
from igniter_store_conformance.redis_py.clock import RedisTime
from igniter_store_conformance.redis_py.harness import redis_harness
from igniter_store_conformance.redis_py.oracle import RedisOracle

__all__ = ["RedisOracle", "RedisPyAdapter", "RedisTime", "redis_harness"]
