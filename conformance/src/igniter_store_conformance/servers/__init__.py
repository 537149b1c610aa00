"""Real servers for tests: find, start, break and stop them.

    with servers.start("valkey", proxied=True) as server:
        adapter = MyAdapter(server.url)
        await server.proxy.cut()
        await server.restart()

Rule: the kit never touches a server that already runs, unless the environment names its URL. It
    then only sends commands to it.
Rule: a server that the kit started ends with `close`, with the interpreter, or when the interpreter
    is killed, and leaves nothing behind.
"""

from igniter_store_conformance.servers.cluster import Cluster, start_cluster
from igniter_store_conformance.servers.discovery import ServerMissing, available, find, kinds
from igniter_store_conformance.servers.process import ServerProcess
from igniter_store_conformance.servers.refusals import Refusal
from igniter_store_conformance.servers.resp import Address, Exchange, Refused
from igniter_store_conformance.servers.sentinel import SentinelSet, start_sentinel
from igniter_store_conformance.servers.server import NotControllable, Server, ServerFailed
from igniter_store_conformance.servers.shared import find_or_skip, or_skip, required, shared, start
from igniter_store_conformance.servers.target import Target
from igniter_store_conformance.servers.tls import TlsPort, tls_before

__all__ = [
    "Address",
    "Cluster",
    "Exchange",
    "NotControllable",
    "Refusal",
    "Refused",
    "SentinelSet",
    "Server",
    "ServerFailed",
    "ServerMissing",
    "ServerProcess",
    "Target",
    "TlsPort",
    "available",
    "find",
    "find_or_skip",
    "kinds",
    "or_skip",
    "required",
    "shared",
    "start",
    "start_cluster",
    "start_sentinel",
    "tls_before",
]
