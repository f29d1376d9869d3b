"""What losses and schedules rely on is there: both directions, gradients, the numbers that are to change."""

from collections.abc import Iterator, Mapping
from typing import Any

from pullback.runtime.parts import ConfigError, chosen_terms, class_of, declaration, terms_that


def check_terms(cfg: Mapping[str, Any]) -> None:
    """There is a loss to train with, and every term gets the maps that it needs."""
    if cfg.get("optimizer") and not chosen_terms(cfg):
        raise ConfigError("there is no loss term to train with; choose some, as in loss=[orthogonality,consistency]")
    one_way = declaration(cfg["solver"]).takes("two_way") and not cfg["solver"].get("two_way")
    for name in terms_that(cfg, "needs_two_way") if one_way else ():
        raise ConfigError(
            f"loss.{name} compares maps in both directions but solver.two_way=false; use solver.two_way=true"
        )


def check_schedules(cfg: Mapping[str, Any]) -> None:
    """Every schedule finds what it changes."""
    chosen = chosen_terms(cfg)
    terms = ",".join(chosen)
    for name, callback in cfg.get("callbacks", {}).items():
        term = callback.get("term")
        if term is not None and term not in chosen:
            raise ConfigError(
                f"callbacks.{name} changes the weight of the loss term {term}, but the terms are loss=[{terms}]; "
                f"choose it too, loss=[{terms},{term}], or drop the schedule, ~callbacks.{name}"
            )
        option = declaration(callback).says("solver_option", None) if "_target_" in callback else None
        if option is not None and not declaration(cfg["solver"]).takes(option):
            raise ConfigError(
                f"callbacks.{name} changes solver.{option}, which this solver does not have; "
                f"use solver=diff_zoomout, or ~callbacks.{name}"
            )


def check_gradients(cfg: Mapping[str, Any]) -> None:
    """Gradients of the loss reach the features by every way that its terms rely on."""
    if not cfg.get("optimizer") and cfg.get("adaptation") is None:
        return
    solver, says = cfg["solver"], declaration(cfg["solver"]).says
    purpose = "training" if cfg.get("optimizer") else "fine-tuning"
    for option, usual in says("gradients_need", {}).items():
        if solver.get(option) is None:
            raise ConfigError(
                f"{purpose} needs gradients but solver.{option}=null means nearest neighbours, which pass none; "
                f"use solver.{option}={usual}"
            )
    if not says("differentiable", True):
        raise ConfigError(
            f"{purpose} needs gradients but the solver {class_of(solver)} passes none; "
            "use solver=diff_zoomout, and keep it for eval.py"
        )
    relying = next(_through_refined(cfg), None)
    for option, value in says("refined_gradients_need", {}).items() if relying else ():
        if solver.get(option, value) != value:
            raise ConfigError(
                f"{relying} needs gradients through the refined map "
                f"but solver.{option}={solver[option]} makes it a constant; use solver.{option}={value}"
            )


def _through_refined(cfg: Mapping[str, Any]) -> Iterator[str]:
    """The options of terms that ask for gradients through the refined map, as they are typed."""
    for name in chosen_terms(cfg):
        term = cfg["loss"][name]
        for option, value in declaration(term).says("through_refined", {}).items():
            if term.get(option) == value:
                yield f"loss.{name}.{option}={str(value).lower()}"
