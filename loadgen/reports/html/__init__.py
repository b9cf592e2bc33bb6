"""report.html: one file that tells a run's story to someone who was not there."""
