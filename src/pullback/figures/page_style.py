"""The style sheet of the HTML report: light and dark, phone, desk and paper."""

from pullback.figures.palette import SERIES_DARK, SERIES_LIGHT


def _series(colors: tuple[str, ...]) -> str:
    return " ".join(f"--series{i + 1}: {color};" for i, color in enumerate(colors))


CSS = f"""
:root {{ color-scheme: light dark; --page: #ffffff; --card: #f6f7f9; --ink: #1b2028; --muted: #5b6472; --line: #d5d9df;
  --accent: #1a4fa1; {_series(SERIES_LIGHT)} }}
@media (prefers-color-scheme: dark) {{
  :root {{ --page: #14171c; --card: #1d2128; --ink: #e6e9ee; --muted: #9aa4b2; --line: #363c46;
    --accent: #8ab4f0; {_series(SERIES_DARK)} }}
}}
* {{ box-sizing: border-box; }}
html {{ -webkit-text-size-adjust: 100%; scroll-behavior: smooth; }}
body {{ margin: 0; background: var(--page); color: var(--ink); font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }}
header, main {{ max-width: 68rem; margin: 0 auto; padding: 0 1.25rem; }}
header {{ padding-top: 2.5rem; }}
h1 {{ font-size: 1.9rem; line-height: 1.2; margin: 0 0 .25rem; letter-spacing: -.01em; }}
h2 {{ font-size: 1.25rem; margin: 0 0 1rem; letter-spacing: -.005em; }}
header p {{ margin: 0; color: var(--muted); }}
nav {{ display: flex; flex-wrap: wrap; gap: .4rem; margin: 1.25rem 0 0; padding: 0; }}
nav a {{ color: var(--ink); text-decoration: none; font-size: .875rem; padding: .2rem .7rem;
  border: 1px solid var(--line); border-radius: 1rem; }}
nav a:hover, nav a:focus-visible {{ border-color: var(--accent); color: var(--accent); }}
section {{ padding: 2rem 0; border-bottom: 1px solid var(--line); scroll-margin-top: 1rem; }}
section:last-of-type {{ border-bottom: 0; }}
p {{ max-width: 46rem; }}
.quiet, small, figcaption small {{ color: var(--muted); font-weight: 400; }}
.cards {{ display: flex; flex-wrap: wrap; gap: .9rem; margin-bottom: 1.25rem; }}
.card {{ background: var(--card); border-radius: .6rem; padding: .9rem 1.2rem; min-width: 11rem; }}
.card b {{ display: block; font-size: 2.1rem; line-height: 1.15; font-variant-numeric: tabular-nums; }}
.card span {{ color: var(--muted); font-size: .875rem; }}
.scroll {{ overflow-x: auto; }}
table {{ border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; white-space: nowrap; }}
th, td {{ padding: .4rem .8rem .4rem 0; text-align: right; border-bottom: 1px solid var(--line); }}
th:first-child {{ text-align: left; }}
thead th {{ color: var(--muted); font-weight: 500; vertical-align: bottom; }}
tbody th {{ font-weight: 600; }}
dl {{ display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: .3rem 1.2rem; margin: 0; font-size: .9rem; }}
dt {{ color: var(--muted); }}
dd {{ margin: 0; overflow-wrap: anywhere; }}
pre {{ background: var(--card); border-radius: .6rem; padding: 1rem; overflow-x: auto; margin: .5rem 0 1rem;
  font: .82rem/1.5 ui-monospace, Menlo, Consolas, monospace; }}
pre.wrap {{ white-space: pre-wrap; overflow-wrap: anywhere; }}
details {{ margin-top: 1rem; }}
summary {{ cursor: pointer; color: var(--accent); }}
figure {{ margin: 0; }}
figcaption {{ font-weight: 600; margin-bottom: .6rem; }}
.plot figcaption {{ font-weight: 400; color: var(--muted); font-size: .9rem; margin-top: .4rem; max-width: 46rem; }}
.plot svg {{ display: block; height: auto; max-width: 100%; }}
.plot.wide svg {{ min-width: 34rem; }}
.gallery {{ display: flex; flex-wrap: wrap; gap: 2.2rem 2rem; align-items: flex-start; }}
.picture {{ min-width: min(100%, 13rem); max-width: 100%; }}
.panels {{ display: flex; gap: .5rem; align-items: flex-start; }}
.panel {{ flex: 1 1 0; min-width: 0; text-align: center; }}
.panel img {{ display: block; width: 100%; height: auto; }}
.panel span {{ font-size: .8rem; color: var(--muted); overflow-wrap: anywhere; }}
.bar {{ font-size: .8rem; color: var(--muted); margin-top: .4rem; }}
.bar i {{ display: inline-block; width: 7rem; height: .55rem; border-radius: .3rem; margin: 0 .5rem; vertical-align: middle; }}
@media (max-width: 40rem) {{
  h1 {{ font-size: 1.5rem; }} section {{ padding: 1.5rem 0; }}
  dl {{ grid-template-columns: 1fr; gap: 0; }} dd {{ margin-bottom: .5rem; }}
}}
@media print {{
  :root {{ --page: #fff; --card: #f6f7f9; --ink: #000; --muted: #444; --line: #ccc; --accent: #000; {_series(SERIES_LIGHT)} }}
  body {{ font-size: 10.5pt; }} nav {{ display: none; }} section {{ padding: 1rem 0; }}
  figure, tr, .card {{ break-inside: avoid; }} h2, h3, summary {{ break-after: avoid; }} .plot.wide svg {{ min-width: 0; }}
  .scroll {{ overflow: visible; }} pre {{ white-space: pre-wrap; }}
  details::details-content {{ content-visibility: visible; block-size: auto; }}
  * {{ print-color-adjust: exact; -webkit-print-color-adjust: exact; }}
}}
"""
