"""The tests of the contract, and nothing else.

Each concept of the contract has its own package or module.
"""
