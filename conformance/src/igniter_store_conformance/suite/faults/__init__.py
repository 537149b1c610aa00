"""Connections that break, servers that stop, event loops that are blocked."""
