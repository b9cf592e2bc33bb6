"""Workers come, share, die and are replaced; nothing is lost, and the report tells."""

import os
import re
import shutil
import signal
import time

from harness import AGAIN, THINGS, Cli, Running, Target, adds_up, each_once, free_port, until

from loadgen.ledger.reader import Reader

TTL = ("--lease-ttl", 1)


def workers(cli: Cli) -> dict[str, dict[str, object]]:
    return {worker["name"]: worker for worker in cli.summary()["workers"]}


def named(cli: Cli, worker: Running) -> dict[str, object]:
    """What the summary says of a worker that we started."""
    (it,) = [facts for name, facts in workers(cli).items() if name.endswith(f"-{worker.pid}")]
    return it


def start_worker(cli: Cli, *args: object, port: int | None = None) -> Running:
    server = f"localhost:{port or cli.port()}"
    return cli.start("worker", "--server", server, "--processes", 1, "--concurrency", 4, *args)


def test_two_workers_share_a_run(cli: Cli, target: Target) -> None:
    target.gate.clear()
    target.delay_s = 0.005
    run = cli.start_run(
        *(cli.scenario(), "--target", target.url, "--set", "things=200"),
        *("--processes", 0, "--wait-for-workers", 2),
    )
    pair = [start_worker(cli), start_worker(cli)]
    until(lambda: len(target.seen) == 8, "both are at work")
    target.gate.set()
    assert [it.wait().code for it in (run, *pair)] == [0, 0, 0]
    each_once(target, 200)
    shares = [named(cli, worker)["items"] for worker in pair]
    assert sum(shares) == 200
    assert min(shares) >= 4, shares
    assert f"waiting for workers: loadgen worker --server localhost:{target.port}"[:50] in run.out
    for worker, share in zip(pair, shares, strict=True):
        assert f"is done: {share} items" in worker.err


def test_a_second_worker_joins_a_run_under_way(cli: Cli, target: Target) -> None:
    target.gate.clear()
    args = ("--target", target.url, "--set", "things=100", "--concurrency", 4, "--chunk", 5)
    run = cli.start_run(cli.scenario(), *args)
    until(lambda: len(target.seen) == 4, "items are under way")
    second = start_worker(cli)
    until(lambda: len(target.seen) == 8, "the second worker has joined in")
    target.gate.set()
    assert (run.wait().code, second.wait().code) == (0, 0)
    each_once(target, 100)
    assert named(cli, second)["items"] >= 4
    assert len(workers(cli)) == 2


def test_a_worker_that_joins_keeps_to_the_concurrency_of_the_scenario(cli: Cli, target: Target) -> None:
    path = cli.scenario(THINGS.replace("options=Options", "options=Options, concurrency=3"))
    run = cli.start_run(path, "--target", target.url, "--processes", 0)
    worker = cli.start("worker", "--server", f"localhost:{cli.port()}", "--processes", 1)
    assert (run.wait().code, worker.wait().code) == (0, 0)
    with Reader(cli.directory()) as reader:
        assert [facts.slots for facts in reader.workers()] == [3]


def test_a_worker_that_was_there_first_serves_two_runs(cli: Cli, target: Target) -> None:
    port = free_port()
    worker = start_worker(cli, "--stay", port=port)
    until(lambda: "waiting for it" in worker.err, "the worker waits")
    args = ("--target", target.url, "--processes", 0, "--listen", f"127.0.0.1:{port}")
    for number in (1, 2):
        assert cli.run(cli.scenario(), *args).code == 0
        until(lambda number=number: worker.err.count("is done: 20 items") == number, "the run is over")
    assert set(target.count("/things").values()) == {2}
    worker.signal(signal.SIGTERM)
    left = worker.wait()
    assert "Traceback" not in left.err
    assert left.code == 0, left


def test_a_worker_leaves_at_a_signal_and_gives_back_what_it_did_not_start(cli: Cli, target: Target) -> None:
    target.gate.clear()
    args = ("--target", target.url, "--processes", 0, "--chunk", 10)
    run = cli.start_run(cli.scenario(), *args)
    first = start_worker(cli)
    until(lambda: len(target.seen) == 4, "four items are in flight")
    first.interrupt()
    target.gate.set()
    assert first.wait().code == 0
    second = start_worker(cli)
    assert (run.wait().code, second.wait().code) == (0, 0)
    each_once(target, 20)
    assert named(cli, first)["lost"] is False
    assert cli.summary()["attempts"]["duplicate_executions"] == 0


def test_a_worker_killed_in_the_middle(cli: Cli, target: Target) -> None:
    target.gate.clear()
    args = ("--target", target.url, "--set", "things=40", "--processes", 0, "--chunk", 10, *TTL)
    run = cli.start_run(cli.scenario(AGAIN), *args, "--verbose")
    victim = start_worker(cli)
    until(lambda: len(target.seen) == 4, "four items are in flight")
    victim.signal(signal.SIGKILL)
    victim.wait()
    target.gate.set()
    heir = start_worker(cli)
    assert (run.wait().code, heir.wait().code) == (0, 0)
    summary = cli.summary()
    adds_up(summary)
    assert summary["items"]["done"] == 40
    called = target.count("/things")
    assert len(called) == 40
    assert sorted(called.values())[-5:] == [1, 2, 2, 2, 2], "doubt is no wider than what was in flight"
    assert (named(cli, victim)["lost"], named(cli, heir)["lost"]) == (True, False)
    line = next(line for line in run.out.splitlines() if line.startswith(str(named(cli, victim)["name"])))
    assert line.endswith("LOST")
    said = " ".join(run.out.split())
    assert re.search(r"not heard of in time: \d+ items back in the queue, \d+ may have been sent", said)


def test_a_local_worker_that_is_killed_is_replaced(cli: Cli, target: Target) -> None:
    """Whatever the configuration says of workers: it is about those that people start."""
    (cli.home / "loadgen.toml").write_text('[worker]\nscenario = "no.py"\ntoken-file = "no"\nstay = true\n')
    target.gate.clear()
    args = ("--target", target.url, "--concurrency", 2, "--verbose", *TTL)
    run = cli.start_run(cli.scenario(AGAIN), *args)
    until(lambda: len(target.seen) == 2, "items are in flight")
    os.kill(cli.pid_of("loadgen worker"), signal.SIGKILL)
    target.gate.set()
    ended = run.wait()
    assert ended.code == 0, ended
    assert cli.summary()["items"]["done"] == 20
    assert "was killed by SIGKILL; another one is started" in ended.out
    assert sorted(worker["lost"] for worker in workers(cli).values()) == [False, True]
    assert cli.processes() == {}


def test_a_pool_process_that_is_killed_is_replaced(cli: Cli, target: Target) -> None:
    target.gate.clear()
    run = cli.start_run(cli.scenario(AGAIN), "--target", target.url, "--concurrency", 2, *TTL)
    until(lambda: len(target.seen) == 2, "items are in flight")
    os.kill(cli.pid_of("multiprocessing.spawn"), signal.SIGKILL)
    target.gate.set()
    ended = run.wait()
    assert ended.code == 0, ended
    assert cli.summary()["items"]["done"] == 20
    assert len(workers(cli)) == 1
    assert sum(target.count("/things").values()) == 22, "what was in flight was done again, and no more"


def test_a_master_killed_in_the_middle(cli: Cli, target: Target) -> None:
    """All that was reported is kept; resume does the rest."""
    path = cli.scenario(AGAIN)
    target.held = "/things/9"
    run = cli.start_run(path, "--target", target.url, "--concurrency", 1, "--set", "things=30", *TTL)
    until(lambda: "/things/9" in target.count(), "ten items were started")
    done = until(lambda: len(target.seen) == 10 and settled(cli) == 9 and settled(cli), "nine are recorded")
    run.signal(signal.SIGKILL)
    run.wait()
    for pid in [pid for pid, line in cli.processes().items() if "loadgen worker" in line]:
        os.kill(pid, signal.SIGKILL)
    until(lambda: not cli.processes(), "its worker is gone, too")
    target.release()
    ended = cli("resume", "latest", "--out", cli.out, "--listen", "127.0.0.1:0", "--processes", 1, *TTL)
    assert ended.code == 0, ended
    assert cli.summary()["items"]["done"] == 30
    called = target.count("/things")
    assert {path: times for path, times in called.items() if times > 1} == {"/things/9": 2}
    assert done == 9


def test_a_worker_whose_master_is_gone_does_nothing_wrong_to_the_next_run(cli: Cli, target: Target) -> None:
    """Another run listens at the same port: its items are its own scenario's, on its own target."""
    port = free_port()
    target.gate.clear()
    args = ("--processes", 0, "--listen", f"127.0.0.1:{port}")
    first = cli.start_run(cli.scenario(), "--target", target.url, *args)
    orphan = start_worker(cli)
    until(lambda: len(target.seen) == 4, "four items are in flight")
    first.signal(signal.SIGKILL)
    first.wait()
    target.gate.set()
    with Target() as another:
        path = cli.scenario(THINGS.replace("/things/", "/books/"), "books.py")
        second = cli.start_run(path, "--target", another.url, *args)
        until(lambda: "waiting for workers" in second.out, "the next run listens")
        until(
            lambda: another.seen or orphan.process.poll() is not None or second.process.poll() is not None,
            "news",
        )
        worker = start_worker(cli, port=port) if second.process.poll() is None else None
        assert second.wait().code == 0
        each_once(another, 20, "/books/")
        if worker is not None:
            worker.wait()
    assert cli.summary(cli.directories()[-1])["items"]["done"] == 20


TWICE = AGAIN.replace("    return", '    http.post(f"/more/{item}")\n    return')
"""Two calls an item."""


def test_a_master_that_stood_still_for_long_knows_its_workers_still(cli: Cli, target: Target) -> None:
    """No lease runs out while nobody could be heard."""
    target.gate.clear()
    run = cli.start_run(cli.scenario(), "--target", target.url, "--concurrency", 4, *TTL)
    until(lambda: len(target.seen) == 4, "four items are in flight")
    run.signal(signal.SIGSTOP)
    over = time.monotonic() + 3.0
    until(lambda: time.monotonic() > over, "the leases' life has passed")
    run.signal(signal.SIGCONT)
    target.gate.set()
    assert run.wait().code == 0
    each_once(target, 20)
    assert "lease expired" not in events(cli)


def test_an_item_of_a_lost_lease_makes_no_further_call(cli: Cli, target: Target) -> None:
    """A worker is stopped between the two calls of its items; another worker does them meanwhile."""
    target.held = "/things/"
    args = ("--target", target.url, "--processes", 0, "--set", "things=2", *TTL)
    run = cli.start_run(cli.scenario(TWICE), *args)
    victim = start_worker(cli)
    until(lambda: len(target.seen) == 2, "both items are in flight")
    stopped = [pid for pid, line in cli.processes().items() if pid == victim.pid or "spawn" in line]
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    target.release()
    target.held = "/more/"
    heir = start_worker(cli)
    until(lambda: len(target.count("/more/")) == 2, "the other worker is at the second calls")
    for pid in stopped:
        os.kill(pid, signal.SIGCONT)
    until(lambda: "leases are lost" in victim.err, "the first one knows")
    target.release()
    assert (run.wait().code, heir.wait().code, victim.wait().code) == (0, 0, 0)
    assert target.count("/things/") == {"/things/0": 2, "/things/1": 2}
    assert target.count("/more/") == {"/more/0": 1, "/more/1": 1}
    calls = sum(call["count"] for call in cli.summary()["calls"])
    assert calls == 6, "the first worker's calls are told, too"


def test_the_local_worker_of_a_killed_master_hands_over_and_leaves(cli: Cli, target: Target) -> None:
    """The resumed run has a worker of its own: the old one does not call the target beside it."""
    target.held = "/things/"
    run = cli.start_run(cli.scenario(), "--target", target.url, "--concurrency", 2)
    until(lambda: len(target.seen) == 2, "two items are in flight")
    target.held = "nothing"
    target.gate.clear()
    orphan = cli.pid_of("loadgen worker")
    run.signal(signal.SIGKILL)
    run.wait()
    resumed = cli.start("resume", "latest", "--out", cli.out)
    until(lambda: len(target.seen) > 2, "the new worker is at work")
    target.release()
    until(lambda: orphan not in cli.processes(), "the old worker is gone")
    assert settled(cli) == 2, "and no longer at work beside the new one"
    target.gate.set()
    ended = resumed.wait()
    assert ended.code == 0, ended
    each_once(target, 20)


def events(cli: Cli) -> list[str]:
    """What kinds of things happened."""
    with Reader(cli.directory()) as reader:
        return [event.kind for event in reader.events()]


def settled(cli: Cli) -> int:
    """Items that the ledger knows the end of."""
    with Reader(cli.directory()) as reader:
        return sum(reader.counts(step).settled for step in reader.steps())


def test_what_a_run_prints_for_other_machines_works_when_pasted(cli: Cli, target: Target) -> None:
    run = cli.start_run(cli.scenario(), "--target", target.url, "--processes", 0, "--listen", "0.0.0.0:0")
    until(lambda: "THIS_HOST" in run.out, "the run says what to do")
    first, second = [line for line in run.out.splitlines() if "elsewhere" in line or "THIS_HOST" in line]
    file = first.removeprefix("workers elsewhere: copy ").removesuffix(" there, then run")
    elsewhere = Cli(cli.home / "elsewhere")
    elsewhere.home.mkdir()
    try:
        shutil.copy(file, elsewhere.home)
        words = second.replace("THIS_HOST", "127.0.0.1").split()
        assert words[0] == "loadgen"
        worker = elsewhere(*words[1:])
        assert (run.wait().code, worker.code) == (0, 0)
    finally:
        elsewhere.close()
    each_once(target, 20)


def test_a_worker_that_brings_the_same_scenario(cli: Cli, target: Target) -> None:
    path = cli.scenario()
    (cli.home / "copy").mkdir()
    shutil.copy(path, cli.home / "copy")
    run = cli.start_run(path, "--target", target.url, "--processes", 0)
    worker = start_worker(cli, "--scenario", cli.home / "copy" / "things.py")
    assert (run.wait().code, worker.wait().code) == (0, 0)


def test_a_scenario_with_files_beside_it_travels_whole(cli: Cli, target: Target) -> None:
    (cli.home / "shelf.py").write_text('def path(item):\n    return f"/things/{item}"\n')
    (cli.home / "body.txt").write_text("forty-two")
    text = THINGS.replace(
        "from loadgen import", "from pathlib import Path\n\nimport shelf\nfrom loadgen import"
    )
    body = 'body = Path(__file__).with_name("body.txt").read_bytes()'
    text = text.replace('http.post(f"/things/{item}")', f"{body}\n    http.post(shelf.path(item), data=body)")
    ended = cli.run(cli.scenario(text), "--target", target.url)
    assert ended.code == 0, ended
    each_once(target, 20)
    assert {seen.body for seen in target.seen} == {b"forty-two"}


def test_a_scenario_that_no_worker_can_load(cli: Cli, target: Target) -> None:
    """It loads on the master and nowhere else: the run says why, in one line, and can be resumed."""
    text = "import os\n\nif 'LOADGEN_TOKEN' in os.environ:\n    raise OSError('no licence here')\n" + THINGS
    ended = cli.run(cli.scenario(text), "--target", target.url, "--processes", 2, "--quiet")
    assert ended.code == 4, ended
    assert ended.out.count("\n") == 1
    assert "the local worker cannot run" in ended.out
    assert "no licence here" in ended.out
    assert target.seen == []
    assert cli.processes() == {}
