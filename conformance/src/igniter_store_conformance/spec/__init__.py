"""The contract's clauses, and the states that a clause can have in a report."""
