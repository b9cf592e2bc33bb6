"""When items start, how many are in flight, whose turn it is: as users write it, and as numbers."""
