import dataclasses
import json

import pytest

from kgan import protocol
from kgan.errors import InputError
from kgan.protocol import Protocol, Value

PROTOCOL = Protocol(
    metric="fid",
    features="inception",
    features_sha256="ab" * 32,
    resize="legacy",
    data="sha256:" + "cd" * 32,
    split="train",
    real_count=50_000,
    fake_count=10_000,
    truncation=1.0,
    ema=False,
    precision="float32",
    parameters={},
    seeds=(0,),
    versions={"kgan": "0.1.0"},
)
FIRST = Value("fid", 34.73, None, "", "lower", PROTOCOL, {})
OTHERS = {
    "metric": "kid",
    "features": "classifier",
    "features_sha256": "00" * 32,
    "resize": "clean",
    "data": "sha256:00",
    "split": "test",
    "real_count": 10_000,
    "fake_count": 5000,
    "truncation": 0.7,
    "ema": True,
    "precision": "mixed_bfloat16",
    "parameters": {"k": 3},
}


def other(mean: float = 40.12, **changes) -> Value:
    return dataclasses.replace(FIRST, mean=mean, protocol=dataclasses.replace(PROTOCOL, **changes))


def test_figures_of_one_protocol_compare():
    assert other().minus(FIRST) == pytest.approx(5.39)
    assert FIRST.is_better_than(other()) and not other().is_better_than(FIRST) and not FIRST.is_better_than(FIRST)
    assert dataclasses.replace(other(), better="higher").is_better_than(dataclasses.replace(FIRST, better="higher"))


@pytest.mark.parametrize(("name", "value"), OTHERS.items())
def test_figures_of_unlike_protocols_do_not(name, value):
    with pytest.raises(InputError, match=f"fid: the protocols are unlike, .*{name}: "):
        FIRST.minus(other(**{name: value}))
    with pytest.raises(InputError, match=name):
        FIRST.is_better_than(other(**{name: value}))


def test_every_field_counts_but_draws_and_versions():
    assert set(OTHERS) | {"seeds", "versions"} == set(Protocol.__dataclass_fields__)
    assert other(seeds=(3, 4), versions={"kgan": "9"}).minus(FIRST) == pytest.approx(5.39)


def test_comes_back_from_its_file(tmp_path):
    value = dataclasses.replace(other(parameters={"k": 3}, seeds=(0, 1)), spread=0.5, spread_of="x", found={"a": [1]})
    path = tmp_path / "step-0000001-0.json"
    path.write_text(json.dumps([FIRST.to_json(), value.to_json()]))
    assert protocol.read(path) == [FIRST, value]


@pytest.mark.parametrize("content", ["", "[1]", "{}x", '[{"name": "fid"}]', "[" * 100_000])
def test_a_damaged_file_is_one_line(tmp_path, content):
    path = tmp_path / "step-0000001-0.json"
    path.write_text(content)
    with pytest.raises(InputError, match="is damaged"):
        protocol.read(path)


def test_a_table_shows_what_stands_behind_a_figure():
    assert str(FIRST) == "34.73" and str(dataclasses.replace(FIRST, spread=0.123)) == "34.73 ± 0.12"
    said = str(PROTOCOL)
    for part in ("inception abababab", "legacy", "10000 samples of seeds 0", "50000 images of train", "truncation 1"):
        assert part in said
    assert "no EMA" in said and "float32" in said and "\n" not in said


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({}, "fid train 10000"),
        ({"split": "test", "fake_count": 50}, "fid test 50"),
        (
            {"resize": "clean: x", "truncation": 0.7, "precision": "mixed_bfloat16"},
            "fid train 10000 clean truncation 0.7 mixed_bfloat16",
        ),
    ],
)
def test_a_tracker_draws_unlike_figures_apart(changes, key):
    assert other(**changes).key == key
