"""The built-ins go through the same kit as a stranger's plugin."""

from prerl_spec.testing.conformance.check import check_distribution

LEFT_OUT = {
    "evaluator holdout": "there are no laws for evaluators",
    "evaluator lm_eval": "there are no laws for evaluators",
    "sampler vllm": "it needs the package",
    "sampler vllm_server": "server",
    "tracker wandb": "mode = 'online': it uploads to a server",
}
"""Component -> why its laws, or those of one of its settings, are not tried on a machine like this one."""


def test_nothing_is_broken_and_what_is_not_tried_says_why() -> None:
    findings = list(check_distribution("prerl-spec"))
    assert [f for f in findings if f.state == "broken"] == []
    left_out = {f.component: f.detail for f in findings if f.state == "not tried"}
    assert left_out.keys() <= LEFT_OUT.keys()
    for component, why in left_out.items():
        assert LEFT_OUT[component] in why
    assert {"model hf_causal", "data hf_dataset", "tracker wandb"} <= {
        f.component for f in findings if f.check == "laws" and f.state == "held"
    }
