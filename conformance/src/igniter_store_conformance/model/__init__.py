"""The model: an adapter answers as a reference does that was written from the contract alone
(MDL-1).
"""
