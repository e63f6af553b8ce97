"""How far a pix2pix run's translations are from the truth, beside two that know nothing: the mean and the input.

    python docs/benchmarks/facades.py --run RUN_ID --data FOLDER_OF_FACADES

The distance is L1, the mean over the pixels and channels of all test pairs, as a share of the range.
"""

import argparse

from kgan import options

options.load_tensorflow()

import numpy as np

import pipelines
from kgan import state, tracking


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", required=True)
    parser.add_argument("--data", required=True)
    arguments = parser.parse_args()
    model = state.load_model(tracking.find_run(arguments.run))
    size = model.image_shape[0]
    train, test = (pipelines.load_pairs("paired", arguments.data, image_size=size, split=s) for s in ("train", "test"))
    (direction,) = model.directions
    sides = (test.a, test.b) if direction == "a_to_b" else (test.b, test.a)
    inputs, targets = (side.images for side in sides)
    mean = (train.b if direction == "a_to_b" else train.a).images.mean(0)

    def distance(images: np.ndarray) -> float:
        return float(np.mean([np.abs(x.astype(np.float64) - y).mean() for x, y in zip(images, targets, strict=True)]))

    translated = np.concatenate([model.translate(image[None], direction) for image in inputs])
    print(f"{test.size} test pairs, {direction}, step {int(model.step.numpy())}")
    for name, images in (
        ("translated", translated),
        ("the mean training image", np.broadcast_to(mean, targets.shape)),
        ("the input copied", inputs),
    ):
        print(f"L1 of {name}: {distance(images) / 255:.4f}")


if __name__ == "__main__":
    main()
