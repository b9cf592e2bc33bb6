"""The options of an execution as they come in a form."""

import pytest

from loadgen.sandbox.azkaban.flow_options import FlowOptions, OptionError, admit, parse_options

BOTH = (
    "The legacy param group flowOverride is not allowed in combination with the runtimeProperty param group. "
    "Migrate flowOverride to runtimeProperty[ROOT]."
)


def test_edge_14_without_a_word_a_running_flow_is_skipped():
    assert parse_options({}) == FlowOptions(concurrent="skip")
    assert FlowOptions().concurrent == "ignore", "but not where there are no options at all"


def test_everything_can_be_said():
    options = parse_options(
        {
            "concurrentOption": "pipeline",
            "pipelineLevel": "2",
            "failureAction": "cancelImmediately",
            "disabled": '["a", {"id": "b", "children": ["c", {"id": "d", "children": ["e"]}]}]',
            "flowOverride[loadgen.token]": "t1",
            "successEmails": "a@x, b@x;c@x d@x",
            "failureEmailsOverride": "TRUE",
            "notifyFailureFirst": "true",
            "notifyFailureLast": "no",
        }
    )
    assert (options.concurrent, options.pipeline_level, options.failure_action) == (
        "pipeline",
        2,
        "CANCEL_ALL",
    )
    assert options.disabled_ids == {"a", "b:c", "b:d:e"}
    assert options.flow_params == {"loadgen.token": "t1"}
    assert options.success_emails == ("a@x", "b@x", "c@x", "d@x")
    assert (options.failure_emails_override, options.notify_first, options.notify_last) == (True, True, False)


def test_runtime_properties_are_for_the_flow_or_for_a_job():
    options = parse_options({"runtimeProperty[ROOT][k]": "1", "runtimeProperty[job.a][x[0]]": "2"})
    assert options.flow_params == {"k": "1"}
    assert options.runtime_properties == {"job.a": {"x[0]": "2"}}


@pytest.mark.parametrize(
    ("params", "error"),
    [
        ({"concurrentOption": "pipeline"}, "Missing required parameter 'pipelineLevel'."),
        ({"runtimeProperty[ROOT]": "1"}, "Param group runtimeProperty is invalid."),
        ({"runtimeProperty[ROOT": "1"}, "Param group runtimeProperty is invalid."),
        (
            {"flowOverride[a]": "1", "runtimeProperty[ROOT][a]": "1"},
            BOTH,
        ),
    ],
)
def test_what_makes_no_sense_is_refused(params, error):
    with pytest.raises(OptionError) as refused:
        parse_options(params)
    assert str(refused.value) == error


def test_a_level_that_is_no_number_crashes():
    with pytest.raises(ValueError, match=r'^For input string: "x"$'):
        parse_options({"concurrentOption": "pipeline", "pipelineLevel": "x"})


@pytest.mark.parametrize("text", ["", "no json", '{"a": 1}', "[1]"])
def test_what_disables_nothing(text):
    assert parse_options({"disabled": text}).disabled_ids == set()


def test_only_an_administrator_sets_a_priority_and_only_a_number():
    options = parse_options({"flowOverride[flowPriority]": "x", "flowOverride[k]": "1"})
    assert admit(options, admin=False).flow_params == {"k": "1"}
    with pytest.raises(OptionError, match=r"^flowPriority should be an integer$"):
        admit(options, admin=True)
