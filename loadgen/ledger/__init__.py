"""The run's memory: one SQLite file a run.

`store` writes (one connection, one thread), `reader` reads, `migrations` say what the tables are,
`lock` keeps a second master out.
"""
