"""The command that measures: what it prints, and the page that it writes."""

import json
import pathlib
import subprocess

import pytest

from kgan import bench, benchmarking, variants
from kgan.benchmarking import Figures, Rate
from kgan.errors import InputError


def figures(config, data) -> Figures:
    """As `benchmarking.measure`, at once."""
    rate = Rate(200.0, 100.0)
    return Figures(
        variant=config.settings.variant,
        data=data.name,
        image_shape=tuple(data.image_shape),
        batch_size=config.settings.batch_size,
        precision=config.settings.precision,
        jit=config.settings.jit,
        recipe=config.recipe,
        **{kind: rate for kind in ("train", "input", "sample", "served")},
        seconds_to_first_step=6.0,
        waiting=0.01,
        gflop_per_image=0.5,
        matrix_product_gflops=100.0,
        share_of_matrix_product=0.5,
        operations={"Conv2D": 0.7},
        peak_memory_mib=900.0,
        peak_gpu_memory_mib=None,
    )


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(benchmarking, "measure", figures)


def test_json_is_one_object_and_nothing_else(capsys):
    bench.main(["--variant", "gan", "--batch-size", "7", "--width", "10", "--jit", "on", "--json"])
    said = capsys.readouterr()
    found = json.loads(said.out)
    assert found["train"]["images_per_cpu_second"] == 100.0
    assert (found["variant"], found["batch_size"], found["jit"], found["recipe"]["width"]) == ("gan", 7, "on", 10)
    assert "small preset of digits" in said.err


def test_a_table_has_every_figure(capsys):
    bench.main(["--precision", "float32"])
    lines = capsys.readouterr().out.splitlines()
    assert "dcgan on digits: 24x24x1, batches of 64, float32, jit off" in lines
    (train,) = (line for line in lines if line.startswith("training step"))
    assert train.split() == ["training", "step", "200", "100"]
    assert any(line.split()[-1] == "900" for line in lines if line.startswith("peak memory"))
    assert not any("GPU memory" in line for line in lines)


def test_what_is_no_variant_is_told():
    with pytest.raises(InputError, match="Did you mean 'dcgan'"):
        bench.main(["--variant", "dcgann"])


def test_all_takes_no_other_option():
    with pytest.raises(InputError, match="--all: takes no other option, got --precision"):
        bench.main(["--all", "--precision", "float32"])


def test_all_is_every_variant_in_two_precisions_on_one_page(tmp_path, monkeypatch, capsys):
    asked, real = [], subprocess.run

    def run(command: list[str], **how) -> subprocess.CompletedProcess:
        if "kgan.bench" not in command:
            return real(command, **how)
        given = dict(zip(command[3:-1:2], command[4:-1:2], strict=True))
        asked.append((given["--variant"], given["--precision"]))
        capsys.readouterr()
        bench.main(command[3:])
        return subprocess.CompletedProcess(command, 0, capsys.readouterr().out)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(subprocess, "run", run)
    pathlib.Path("docs").mkdir()
    pathlib.Path("docs/benchmarks.yaml").write_text('head: "# Fast?"\ntail: "## Remarks"\n')
    bench.main(["--all"])
    precisions = ("float32", "mixed_bfloat16")
    assert asked == [(variant, precision) for variant in variants.names() for precision in precisions]
    page = pathlib.Path("docs/benchmarks.md").read_text()
    assert page.startswith("# Fast?\n") and page.endswith("## Remarks\n")
    assert all(
        page.count(f"| `{variant}`, {kind} |") == 3 for variant, kind in [("gan", "float32"), ("wgan", "bfloat16")]
    )
