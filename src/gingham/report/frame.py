"""The frame of every page: one HTML file, everything inside it, nothing fetched."""

from __future__ import annotations

import html
import re

UNWRITABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
"""What a page cannot hold: control characters, and odd bytes of file names."""

STYLE = """
:root { color-scheme: light dark; --page: #f6f5f2; --card: #fff; --ink: #1d1c1a; --soft: #5d5a54;
 --line: #dedbd4; --good: #1a7040; --bad: #b3261e; --unknown: #6b5200; --query: #2a53b0; }
@media (prefers-color-scheme: dark) { :root { --page: #161614; --card: #21211e; --ink: #f0eee8;
 --soft: #aeaaa0; --line: #3a3934; --good: #6fd397; --bad: #ff958c; --unknown: #e3c45c;
 --query: #9dbbff; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem clamp(0.75rem, 3vw, 2.5rem) 4rem; max-width: 90rem;
 background: var(--page); color: var(--ink); font: 16px/1.45 system-ui, sans-serif; }
h1 { margin: 0 0 0.6rem; font-size: clamp(1.5rem, 4vw, 2.1rem); line-height: 1.15;
 overflow-wrap: anywhere; }
h1::before { content: ""; display: block; height: 14px; margin-bottom: 1rem; border-radius: 3px;
 background: repeating-linear-gradient(90deg, #2a53b088 0 7px, #0000 7px 14px),
 repeating-linear-gradient(#2a53b088 0 7px, #0000 7px 14px), #fff; }
"""
"""Colours in light and dark, and the head of a page."""


def html_page(title: str, style: str, body: str, *, scripts: bool = False) -> str:
    """Put a page together.

    Parameters
    ----------
    title : text; it is escaped here.
    style : CSS, all of it.
    body : HTML.
    scripts : whether those in `body` may run.
    """
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    if scripts:
        policy += "; script-src 'unsafe-inline'"
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
 content="{policy}">
<title>{escaped(title)}</title>
<style>
{style.strip()}
</style>
</head>
<body>
{body.strip()}
</body>
</html>
"""


def escaped(text: str) -> str:
    """Escape text for HTML, and replace what a page cannot hold."""
    return html.escape(printable(text))


def printable(text: str) -> str:
    """Replace what a page cannot hold."""
    return UNWRITABLE.sub("\N{REPLACEMENT CHARACTER}", text)
