"""Benchmarks: one question per file, answered by `python -m benchmarks`.

README.md says how to read them.
"""
