"""`python -m bertsmith`, and `bertsmith`."""

import sys

from bertsmith.core.process_environment import start_tuned


def start() -> int:
    """Run the command that was typed; return the exit code."""
    start_tuned()
    from bertsmith.cli import main  # noqa: PLC0415 - before the second start it would be imported in vain

    return main()


if __name__ == "__main__":
    sys.exit(start())
