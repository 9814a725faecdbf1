"""What a slip is called, in words with the numbers and as a formula."""

import numpy as np
from typing_extensions import TypedDict

from app.engine.expressions import Equation, Expression, Mul, Number, Partial, Sum, Symbol, sqrt
from app.engine.handwork import Term
from app.engine.letters import Letters
from app.engine.network import Config
from app.engine.notation import to_mathml
from app.engine.slips import Made
from app.engine.spec import Array

_SHOWN = 4


class Words(TypedDict):
    """An explanation for reading: plain text, and a `<math>` element with the formula as it was worked."""

    text: str
    mathml: str


def words(config: Config, made: Made, name: str, rate: float, decimals: int, *, hint: bool) -> Words:
    """What was done in place of what, at a learning rate; as a hint only where to look, with no formula."""
    if hint:
        return {"text": f"{_WHERE[made.slip]} {name}?", "mathml": ""}
    text = _text(config, made, name, rate, min(max(decimals, 2), 6))
    return {"text": text, "mathml": to_mathml(_formula(config, made))}


def _text(config: Config, made: Made, name: str, rate: float, decimals: int) -> str:
    term, layer = made.term, config.network.names[made.term.layer]
    took, right, result = (_numbers(numbers, decimals) for numbers in (made.took, made.right, made.result))
    instead_of = "" if made.instead_of is None else made.instead_of.name
    owner = instead_of.removesuffix(".weight")
    match made.slip:
        case "activation_derivative_omitted" if term.kind == "dL_dz":
            derivative = f"the derivative of the activation ({right})" if right else "the derivative of the activation"
            return f"{name} was computed without {derivative}: it is {layer}.dL_da ({took}) as it is"
        case "activation_derivative_omitted":
            wrong = instead_of.removesuffix("z") + "a"
            return (
                f"{name} was computed with {wrong} ({took}) in place of {instead_of} ({right}): "
                "the derivative of the activation was left out"
            )
        case "activation_omitted" if term.kind == "a":
            kind = config.network.layers[term.layer].activation.type_name()
            return f"{name} is {layer}.z ({result}) as it is: the activation {kind} was left out"
        case "activation_omitted":
            a = f"{layer}.a" if instead_of == "outputs" else instead_of
            return (
                f"{name} was computed with {a.removesuffix('a')}z ({took}) in place of {instead_of} ({right}): "
                "the activation was left out"
            )
        case "bias_omitted":
            return f"{name} was computed without the bias ({right})"
        case "weight_updated_before_use":
            return (
                f"{name} was computed with the {owner} weights after their update ({took}) "
                f"in place of those of the forward pass ({right})"
            )
        case "weight_transposed" if made.took is not None:
            return f"{name} was computed with the {owner} weights transposed ({took}) in place of as they are ({right})"
        case "weight_transposed":
            return f"{name} has its rows and columns exchanged ({result})"
        case "bias_gradient_not_summed":
            return f"{name} is the share of {made.share} alone ({result}), and not the sum of all"
        case "learning_rate_omitted":
            return f"in {name} the update was not multiplied by the learning rate ({rate:.6g}), which gives {result}"
        case "update_added":
            return f"in {name} the update was added, which makes the loss larger, and gives {result}: it is subtracted"
        case "sign_flipped":
            return f"{name} has the opposite sign ({result})"
    what = name if made.whole else f"the update of {term.parents[0].name}"
    return f"{what} is {made.factor} times what it should be, which gives {result}"


_WHERE = {
    "activation_derivative_omitted": "Is the derivative of the activation in",
    "activation_omitted": "Has the activation been applied wherever it belongs in",
    "bias_omitted": "Is everything that is added up in",
    "weight_updated_before_use": "Which weights does the error come back through, those of the forward pass, in",
    "weight_transposed": "Which index of the weight belongs to the unit, and which to what comes into it, in",
    "bias_gradient_not_summed": "Over what is the sum taken in",
    "learning_rate_omitted": "How large is the step along the gradient in",
    "update_added": "Does the step go down the slope or up in",
    "sign_flipped": "Is the sign right in",
    "wrong_factor": "Is there a factor too many or too few in",
}


def _numbers(numbers: Array | None, decimals: int) -> str:
    """The first few numbers, in one line."""
    if numbers is None:
        return ""
    flat = np.ravel(numbers)
    shown = ", ".join(_number(float(number), decimals) for number in flat[:_SHOWN])
    return shown + (", …" if len(flat) > _SHOWN else "")


def _number(number: float, decimals: int) -> str:
    """A number with so many decimals, without the last zeros beyond two."""
    whole, point, rest = f"{number:z.{decimals}f}".partition(".")
    return whole + point + rest[:2] + rest[2:].rstrip("0")


def _formula(config: Config, made: Made) -> Equation:
    """What was worked, in letters."""
    term, write, layer = made.term, Letters(config), _layer_of(config, made)
    z, a = write.z(layer, "", "j"), write.a(layer, "", "j")
    match made.slip:
        case "activation_derivative_omitted":
            return Equation(Partial("L", z), Partial("L", a))
        case "activation_omitted":
            return Equation(a, z)
        case "bias_omitted":
            return Equation(z, _weighted(config, layer, "j", "i"))
        case "weight_updated_before_use":
            return Equation(Partial("L", a), _error(config, layer, _next(write.w(layer + 1, "k", "j"))))
        case "weight_transposed" if term.kind == "z":
            return Equation(z, _biased(config, layer, _weighted(config, layer, "i", "j")))
        case "weight_transposed" if term.kind == "dL_da":
            return Equation(Partial("L", a), _error(config, layer, write.w(layer + 1, "j", "k")))
        case "weight_transposed":
            w, turned = write.w(layer, "j", "i"), write.w(layer, "i", "j")
            if term.kind == "weight":
                return Equation(Partial("L", w), Partial("L", turned))
            return Equation(_next(w), _next(turned)) if term.kind == "next" else Equation(w, turned)
        case "bias_gradient_not_summed":
            return Equation(Partial("L", write.b(layer, "j")), Partial("L", z))
        case "learning_rate_omitted":
            return Equation(_NEXT, _W - _UPDATE / Symbol("eta"))
        case "update_added":
            return Equation(_NEXT, _W + _UPDATE)
        case "sign_flipped":
            left, right = _right(config, term)
            return Equation(left, -right)
    left, right = _right(config, term)
    factor = _fraction(made.factor.partition(" ")[0])
    return Equation(left, Mul((factor, right)) if made.whole else _W - Mul((factor, _UPDATE)))


def _right(config: Config, term: Term) -> tuple[Expression, Expression]:
    """A term's letter, and the formula that it is computed by."""
    network, layer, write = config.network, term.layer, Letters(config)
    z, a = write.z(layer, "", "j"), write.a(layer, "", "j")
    match term.kind:
        case "z":
            return z, _biased(config, layer, _weighted(config, layer, "j", "i"))
        case "a":
            return _sides(network.layers[layer].activation.formula)
        case "da_dz":
            return _sides(network.layers[layer].activation.derivative)
        case "outputs":
            return Symbol("y"), a
        case "loss":
            return _sides(config.loss.formula)
        case "dL_da" if layer == len(network.layers) - 1:
            return _sides(config.loss.derivative)
        case "dL_da":
            return Partial("L", a), _error(config, layer, write.w(layer + 1, "k", "j"))
        case "dL_dz":
            return Partial("L", z), Partial("L", a) * Partial(a, z)
        case "weight":
            return Partial("L", write.w(layer, "j", "i")), Sum(Partial("L", z) * write.x(layer, "", "i"), "samples")
        case "bias":
            return Partial("L", write.b(layer, "j")), Sum(Partial("L", z), "samples")
        case "gradient_norm":
            return Symbol("norm"), sqrt(Sum(Symbol("g") ** 2, "i"))
        case "next":
            return _NEXT, _W - _UPDATE
    return Symbol(term.name), Symbol(term.name)


_NEXT, _W, _UPDATE = Symbol("w", sub="next"), Symbol("w"), Symbol("Delta", sub="w")


def _next(w: Symbol) -> Symbol:
    """An entry of a weight after its update."""
    return Symbol(w.name, w.sup, f"next,{w.sub}")


def _weighted(config: Config, layer: int, j: str, i: str) -> Expression:
    """Σ w x, with these indices of the weight."""
    write = Letters(config)
    return Sum(write.w(layer, j, i) * write.x(layer, "", "i"), "i")


def _biased(config: Config, layer: int, weighted: Expression) -> Expression:
    return weighted if config.network.layers[layer].bias == "none" else weighted + Letters(config).b(layer, "j")


def _error(config: Config, layer: int, weight: Symbol) -> Expression:
    """What comes back to a layer through these weights of the next."""
    return Sum(weight * Letters(config).dL_dz(layer + 1, "", "k"), "k")


def _sides(formula: Equation | None) -> tuple[Expression, Expression]:
    assert formula is not None
    assert isinstance(formula.right, Expression)
    return formula.left, formula.right


def _fraction(factor: str) -> Expression:
    above, _, below = factor.partition("/")
    return Number(float(above)) / float(below) if below else Number(float(above))


def _layer_of(config: Config, made: Made) -> int:
    """The position of the layer that a formula is about: of the parent that was replaced, or else of the term."""
    instead_of = made.instead_of
    if instead_of is None or not made.slip.startswith("activation") or instead_of.name == "outputs":
        return made.term.layer
    return config.network.names.index(instead_of.name.partition(".")[0])
