"""`python -m kgan.sync`: sends what a tracker did not take while a run trained."""

import sys

from kgan import options


def sync(run: str, tracking_uri: str | None = None) -> None:
    """Sends a run's numbers, pictures and files to its tracker, where it has not taken them.

    Args:
        run: id or folder of the run.
        tracking_uri: of MLflow, where the run's own has moved.
    """
    from kgan import tracking

    tracking.sync(tracking.find_run(run), tracking_uri)
    print(f"run {run}: the tracker has everything")


command = options.command_from("sync", sync)

if __name__ == "__main__":
    with options.command_line():
        options.invoke(command, sys.argv[1:], {})
