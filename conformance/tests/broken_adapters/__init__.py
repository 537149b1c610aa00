"""Adapters that are broken on purpose, each as real adapters are: the proof that the kit's tests
can fail.

Rule: a clause without an adapter here that breaks it is not proven. Whoever adds a clause adds one.
"""
