"""Any set of tensorflow-datasets that has images, built where it is not yet and found out soon where it cannot be."""

import contextlib
import io
import os
import pathlib
import socket
import sys
import threading
import urllib.parse
import urllib.request
from collections.abc import Iterator

import numpy as np

from kgan.errors import InputError, MissingSplitError, near_misses
from pipelines.pictures import Picture, Source, files_identity

_CONNECT_SECONDS = 3.0
_PORTS = {"http": 80, "https": 443, "ftp": 21}
_ROWS_AT_ONCE = 64


def read(name: str, split: str) -> Source:
    """Opens a set by "tfds:NAME[/CONFIG]", or by NAME alone; builds it first where that was not done before.

    Original files in `<data_dir>/downloads/manual` are used in place of downloads; `data_dir` is `TFDS_DATA_DIR` or
    the default of tensorflow-datasets.

    Raises:
        InputError: the name, the configuration or the split is unknown, the set has no images, or it is not prepared
            and its files can neither be found nor downloaded.
    """
    with _quiet():
        builder = _builder(name)
        _check_features(name, builder)
        if not builder.is_prepared():
            _prepare(name, builder)
        if split not in builder.info.splits:
            raise MissingSplitError(f"--data {name}: has no {split} split; it has {', '.join(builder.info.splits)}")
        class_names = _class_names(builder)
    return Source(
        name=name,
        split=split,
        pictures=lambda: _pictures(name, builder, split, class_names is not None),
        identity=files_identity(sorted(pathlib.Path(builder.data_path).iterdir())),
        class_names=class_names,
    )


def _builder(name: str):
    import tensorflow_datasets as tfds

    wanted = name.removeprefix("tfds:")
    dataset, _, config = wanted.partition("/")
    dataset = dataset.partition(":")[0]
    # tensorflow-datasets itself reads the variable only when it is imported.
    data_dir = pathlib.Path(os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets").expanduser()
    known = tfds.list_builders(with_community_datasets=False)
    if dataset not in known and not (dataset and (data_dir / dataset).is_dir()):
        raise InputError(f"--data {name}: {dataset!r} is no set of tensorflow-datasets.{near_misses(dataset, known)}")
    try:
        return tfds.builder(wanted, data_dir=data_dir)
    except Exception as error:
        configs = list(tfds.builder_cls(dataset).builder_configs) if dataset in known else []
        if not config or config.partition("/")[0] in configs:
            raise InputError(f"--data {name}: tensorflow-datasets cannot open it: {_one_line(error)}") from error
        raise InputError(
            f"--data {name}: {dataset} has no configuration {config!r}; expected {_some(configs) or 'none'}."
            f"{near_misses(config, configs)}"
        ) from error


def _check_features(name: str, builder) -> None:
    import tensorflow_datasets as tfds

    features = builder.info.features
    named = dict(features) if isinstance(features, tfds.features.FeaturesDict) else {}
    image = named.get("image")
    if not isinstance(image, tfds.features.Image):
        raise InputError(
            f"--data {name}: has no feature 'image' that is an image; it has {', '.join(named) or features}"
        )
    if image.np_dtype not in (np.uint8, np.uint16):
        raise InputError(f"--data {name}: its images are {np.dtype(image.np_dtype)}; expected uint8 or uint16")


def _class_names(builder) -> tuple[str, ...] | None:
    import tensorflow_datasets as tfds

    label = dict(builder.info.features).get("label")
    return tuple(label.names) if isinstance(label, tfds.features.ClassLabel) and label.names else None


def _prepare(name: str, builder) -> None:
    """Builds a set from files at hand or from its hosts; gives up at once on a host that does not answer."""
    import tensorflow_datasets as tfds

    manual = pathlib.Path(builder.data_dir_root) / "downloads" / "manual"
    config = tfds.download.DownloadConfig(manual_dir=manual, try_download_gcs=False)
    missing = _refuse_dead_hosts(builder)
    try:
        builder.download_and_prepare(download_config=config)
    except Exception as error:
        if missing:
            raise InputError(_how_to_place(name, builder, missing, manual)) from error
        raise InputError(
            f"--data {name}: tensorflow-datasets could not prepare it: {type(error).__name__}: {_one_line(error)}"
        ) from error


def _refuse_dead_hosts(builder) -> list[str]:
    """Makes the builder's downloads fail soon where a host does not answer; returns the list that will name them.

    tensorflow-datasets itself tries ten times, for more than three minutes. Only it knows, and only while it builds,
    which files a configuration needs and which of them are at hand, so the check sits at its downloader.
    """
    from promise import Promise

    missing = []
    make = builder._make_download_manager

    def make_checked(*args, **kwargs):
        manager = make(*args, **kwargs)
        download = manager._downloader.download

        def checked_download(url: str, destination: os.PathLike, **options):
            # One that is dead ends the build, so the others are only named.
            if missing or not _answers(url):
                missing.append(url)
                os.rmdir(destination)
                return Promise.reject(ConnectionError(url))
            return download(url, destination, **options)

        manager._downloader.download = checked_download
        return manager

    builder._make_download_manager = make_checked
    return missing


def _answers(url: str) -> bool:
    """Says whether the host of an address (or its proxy) takes a connection within a few seconds."""
    parts = urllib.parse.urlsplit(url)
    proxy = urllib.request.getproxies().get(parts.scheme)
    if proxy and not urllib.request.proxy_bypass(parts.hostname):
        parts = urllib.parse.urlsplit(proxy if "//" in proxy else f"//{proxy}")
    place = (parts.hostname, parts.port or _PORTS.get(parts.scheme, 443))
    answered = threading.Event()

    def connect() -> None:
        with contextlib.suppress(OSError), socket.create_connection(place, _CONNECT_SECONDS):
            answered.set()

    # In a thread of its own, as looking up a name has no time limit.
    attempt = threading.Thread(target=connect, daemon=True)
    attempt.start()
    attempt.join(_CONNECT_SECONDS)
    return answered.is_set()


def _how_to_place(name: str, builder, missing: list[str], manual: pathlib.Path) -> str:
    host = urllib.parse.urlsplit(missing[0]).hostname
    known = builder.url_infos or {}
    files = sorted(known[url].filename for url in missing if url in known)
    place = f"put the original files {_some(files)} into {manual}, or " if len(files) == len(missing) else ""
    return (
        f"--data {name}: not prepared in {builder.data_dir_root}, and {host} cannot be reached (no network?): {place}"
        f"prepare the set on another machine and copy its folder to {builder.data_path}; then run again"
    )


def _pictures(name: str, builder, split: str, labelled: bool) -> Iterator[Picture]:
    import tensorflow as tf
    import tensorflow_datasets as tfds

    options = tf.data.Options()
    options.autotune.enabled = False
    wanted = {"image": True, "label": True} if labelled else {"image": True}
    with _quiet():
        dataset = builder.as_dataset(
            split=split,
            shuffle_files=False,
            decoders=tfds.decode.PartialDecoding(wanted, decoders={"image": tfds.decode.SkipDecoding()}),
            read_config=tfds.ReadConfig(interleave_cycle_length=1, try_autocache=False, options=options),
        )
    index = 0
    try:
        for batch in dataset.batch(_ROWS_AT_ONCE).prefetch(2).as_numpy_iterator():
            labels = batch["label"] if labelled else [None] * len(batch["image"])
            for image, label in zip(batch["image"], labels, strict=True):
                yield Picture(f"{split} example {index}", image, label)
                index += 1
    except tf.errors.OpError as error:
        raise InputError(f"--data {name}: the files in {builder.data_path} are damaged: {_one_line(error)}") from error


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keeps tensorflow-datasets from stdout; and from its bars and remarks where no person watches."""
    import tensorflow_datasets as tfds
    from absl import logging

    watched = sys.stderr.isatty()
    if not watched:
        tfds.disable_progress_bar()
    verbosity = logging.get_verbosity()
    logging.set_verbosity(logging.ERROR)
    try:
        with contextlib.redirect_stdout(sys.stderr if watched else io.StringIO()):
            yield
    finally:
        logging.set_verbosity(verbosity)


def _some(names: list[str]) -> str:
    return ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "")


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:400]
