"""What `kgan.train` can be told beside the recipe of its variant. Importing this imports nothing heavy."""

import dataclasses
from typing import Literal

# What may change when a run is resumed: none of it decides what a step computes.
FREE = ("steps", "sample_every", "log_every", "checkpoint_every", "keep", "on_nonfinite", "tracking_uri")
FREE += ("evaluate_every", "evaluate_metrics", "evaluate_num", "evaluate_features")
PLACES = ("data", "data_a", "data_b")  # where the data are: may change too, while they are the same data


@dataclasses.dataclass(frozen=True)
class Settings:
    """The settings of a training run.

    Args:
        variant: the system to train.
        data: digits, photos, mnist, fashion_mnist, cifar10, tfds:NAME[/CONFIG], or the path of a folder, .npz or
            .tar(.gz); where none is given, what comes with the program: digits, or photos for systems that translate.
        data_a: instead of --data, for systems that translate: the folder or archive of domain A ...
        data_b: ... and that of domain B.
        steps: train steps in all (one: k discriminator updates and a generator update); the recipe's where none is
            given.
        batch_size: images of one update; the recipe's where none is given.
        seed: of everything random: initial weights, latents, dropout, the order of the data.
        hold_out: images kept out of training, to choose by: the last of the set, of class folders the last of each.
        image_size: side of the images, a multiple of 4 from 8 to 256; the data set's own where none is given.
        load_size: side to which pictures are resized before a random crop to --image-size; where none is given the
            recipe's share more (translation: 286/256), or no crop.
        flip: mirror each picture left to right with probability 1/2; the recipe's choice where not said.
        augment: further random changes by keras-cv, comma-separated, as color,cutout; a resumed run repeats the rest
            bit for bit, but not these.
        skip_bad: train without pictures that cannot be read instead of refusing.
        sample_every: steps between two grids of samples.
        log_every: steps over which measures are averaged and logged.
        checkpoint_every: steps between two checkpoints, from which --resume goes on.
        keep: how many checkpoints are kept, the newest ones.
        evaluate_every: steps between two evaluations; the best checkpoint is kept in best/, beside the last ones.
        evaluate_metrics: what they measure (see kgan.evaluate), comma-separated; best goes by the first, by fid where
            none is given. Compared with what was held out, else with what is trained on.
        evaluate_num: samples of an evaluation; 5000 where none is given.
        evaluate_features: where features come from: as --features of kgan.evaluate.
        on_nonfinite: where a loss or weight is NaN or infinite, stop, or once roll back to the last checkpoint and
            draw other noise from there.
        precision: number format of the networks; auto is mixed_bfloat16 where the processor or every GPU
            multiplies in it, else float32.
        jit: compile the step with XLA; auto is on with a GPU and off without.
        tracking_uri: of MLflow; MLFLOW_TRACKING_URI or sqlite:///mlruns/mlflow.db where none is given.
        experiment: MLflow experiment.
    """

    variant: str = "dcgan"
    data: str | None = None
    data_a: str | None = None
    data_b: str | None = None
    steps: int | None = None
    batch_size: int | None = None
    seed: int = 0
    hold_out: int | None = None
    image_size: int | None = None
    load_size: int | None = None
    flip: bool | None = None
    augment: str | None = None
    skip_bad: bool = False
    sample_every: int = 500
    log_every: int = 50
    checkpoint_every: int = 1000
    keep: int = 2
    evaluate_every: int | None = None
    evaluate_metrics: str | None = None
    evaluate_num: int | None = None
    evaluate_features: str | None = None
    on_nonfinite: Literal["stop", "rollback"] = "stop"
    precision: Literal["auto", "float32", "mixed_bfloat16"] = "auto"
    jit: Literal["auto", "on", "off"] = "auto"
    tracking_uri: str | None = None
    experiment: str = "kgan"
