"""What a user calls, written once over any adapter.

One module a concept, named as in the contract.
"""
