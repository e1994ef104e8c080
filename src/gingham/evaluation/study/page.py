"""The frame of a page of sections: one file, everything inside it, nothing fetched."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files

from gingham.report.frame import escaped, html_page, printable


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
    style : CSS added to that of the kit.
    tail : HTML after the sections; scripts are allowed only where there is some.

    Returns
    -------
    The HTML; what UTF-8 cannot hold (odd bytes in file names) is replaced, the tail excepted.
    """
    links = "".join(f'<a href="#{anchor}">{name}</a>' for name, anchor, _ in sections)
    parts = "".join(
        f'<section id="{anchor}"><h2>{name}</h2>{printable(body)}</section>'
        for name, anchor, body in sections
    )
    head = f"<header><h1>{escaped(title)}</h1>{printable(summary)}<nav>{links}</nav></header>"
    body = f"{head}\n<main>{parts}</main>\n{tail}"
    kit = asset("templates/kit.css", "gingham.report")
    return html_page(title, kit + style, body, scripts=bool(tail))


def asset(name: str, package: str = "gingham.evaluation.study") -> str:
    """Read a file that comes with a package."""
    return (files(package) / name).read_text(encoding="utf-8")
