"""How the page of a plan looks, in light and in dark."""

STYLE = """
:root {
  color-scheme: light dark;
  --page: #f6f7f9; --card: #ffffff; --ink: #15181d; --faint: #5b6470;
  --line: #dfe3e8; --idle: #e9edf2; --warn: #fff4d6; --warn-line: #e0b94a;
  --blue: #2a78d6; --green: #1a9f6d; --yellow: #d99a00; --red: #d8484a;
  --violet: #6a4fc2; --grey: #9aa3ae; --pale: #8fbcf0; --sand: #f0b27a;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #111418; --card: #1a1e24; --ink: #e8ebef; --faint: #a2abb6;
    --line: #2d333b; --idle: #2a3038; --warn: #3a3115; --warn-line: #8a6d1d;
    --blue: #4a90e2; --green: #2bb583; --yellow: #d9a32b; --red: #e06a6b;
    --violet: #9a86e6; --grey: #7d8792; --pale: #2f5f99; --sand: #9a6330;
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", sans-serif; }
main { max-width: 1080px; margin: 0 auto; padding: 28px 20px 60px; }
h1 { font-size: 25px; line-height: 1.25; margin: 0 0 4px; }
h2 { font-size: 17px; margin: 0 0 10px; }
p { margin: 6px 0; } .faint { color: var(--faint); }
section { background: var(--card); border: 1px solid var(--line);
  border-radius: 8px; padding: 18px 20px; margin: 16px 0; }
.tiles { display: grid; gap: 12px; margin: 18px 0;
  grid-template-columns: repeat(auto-fit, minmax(215px, 1fr)); }
.tiles div { background: var(--card); border: 1px solid var(--line);
  border-radius: 8px; padding: 12px 14px; }
.tiles b { display: block; font-size: 19px; line-height: 1.35; }
.tiles span { color: var(--faint); font-size: 13px; }
.warn { background: var(--warn); border: 1px solid var(--warn-line);
  border-radius: 8px; padding: 10px 14px; margin: 12px 0; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: 13px;
  font-variant-numeric: tabular-nums; }
th, td { padding: 5px 6px; text-align: right; border-bottom: 1px solid
  var(--line); white-space: nowrap; }
th { color: var(--faint); font-weight: 600; }
th:first-child, td:first-child, .words th, .words td { text-align: left; }
.words td { white-space: normal; vertical-align: top; }
tr.best td { font-weight: 600; }
pre { background: var(--page); border: 1px solid var(--line); margin: 0;
  border-radius: 6px; padding: 12px 14px; overflow-x: auto; }
ul { margin: 0; padding-left: 20px; } li { margin: 4px 0; }
svg { width: 100%; height: auto; display: block; }
svg text { font: 12px system-ui, sans-serif; fill: var(--ink);
  paint-order: stroke; stroke: var(--card); stroke-width: 4px; }
svg rect, svg path { stroke: none; }
.legend span { display: inline-block; margin-right: 16px; font-size: 13px;
  color: var(--faint); }
.legend i { display: inline-block; width: 11px; height: 11px; border-radius:
  2px; margin-right: 6px; }
.products, .weights, .forward { fill: var(--blue); background: var(--blue); }
.attention, .gradients, .backward_weight { fill: var(--green);
  background: var(--green); }
.other_ops, .optimizer { fill: var(--yellow); background: var(--yellow); }
.communication, .activations, .backward_input { fill: var(--red);
  background: var(--red); }
.gaps, .other, .exchange { fill: var(--grey); background: var(--grey); }
.stages, .masters, .once { fill: var(--violet); background: var(--violet); }
.backward { fill: var(--sand); background: var(--sand); }
.idle { fill: var(--idle); background: var(--idle); }
.exposed { fill: var(--ink); background: var(--ink); }
.odd { fill-opacity: 0.6; }
svg .mark { stroke: var(--ink); stroke-width: 1.2; stroke-dasharray: 4 3; }
"""
