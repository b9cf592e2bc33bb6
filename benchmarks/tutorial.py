"""`python -m benchmarks.tutorial WORKERS ITEMS`: the queue as tutorials on multiprocessing build it.

A BaseManager with a task queue and a result queue and a key; the master puts one item a call, a worker
gets one item a call and puts its result and run time, the master gets them one a call.  Prints JSON.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
import time
from multiprocessing.managers import BaseManager
from queue import Queue
from typing import Any

from benchmarks import processes

KEY = b"tutorial"
READY, END = -1, -2


class TutorialManager(BaseManager):
    """Serves two queues."""


def work(address: tuple[str, int]) -> None:
    """A worker: get, run, put, until told to end."""
    for name in ("get_task_queue", "get_result_queue"):
        TutorialManager.register(name)
    joined = TutorialManager(address=address, authkey=KEY)
    joined.connect()
    tasks, results = joined.get_task_queue(), joined.get_result_queue()  # type: ignore[attr-defined]
    results.put((READY, 0.0))
    while (item := tasks.get()) != END:
        began_s = time.perf_counter()
        results.put((item, time.perf_counter() - began_s))


def main(workers: int, items: int) -> dict[str, float]:
    """Seconds from the first put to the last result, and CPU seconds of master and manager in that time."""
    context = multiprocessing.get_context(
        "fork"
    )  # as in the tutorials, where lambdas reach the manager's process
    tasks, results = _queue(), _queue()
    TutorialManager.register("get_task_queue", callable=lambda: tasks)
    TutorialManager.register("get_result_queue", callable=lambda: results)
    served = TutorialManager(address=("127.0.0.1", 0), authkey=KEY, ctx=context)
    served.start()
    to_do, done = served.get_task_queue(), served.get_result_queue()  # type: ignore[attr-defined]
    crew = [context.Process(target=work, args=(served.address,)) for _ in range(workers)]
    for process in crew:
        process.start()
    for _ in crew:
        assert done.get()[0] == READY
    manager_pid = served._process.pid  # type: ignore[attr-defined]  # noqa: SLF001 - there is no other way to its CPU time
    before_s, began_s = _cpu_s(manager_pid), time.monotonic()
    for item in range(items):
        to_do.put(item)
    for _ in range(items):
        done.get()
    took_s, cpu_s = time.monotonic() - began_s, _cpu_s(manager_pid) - before_s
    for _ in crew:
        to_do.put(END)
    for process in crew:
        process.join()
    served.shutdown()
    return {"seconds": took_s, "cpu_s": cpu_s}


def _queue() -> Queue[Any]:
    return Queue()


def _cpu_s(manager_pid: int) -> float:
    try:
        return processes.cpu_s(manager_pid) + processes.cpu_s(os.getpid())
    except OSError:  # no /proc here
        return 0.0


if __name__ == "__main__":
    print(json.dumps(main(int(sys.argv[1]), int(sys.argv[2]))))
