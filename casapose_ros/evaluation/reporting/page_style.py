"""How the report's page looks, on light and dark screens and on paper."""

STYLE = """
:root { color-scheme: light dark; --text: #1f2328; --soft: #5b636d; --line: #d8dde3;
  --back: #ffffff; --panel: #f5f7f9; --good: 0 114 178; --bad: 213 94 0;
  --truth: #0a50c8; --right: #1a7f1a; --wrong: #c81e1e; --warn: #fff4d6; }
@media (prefers-color-scheme: dark) { :root { --text: #e4e7eb; --soft: #a0a8b2; --line: #3a4048;
  --back: #15181c; --panel: #1f2429; --good: 86 180 233; --bad: 230 130 60;
  --truth: #7aa7ff; --right: #5fd35f; --wrong: #ff7a70; --warn: #463a14; } }
* { box-sizing: border-box; }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--text); background: var(--back);
  max-width: 84rem; margin: 0 auto; padding: 1.5rem 1.25rem 4rem; }
h1 { font-size: 1.6rem; margin: 0; overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; margin: 2.6rem 0 0.7rem; border-bottom: 1px solid var(--line);
  padding-bottom: 0.25rem; }
a { color: inherit; }
nav { margin: 0.8rem 0 0; font-size: 0.9rem; display: flex; flex-wrap: wrap; gap: 0.2rem 1.1rem; }
.soft, figcaption, caption, .legend { color: var(--soft); font-size: 0.88rem; }
dfn { font-style: normal; font-weight: 600; }
.problems { background: var(--warn); border-radius: 6px; padding: 0.7rem 1rem; }
.problems ul { margin: 0.2rem 0 0; }
.missing { background: var(--panel); border-radius: 6px; padding: 0.6rem 1rem; }
.wide { overflow-x: auto; margin-bottom: 0.6rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
caption { text-align: left; padding-bottom: 0.4rem; }
th, td { text-align: right; padding: 0.28rem 0.5rem; border-bottom: 1px solid var(--line);
  vertical-align: top; white-space: nowrap; }
thead th { vertical-align: bottom; white-space: normal; color: var(--soft); font-weight: 600; }
thead th[title] { text-decoration: underline dotted; text-underline-offset: 3px; cursor: help; }
th:first-child { text-align: left; }
tbody th { font-weight: 400; position: sticky; left: 0; background: var(--back); }
tr.total > * { font-weight: 600; border-top: 2px solid var(--soft); }
td small { display: block; font-size: 0.74em; font-weight: 400; color: var(--soft); }
td.shaded { background: rgb(var(--good) / var(--shade)); }
td.shaded.bad { background: rgb(var(--bad) / var(--shade)); }
#table-origin thead th, #table-origin td { text-align: left; white-space: normal;
  overflow-wrap: anywhere; }
#table-confusion.many thead th:not(:first-child) { writing-mode: vertical-rl;
  transform: rotate(180deg); text-align: left; white-space: nowrap; }
#table-confusion.many td { padding: 0.2rem 0.25rem; font-size: 0.78rem; }
.pair th, .pair td { padding: 0.28rem 0.4rem; font-size: 0.95em; }
img { max-width: 100%; height: auto; display: block; background: #ffffff; border-radius: 4px; }
figure { margin: 0 0 1rem; }
.pair > * { min-width: 0; }
.pair, .frames { display: grid; gap: 1.4rem;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr)); }
.truth { color: var(--truth); } .right { color: var(--right); } .wrong { color: var(--wrong); }
@media print { nav { display: none; } figure, tr { break-inside: avoid; } }
"""
