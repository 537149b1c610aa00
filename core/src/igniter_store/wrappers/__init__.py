"""Adapters that wrap other adapters.

Rule: a wrapper inherits exactly the capabilities of the inner adapter, so it passes the same suite.
"""
