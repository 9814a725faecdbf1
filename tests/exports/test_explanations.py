"""Explanations as JSON data and as Markdown."""

import json
import math
import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from typing import Any

import pytest

from app.engine import names, passes
from app.engine.chain import ledger
from app.engine.data import build_data
from app.engine.explain import everything, explain
from app.engine.explanation import Explanation, SetBy, Term
from app.engine.expressions import Symbol
from app.engine.network import Config
from app.engine.presets import NOTEBOOK
from app.engine.state import State, initial_state
from app.engine.updates import explain_next
from app.exports.explanations import to_json, to_markdown


def run(**fields: Any) -> tuple[Config, State]:
    """A forward and a backward pass of the notebook's config, but for the fields that are given."""
    config = Config.model_validate(NOTEBOOK | fields)
    assert config.data is not None
    rows = build_data(config, config.data).train
    state = passes.begin(initial_state(config), rows.inputs, rows.targets, own_rows=True)
    return config, passes.backward(config, passes.forward(config, state))


def of(name: str, config: Config, state: State, **bounds: int) -> Explanation:
    address = names.find(config, name, "?of")
    explanation = explain(config, state, address, "?of")
    return replace(explanation, chain=ledger(config, state, address, **bounds)) if address.part else explanation


def test_json() -> None:
    data: dict[str, Any] = json.loads(json.dumps(to_json(of("output.z[0][0]", *run()))))
    assert list(data) == ["of", "kind", "title", "symbol", "formula", "substituted", "value", "terms", "set_by"]
    assert (data["of"], data["kind"], data["set_by"]) == ("output.z[0][0]", "pre_activation", None)
    assert data["title"] == "pre-activation of output, unit 1"
    assert data["symbol"]["text"] == "z²₁"
    assert data["formula"]["text"] == "z²₁ = w²₁₁ a¹₁ + w²₁₂ a¹₂ + b²₁"
    assert data["formula"]["latex"] == (
        r"z^{(2)}_{1} = w^{(2)}_{11} a^{(1)}_{1} + w^{(2)}_{12} a^{(1)}_{2} + b^{(2)}_{1}"
    )
    assert data["substituted"]["text"] == "z²₁ = 0.40000 × 0.59327 + 0.45000 × 0.59688 + 0.60000"
    assert data["substituted"]["python"] == "0.4 * 0.5932699921071872 + 0.45 * 0.596884378259767 + 0.6"
    assert data["value"] == 0.4 * 0.5932699921071872 + 0.45 * 0.596884378259767 + 0.6
    assert [term["of"] for term in data["terms"]] == [
        *("output.weight[0][0]", "output.weight[0][1]", "hidden.a[0][0]", "hidden.a[0][1]", "output.bias[0]")
    ]
    assert all(list(term) == ["of", "symbol", "value"] for term in data["terms"])
    assert data["terms"][2]["symbol"] == {
        "text": "a¹₁",
        "latex": "a^{(1)}_{1}",
        "mathml": data["terms"][2]["symbol"]["mathml"],
    }


def test_every_number_put_in_says_what_it_is() -> None:
    config, state = run()
    for address in everything(config, state):
        data = to_json(of(str(address), config, state))
        selectable = re.findall(r'<mn data-of="([^"]+)">', data["substituted"]["mathml"])
        assert set(selectable) == {term["of"] for term in data["terms"]}
        for notation in (data["symbol"], data["formula"], data["substituted"]):
            ET.fromstring(notation["mathml"])


def test_decimals() -> None:
    config, state = run()
    assert to_json(of("hidden.a[0][0]", config, state), 2)["substituted"]["text"] == "a¹₁ = 1 / (1 + exp(-0.38))"
    data = to_json(of("inputs[0][1]", config, state), 3)
    assert (data["formula"]["text"], data["substituted"]["python"], data["terms"]) == ("x₂ = 0.100", "0.1", [])


def test_the_ledger_as_json() -> None:
    data = to_json(of("hidden.bias.gradient[0]", *run()))
    chain = data["chain"]
    assert chain["more_samples"] == {"count": 0, "value": 0}
    (sample,) = chain["samples"]
    assert list(sample) == ["sample", "value", "paths"]
    assert [path["through"][-1] for path in sample["paths"]] == ["hidden.z[0][0]", "hidden.z[0][1]"]
    one, other = sample["paths"]
    assert list(one) == ["value", "through", "factors"]
    assert one["factors"][0] is other["factors"][0]  # written once
    last = one["factors"][-1]
    assert list(last) == ["of", "symbol", "formula", "substituted", "value"]
    assert (last["of"], last["formula"]["text"], last["value"]) == (None, "∂z¹₁/∂b¹ = 1", 1)
    assert last["substituted"]["python"] == "1.0"


def test_what_comes_from_a_change() -> None:
    explanation = replace(
        of("hidden.z[0][0]", *run()),
        set_by=SetBy(3, "step"),
        terms=(Term("hidden.weight[0][0]", Symbol("w"), 0.5, 2, 1), Term(None, Symbol("eta"), 0.1)),
        formula=Symbol("w") * Symbol("eta"),
    )
    data = to_json(explanation)
    assert data["set_by"] == {"revision": 3, "operation": "step"}
    assert data["terms"][0] == {
        "of": "hidden.weight[0][0]",
        "symbol": data["terms"][0]["symbol"],
        "value": 0.5,
        "revision": 2,
        "epoch": 1,
    }
    page = to_markdown([explanation], "hidden.weight[0][0]")
    assert "\nSet by step, revision 3.\n" in page
    assert "| hidden.weight[0][0] (revision 2, epoch 1) | w      | 0.50000 |" in page
    assert "|                                           | η      | 0.10000 |" in page
    only_revision = replace(explanation, terms=(replace(explanation.terms[0], epoch=None), explanation.terms[1]))
    assert "| hidden.weight[0][0] (revision 2) | w " in to_markdown([only_revision], "hidden.weight[0][0]")


def test_numbers_that_are_none() -> None:
    layers = [{"units": 1, "init": {"weight": 1e200, "bias": 0.0}}]
    data = {"inputs": [[1e200]], "targets": [[0.0]]}
    config, state = run(network={"inputs": 1, "layers": layers}, data=data)
    explanation = of("layer1.weight.gradient[0][0]", config, state)
    assert math.isinf(to_json(explanation)["value"])
    assert "= ∞\n" in to_markdown([explanation], "gradient")


def test_a_page_of_one_number() -> None:
    assert (
        to_markdown([of("hidden.bias.gradient[0]", *run())], "hidden.bias.gradient[0]")
        == """\
# hidden.bias.gradient[0]

Gradient of hidden.bias, shared by 2 units.

    ∂L/∂b¹ = ∂L/∂z¹₁ + ∂L/∂z¹₂
           = 0.01337 + 0.01500
           = 0.02836

## Terms

| term               | symbol  | value   |
| ------------------ | ------- | ------- |
| hidden.dL_dz[0][0] | ∂L/∂z¹₁ | 0.01337 |
| hidden.dL_dz[0][1] | ∂L/∂z¹₂ | 0.01500 |

## Chain rule

Sample 1 adds 0.02836, by 2 ways:

    ∂L/∂a²₁ × ∂a²₁/∂z²₁ × ∂z²₁/∂a¹₁ × ∂a¹₁/∂z¹₁ × ∂z¹₁/∂b¹
    = 0.74137 × 0.18682 × 0.40000 × 0.24130 × 1.00000
    = 0.01337

    ∂L/∂a²₁ × ∂a²₁/∂z²₁ × ∂z²₁/∂a¹₂ × ∂a¹₂/∂z¹₂ × ∂z¹₂/∂b¹
    = 0.74137 × 0.18682 × 0.45000 × 0.24061 × 1.00000
    = 0.01500
"""
    )


def test_a_page_of_a_number_from_outside() -> None:
    assert (
        to_markdown([of("inputs[0][1]", *run())], "inputs[0][1]")
        == """\
# inputs[0][1]

Input 2.

    x₂ = 0.10000
"""
    )


def test_a_name_at_the_start_of_a_page_keeps_its_small_letter() -> None:
    config, state = run()
    explanation = explain_next(config, state, names.find(config, "hidden.weight.next[0][0]", "?of"))
    page = to_markdown([explanation], "hidden.weight.next[0][0]")
    assert "\nhidden.weight[0][0] after update 1 by sgd.\n" in page


def test_the_samples_that_are_not_shown() -> None:
    config, state = run(data={"inputs": [[1.0, 2.0], [2.0, 3.0], [-1.0, 1.0]], "targets": [[0.5], [1.0], [5.0]]})
    explanation = of("output.weight.gradient[0][0]", config, state, max_samples=1)
    page = to_markdown([explanation], "gradient")
    assert re.search(r"\nSample 3 adds -?\d\.\d{5}:\n", page)
    assert re.search(r"\n    = \(-1\.\d{5}\) × 0\.\d{5} × 0\.\d{5}\n", page)
    assert re.search(r"\nThe other samples, 2, add -?\d\.\d{5}\.\n$", page)


WORKED_EXAMPLE = """\
# One step by hand

## Forward

1. pre-activation of hidden, unit 1: `hidden.z[0][0]`

       z¹₁ = w¹₁₁ x₁ + w¹₁₂ x₂ + b¹
           = 0.15000 × 0.05000 + 0.20000 × 0.10000 + 0.35000
           = 0.37750

2. pre-activation of hidden, unit 2: `hidden.z[0][1]`

       z¹₂ = w¹₂₁ x₁ + w¹₂₂ x₂ + b¹
           = 0.25000 × 0.05000 + 0.30000 × 0.10000 + 0.35000
           = 0.39250

3. activation of hidden, unit 1 (sigmoid): `hidden.a[0][0]`

       a¹₁ = 1 / (1 + exp(-z¹₁))
           = 1 / (1 + exp(-0.37750))
           = 0.59327

4. activation of hidden, unit 2 (sigmoid): `hidden.a[0][1]`

       a¹₂ = 1 / (1 + exp(-z¹₂))
           = 1 / (1 + exp(-0.39250))
           = 0.59688

5. pre-activation of output, unit 1: `output.z[0][0]`

       z²₁ = w²₁₁ a¹₁ + w²₁₂ a¹₂ + b²₁
           = 0.40000 × 0.59327 + 0.45000 × 0.59688 + 0.60000
           = 1.10591

6. activation of output, unit 1 (sigmoid): `output.a[0][0]`

       a²₁ = 1 / (1 + exp(-z²₁))
           = 1 / (1 + exp(-1.10591))
           = 0.75137

## Loss

7. loss, half squared error: `loss`

       L = (t₁ - a²₁)^2 / 2
         = (0.01000 - 0.75137)^2 / 2
         = 0.27481

## Backward

8. gradient of the loss with respect to the activation of output, unit 1: `output.dL_da[0][0]`

       ∂L/∂a²₁ = a²₁ - t₁
               = 0.75137 - 0.01000
               = 0.74137
"""
LAST_STEPS = """
23. gradient of hidden.weight, from input 2 to unit 2: `hidden.weight.gradient[1][1]`

        ∂L/∂w¹₂₂ = ∂L/∂z¹₂ × x₂
                 = 0.01500 × 0.10000
                 = 0.00150

24. gradient of hidden.bias, shared by 2 units: `hidden.bias.gradient[0]`

        ∂L/∂b¹ = ∂L/∂z¹₁ + ∂L/∂z¹₂
               = 0.01337 + 0.01500
               = 0.02836

## Update

25. the next value: `hidden.bias.next[0]`

        z¹₁ = w¹₁₁ x₁ + w¹₁₂ x₂ + b¹
            = 0.15000 × 0.05000 + 0.20000 × 0.10000 + 0.35000
            = 0.37750
"""


def test_a_whole_step() -> None:
    config, state = run()
    steps = [explain(config, state, address, "?of") for address in everything(config, state)]
    update = replace(steps[0], of="hidden.bias.next[0]", kind="update", title="the next value")
    page = to_markdown([*steps, update], "One step by hand")
    assert page.startswith(WORKED_EXAMPLE)
    assert page.endswith(LAST_STEPS)
    assert re.findall(r"^## .*$", page, re.MULTILINE) == ["## Forward", "## Loss", "## Backward", "## Update"]


@pytest.mark.parametrize("decimals", [0, 12])
def test_decimals_of_a_page(decimals: int) -> None:
    page = to_markdown([of("hidden.a[0][0]", *run())], "hidden.a[0][0]", decimals)
    assert f"= {0.5932699921071872:.{decimals}f}\n" in page
