"""How fast a folder of pictures is decoded, and how many cores that keeps busy.

    python docs/benchmarks/decoding.py FOLDER --size 256 [--rounds 3]

A training decodes its pictures once, before the first step, and holds them as bytes. The first round, in which the
system may still read the files, does not count; figures are medians.
"""

import argparse
import statistics
import time

import pipelines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder")
    parser.add_argument("--size", type=int, required=True)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    rounds = [decoded(arguments.folder, arguments.size) for _ in range(1 + arguments.rounds)][1:]
    images, seconds, cpu = (statistics.median(column) for column in zip(*rounds, strict=True))
    print(f"{images:.0f} images in {seconds:.2f} s: {images / seconds:.0f} a second, on {cpu / seconds:.2f} cores")


def decoded(folder: str, size: int) -> tuple[int, float, float]:
    """Images, seconds and CPU seconds."""
    clock, cpu = time.perf_counter(), time.process_time()
    data = pipelines.load(folder, image_size=size)
    return data.size, time.perf_counter() - clock, time.process_time() - cpu


if __name__ == "__main__":
    main()
