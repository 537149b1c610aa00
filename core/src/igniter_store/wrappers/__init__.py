"""Adapters over adapters: each inherits the capabilities that the adapter inside has, and no
others, so it passes the same suite.
"""
