"""The tests of the contract, and nothing else: one package or module for each concept of the
contract.
"""
