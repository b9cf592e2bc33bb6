"""Kill anything, at any moment: afterwards ledger, target and report must still agree.

`python -m tests.chaos --minutes 30` plays rounds for as long as it is told; pytest plays a short version.
"""
