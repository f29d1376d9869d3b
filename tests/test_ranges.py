"""Numbers without meaning are refused where they enter, by the name of the option, also where they are not used."""

import inspect
import math
from collections.abc import Iterator
from functools import cache
from types import UnionType
from typing import Any, get_args, get_type_hints

import pytest
from tests.composing import composed, options, yaml_of
from tests.test_configs import located, targets

from pullback.data.image.settings import ImageDataSettings
from pullback.data.mesh.settings import DataSettings
from pullback.figures.camera import View
from pullback.ranges import NumberError, above, at_least, within
from pullback.runtime.settings import instantiate

GROUPS = ("solver", "backbone", "branch", "graph", "loss", "dataset", "adaptation", "starts", "judge")
MEANINGFUL = {("View", "azimuth", -1), ("View", "elevation", -1)}


@cache
def written_objects() -> dict[str, dict[str, Any]]:
    """Every class of the project that a configuration builds, with options of one of the places where it is written."""
    found: dict[str, dict[str, Any]] = {}
    for group in GROUPS:
        for option in options(group):
            for written in targets(yaml_of(group, option)):
                found.setdefault(written["_target_"], written)
    settings = [{"_target_": f"{cls.__module__}.{cls.__name__}"} for cls in (DataSettings, ImageDataSettings, View)]
    return {name: found[name] for name in found if name.startswith("pullback.")} | {s["_target_"]: s for s in settings}


def plain_options(written: dict[str, Any]) -> dict[str, Any]:
    """Without references to other parts, which the defaults of the class replace where there are some."""
    kept = {
        key: plain_options(value) if isinstance(value, dict) and "_target_" in value else value
        for key, value in written.items()
        if not str(value).startswith("${") and key != "defaults"
    }
    optimizer = {"_target_": "torch.optim.Adam", "_partial_": True}
    needed = {"in_channels": 3, "root": "nowhere", "weights": "nowhere", "optimizer": optimizer}
    needed["judge"] = {"_target_": "tests.solvers.test_best_of_starts.Cycle"}
    parameters = inspect.signature(located(written["_target_"])).parameters
    return kept | {key: value for key, value in needed.items() if key in parameters and key not in kept}


def absurd_numbers() -> Iterator[tuple[str, str, float]]:
    for target in written_objects():
        cls = located(target)
        hints = get_type_hints(cls.__init__)
        for name in inspect.signature(cls).parameters:
            hint = hints.get(name)
            kinds = get_args(hint) if isinstance(hint, UnionType) else (hint,)
            if int in kinds or float in kinds:
                yield from ((target, name, value) for value in ((-1.0, math.nan) if float in kinds else (-1,)))


CASES = [(t, n, v) for t, n, v in absurd_numbers() if (t.rsplit(".", 1)[-1], n, v) not in MEANINGFUL]


def test_all_parts_with_numbers_are_tried():
    assert len({target for target, *_ in CASES}) > 25 and len(CASES) > 90


@pytest.mark.parametrize(("target", "option", "value"), CASES)
def test_an_absurd_number_is_refused_by_the_name_of_its_option(target, option, value, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ValueError, match=rf"\b{option}=|\b{option}\b.*-1"):
        instantiate({**plain_options(written_objects()[target]), option: value})


@pytest.mark.parametrize(
    ("program", "part", "typed", "told"),
    [
        ("train", "module", ["solver.blur=-1.0"], r"^solver\.blur=-1\.0 is too small; give a number above 0"),
        (
            "train",
            "module",
            ["loss.consistency.weight=-2.0"],
            r"^loss\.consistency\.weight=-2\.0 is too small",
        ),
        ("eval", "data", ["dataset=smal", "dataset.smal.seed=-1"], r"^dataset\.smal\.seed=-1 is too small"),
        ("match", "backbone", ["backbone.descriptor.k=1"], r"^backbone\.descriptor\.k=1 is too small; give 3 or more"),
    ],
)
def test_the_option_is_named_as_it_is_typed(program, part, typed, told):
    with pytest.raises(NumberError, match=told):
        instantiate(composed(program, *typed)[part])


def test_a_range_says_what_to_give_and_lets_null_pass():
    at_least(0, k=None)
    for check, told in ((at_least, "give 1 or more"), (above, "give a number above 1")):
        with pytest.raises(NumberError, match=f"k=0 is too small; {told}"):
            check(1, k=0)
        with pytest.raises(NumberError, match=f"k=nan is no number to work with; {told}"):
            check(1, k=math.nan)
    with pytest.raises(NumberError, match="share=2 is out of range; give a number from 0 to 1"):
        within(0, 1, share=2)
