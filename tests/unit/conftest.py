"""No example of Hypothesis has a deadline: a machine that is busy makes nothing wrong."""

from hypothesis import settings

settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")
