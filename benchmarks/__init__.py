"""Benchmarks: one question per file, answered by `python -m benchmarks`.

README.md explains how to read the results.
"""
