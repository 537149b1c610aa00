"""An adapter over redis-py, plain and obviously right: what the suite itself is checked against on
real servers, and on fakeredis.

It is the second opinion on what Redis does, beside the model; random sequences are compared with
it. It is not the backend for
production: that one is made to be fast.

Rule: one command or one script for each method; nothing is kept in the client but subscriptions.
"""

from igniter_store_conformance.redis_py.adapter import RedisPyAdapter
from igniter_store_conformance.redis_py.clock import RedisTime
from igniter_store_conformance.redis_py.harness import redis_harness
from igniter_store_conformance.redis_py.oracle import RedisOracle

__all__ = ["RedisOracle", "RedisPyAdapter", "RedisTime", "redis_harness"]
