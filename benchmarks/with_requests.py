"""`python -m benchmarks.with_requests URL THREADS SECONDS`: what people write before they look for a tool."""

from __future__ import annotations

import dataclasses
import json
import statistics
import sys
import threading
import time

import requests

from benchmarks.peers import Load


def main(url: str, threads: int, seconds: float) -> Load:
    """Call as fast as it goes; latencies are `response.elapsed`.  Raises ValueError for wrong answers."""
    elapsed_ms: list[list[float]] = [[] for _ in range(threads)]
    go = threading.Barrier(threads + 1)
    end_s = 0.0
    wrong: list[str] = []

    def call(times: list[float]) -> None:
        with requests.Session() as session:
            go.wait()
            while time.monotonic() < end_s:
                response = session.get(url)
                if response.json()["ok"] is not True:
                    wrong.append(response.text)
                    return
                times.append(response.elapsed.total_seconds() * 1000)

    crew = [threading.Thread(target=call, args=(times,)) for times in elapsed_ms]
    for thread in crew:
        thread.start()
    began_s = time.monotonic()
    end_s = began_s + seconds
    go.wait()
    for thread in crew:
        thread.join()
    took_s = time.monotonic() - began_s
    if wrong:
        raise ValueError(f"{len(wrong)} answers are wrong: {wrong[0][:80]}")
    every = [ms for times in elapsed_ms for ms in times]
    cuts = statistics.quantiles(every, n=100)
    return Load(len(every), len(every) / took_s, cuts[49], cuts[89], cuts[98])


if __name__ == "__main__":
    done = main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))
    print(json.dumps(dataclasses.asdict(done)))
