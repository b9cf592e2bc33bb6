"""Leases, arms, executes, reports, until the queue is drained."""
