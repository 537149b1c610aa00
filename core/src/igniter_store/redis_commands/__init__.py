"""The contract implemented in Redis commands, for adapters of Redis, Valkey and Dragonfly.

The module of a capability has the same name as in the contract. `scripts` holds the Lua files, for
operations that no single command does in one step. An adapter inherits `CommandAdapter` and passes
it a `CommandClient`, which decides where to send a command, and how to handle a lost connection.
Blocking reads (`blocking`) and subscriptions (`subscriptions`) need connections of their own; a
`transport.Connector` creates them.

Rule: all clients of one server must send the same commands, because they share its claims, counters
    and streams.
Rule: no module here imports a client library, and `igniter_store.contract` never imports this
    package.
"""
