"""Print docs/cli.md from the program's own help: python docs/make_cli_page.py > docs/cli.md."""

from __future__ import annotations

import typer
from typer.testing import CliRunner

from gingham.cli import app


def main() -> None:
    """Print the page."""
    runner = CliRunner(env={"COLUMNS": "96", "TERMINAL_WIDTH": "96", "NO_COLOR": "1"})
    names = [command.name or command.callback.__name__ for command in app.registered_commands]  # type: ignore[union-attr]
    print("# The command line\n")
    print(
        "`--json` prints machine-readable output and nothing else on stdout. Exit status: 0 done,\n"
        "1 done but some images failed, 2 refused. With `--json` a refusal is JSON on stdout:\n"
        '`{"error": {"type": "InputError", "message": "...", "path": "..."}}`; `path` only where\n'
        "the error is about one file or folder.\n"
    )
    groups = [
        [group.typer_instance.info.name, command.name or command.callback.__name__]  # type: ignore[union-attr]
        for group in app.registered_groups
        for command in group.typer_instance.registered_commands  # type: ignore[union-attr]
    ]
    for arguments in ([], *([name] for name in names), *groups):
        done = runner.invoke(app, [*arguments, "--help"], prog_name="gingham")
        assert done.exit_code == 0, done.output
        title = " ".join(["gingham", *arguments])
        text = "\n".join(line.rstrip() for line in done.output.strip().splitlines())
        print(f"## {title}\n\n```text\n{text}\n```\n")


if __name__ == "__main__":
    assert isinstance(app, typer.Typer)
    main()
