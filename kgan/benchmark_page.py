"""The page that `kgan.bench --all` writes: what every system reaches here, beside its peers."""

from collections.abc import Iterable

Figures = dict[str, object]  # what `kgan.bench --json` prints
Peers = list[dict[str, object]]  # what docs/benchmarks/peers.py --json writes

_DEFAULT, _BEST = "float32", "bfloat16"  # of what PyTorch computes by itself, and the faster


def render(head: str, machine: str, found: Iterable[Figures], peers: Peers, tail: str) -> str:
    """The page, Markdown.

    Args:
        head: what stands above the tables.
        machine: what it was measured on.
        found: figures of each system and precision.
        peers: figures of the same steps in kgan and elsewhere, taken in turns; none where nobody measured them.
        tail: what stands below the tables.
    """
    found = list(found)
    parts = [head, f"Measured on {machine}.", _speeds(found), _costs(found), _profiles(found)]
    return "\n\n".join(part.strip() for part in [*parts, _beside(peers), tail] if part) + "\n"


def _speeds(found: list[Figures]) -> str:
    """How fast."""
    kinds = ("train", "input", "sample", "served")
    rows = [[_named(f), _size(f), f["jit"], *(_rate(f[kind]) for kind in kinds), f"{f['waiting']:.1%}"] for f in found]
    titles = ("system", "images", "XLA", "training step", "input pipeline", "sampling", "exported model", "waiting")
    text = "Images per CPU-second, in brackets images per second; of a training's time, how much it waits for data."
    return f"## Speed\n\n{text}\n\n{_table(titles, rows)}"


def _costs(found: list[Figures]) -> str:
    """What it takes."""
    rows = []
    for f in found:
        gpu = "" if f["peak_gpu_memory_mib"] is None else f", GPU {f['peak_gpu_memory_mib']:,.0f}"
        reached = f"{f['share_of_matrix_product']:.0%} of {f['matrix_product_gflops']:.0f}"
        memory = f"{f['peak_memory_mib']:,.0f}{gpu}"
        rows.append([_named(f), f"{f['seconds_to_first_step']:.1f}", f"{f['gflop_per_image']:.3g}", reached, memory])
    titles = ("system", "seconds to the first step", "GFLOP an image", "share of GFLOP/s", "peak memory, MiB")
    text = (
        "The first step's seconds are from the start of the process, imports included. The share is of what a product "
        "of two matrices of 2048 reaches in this precision."
    )
    return f"## Cost\n\n{text}\n\n{_table(titles, rows)}"


def _profiles(found: list[Figures]) -> str:
    """Where the time goes."""
    shares = [", ".join(f"{kind} {share:.0%}" for kind, share in f["operations"].items()) for f in found]
    rows = [[_named(f), share] for f, share in zip(found, shares, strict=True)]
    text = "Kinds of operations by their share of a training step's time on the host."
    return f"## Profile\n\n{text}\n\n{_table(('system', 'operations'), rows)}"


def _beside(peers: Peers) -> str:
    """kgan and others, in turns."""
    if not peers:
        return ""
    speed = {(p["variant"], p["options"], p["precision"], p["contender"]): p["images_per_cpu_second"] for p in peers}
    rows = []
    for variant, options in dict.fromkeys((p["variant"], p["options"]) for p in peers):
        ours = {kind: speed[variant, options, kind, "kgan"] for kind in (_DEFAULT, _BEST)}
        theirs = {kind: speed[variant, options, kind, "PyTorch"] for kind in (_DEFAULT, _BEST)}
        pairs = [text for kind in ours for text in (_short(ours[kind]), _short(theirs[kind]))]
        ratios = [f"{ours[kind] / theirs[kind]:.2f}" for kind in ours]
        across = f"{max(ours.values()) / theirs[_DEFAULT]:.2f}"
        rows.append([f"`{variant}` {options}".strip(), *pairs[:2], ratios[0], *pairs[2:], ratios[1], across])
    titles = ("system", "kgan, float32", "PyTorch", "ratio", "kgan, bfloat16", "PyTorch", "ratio", "best by default")
    text = (
        "Images per CPU-second of a training step: the same networks, algorithm and forward passes, two processes in "
        "turns (`docs/benchmarks/peers.py`). The last column is kgan's faster precision by PyTorch's float32."
    )
    return f"## Beside PyTorch\n\n{text}\n\n{_table(titles, rows)}"


def _table(titles: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    titles = list(titles)
    return "\n".join(f"| {' | '.join(row)} |" for row in [titles, ["---"] * len(titles), *rows])


def _named(figures: Figures) -> str:
    return f"`{figures['variant']}`, {figures['precision'].removeprefix('mixed_')}"


def _size(figures: Figures) -> str:
    return f"{'x'.join(map(str, figures['image_shape']))}, {figures['batch_size']} a batch"


def _rate(rate: dict[str, float]) -> str:
    return f"{_short(rate['images_per_cpu_second'])} ({_short(rate['images_per_second'])})"


def _short(number: float) -> str:
    """Three digits, without an exponent."""
    return f"{float(f'{number:.3g}'):,.10g}"
