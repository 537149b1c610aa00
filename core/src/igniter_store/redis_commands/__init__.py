"""The contract in Redis's commands, for every client that carries them to a server which knows them: Redis, Valkey, Dragonfly.

One capability is one module, as in the contract itself; `scripts` has what no single command does in one step. An adapter is a
`CommandAdapter` over its own `CommandClient`: those say where a command goes and what becomes of a lost connection. Those who wait
(`waiting.Waiters`) and those who listen (`listener.Listener`) need connections, which a `connections.Connector` makes.

Rule: two clients of one server see each other's claims, counters and streams, so what they say to it stands here, once.
Rule: nothing here imports a client. The contract alone doesn't import this.
"""
