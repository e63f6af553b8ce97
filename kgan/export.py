"""`python -m kgan.export`: writes a verified SavedModel for TensorFlow Serving."""

import pathlib
import sys

from kgan import options


def export(run: str, output: str, checkpoint: str = "last", xla: bool = False) -> None:
    """Exports the generator of a run as the next version of a model, verified before it gets its name.

    Args:
        run: id or folder of the run.
        output: DIR/NAME, a model's folder; the versions in it are 1, 2 ...
        checkpoint: step of the checkpoint to take, or last.
        xla: add each signature once more, compiled by XLA, under its name and _xla.
    """
    options.load_tensorflow()
    from kgan import card, serving, state, tracking

    folder = tracking.find_run(run)
    model = state.load_model(folder, checkpoint)
    exported = serving.export(model, pathlib.Path(output), card.of_run(folder, model), xla)
    print(f"{exported.folder}: loaded in {exported.load_seconds:.2f} s, {exported.cases} calls verified")


command = options.command_from("export", export)

if __name__ == "__main__":
    with options.command_line():
        options.invoke(command, sys.argv[1:], {})
