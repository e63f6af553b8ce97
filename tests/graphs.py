"""What TensorFlow runs of a traced function, after its optimizer has been over it."""

from tensorflow.python.eager import context

_UPDATES = {"ResourceApplyAdam": 3, "ResourceApplyKerasMomentum": 2}  # how many of their inputs are variables


def unordered_updates(function, *arguments) -> list[tuple[str, str]]:
    """Pairs of operations on one variable, one of them a write, of which either may run first."""
    context.context().enable_graph_collection()
    try:
        function(*arguments)
        graphs = [graphs.post_optimization_graph for graphs in context.context().export_run_metadata().function_graphs]
    finally:
        context.context().disable_graph_collection()
    return [pair for graph in graphs for pair in _unordered(graph)]


def _unordered(graph) -> list[tuple[str, str]]:
    earlier = _earlier(graph)
    on_variable = {}
    for node in graph.node:
        count = 1 if node.op == "ReadVariableOp" or node.op.startswith("Assign") else _UPDATES.get(node.op, 0)
        assert count or not node.op.startswith("ResourceApply"), node.op
        for variable in node.input[:count]:
            on_variable.setdefault(variable, []).append(node)
    return [
        (one.name, other.name)
        for nodes in on_variable.values()
        for i, one in enumerate(nodes)
        for other in nodes[:i]
        if {one.op, other.op} != {"ReadVariableOp"}
        if one.name not in earlier[other.name] and other.name not in earlier[one.name]
    ]


def _earlier(graph) -> dict[str, set[str]]:
    """For each operation all that have run when it does."""
    inputs = {node.name: [name.lstrip("^").split(":")[0] for name in node.input] for node in graph.node}
    earlier, waiting = {}, list(inputs)
    while waiting:
        name = waiting[-1]
        missing = [i for i in inputs[name] if i not in earlier]
        waiting.extend(missing)
        if not missing:
            waiting.pop()
            earlier[name] = set(inputs[name]).union(*(earlier[i] for i in inputs[name]))
    return earlier
