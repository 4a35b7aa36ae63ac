"""Values as people write them."""
from __future__ import annotations

from typing import Any

import pytest

from replication.data import spec
from replication.errors import BadInput
from replication.models import ops
from replication.runs import experiments
from replication.studies import values


@pytest.mark.parametrize(("text", "value"), [
    ("0.1", 0.1), ("-1", -1), ("-0.5", -0.5), ("1e-3", 1e-3), ("7", 7), (" 7 ", 7), ("True", True), ("False", False),
    ("None", None), ("none", "none"), ("shapes", "shapes"), ("'4a'", "4a"), ("4a", "4a"), ("7x7", "7x7"),
    ("pool first", "pool first"), ("tiny-imagenet-200", "tiny-imagenet-200"), ("folder:/a/b", "folder:/a/b"),
    ("", ""), ("a.b", "a.b"), ("2 + 3", "2 + 3"), ("1, 2", (1, 2)), ("[1, 2]", (1, 2)), ("()", ()),
    ("(2, 2, 1)", (2, 2, 1)),
    ("fc", "fc"), ("f(1)[0]", "f(1)[0]"), ("__import__", "__import__"),
    ("RMSProp(epsilon=0.1)", experiments.RMSProp(epsilon=0.1)), ("RMSProp", experiments.RMSProp()),
    ("TorchRMSProp(epsilon=0.1)", experiments.TorchRMSProp(epsilon=0.1)),
    ("RMSProp()", experiments.RMSProp()), ("SGD(momentum=0.8, nesterov=True)", experiments.SGD(0.8, nesterov=True)),
    ("He", ops.He()), ("BatchNorm(momentum=0.01)", ops.BatchNorm(momentum=0.01)),
    ("TruncatedNormal(std=0.01)", ops.TruncatedNormal(0.01)), ("Average", experiments.Average()),
    ("ClipValue(limit=2.0)", experiments.ClipValue(2.0)), ("Poly(power=2)", experiments.Poly(2)),
    ("Step(gamma=0.9, epochs=2)", experiments.Step(0.9, 2)),
    ("AreaCrop(size=28, interpolation=('area',))", spec.AreaCrop(28, interpolation=("area",))),
    ("AreaCrop(size=28),Flip", (spec.AreaCrop(28), spec.Flip())),
])
def test_read(text: str, value: Any) -> None:
    found = values.read(text)
    assert (type(found), found) == (type(value), value)


@pytest.mark.parametrize("value", [0.1, 3, None, True, ("4a",), ["4a"], experiments.RMSProp(), {"a": "1"}])
def test_what_is_no_text_is_given_back(value: Any) -> None:
    assert values.read(value) is value


@pytest.mark.parametrize(("text", "says"), [
    ("RMSprop(epsilon=0.1)", "Unknown value 'RMSprop'. Did you mean 'RMSProp'?"),
    ("RMSProp(epsilom=0.1)", "Unknown argument of RMSProp 'epsilom'. Did you mean 'epsilon'?"),
    ("Flip(size=3)", "Unknown argument of Flip 'size'."),
    ("Poly(2)", "Poly(2): give the arguments of Poly by name, e.g. Poly(power=...)."),
    ("Poly(2, power=1)", "by name, e.g. Poly(power=...)."),
    ("Flip(2)", "Flip(2): Flip takes no arguments."),
    ("Cosine(1)", "Cosine(1): Cosine takes no arguments."),
    ("Step(gamma=0.9)", "Step needs gamma, epochs, each by name."),
    ("ClipValue", "ClipValue needs limit, each by name."),
    ("AreaCrop(size=28),Flop(size=1)", "Unknown value 'Flop'. Did you mean 'Flip'?"),
    ("RMSProp(**3)", "Unknown argument of RMSProp"),
    ("RMSProp(epsilon=abc)", "epsilon='abc' is a str; it must be one of float, int."),
    ("SGD(nesterov=1)", "nesterov=1 is an int; it must be one of bool."),
    ("RMSProp(decays=3)", "decays=3 is an int; it must be one of str."),
    ("AreaCrop(size=28, area=0.1)", "area=0.1 is a float; it must be one of tuple."),
    ("Poly(power=True)", "power=True is a bool"),
])
def test_what_cannot_be_is_one_sentence(text: str, says: str) -> None:
    with pytest.raises(BadInput) as problem:
        values.read(text)
    assert says in str(problem.value)
    assert "\n" not in str(problem.value)


@pytest.mark.parametrize(("text", "value"), [
    ("none", ()), ("", ()), (None, ()), ("None", ()), ("4a", ("4a",)), ("4a,4d", ("4a", "4d")),
    ("4a, 4d", ("4a", "4d")),
    (("4a",), ("4a",)), (["4a", "4d"], ("4a", "4d")), ((), ()), ("6e", ("6e",)), ("1,2,2", (1, 2, 2)), ("3", (3,)),
    ("area,flip", ("area", "flip")), ("theo", ("theo",)), ("AreaCrop(size=28),flip", (spec.AreaCrop(28), "flip")),
    ("pool first,2", ("pool first", 2))])
def test_listed(text: Any, value: tuple[Any, ...]) -> None:
    assert values.listed(text) == value


def test_every_word_stands_for_itself() -> None:
    """What can be made without arguments is made by its name; the others say what they need."""
    for name, kind in values.VOCABULARY.items():
        try:
            made = kind()
        except TypeError:
            with pytest.raises(BadInput, match=rf"^{name}: {name} needs "):
                values.read(name)
        else:
            assert values.read(name) == made
