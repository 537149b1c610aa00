"""The operations that users call, written once for all adapters.

Rule: each concept has its own module, named as in the contract.
"""
