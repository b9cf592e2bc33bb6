"""Shows a run in a browser while it goes on, and takes orders from there."""
