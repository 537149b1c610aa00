"""A plain adapter over redis-py, which checks the suite on real servers and on fakeredis.

It sends the commands and scripts of `igniter_store.redis_commands`, as the backends do. Only its
transport is plain: redis-py's own pool and parser, and one request at a time on a connection. So it
isn't a second opinion on Redis's behaviour: the second opinion is the model, and the real server.

Rule: no batches, no shared connections and no topology; the backends for production have these.
"""

from igniter_store_conformance.redis_py.adapter import RedisPyAdapter
from igniter_store_conformance.redis_py.clock import RedisTime
from igniter_store_conformance.redis_py.harness import redis_harness
from igniter_store_conformance.redis_py.oracle import RedisOracle

__all__ = ["RedisOracle", "RedisPyAdapter", "RedisTime", "redis_harness"]
