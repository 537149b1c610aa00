"""Scanning and deleting by prefix."""
