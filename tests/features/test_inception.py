import gzip
import hashlib
import importlib
import io
import pathlib
import tarfile
import threading
import time

import numpy as np
import pytest

from kgan.errors import InputError
from kgan.features import compute, inception
from kgan.features.inception import ADDRESS, GRAPH
from tests.features import stand_in


@pytest.fixture
def place(tmp_path) -> pathlib.Path:
    path = tmp_path / "graph.pb"
    path.write_bytes(stand_in.graph())
    return path


def archive(**members: bytes) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as tar:
        for name, content in members.items():
            about = tarfile.TarInfo(name)
            about.size = len(content)
            tar.addfile(about, io.BytesIO(content))
    return file.getvalue()


def online(monkeypatch, content: bytes) -> list[str]:
    """Serves some bytes; returns the list of addresses that will be asked for."""
    asked = []

    def answer(address, timeout):
        asked.append(address)
        return io.BytesIO(content)

    monkeypatch.setattr("urllib.request.urlopen", answer)
    return asked


def test_runs_the_graph_with_its_own_resizing_and_no_bias(place, images):
    batch = images(3, 32, 24, 3)
    rows, logits = inception(str(place)).extract(batch)
    pool, product = stand_in.expected(stand_in.bilinear(batch, 299, 299))
    assert rows.dtype == logits.dtype == np.float32
    assert (rows.shape, logits.shape) == ((3, 16), (3, 12))
    np.testing.assert_allclose(rows, pool, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(logits, product, rtol=1e-3, atol=1e-4)


def test_larger_images_are_reduced_without_antialiasing(place, images):
    batch = images(1, 400, 640, 3)
    rows, _ = inception(str(place)).extract(batch)
    pool, _ = stand_in.expected(stand_in.bilinear(batch, 299, 299))
    np.testing.assert_allclose(rows, pool, rtol=1e-4, atol=1e-5)


def test_the_graph_is_as_old_as_the_real_one(tmp_path):
    (tmp_path / "new.pb").write_bytes(stand_in.graph(producer=9))
    with pytest.raises(InputError, match=r"BatchNormWithGlobalNormalization") as caught:
        inception(str(tmp_path / "new.pb"))
    assert "\n" not in str(caught.value)


def test_clean_resizing_is_before_the_graph(place, images):
    batch = images(2, 400, 400, 3)
    features = inception(str(place), resize="clean")
    # Reduced with antialiasing, noise goes; the legacy method keeps it.
    legacy, _ = inception(str(place)).extract(batch)
    rows, _ = features.extract(batch)
    assert np.abs(rows - legacy).max() > 0.01
    assert features.resize.startswith("clean: Pillow bicubic")
    whole = images(2, 299, 299, 3)
    pool, _ = stand_in.expected(whole)
    np.testing.assert_allclose(features.extract(whole)[0], pool, rtol=1e-4, atol=1e-5)


def test_an_image_gives_the_same_row_alone_and_among_others(place, images):
    features = inception(str(place))
    batch = images(5, 16, 16, 3)
    together, _ = compute(features, [batch])
    alone, _ = compute(features, [batch[:1], batch[1:3], batch[3:]])
    np.testing.assert_allclose(alone, together, rtol=1e-5, atol=1e-6)


def test_grey_images_are_repeated(place, images):
    features = inception(str(place))
    grey = images(2, 28, 28, 1)
    np.testing.assert_array_equal(features.extract(grey)[0], features.extract(np.repeat(grey, 3, -1))[0])


def test_says_what_it_is(place):
    features = inception(str(place))
    assert features.name == "inception"
    assert features.sha256 == hashlib.sha256(place.read_bytes()).hexdigest()
    assert features.resize == ("legacy: bilinear without antialiasing, corners not aligned, to 299x299 (TensorFlow 1)")


@pytest.mark.parametrize("channels", [2, 4])
def test_refuses_other_channels(place, images, channels):
    with pytest.raises(InputError, match=rf"^images: got {channels} channels, expected 1 or 3 for inception$"):
        inception(str(place)).extract(images(1, 16, 16, channels))


def test_refuses_an_unknown_method(place):
    with pytest.raises(InputError, match=r"^resize: got 'lagacy', expected one of .* Did you mean 'legacy'"):
        inception(str(place), resize="lagacy")


def test_takes_the_graph_out_of_the_archive(place, tmp_path):
    path = tmp_path / "inception.tgz"
    path.write_bytes(archive(**{"LICENSE": b"text", f"./{GRAPH}": place.read_bytes(), "../outside": b"no"}))
    assert inception(str(path)).sha256 == inception(str(place)).sha256
    assert sorted(file.name for file in tmp_path.iterdir()) == ["graph.pb", "inception.tgz"]


BAD = {
    "empty": b"",
    "text": b"<html>not found</html>",
    "half": b"\x1f\x8b\x08\x00",
    "no tar": gzip.compress(b"hello"),
    "without it": archive(LICENSE=b"text"),
    "damaged": archive(**{GRAPH: b"x" * 5000})[:-40],
}


@pytest.mark.parametrize("content", BAD.values(), ids=BAD.keys())
def test_refuses_what_is_no_such_graph(tmp_path, content):
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"^the Inception graph .*file: got no such graph") as caught:
        inception(str(path))
    assert "\n" not in str(caught.value)


def test_refuses_absurd_sizes(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.import_module("kgan.features.inception"), "_LARGEST", 2**16)
    (tmp_path / "bomb").write_bytes(archive(**{GRAPH: b"\0" * 2**20}))
    (tmp_path / "large").write_bytes(b"\0" * (2**16 + 1))
    for name in ("bomb", "large"):
        with pytest.raises(InputError, match=r"more than 65536 bytes"):
            inception(str(tmp_path / name))


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(InputError, match=r"there is no such file, expected classify_image_graph_def.pb or the .tgz$"):
        inception(str(tmp_path / "none.pb"))


def test_offline_tells_at_once_what_to_place_where(cache):
    started = time.monotonic()
    with pytest.raises(InputError) as caught:
        inception()
    said = str(caught.value)
    assert time.monotonic() - started < 5
    assert ADDRESS in said and str(cache / "inception" / GRAPH) in said and "\n" not in said
    assert "Name or service not known" in said


def test_a_server_that_does_not_answer_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(importlib.import_module("kgan.features.inception"), "_PATIENCE", 0.1)
    never = threading.Event()
    monkeypatch.setattr("urllib.request.urlopen", lambda *_, **__: never.wait(20))
    started = time.monotonic()
    with pytest.raises(InputError, match=r"no answer in 0.1 seconds"):
        inception()
    never.set()
    assert time.monotonic() - started < 5


def test_is_fetched_once(monkeypatch, cache, place, capsys):
    asked = online(monkeypatch, archive(**{GRAPH: place.read_bytes()}))
    first, second = inception(), inception()
    assert asked == [ADDRESS] and capsys.readouterr().out == f"fetching {ADDRESS}\n"
    assert first.sha256 == second.sha256 == inception(str(place)).sha256
    assert [file.name for file in (cache / "inception").iterdir()] == [GRAPH]


def test_keeps_nothing_that_is_no_graph(monkeypatch, cache):
    online(monkeypatch, b"<html>please sign in</html>")
    with pytest.raises(InputError, match=r"cannot be fetched"):
        inception()
    assert not list((cache / "inception").iterdir())


@pytest.mark.parametrize("name", [GRAPH, ADDRESS.rpartition("/")[2]])
def test_finds_what_a_person_has_placed(cache, place, name):
    content = place.read_bytes()
    (cache / "inception").mkdir(parents=True)
    (cache / "inception" / name).write_bytes(content if name == GRAPH else archive(**{GRAPH: content}))
    assert inception().sha256 == hashlib.sha256(content).hexdigest()
