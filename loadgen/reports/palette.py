"""The colours: blue for what is well, orange for what is not, which all eyes tell apart; words say it, too.

Both can be read on black and on white.  Where a terminal has fewer colours rich takes the nearest; where
NO_COLOR is set or nothing is a terminal, there are none, and nothing is lost.
"""

from __future__ import annotations

from typing import Final

GOOD: Final = "#0087ff"
BAD: Final = "#d75f00"
FAINT: Final = "dim"
"""What is there for those who look for it."""
STRONG: Final = "bold"
