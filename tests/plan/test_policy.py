"""Layers of what a release must prove: the policy, a target's own gates, a model's budgets; what each leaves out."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from edgebuild.plan.planner import Plan
from edgebuild.spec.errors import UsageError
from edgebuild.spec.files import read_policy
from edgebuild.spec.project import open_project
from edgebuild.spec.target import Gate, GateSpec, Policy
from tests import tiny

Planner = Callable[..., Plan]
Refuse = Callable[..., str]
POLICY = Policy(
    (GateSpec("accuracy", "1 pp"), GateSpec("mae", "5 %"), GateSpec("size", "+0 %"), GateSpec("ram", "100 %")),
    "policies/default.toml",
)
HARDWARE = '{arch = "aarch64", cpu = "cortex-a72", channel_multiple = 4, ram = "1 GiB"}'


def gates(plan: Plan) -> dict[str, Gate]:
    judge = plan.graph.nodes[plan.products[0].verdicts].step
    return {gate.metric: gate for gate in judge.gates}  # type: ignore[attr-defined]


def limits(plan: Plan) -> dict[str, str]:
    return {metric: gate.limit for metric, gate in gates(plan).items()}


def test_the_policy_holds_where_neither_target_nor_model_says_otherwise(plan: Planner) -> None:
    assert limits(plan(policy=POLICY, gates="[]", hardware=HARDWARE)) == {
        "accuracy": "1 pp", "size": "+0 %", "ram": "1 GiB"
    }  # fmt: skip


def test_a_targets_gate_takes_the_place_of_the_policys_and_a_budget_that_of_either(plan: Planner) -> None:
    own = '[{metric = "size", limit = "9 %"}, {metric = "latency", limit = "40 ms"}]\npolicy = true'
    assert limits(plan(policy=POLICY, gates=own)) == {"accuracy": "1 pp", "size": "9 %", "latency": "40 ms"}
    budgets = '\n[budgets.board]\naccuracy = "3 pp"\nsize = "1 MiB"\nmacs = "2 M"'
    assert limits(plan(policy=POLICY, gates=own, model=budgets)) == {
        "accuracy": "3 pp", "size": "1 MiB", "latency": "40 ms", "macs": "2 M"
    }  # fmt: skip


def test_a_targets_own_gates_are_all_that_it_asks_for_unless_it_asks_for_the_policys_too(plan: Planner) -> None:
    """As in targets from before there was a policy, fidelity included: nothing is asked of them that was not."""
    own = '[{metric = "accuracy", limit = "2 pp"}, {metric = "size", limit = "-90 %"}, '
    own += '{metric = "latency", limit = "-50 %", fidelity = "hardware"}]'
    assert limits(plan(policy=POLICY, gates='[{metric = "parity", limit = "1e-3"}]')) == {"parity": "1e-3"}
    assert tuple(gates(plan(policy=POLICY, gates=own)).values()) == (
        Gate("accuracy", "2 pp", 0.975), Gate("size", "-90 %", 0.975), Gate("latency", "-50 %", 0.975, "hardware")
    )  # fmt: skip


def test_the_limit_none_leaves_a_metric_out_in_a_target_and_in_a_model(plan: Planner) -> None:
    own = '[{metric = "size", limit = "none"}]\npolicy = true'
    assert limits(plan(policy=POLICY, gates=own)) == {"accuracy": "1 pp"}
    assert limits(plan(policy=POLICY, gates="[]", model='\n[budgets.board]\nsize = "none"')) == {"accuracy": "1 pp"}


def test_the_policys_gates_on_other_tasks_answers_rest_and_a_targets_do_not(plan: Planner, refusal: Refuse) -> None:
    centre = (tiny.MODELS / "centre" / "model.toml").read_text()
    regression = plan(policy=POLICY, gates="[]", files={"model.toml": centre})
    assert limits(regression) == {"mae": "5 %", "size": "+0 %"}
    line = refusal(policy=POLICY, gates='[{metric = "accuracy", limit = "1 pp"}]', files={"model.toml": centre})
    assert "'accuracy' does not fit model 'tiny', whose task is regression" in line


def test_a_policy_that_holds_no_answers_of_a_model_is_refused(refusal: Refuse) -> None:
    """Else a regression would be released unjudged in a project whose policy knows classes alone."""
    blind = Policy((GateSpec("size", "+0 %"),), "policies/default.toml")
    line = refusal(policy=blind, gates="[]")
    assert line.startswith("policies/default.toml: gates: has no gate on what 'tiny' answers, whose task is classif")
    assert "accuracy" in line


def test_what_is_said_on_purpose_is_not_refused(plan: Planner) -> None:
    blind = Policy((GateSpec("size", "+0 %"), GateSpec("accuracy", "none")), "policies/default.toml")
    assert limits(plan(policy=blind, gates="[]")) == {"size": "+0 %"}


def test_a_gate_counts_the_evidence_that_its_target_can_give(plan: Planner) -> None:
    """What is not measured is as good from anywhere; a gate's own word comes first."""
    policy = Policy((GateSpec("accuracy", "1 pp"), GateSpec("size", "+0 %"), GateSpec("latency", "+3 %")), "p.toml")
    own = '[{metric = "accuracy", limit = "1 pp", fidelity = "host"}, {metric = "f1", limit = "1 pp"}]\n'
    own += 'policy = true\nfidelity = {outputs = "emulated", latency = "hardware"}'
    found = {metric: gate.fidelity for metric, gate in gates(plan(policy=policy, gates=own)).items()}
    assert found == {"size": "host", "latency": "hardware", "accuracy": "host", "f1": "emulated"}


def test_a_share_of_memory_that_the_target_does_not_name_is_refused_where_it_was_asked_for(refusal: Refuse) -> None:
    line = refusal(policy=POLICY, gates='[{metric = "ram", limit = "50 %"}]')
    assert line.startswith("targets/board.toml: gates[0].limit: '50 %' of what? The target has no `ram`")


def test_a_wrong_policy_names_itself(tmp_path: pytest.TempPathFactory, refusal: Refuse) -> None:
    line = refusal(policy=Policy((GateSpec("size", "7"),), "policies/default.toml"), gates="[]")
    assert line.startswith("policies/default.toml: gates")


def test_a_projects_policy_comes_before_the_built_in_one(tmp_path_factory: pytest.TempPathFactory) -> None:
    root = tmp_path_factory.mktemp("project")
    project = open_project(root)
    assert project.policy().gates
    (root / "policies").mkdir()
    file = root / "policies" / "default.toml"
    file.write_text('description = "mine"\ngates = [{metric = "size", limit = "1 MiB"}]\n')
    assert project.policy() == Policy((GateSpec("size", "1 MiB"),), "policies/default.toml")
    for text, told in (
        ('description = "x"\ngates = []\n', "gates: tuple should have at least 1 item"),
        ('description = "x"\ngates = [{metric = "size"}]\n', "gates[0].limit: is missing"),
        ('description = "x"\ngate = []\n', "unknown key 'gate' (did you mean 'gates'?"),
    ):
        file.write_text(text)
        with pytest.raises(UsageError) as caught:
            read_policy(file, "policies/default.toml")
        assert caught.value.line.startswith(f"policies/default.toml: {told}")
