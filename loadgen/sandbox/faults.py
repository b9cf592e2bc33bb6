"""What goes wrong for no reason of its own: decided by a seed, so that it can be repeated."""

from __future__ import annotations

import random


class Faults:
    """Which writes fail, and which answers are lost."""

    MESSAGE = "Installation Failed.<br>Fault injected by the sandbox."

    def __init__(self, fail_rate: float = 0.0, drop_rate: float = 0.0, seed: int = 0) -> None:
        """Rates are shares, 0 to 1."""
        self._fail_rate = fail_rate
        self._drop_rate = drop_rate
        self._fails = random.Random(seed)  # noqa: S311  (chance, not secrecy)
        self._drops = random.Random(f"drop {seed}")  # noqa: S311  (the same)

    def fail(self) -> bool:
        """Whether the next upload or create fails without any effect."""
        return self._fails.random() < self._fail_rate

    def drop(self) -> bool:
        """Whether the answer to the next upload that took effect is lost."""
        return self._drops.random() < self._drop_rate
