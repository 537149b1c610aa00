"""Tools for adapters: URLs and their options, timeouts, and pauses between attempts.

The contract doesn't require them: an adapter may use tools of its own.
"""
