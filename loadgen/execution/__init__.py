"""Makes the calls: the session, its two transports, the pool of processes and threads, the probe."""
