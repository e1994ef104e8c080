"""The frame of a page of sections: one file, everything inside it, nothing fetched."""

from __future__ import annotations

import html
from collections.abc import Sequence
from importlib.resources import files
from string import Template

from gingham.sheet import UNWRITABLE

_PAGE = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; img-src data:; style-src 'unsafe-inline'$scripts">
<title>$title</title>
<style>
$style
</style>
</head>
<body>
<header><h1>$title</h1>$summary<nav>$links</nav></header>
<main>$body</main>
$tail</body>
</html>
""")


def sectioned_page(
    title: str,
    summary: str,
    sections: Sequence[tuple[str, str, str]],
    *,
    style: str = "",
    tail: str = "",
) -> str:
    """Write a page of sections with a link to each.

    Parameters
    ----------
    title : text; it is escaped here.
    summary : HTML that stands under the title.
    sections : (title, anchor, HTML) of each.
    style : CSS besides `asset("page.css")`.
    tail : HTML after the sections; scripts are allowed only where there is some.

    Returns
    -------
    The HTML; what UTF-8 cannot hold (odd bytes in file names) is replaced, the tail excepted.
    """
    return _PAGE.substitute(
        title=html.escape(printable(title)),
        style=asset("page.css") + style,
        summary=printable(summary),
        links="".join(f'<a href="#{anchor}">{name}</a>' for name, anchor, _ in sections),
        body="".join(
            f'<section id="{anchor}"><h2>{name}</h2>{printable(body)}</section>'
            for name, anchor, body in sections
        ),
        tail=tail,
        scripts="; script-src 'unsafe-inline'" if tail else "",
    )


def asset(name: str, package: str = "gingham.study") -> str:
    """Read a file that comes with a package."""
    return (files(package) / name).read_text(encoding="utf-8")


def printable(text: str) -> str:
    """Replace what a page cannot hold: control characters, and odd bytes of file names."""
    return UNWRITABLE.sub("\N{REPLACEMENT CHARACTER}", text)
