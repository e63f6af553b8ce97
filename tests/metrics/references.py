r"""Makes the reference values of these tests again, by the field's own packages; no test imports it.

    uv venv --python 3.11 references && . references/bin/activate
    uv pip install torch torchvision torch-fidelity==0.4.0 pytorch-fid==0.3.0 clean-fid==0.1.35 prdc==0.2 \
        scikit-learn==1.9.1 scikit-image==0.26.0 scipy==1.17.1
    python tests/metrics/references.py --progan FOLDER

FOLDER holds `sliced_wasserstein.py` from `metrics/` of github.com/tkarras/progressive_growing_of_gans at commit
a92638a4bff6; its licence does not let it stand here. Without `--progan` its values are left out. It calculates in
float32; the two places that say so are read as float64 before it runs.

torchvision is imported by three of the packages for their networks, which are not called: where it does not fit the
torch at hand, a stand-in does.
"""

import argparse
import importlib.metadata
import pathlib
import sys
import types
import unittest.mock
import warnings

import numpy as np
import recipes
import scipy.spatial
import scipy.stats
import skimage.color
import skimage.metrics
import sklearn.metrics
import sklearn.neighbors

try:
    import torchvision  # noqa: F401
except (ImportError, RuntimeError):
    for name in list(sys.modules):
        if name.partition(".")[0] == "torchvision":
            del sys.modules[name]
    for name in ("", ".transforms", ".transforms.functional", ".datasets", ".models"):
        sys.modules[f"torchvision{name}"] = unittest.mock.MagicMock(__spec__=None)

import cleanfid.fid
import prdc
import pytorch_fid.fid_score
import torch
from torch_fidelity import metric_fid, metric_isc, metric_kid, metric_prc


def statistics(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return features.mean(axis=0), np.cov(features, rowvar=False)


def frechet() -> None:
    for name, (real, fake) in {"wide": recipes.wide(), "singular": recipes.singular()}.items():
        both = [metric_fid.fid_features_to_statistics(torch.from_numpy(features)) for features in (real, fake)]
        value = metric_fid.fid_statistics_to_metric(*both, verbose=False)[metric_fid.KEY_METRIC_FID]
        show(f"frechet, {name}, torch-fidelity fid_statistics_to_metric", value)
        moments = (*statistics(real), *statistics(fake))
        show(f"frechet, {name}, pytorch-fid calculate_frechet_distance", pytorch_fid_distance(moments))
        show(f"frechet, {name}, clean-fid frechet_distance", cleanfid.fid.frechet_distance(*moments))


def pytorch_fid_distance(moments: tuple) -> float:
    return pytorch_fid.fid_score.calculate_frechet_distance(*moments)


def kernel() -> None:
    real, fake = recipes.wide()
    sets = [torch.from_numpy(features) for features in (real, fake)]
    options = {
        "kid_subsets": recipes.KERNEL_SUBSETS["subsets"],
        "kid_subset_size": recipes.KERNEL_SUBSETS["subset_size"],
        "rng_seed": recipes.KERNEL_SUBSETS["seed"],
        "verbose": False,
    }
    values = metric_kid.kid_features_to_metric(*sets, **options)
    show(f"kernel, wide, torch-fidelity kid_features_to_metric({options})", *values.values())
    equal = [features[:500] for features in sets]
    values = metric_kid.kid_features_to_metric(*equal, kid_subsets=1, kid_subset_size=500, verbose=False)
    show("kernel, wide cut to 500 rows, torch-fidelity, one subset of all", values[metric_kid.KEY_METRIC_KID_MEAN])
    value = cleanfid.fid.kernel_distance(real[:500], fake, num_subsets=1, max_subset_size=500)
    show("kernel, wide cut to 500 rows, clean-fid kernel_distance, one subset of all", value)
    show("kernel, wide, sklearn polynomial_kernel in the formula of the paper", kernel_formula(real, fake))


def kernel_formula(x: np.ndarray, y: np.ndarray) -> float:
    def k(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return sklearn.metrics.pairwise.polynomial_kernel(a, b, degree=3, gamma=1 / a.shape[1], coef0=1)

    within = [k(a, a)[~np.eye(len(a), dtype=bool)].mean() for a in (x, y)]
    return sum(within) - 2 * k(x, y).mean()


def inception() -> None:
    logits = torch.from_numpy(recipes.logits())
    for splits in (1, recipes.SPLITS):
        values = metric_isc.isc_features_to_metric(logits, splits=splits, shuffle=False)
        show(f"inception, torch-fidelity isc_features_to_metric(splits={splits}, shuffle=False)", *values.values())


def neighbours() -> None:
    real, fake = recipes.near()
    sets = [torch.from_numpy(features) for features in (fake, real)]
    for k in (3, 5):
        values = metric_prc.prc_features_to_metric(*sets, prc_neighborhood=k, verbose=False)
        show(f"precision, recall, near, torch-fidelity prc_features_to_metric(prc_neighborhood={k})", *values.values())
        show(f"near, prdc compute_prdc(nearest_k={k})", *prdc.compute_prdc(real, fake, nearest_k=k).items())


def parzen() -> None:
    samples, data = recipes.near()
    for sigma in recipes.SIGMAS:
        # One leaf: with more its sums lose their digits, at a bandwidth of 0.5 by nats in some rows of these sets.
        window = sklearn.neighbors.KernelDensity(bandwidth=sigma, leaf_size=len(samples)).fit(samples)
        scores = window.score_samples(data)
        what = f"parzen, near, sklearn KernelDensity(bandwidth={sigma}, leaf_size={len(samples)})"
        show(what, scores.mean(), scipy.stats.sem(scores, ddof=0))


def divergences() -> None:
    p, q = recipes.distributions()
    show("kl, scipy.stats.entropy(p, q)", scipy.stats.entropy(p, q))
    show(
        "jensen-shannon, scipy.spatial.distance.jensenshannon(p, q) ** 2",
        scipy.spatial.distance.jensenshannon(p, q) ** 2,
    )


def reconstruction() -> None:
    images = recipes.pictures()
    luma = [skimage.color.rgb2ycbcr(image)[..., :1] for image in images]
    whole = [np.rint(image) for image in luma]  # as MATLAB's of uint8
    cut = [image[4:-4, 4:-4] for image in whole]
    options = {
        "data_range": 255,
        "channel_axis": -1,
        "gaussian_weights": True,
        "use_sample_covariance": False,
    }
    for name, pair in {"rgb": images, "y of floats": luma, "y": whole, "y, shaved by 4": cut}.items():
        pair = [image.astype(np.float64) for image in pair]
        show(f"psnr, {name}, skimage", skimage.metrics.peak_signal_noise_ratio(*pair, data_range=255))
        show(
            f"ssim, {name}, skimage structural_similarity({options})",
            skimage.metrics.structural_similarity(*pair, **options),
        )


def sliced(folder: pathlib.Path) -> None:
    """The authors' code on the random numbers that kgan draws: a level's places and directions, then the next level's.

    A patch is transposed there, columns before rows, and so are the directions here.
    """
    source = (folder / "sliced_wasserstein.py").read_text()
    for before, after in (("np.float32(minibatch)", "np.float64(minibatch)"), ("dirs.astype(np.float32)", "dirs")):
        assert source.count(before) == 1
        source = source.replace(before, after)
    module = types.ModuleType("sliced_wasserstein")
    exec(source, module.__dict__)

    real, fake = (images.transpose(0, 3, 1, 2) for images in recipes.image_sets())
    random, count = np.random.RandomState(0), 128 * len(real)
    places, directions = {"reals": [], "fakes": []}, []
    for side in (32, 16):
        for mode in ("reals", "fakes"):
            places[mode] += [random.randint(3, side - 3, count) for _ in range(2)]
        directions.append(random.standard_normal((3, 7, 7, 512)).transpose(0, 2, 1, 3).reshape(3 * 49, 512))
    draws = iter(places["reals"] + places["fakes"])
    normals = iter([directions[0], directions[1], *directions])  # the first two are drawn where the reals end
    module.np.random = types.SimpleNamespace(
        randint=lambda low, high, size: next(draws).reshape(size), randn=lambda *shape: next(normals)
    )
    api = module.API(len(real), real.shape[1:], real.dtype, len(real))
    api.dir_repeats, api.dirs_per_repeat = 1, 512
    for mode, images in (("reals", real), ("fakes", fake)):
        api.begin(mode)
        api.feed(mode, images)
        values = api.end(mode)
    show("sliced, authors' code in float64, seed 0: 32, 16, mean", *values)


def show(what: str, *values: object) -> None:
    print(f"{what}:\n    {', '.join(repr(value) for value in values)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--progan", type=pathlib.Path)
    folder = parser.parse_args().progan
    packages = ("numpy", "scipy", "torch", "torch-fidelity", "pytorch-fid", "clean-fid", "prdc", "scikit-learn")
    print({name: importlib.metadata.version(name) for name in (*packages, "scikit-image")})
    warnings.simplefilter("ignore")
    for references in (frechet, kernel, inception, neighbours, parzen, divergences, reconstruction):
        references()
    if folder:
        sliced(folder)


if __name__ == "__main__":
    main()
