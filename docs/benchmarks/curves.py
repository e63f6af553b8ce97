"""Draws what a WGAN-GP training says of itself: the Wasserstein estimate and the norm of the critic's gradient.

python docs/benchmarks/curves.py RUN_ID docs/wgan-gp-curves.png
"""

import argparse

import matplotlib

matplotlib.use("agg")
from matplotlib import pyplot

from kgan import tracking
from kgan.journal import Journal


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run")
    parser.add_argument("output")
    arguments = parser.parse_args()
    entries = [e for e in Journal(tracking.find_run(arguments.run)).entries() if e["kind"] == "metrics"]
    curves = [(entry["step"], entry["values"]) for entry in entries if "wasserstein" in entry["values"]]
    steps = [step for step, _ in curves]
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(9, 3), layout="constrained")
    left.plot(steps, [values["wasserstein"] for _, values in curves])
    left.set(xlabel="generator steps", title="Wasserstein estimate: mean D(x) - mean D(G(z))", ylim=(0, None))
    right.plot(steps, [values["input_gradient_norm"] for _, values in curves])
    right.axhline(1, color="gray", linewidth=0.8)
    right.set(xlabel="generator steps", title="mean norm of the critic's gradient", ylim=(0, 2))
    figure.savefig(arguments.output, dpi=100)


if __name__ == "__main__":
    main()
