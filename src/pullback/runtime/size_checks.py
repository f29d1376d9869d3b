"""As many eigenfunctions are prepared as every part takes, and as many points as eigenfunctions."""

import ast
from collections.abc import Iterator, Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf

from pullback.runtime.parts import ConfigError, declaration, objects_in


def check_eigenfunctions(cfg: DictConfig) -> None:
    """As many eigenfunctions are prepared as every part takes."""
    if cfg.kind == "image":  # read-outs and solvers take as many as there are
        return
    available = cfg.data.k
    lacking = [taken for taken in eigenfunctions_taken(cfg) if taken[3] > available]
    if not lacking:
        return
    place, formula, options, most = max(lacking, key=lambda taken: taken[3])
    names = names_in(formula)
    key = names[-1] if options[names[-1]] else names[0]  # no steps: all that is taken is taken at once
    fewer = [
        f"{where}.{name}={value}"
        for where, rule, given, _ in lacking
        for name, value in lowered(rule, given, available).items()
    ]
    raise ConfigError(
        f"{place}.{key}={options[key]} needs {most} eigenfunctions but data.k={available}. "
        f"Use data.k={most} or {' '.join(fewer)}."
    )


def eigenfunctions_taken(cfg: DictConfig) -> Iterator[tuple[str, str, Mapping[str, Any], int]]:
    """Parts of the solver and the backbone with their rule, their options, and how many it comes to."""
    for part in ("solver", "backbone"):
        content = OmegaConf.to_container(cfg[part], resolve=True) if cfg.get(part) else {}
        for place, options in objects_in(content, part):
            formula = declaration(options).says("eigenfunctions", "")
            if formula and all(type(options.get(name)) is int for name in names_in(formula)):
                yield place, formula, options, counted(formula, options)


def names_in(formula: str) -> list[str]:
    """The options of a rule such as ``k_init + step * n_steps``, in their order."""
    return [node.id for node in ast.walk(ast.parse(formula, mode="eval")) if isinstance(node, ast.Name)]


def counted(formula: str, options: Mapping[str, Any]) -> int:
    """What a rule of names, whole numbers, sums and products comes to."""

    def value(node: ast.expr) -> int:
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            return value(node.left) + value(node.right)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
            return value(node.left) * value(node.right)
        return options[node.id] if isinstance(node, ast.Name) else ast.literal_eval(node)

    return value(ast.parse(formula, mode="eval").body)


def lowered(formula: str, options: Mapping[str, Any], available: int) -> dict[str, int]:
    """The options to lower so that the eigenfunctions suffice: the last of the rule first."""
    changed: dict[str, int] = {}
    names = names_in(formula)
    for name in reversed(names):
        now = {**options, **changed}
        for fewer in range(now[name], -1, -1):
            if counted(formula, {**now, name: fewer}) <= available:
                changed[name] = fewer
                return {key: changed[key] for key in names if key in changed}
        if counted(formula, {**now, name: 0}) < counted(formula, now):
            changed[name] = 0
    return changed


def check_preparation(cfg: DictConfig) -> None:
    """Simplified meshes and samples have a point for each eigenfunction.

    The preparation checks it too, but after the slow imports.
    """
    for key in ("coarsen", "samples") if cfg.kind == "mesh" else ():
        count = cfg.data.get(key)
        if count is not None and count < cfg.data.k:
            raise ConfigError(
                f"data.{key}={count} points are fewer than the data.k={cfg.data.k} eigenfunctions; "
                f"use data.{key}={max(3000, cfg.data.k)}"
            )
