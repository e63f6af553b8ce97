"""Judging samples: distances between feature sets, scores, likelihoods, image quality. NumPy in, floats out.

All work in float64 inside and need neither TensorFlow nor Keras. What they are given they refuse by an InputError that
names the argument; they know nothing of networks, runs or data sets.
"""

from kgan.metrics.coverage import class_coverage
from kgan.metrics.divergence import jensen_shannon_divergence, kl_divergence
from kgan.metrics.frechet import feature_statistics, frechet_distance, frechet_distance_from_statistics
from kgan.metrics.inception import inception_score
from kgan.metrics.kernel import kernel_distance
from kgan.metrics.memorisation import memorisation
from kgan.metrics.parzen import choose_sigma, parzen_log_likelihood
from kgan.metrics.prdc import density_coverage, precision_recall
from kgan.metrics.reconstruction import psnr, ssim
from kgan.metrics.sliced import sliced_wasserstein

__all__ = [
    "choose_sigma",
    "class_coverage",
    "density_coverage",
    "feature_statistics",
    "frechet_distance",
    "frechet_distance_from_statistics",
    "inception_score",
    "jensen_shannon_divergence",
    "kernel_distance",
    "kl_divergence",
    "memorisation",
    "parzen_log_likelihood",
    "precision_recall",
    "psnr",
    "sliced_wasserstein",
    "ssim",
]
