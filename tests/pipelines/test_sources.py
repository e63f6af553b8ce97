import subprocess
import sys

import pytest

import pipelines
from kgan.errors import InputError


def test_importing_the_package_imports_nothing_heavy():
    heavy = ("tensorflow", "tensorflow_datasets", "keras_cv", "numpy", "PIL", "sklearn", "psutil")
    check = f"import sys, pipelines; print([name for name in {heavy} if name in sys.modules])"
    shown = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


def test_sources_name_every_kind_with_one_line_each():
    assert set(pipelines.SOURCES) == {"digits", "mnist", "fashion_mnist", "cifar10", "tfds:NAME[/CONFIG]", "PATH"}
    assert all(text and "\n" not in text for text in pipelines.SOURCES.values())


@pytest.mark.parametrize(
    "name, meant", [("digts", "digits"), ("fashion-mnist", "fashion_mnist"), ("cifar", "cifar10")]
)
def test_an_unknown_name_gets_its_near_misses(name, meant):
    with pytest.raises(
        InputError, match=rf"--data {name}: neither a data set .* nor a folder .*Did you mean .*'{meant}'"
    ):
        pipelines.load(name)


@pytest.mark.parametrize("name", ["", "no/such/folder", "pictures.tar.gz"])
def test_a_path_that_is_not_there_is_told(name):
    with pytest.raises(InputError, match=f"--data {name}: neither .* nor a folder or file that exists"):
        pipelines.load(name)


def test_a_file_of_another_kind_is_refused(tmp_path):
    (tmp_path / "pictures.rar").write_bytes(b"Rar!")
    with pytest.raises(InputError, match=r"pictures.rar: a file of an unknown kind; expected .npz, .tar"):
        pipelines.load(str(tmp_path / "pictures.rar"))


@pytest.mark.parametrize("image_size", [0, 4, 30, 260, -8])
def test_image_size_is_a_multiple_of_4_from_8_to_256(image_size):
    with pytest.raises(InputError, match=f"--image-size {image_size}: expected a multiple of 4 from 8 to 256"):
        pipelines.load("digits", image_size=image_size)


@pytest.mark.parametrize("image_size, load_size", [(32, 31), (None, 15)])
def test_load_size_is_not_below_the_image_size(image_size, load_size):
    with pytest.raises(InputError, match=f"--load-size {load_size}: expected the image size .* or more"):
        pipelines.load("digits", image_size=image_size, load_size=load_size)


def test_an_unknown_split_is_refused():
    with pytest.raises(InputError, match="--split validation: expected one of train, test"):
        pipelines.load("digits", split="validation")


def test_a_home_folder_is_expanded(tmp_path, monkeypatch, write_image):
    write_image(tmp_path / "pictures" / "a.png")
    monkeypatch.setenv("HOME", str(tmp_path))
    data = pipelines.load("~/pictures")
    assert data.name == "~/pictures"
    assert data.images.shape == (1, 8, 8, 3)
