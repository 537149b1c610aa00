"""Streams and consumer groups."""
