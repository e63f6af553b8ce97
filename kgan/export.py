"""`python -m kgan.export`: writes a verified SavedModel for TensorFlow Serving."""

import pathlib
import sys

from kgan import options
from kgan.errors import InputError, RunError


def export(
    run: str,
    output: str,
    checkpoint: str = "last",
    xla: bool = False,
    register: str | None = None,
    alias: str | None = None,
) -> None:
    """Exports the generator of a run as the next version of a model, verified before it gets its name.

    Args:
        run: id or folder of the run.
        output: DIR/NAME, a model's folder; the versions in it are 1, 2 ...
        checkpoint: of the run: its step, last or best.
        xla: add each signature once more, compiled by XLA, under its name and _xla.
        register: also make it the newest version of this model in MLflow's registry.
        alias: of that version, as champion; it leaves the version that had it.
    """
    options.load_tensorflow()
    from kgan import card, registry, serving, state, tracking

    registry.check_names(register, alias)
    folder = tracking.find_run(run)
    model = state.load_model(folder, checkpoint)
    about = card.of_run(folder, model)
    exported = serving.export(model, pathlib.Path(output), about, xla)
    print(f"{exported.folder}: loaded in {exported.load_seconds:.2f} s, {exported.cases} calls verified")
    try:
        logged = registry.log(exported.folder, model, about, tracking.tracker_of(folder), register, alias)
    except InputError as error:
        raise RunError(f"{exported.folder} is written and verified, but not logged: {error}") from error
    print(f"tracker: logged as {logged.uri}")
    if register:
        print(f"registered as models:/{register}/{logged.version}")
    if alias:
        print(f"registered as models:/{register}@{alias}")


command = options.command_from("export", export)

if __name__ == "__main__":
    with options.command_line():
        options.invoke(command, sys.argv[1:], {})
