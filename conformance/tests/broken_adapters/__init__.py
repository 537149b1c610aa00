"""Adapters with deliberate bugs, which prove that the kit's tests can fail.

Real adapters have the same bugs.

Rule: a clause is proven only if an adapter here breaks it. A new clause needs a new adapter.
"""
