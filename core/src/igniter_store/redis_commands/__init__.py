"""The contract in Redis commands, for adapters of servers that speak them: Redis, Valkey,
Dragonfly.

A capability has the same file name as in the contract. `scripts` has the Lua files, for what no
single command does in one step. An adapter inherits `CommandAdapter` and gives it a
`CommandClient`, which decides where a command goes and what happens after a lost connection.
Blocking reads (`blocking`) and subscriptions (`subscriptions`) need connections of their own; a
`transport.Connector` makes them.

Rule: both clients of one server must send the same commands, since they share its claims, counters
    and
streams.
Rule: no module here imports a client library, and `igniter_store.contract` never imports this
    package.
"""
