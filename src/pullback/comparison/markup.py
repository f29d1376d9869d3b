"""Tables as text: Markdown with its columns in line, and LaTeX with the rules of booktabs."""

from collections.abc import Sequence

_SPECIAL = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"} | {
    c: f"\\{c}" for c in "&%$#_{}"
}
_SIGNS = {
    "±": r"$\pm$",
    "→": r"$\rightarrow$",
    "×": r"$\times$",
    "√": r"$\surd$",
    "σ": r"$\sigma$",
    "λ": r"$\lambda$",
    "≤": r"$\leq$",
}


def markdown(heads: Sequence[str], body: Sequence[Sequence[str]], *, words: int = 3) -> str:
    """A Markdown table; the first ``words`` columns to the left, numbers to the right."""
    rows = [[cell.replace("|", "\\|") for cell in row] for row in (heads, *body)]
    widths = [max(3, *(len(row[i]) for row in rows)) for i in range(len(heads))]
    padded = [
        [cell.ljust(w) if i < words else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True))]
        for row in rows
    ]
    rule = ["-" * w if i < words else "-" * (w - 1) + ":" for i, w in enumerate(widths)]
    return "\n".join("| " + " | ".join(row) + " |" for row in (padded[0], rule, *padded[1:]))


def latex(heads: Sequence[str], body: Sequence[Sequence[str]], *, words: int = 3) -> str:
    """A LaTeX tabular of plain text."""
    rows = [" & ".join(escaped(cell) for cell in row) + r" \\" for row in (heads, *body)]
    return tabular("l" * words + "r" * (len(heads) - words), rows[:1], rows[1:])


def tabular(columns: str, heads: Sequence[str], body: Sequence[str]) -> str:
    """A LaTeX tabular of lines that are LaTeX already."""
    lines = [r"\toprule", *heads, r"\midrule", *body, r"\bottomrule"]
    return "\n".join([f"\\begin{{tabular}}{{{columns}}}", *(f"    {line}" for line in lines), r"\end{tabular}"])


def escaped(text: str) -> str:
    """Plain text for LaTeX: its special characters quoted, mathematical signs in mathematical mode."""
    return "".join(_SPECIAL.get(c) or _SIGNS.get(c, c) for c in text)
