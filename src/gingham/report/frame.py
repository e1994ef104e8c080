"""The frame of every page: one HTML file, everything inside it, nothing fetched."""

from __future__ import annotations

import html
import re

UNWRITABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
"""What a page cannot hold: control characters, and odd bytes of file names."""


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
