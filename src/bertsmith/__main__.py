"""`python -m bertsmith`, and `bertsmith`."""

import sys

from bertsmith.core.large_pages import start_with_large_pages


def start() -> int:
    """Run the command that was typed; return the exit code."""
    start_with_large_pages()
    from bertsmith.cli import main  # noqa: PLC0415 - before the second start it would be imported in vain

    return main()


if __name__ == "__main__":
    sys.exit(start())
