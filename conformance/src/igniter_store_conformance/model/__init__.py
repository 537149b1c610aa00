"""The model (MDL-1): an adapter must answer like a reference.

The reference is written from the contract only.
"""
