"""What a report brings, as those who watch the run are told of it."""

from __future__ import annotations

from loadgen.columns import Harvest
from loadgen.queues.intake import told
from loadgen.queues.messages import Batch
from loadgen.record import Reported
from loadgen.sample import Outcome, Result


def test_an_item_that_got_no_retry_has_ended():
    results = (
        Result(0, 1, Outcome.FAILED, 0, 5, error="no", retry_ms=100),
        Result(1, 1, Outcome.FAILED, 0, 5, error="no", retry_ms=100),
    )
    batch = Batch(1, 1, 0, Harvest(results=results))
    refused = Reported(0, 1, results, batch.harvest.samples, counted={(1, 1)})
    assert [result.retry_ms for result in told([batch], [refused])[0].harvest.results] == [100, None]
