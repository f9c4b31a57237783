"""The torch network: published sizes, two forms of one network, its gradients, and its export against the reference."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import edgesnn
from edgesnn.encode.coding import direct_values, rate_bits
from edgesnn.encode.native import encode_points
from edgesnn.encode.points import PointEncoding, PointWindow

torch = pytest.importorskip("torch")

from edgesnn.models import plif  # noqa: E402
from edgesnn.models.export import export, restore  # noqa: E402
from edgesnn.models.spikepoint import CBL, SpikePoint, SpikePointConfig, parameter_count, rounded  # noqa: E402
from edgesnn.quantize.rounding import quantize_rows  # noqa: E402
from edgesnn.runtime import Model  # noqa: E402
from edgesnn.train.features import features  # noqa: E402

SMALL, LARGE = (32, 64, 128, 256), (64, 128, 256, 512)
ENCODING = PointEncoding(100_000, 50_000, 10, points=96, groups=12, neighbours=8, steps=3, seed=7)
SENSOR = (34, 34)
NEAR_THRESHOLD = 1e-5

CODINGS = [
    {"coding": "rate", "features": "unsigned", "polarity": False},
    {"coding": "rate", "features": "unsigned", "polarity": True},
    {"coding": "direct", "features": "unsigned", "polarity": False},
    {"coding": "direct", "features": "signed", "polarity": True},
]


def make_events(seed: int, count: int = 300) -> np.ndarray:
    """Return a random window's events."""
    rng = np.random.default_rng(seed)
    events = np.zeros(count, edgesnn.EVENT)
    events["t"] = np.sort(rng.integers(0, 100_000, count))
    events["x"], events["y"] = rng.integers(0, SENSOR[0], count), rng.integers(0, SENSOR[1], count)
    events["p"] = rng.integers(0, 2, count)
    return events


def make_windows(count: int) -> list[PointWindow]:
    return [encode_points(make_events(i), ENCODING, SENSOR, number=i + (1 << 33), first_event=i) for i in range(count)]


def small_model(**fields: object) -> SpikePoint:
    """Return a small network whose batch norms have seen data, so that its layers do fire."""
    torch.manual_seed(3)
    config = SpikePointConfig(classes=4, widths=(8, 16, 16, 32), voters=3, steps=ENCODING.steps, **fields)
    model = SpikePoint(config)
    for seed in range(40):
        with torch.no_grad():
            model(*features([make_windows(6)[seed % 6]] * 2, config.point_coding, ENCODING.steps, ENCODING.seed))
    for layer in model.modules():
        if isinstance(layer, CBL):
            layer.gamma.data.uniform_(0.8, 1.6)
    return model.eval()


@pytest.mark.parametrize(
    ("classes", "widths", "published"),
    [
        (12, SMALL, 165_621),
        (10, SMALL, 160_441),
        (10, LARGE, 582_713),
        (51, LARGE, 793_863),
        (101, LARGE, 1_051_363),
    ],
)
def test_parameter_count_is_the_published_one(classes: int, widths: tuple[int, int, int, int], published: int) -> None:
    assert parameter_count(SpikePoint(SpikePointConfig(classes=classes, widths=widths))) == published


@pytest.mark.parametrize("fields", CODINGS)
def test_batched_features_are_the_bits_of_the_readable_form(fields: dict[str, object]) -> None:
    windows = [*make_windows(3), replace(make_windows(1)[0], sd=0.0)]
    coding = SpikePointConfig(classes=2, **fields).point_coding
    local, centre = features(windows, coding, ENCODING.steps, ENCODING.seed)
    for i, window in enumerate(windows):
        for t in range(len(local)):
            if coding.coding == "rate":
                expected = rate_bits(window, coding, t, ENCODING.seed)
            else:
                expected = direct_values(window, coding)
            assert np.array_equal(local[t, i].numpy(), expected[0])
            assert np.array_equal(centre[t, i].numpy(), expected[1])


@pytest.mark.parametrize("reset", ["zero", "subtract"])
@pytest.mark.parametrize("readout", ["spikes", "currents"])
@pytest.mark.parametrize("fields", [CODINGS[0], CODINGS[3]])
def test_step_form_equals_layer_by_layer_form(fields: dict[str, object], readout: str, reset: str) -> None:
    model = small_model(**fields, readout=readout, reset=reset)
    inputs = features(make_windows(4), model.config.point_coding, ENCODING.steps, ENCODING.seed)
    with torch.no_grad():
        assert torch.allclose(model(*inputs), model.step_form(*inputs), atol=1e-5)


@pytest.mark.parametrize("subtract", [False, True])
@pytest.mark.parametrize("held", [False, True])
def test_fused_gradient_is_that_of_autograd_with_the_surrogate(held: bool, subtract: bool) -> None:
    class Step(torch.autograd.Function):
        @staticmethod
        def forward(ctx, v):
            ctx.save_for_backward(v)
            return (v >= 1).to(v.dtype)

        @staticmethod
        def backward(ctx, ds):
            return ds * plif.surrogate_gradient(ctx.saved_tensors[0])

    def plain(x, gamma, beta, w, steps):
        mean, var = x.mean((0, 1)), x.var((0, 1), unbiased=False)
        y = (x - mean) / torch.sqrt(var + plif.EPS) * gamma + beta
        rest, spikes = None, []
        for t in range(steps):
            v = y[0 if held else t] if rest is None else rest * (1 - torch.sigmoid(w)) + y[0 if held else t]
            s = Step.apply(v)
            rest = v - s.detach() if subtract else v * (1 - s.detach())
            spikes.append(s)
        return torch.stack(spikes)

    torch.manual_seed(1)
    shapes = [(1 if held else 4, 40, 5), (5,), (5,), ()]
    leaves = [torch.randn(s, dtype=torch.float64, requires_grad=True) for s in shapes]
    seen = torch.randn(4, 40, 5, dtype=torch.float64)
    ours = plif.norm_plif(*leaves, 4, subtract)[0]
    theirs = plain(*leaves, 4)
    assert torch.equal(ours, theirs)
    assert 0.05 < float(ours.detach().mean()) < 0.8
    grads = [torch.autograd.grad((out * seen).sum(), leaves) for out in (ours, theirs)]
    for a, b in zip(*grads, strict=True):
        assert torch.allclose(a, b, rtol=1e-8, atol=1e-10)


def test_max_pool_shares_the_gradient_between_ties() -> None:
    x = torch.tensor([[0.0, 1.0], [2.0, 1.0], [2.0, 0.0]], requires_grad=True)
    plif.max_pool(x).sum().backward()
    assert torch.equal(x.grad, torch.tensor([[0.0, 0.5], [0.5, 0.5], [0.5, 0.0]]))


@pytest.mark.parametrize("reset", ["zero", "subtract"])
@pytest.mark.parametrize("readout", ["spikes", "currents"])
@pytest.mark.parametrize("fields", CODINGS)
def test_exported_graph_scores_as_torch(fields: dict[str, object], readout: str, reset: str) -> None:
    model = small_model(**fields, readout=readout, reset=reset)
    document = export(model, ENCODING, SENSOR, [f"c{i}" for i in range(4)])
    session = Model(document, backend="reference").session()
    windows = make_windows(6)
    with torch.no_grad():
        theirs = model(*features(windows, model.config.point_coding, ENCODING.steps, ENCODING.seed)).numpy()
    ours = np.stack([session.run(w, keep="last") for w in windows])
    close = np.isclose(ours, theirs, atol=1e-4).all(axis=1)
    assert close.sum() >= 5  # a membrane next to the threshold may fire in one and not in the other


@pytest.mark.parametrize("reset", ["zero", "subtract"])
@pytest.mark.parametrize("readout", ["spikes", "currents"])
def test_network_restored_from_a_model_file_is_the_exported_one(readout: str, reset: str) -> None:
    model = small_model(**CODINGS[3], readout=readout, reset=reset)
    document = export(model, ENCODING, SENSOR, list("abcd"))
    twin = restore(document)
    assert replace(twin.config, shift=model.config.shift) == model.config
    inputs = features(make_windows(4), model.config.point_coding, ENCODING.steps, ENCODING.seed)
    with torch.no_grad():
        assert torch.allclose(model(*inputs), twin(*inputs), atol=1e-4)


def lif_layers(model: SpikePoint) -> list[tuple[str, CBL]]:
    return [(name, m) for name, m in model.named_modules() if isinstance(m, CBL) and m.w is not None]


def test_every_layer_fires_as_in_torch_when_fed_the_same_input() -> None:
    """Each neuron layer of torch gets the reference's own input; spikes differ only next to the threshold."""
    model = small_model(**CODINGS[3])
    session = Model(export(model, ENCODING, SENSOR, list("abcd")), backend="reference").session(
        record=[
            node.name for node in export(model, ENCODING, SENSOR, list("abcd")).nodes if node.op in ("linear", "lif")
        ]
    )
    window = make_windows(1)[0]
    session.run(window)
    near = differing = total = 0
    for name, layer in lif_layers(model):
        currents = torch.from_numpy(session.recorded[name].astype(np.float32)).reshape(
            ENCODING.steps, -1, layer.gamma.numel()
        )
        alpha = 1.0 - torch.sigmoid(layer.w.detach())
        one = torch.ones(layer.gamma.numel())
        spikes, v = plif.integrate(currents, one, torch.zeros_like(one), alpha, ENCODING.steps, False)
        other = torch.from_numpy(session.recorded[f"{name}.lif"].astype(np.float32)).reshape(spikes.shape)
        close = (v - 1).abs() < NEAR_THRESHOLD
        near, total = near + int(close.sum()), total + spikes.numel()
        differing += int(((spikes != other) & ~close).sum())
        assert other.sum() > 0, name
    assert differing == 0
    assert near < total / 1000


def test_training_rounds_weights_to_the_grid_that_quantisation_uses():
    weight = torch.randn(7, 12, generator=torch.Generator().manual_seed(3), requires_grad=True)
    on_grid = rounded(weight)
    q, step = quantize_rows(weight.detach().numpy())
    np.testing.assert_allclose(on_grid.detach().numpy(), q * step[:, None], rtol=1e-5, atol=1e-7)
    on_grid.sum().backward()
    assert weight.grad is not None
    assert (weight.grad == 1).all()
