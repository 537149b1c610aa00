"""Every operation, crossed with every dimension that applies to it.

A dimension is a question, such as "are names that differ in case different names?". A program asks
it of one operation: a list of calls, whose replies are compared with those of the reference.
"""
