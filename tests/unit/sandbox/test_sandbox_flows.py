"""Files become flows, or Azkaban's own complaints."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgen.sandbox.azkaban.flows import load


def job(*dependencies: str, **more: str) -> bytes:
    lines = {"type": "noop", **more}
    if dependencies:
        lines["dependencies"] = ",".join(dependencies)
    return "".join(f"{key.replace('_', '.')}={value}\n" for key, value in lines.items()).encode()


def members(files: dict[str, bytes]) -> dict[str, list[str]]:
    loaded = load(files)
    assert loaded.errors == ()
    return {flow.id: [job.name for job in flow.jobs] for flow in loaded.flows.values()}


def test_each_job_that_nobody_depends_on_is_a_flow():
    files = {"a.job": job(), "b.job": job("a"), "c.job": job("a"), "alone.job": job()}
    assert members(files) == {"b": ["a", "b"], "c": ["a", "c"], "alone": ["alone"]}


def test_root_node_forces_a_flow():
    files = {
        "a.job": job(root_node=" True "),
        "b.job": job("a"),
        "c.job": job(root_node="yes"),
        "d.job": job("c"),
    }
    assert members(files) == {"a": ["a"], "b": ["a", "b"], "d": ["c", "d"]}


def test_jobs_are_found_in_every_directory_and_hidden_files_are_not():
    files = {
        "x/y/a.job": job(),
        ".git/b.job": job(),
        ".c.job": job(),
        "__MACOSX/._a.job": b"\0",
        "d.JOB": job(),
        "e.job.txt": job(),
        "x.y.job": job(),
    }
    assert sorted(members(files)) == ["a", "b", "x.y"]


def test_dependencies_are_trimmed_and_empty_ones_ignored():
    assert members({"a.job": job(), "b.job": job(), "c.job": job(" a ", "", "b ", "a")}) == {
        "c": ["a", "b", "c"]
    }


def test_properties_are_inherited_by_the_jobs_beside_and_below():
    files = {
        "a.properties": b"type=command",
        "b.properties": b"type=noop",
        "top.job": b"",
        "sub/deep/low.job": b"",
        "sub/z.properties": b"type=javaprocess",
        "other/own.job": b"type=x",
    }
    types = {flow.id: flow.jobs[0].type for flow in load(files).flows.values()}
    assert types == {"top": "noop", "low": "javaprocess", "own": "x"}


def test_an_embedded_flow_is_a_job_that_stands_for_it():
    files = {"inner.job": job(), "outer.job": job(type="flow", flow_name="inner")}
    loaded = load(files)
    assert loaded.errors == ()
    assert loaded.flows["outer"].jobs[0].embeds == "inner"
    assert loaded.flows["inner"].jobs[0].embeds is None


def test_a_diamond_is_no_circle():
    assert members({"a.job": job(), "b.job": job("a"), "c.job": job("a"), "d.job": job("b", "c")}) == {
        "d": ["a", "b", "c", "d"]
    }


@pytest.mark.parametrize(
    ("files", "errors"),
    [
        ({"a.job": b"command=ls"}, {"Job doesn't have type set 'a'."}),
        ({"a.job": job(), "x/a.job": job(), "y/a.job": job()}, {"Duplicate job names found 'a'."}),
        ({"a.job": job("b")}, {"a cannot find dependency b"}),
        (
            {"a.job": job(), "x/a.job": job(), "b.job": job("a")},
            {"Duplicate job names found 'a'.", "b has ambiguous dependency a"},
        ),
        ({"a.job": job("a", root_node="true")}, {"a has a self cycle"}),
        ({"r.job": job("a"), "a.job": job("b"), "b.job": job("a")}, {"Cyclical dependency found at a>>b"}),
        ({"ROOT.job": job()}, {"ROOT is not allowed as a name. Pick some other name."}),
        ({"f.job": job(type="flow", flow_name="g")}, {"Flow f depends on g but can't be found."}),
        ({"f.job": job(type="flow")}, {"Flow f depends on null but can't be found."}),
        (
            {"f.job": job(type="flow", flow_name="g"), "g.job": job(type="flow", flow_name="f")},
            {"Embedded flow cycle found in g->f", "Embedded flow cycle found in f->g"},
        ),
        ({"f.job": job(type="flow", flow_name="f")}, {"Embedded flow cycle found in f->f"}),
        ({"a.job": job(Xmx="3G")}, {"a: Xmx value has exceeded the allowed limit (max Xmx = 2G)"}),
        ({"a.job": job(Xms="1025m")}, {"a: Xms value has exceeded the allowed limit (max Xms = 1G)"}),
    ],
)
def test_complaints_have_azkabans_words(files, errors):
    assert set(load(files).errors) == errors


@pytest.mark.parametrize(
    "memory", [{"Xmx": "2G"}, {"Xms": "1048576K"}, {"Xmx": "${heap}"}, {"Xmx": "2147483648"}]
)
def test_memory_up_to_the_limit_is_fine(memory):
    assert load({"a.job": job(**memory)}).errors == ()


def test_memory_that_is_no_number_is_an_error():
    with pytest.raises(ValueError, match='For input string: "much"'):
        load({"a.job": job(Xmx="much")})


def test_a_circle_that_nothing_depends_on_is_in_no_flow_and_in_no_error():
    """An oddity of the real one: such a zip succeeds and wipes."""
    assert members({"a.job": job("b"), "b.job": job("a")}) == {}


def test_a_long_chain_is_walked_without_recursion():
    files = {f"j{number}.job": job(*([f"j{number - 1}"] if number else [])) for number in range(3000)}
    assert list(members(files)) == ["j2999"]


graphs = st.integers(1, 8).flatmap(
    lambda size: st.lists(st.sets(st.integers(0, size - 1)), min_size=size, max_size=size)
)


def closure(graph: list[set[int]], start: int) -> set[int]:
    reached = {start}
    while more := {there for here in reached for there in graph[here]} - reached:
        reached |= more
    return reached


@given(graphs)
def test_any_graph_is_flows_or_complaints(graph):
    """Against the definitions: ends, their closures, and whether a circle can be reached from an end."""
    loaded = load({f"{index}.job": job(*map(str, needs)) for index, needs in enumerate(graph)})
    ends = set(range(len(graph))) - set().union(*graph)
    assert set(loaded.flows) == {str(end) for end in ends}
    others = [needs - {index} for index, needs in enumerate(graph)]
    for end in ends:
        reached = closure(others, end)
        assert [each.name for each in loaded.flows[str(end)].jobs] == sorted(map(str, reached))
    selfish = {f"{index} has a self cycle" for index, needs in enumerate(graph) if index in needs}
    circular = any(
        index in closure(others, there)
        for end in ends
        for index in closure(others, end)
        for there in others[index]
    )
    complaints = set(loaded.errors) - selfish
    assert selfish <= set(loaded.errors)
    assert bool(complaints) == circular
    assert all(each.startswith("Cyclical dependency found at ") for each in complaints)
