"""`python -m gingham`, and the script `gingham`."""

from __future__ import annotations

import signal


def main() -> None:
    """Run the command line."""
    # Whoever stops the program while it is still being loaded shall see no traceback.
    handler = signal.getsignal(signal.SIGINT)
    if handler is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from gingham.cli import main as run

    signal.signal(signal.SIGINT, handler)
    run()


if __name__ == "__main__":
    main()
