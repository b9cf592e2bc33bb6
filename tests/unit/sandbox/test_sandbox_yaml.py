"""Flow 2.0: YAML becomes flows, or Azkaban's own complaints."""

import pytest

from loadgen.sandbox.azkaban.flows import Job, load
from loadgen.sandbox.azkaban.yaml_flows import MAX_FLOW_FILE

TWO = {"p.project": b"azkaban-flow-version: 2.0\n"}
NOOP = "nodes:\n- {name: a, type: noop}\n"


def loaded(**flows: str):
    return load(TWO | {f"{name}.flow": text.encode() for name, text in flows.items()})


def errors(text: str) -> list[str]:
    return list(loaded(f=text).errors)


def test_a_flow_is_named_after_its_file_and_holds_its_nodes():
    found = loaded(
        f="config: {retries: 3}\nnodes:\n"
        "- {name: b, type: command, config: {command: ls}, dependsOn: [a], condition: one_success}\n"
        "- {name: a, type: noop}\n",
        g=NOOP,
    )
    assert found.errors == ()
    assert list(found.flows) == ["f", "g"]
    assert found.flows["f"].jobs == (
        Job("a", "noop"),
        Job("b", "command", ("a",), condition="one_success", commands=("ls",)),
    )


def test_jobs_of_flow_1_do_not_count_and_directories_do():
    files = {"d/p.project": b"azkaban-flow-version: 2.0", "d/e/f.flow": NOOP.encode(), "a.job": b"type=noop"}
    assert list(load(files).flows) == ["f"]


def test_an_embedded_flow_is_a_flow_of_its_own_named_after_the_way_to_it():
    text = (
        "nodes:\n- name: in\n  type: flow\n  nodes:\n"
        "  - {name: deep, type: flow, nodes: [{name: a, type: noop}]}\n"
    )
    found = loaded(f=text)
    assert found.errors == ()
    assert {name: flow.embedded for name, flow in found.flows.items()} == {
        "f:in:deep": True,
        "f:in": True,
        "f": False,
    }
    assert found.flows["f"].jobs == (Job("in", "flow", embeds="f:in"),)


def test_no_flow_files_are_no_flows():
    assert load(TWO) == loaded()
    assert loaded().flows == {}


INVALID = (
    "Failed to validate nodeBean for f.flow. "
    "Duplicate nodes found or dependency undefined or ROOT used as a name."
)


@pytest.mark.parametrize(
    ("text", "complaints"),
    [
        ("nodes: [{name: a, type: noop}, {name: a, type: noop}]", [INVALID]),
        ("nodes: [{name: a, type: noop, dependsOn: [b]}]", [INVALID]),
        ("nodes: [{name: ROOT, type: noop}]", [INVALID]),
        ("nodes: [{name: a, type: flow, nodes: [{name: ROOT, type: noop}]}]", [INVALID]),
        ("nodes: [{name: a, type: noop, dependsOn: [a]}]", ["Cycles found at a>>a"]),
        (
            "nodes: [{name: a, type: noop, dependsOn: [b]}, {name: b, type: noop, dependsOn: [a]}]",
            ["Cycles found at a>>b"],
        ),
        (
            "nodes: [{name: a, type: noop, config: {Xmx: 3G}}]",
            ["f:a: Xmx value has exceeded the allowed limit (max Xmx = 2G)"],
        ),
        ("", ["Error loading flow yaml file f.flow:Failed to load flow file f.flow. Node bean is null ."]),
        ("config: {a: b}", ["Error loading flow yaml file f.flow:null"]),
        ("nodes: [{name: a}]", ["Error loading flow yaml file f.flow:null"]),
        ("nodes: [{type: noop}]", ["Error loading flow yaml file f.flow:null"]),
        ("nodes: [{name: a, type: flow}]", ["Error loading flow yaml file f.flow:null"]),
    ],
)
def test_complaints_have_azkabans_words(text, complaints):
    assert errors(text) == complaints


@pytest.mark.parametrize("text", ["nodes: [", "nodes: [{nam: a}]", "[a]", "nodes: {a: b}", "nodes: [a]", "a"])
def test_what_is_no_flow_at_all_is_a_complaint_about_its_file(text):
    (complaint,) = errors(text)
    assert complaint.startswith("Error loading flow yaml file f.flow:")


def test_one_bad_file_does_not_hide_another():
    assert len(loaded(f="nodes: [", g="", h=NOOP).errors) == 2


def test_two_files_of_one_name_are_a_duplicate():
    files = TWO | {"f.flow": NOOP.encode(), "d/f.flow": NOOP.encode()}
    assert load(files).errors == ("Duplicate flows found in the project with name f",)


@pytest.mark.parametrize("version", ["2", '"2.0"', "1.0", "2.1", "x", ""])
def test_the_version_must_be_the_number_2_0(version):
    with pytest.raises(ValueError, match=r"^Invalid azkaban-flow-version in the project YAML file\.$"):
        load({"p.project": f"azkaban-flow-version: {version}".encode()})


@pytest.mark.parametrize("text", ["", "x: y", "[]", "text"])
def test_the_version_must_be_there(text):
    with pytest.raises(ValueError, match="azkaban-flow-version is not specified in the project YAML file"):
        load({"p.project": text.encode()})


def test_a_project_file_that_is_no_yaml_is_an_error():
    with pytest.raises(ValueError, match="expected"):
        load({"p.project": b"a: ["})


def test_two_project_files_side_by_side_are_too_many_and_one_above_another_are_not():
    with pytest.raises(ValueError, match=r"^Duplicate project YAML files found in the project directory"):
        load(TWO | {"q.project": b""})
    assert load(TWO | {"d/q.project": b""}).errors == ()


def test_a_flow_file_beyond_10_mb_is_read_and_cannot_be_stored():
    text = "#" * MAX_FLOW_FILE + "\n" + NOOP
    assert loaded(f=text).unstorable == "Flow file length exceeds 10 MB limit."
    assert loaded(f=NOOP).unstorable == ""
