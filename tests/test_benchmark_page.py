"""The page of speeds, from figures to Markdown."""

from kgan import benchmark_page

RATE = {"images_per_second": 2345.6, "images_per_cpu_second": 1234.5}
FIGURES = {
    "variant": "dcgan",
    "image_shape": (24, 24, 1),
    "batch_size": 64,
    "precision": "mixed_bfloat16",
    "jit": "off",
    **{kind: RATE for kind in ("train", "input", "sample", "served")},
    "seconds_to_first_step": 6.54,
    "waiting": 0.0123,
    "gflop_per_image": 0.04831,
    "matrix_product_gflops": 104.2,
    "share_of_matrix_product": 0.347,
    "operations": {"Conv2D": 0.31, "MatMul": 0.2},
    "peak_memory_mib": 1797.2,
    "peak_gpu_memory_mib": None,
}


def peer(contender: str, precision: str, speed: float) -> dict:
    about = {"variant": "dcgan", "options": "width 64", "precision": precision, "contender": contender}
    return {**about, "images_per_cpu_second": speed}


PEERS = [
    peer("kgan", "float32", 150.0),
    peer("PyTorch", "float32", 100.0),
    peer("kgan", "bfloat16", 210.0),
    peer("PyTorch", "bfloat16", 200.0),
]


def rows(page: str) -> list[str]:
    return [line for line in page.splitlines() if line.startswith("| `")]


def test_every_figure_is_on_the_page():
    page = benchmark_page.render("# Head", "a machine", [FIGURES], PEERS, "## Tail")
    assert page.startswith("# Head\n\nMeasured on a machine.\n\n## Speed\n")
    assert page.endswith("\n\n## Tail\n")
    speed, cost, profile, beside = rows(page)
    rate = "1,230 (2,350)"
    assert speed == f"| `dcgan`, bfloat16 | 24x24x1, 64 a batch | off | {rate} | {rate} | {rate} | {rate} | 1.2% |"
    assert cost == "| `dcgan`, bfloat16 | 6.5 | 0.0483 | 35% of 104 | 1,797 |"
    assert profile == "| `dcgan`, bfloat16 | Conv2D 31%, MatMul 20% |"
    assert beside == "| `dcgan` width 64 | 150 | 100 | 1.50 | 210 | 200 | 1.05 | 2.10 |"


def test_tables_are_square():
    page = benchmark_page.render("", "a machine", [FIGURES | {"peak_gpu_memory_mib": 812.0}], PEERS, "")
    assert "| 1,797, GPU 812 |" in page
    for block in page.split("\n\n"):
        lines = block.splitlines()
        if lines[0].startswith("|"):
            assert len({line.count("|") for line in lines}) == 1


def test_without_peers_there_is_no_table_of_them():
    page = benchmark_page.render("", "a machine", [FIGURES], [], "")
    assert "PyTorch" not in page and "\n\n\n" not in page
