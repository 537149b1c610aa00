"""What the contract promises: the list of its clauses, and the states that a clause can have in a
report.
"""
