"""What a run tells while it goes on: `--events` and `--influx`."""

import json
import socket

from harness import Cli, Target


def test_events_tell_the_run_from_start_to_end(cli: Cli, target: Target) -> None:
    target.answer = lambda seen: (500, "{}") if seen.item == 3 else (200, "{}")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(20)
        database = f"udp://127.0.0.1:{server.getsockname()[1]}"
        where = ("--events", "events.jsonl", "--influx", database, "--threshold", "failed==0")
        ended = cli.run(cli.scenario(), "--target", target.url, *where)
        assert ended.code == 99
        assert server.recv(4096).startswith(b"loadgen_started,run=")
    events = [json.loads(line) for line in (cli.home / "events.jsonl").read_text().splitlines()]
    kinds = [event["event"] for event in events]
    assert (kinds[0], kinds[-1]) == ("started", "ended")
    for kind in ("joined", "step-began", "progress", "step-ended"):
        assert kind in kinds, kinds
    summary = cli.summary()
    last, step = events[-1], next(event for event in events if event["event"] == "step-ended")
    for end, number in summary["items"].items():
        assert last[end] == step[end] == number
    assert (last["exit_code"], last["reasons"]) == (99, summary["verdict"]["reasons"])
    assert {event["run"] for event in events} == {summary["run"]["id"]}


def test_standard_output_is_for_the_machine_and_a_full_disk_is_no_harm(cli: Cli, target: Target) -> None:
    both = ("--events", "-", "--influx", "/dev/full")
    ended = cli.run(cli.scenario(), "--target", target.url, *both)
    assert ended.code == 0
    assert json.loads(ended.out.splitlines()[-1])["event"] == "ended"
    assert "20 of 20 items done" in ended.err
    assert ended.err.count("--influx /dev/full: No space left on device") == 1
    cli.run(cli.scenario(), "--target", target.url, "--events", "-", "--json", "-").complains(
        2, "only one of"
    )
