"""The stand-in's graphs: what they record, replay and refuse."""

import pytest
import torch

from tests.stand_in_gpu import counted

pytestmark = pytest.mark.on_gpu
CUDA = torch.device("cuda:0")


def captured(function, **options):
    """A graph of the function, and what it returned."""
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, **options):
        result = function()
    return graph, result


def refused(function, match):
    """Captures what must be refused; torch then stays on the stream of the capture."""
    with torch.cuda.stream(torch.cuda.current_stream()):
        graph = torch.cuda.CUDAGraph()
        with (
            pytest.raises(torch.AcceleratorError, match="due to a previous error during capture"),
            torch.cuda.graph(graph),
            pytest.raises(torch.AcceleratorError, match=match),
        ):
            function()


def test_graph_computes_anew_from_the_same_memory():
    source, target = torch.ones(3, device=CUDA), torch.zeros(3, device=CUDA)
    graph, result = captured(lambda: target.add_(source) * 2)
    assert result.isnan().all() and target.tolist() == [0, 0, 0]  # a capture computes nothing
    source.fill_(5)
    graph.replay()
    assert (target.tolist(), result.tolist()) == ([5, 5, 5], [10, 10, 10])
    graph.replay()
    assert result.tolist() == [20, 20, 20]


def test_replay_counts_as_one_launch():
    source = torch.ones(3, device=CUDA)
    with counted() as seen:
        graph, _ = captured(lambda: source.add(1).mul(2).sum())
    assert (seen.captured, seen.launches, graph.num_nodes) == (3, 0, 3)
    with counted() as seen:
        graph.replay()
    assert (seen.launches, seen.replays, seen.captured, seen.syncs) == (1, 1, 0, 0)


def test_graph_of_a_training_step_trains_as_without_one():
    def make():
        torch.manual_seed(0)
        norm = torch.nn.BatchNorm2d(4)
        return torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), norm, torch.nn.Flatten(), torch.nn.Linear(64, 2)).to(CUDA)

    images = torch.randn(4, 5, 3, 6, 6, device=CUDA)
    eager, model, image = make(), make(), torch.zeros(5, 3, 6, 6, device=CUDA)
    losses = []

    def train(model, image):
        model.zero_grad(set_to_none=True)
        loss = model(image).square().mean()
        loss.backward()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.sub_(0.1 * parameter.grad)
        return loss.detach()

    graph, loss = captured(lambda: train(model, image))
    for each in images:
        image.copy_(each)
        graph.replay()
        losses.append(loss.item())
    assert losses == [train(eager, each).item() for each in images]
    for (name, one), other in zip(eager.state_dict().items(), model.state_dict().values(), strict=True):
        assert torch.equal(one, other), name


def test_graph_copies_between_pinned_memory_and_the_device():
    request, answer = torch.zeros(2, pin_memory=True), torch.zeros(2, pin_memory=True)
    inside = torch.zeros(2, device=CUDA)

    def answered():
        inside.copy_(request, non_blocking=True)
        answer.copy_(inside + 1, non_blocking=True)

    graph, _ = captured(answered)
    request[:] = torch.tensor([3.0, 4.0])
    with counted() as seen:
        graph.replay()
    done = torch.cuda.current_stream().record_event()
    assert answer.isnan().all() and (seen.h2d_async, seen.d2h_async, seen.syncs) == (1, 1, 0)
    done.synchronize()
    assert answer.tolist() == [4, 5]
    graph.replay()
    request[0] = 9
    with pytest.raises(RuntimeError, match="host memory was overwritten"):
        torch.cuda.synchronize()


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("item", "item"),
        ("synchronize", "device.synchronize"),
        ("query", "query of an event"),
        ("wait", "an event from outside"),
        ("to_host", "copy that blocks"),
        ("constant", "copy that blocks"),
        ("pageable", "not pinned"),
        ("nonzero", "nonzero"),
    ],
)
def test_capture_refuses_what_waits(name, match):
    value, event = torch.ones(3, device=CUDA), torch.cuda.Event()
    event.record(torch.cuda.Stream())
    calls = {
        "item": lambda: value.sum().item(),
        "synchronize": torch.cuda.synchronize,
        "query": event.query,
        "wait": lambda: torch.cuda.current_stream().wait_event(event),
        "to_host": value.cpu,
        "constant": lambda: torch.tensor(1.0, device=CUDA),
        "pageable": lambda: torch.ones(2).to(CUDA, non_blocking=True),
        "nonzero": lambda: value[value > 0],
    }
    refused(calls[name], match)
    assert value.tolist() == [1, 1, 1]


def test_capture_follows_events_to_another_stream():
    value, side = torch.ones(2, device=CUDA), torch.cuda.Stream()

    def forked():
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            doubled = value * 2
        torch.cuda.current_stream().wait_stream(side)
        return doubled + 1

    graph, result = captured(forked)
    value.fill_(4)
    graph.replay()
    assert (result.tolist(), graph.num_nodes) == ([9, 9], 2)


def test_replay_refuses_memory_whose_tensor_is_gone():
    values = [torch.ones(2, device=CUDA)]
    graph, _ = captured(lambda: values[0] + 1)
    values.clear()
    with pytest.raises(RuntimeError, match="uses memory of a tensor that is gone since its capture"):
        graph.replay()


def test_graphs_of_one_pool_run_one_after_the_other():
    value, pool, side = torch.ones(2, device=CUDA), torch.cuda.graph_pool_handle(), torch.cuda.Stream()
    (one, _), (other, _) = (captured(lambda: value + 1, pool=pool) for _ in range(2))
    assert one.pool() == other.pool() == pool
    one.replay()
    with torch.cuda.stream(side), pytest.raises(RuntimeError, match="two graphs of one pool run on two streams"):
        other.replay()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        other.replay()


@pytest.mark.filterwarnings("ignore:The AccumulateGrad node's stream does not match")
def test_callables_are_graphed():
    layer = torch.nn.Linear(3, 2).to(CUDA)
    sample = torch.zeros(4, 3, device=CUDA, requires_grad=True)
    with torch.no_grad():
        expected = layer(torch.ones(4, 3, device=CUDA))
    graphed = torch.cuda.make_graphed_callables(layer, (sample,))
    with counted() as seen:
        result = graphed(torch.ones(4, 3, device=CUDA, requires_grad=True))
    assert torch.equal(result, expected) and seen.replays == 1
