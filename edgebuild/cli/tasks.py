"""`edgebuild tasks`: what the answers of a model may mean, with the labels and metrics of each."""

from __future__ import annotations

from edgebuild.cli._verb import Answer, verb


@verb("tasks")
def command() -> Answer:
    """List the tasks that a model's outputs may have, what labels each takes, and the metrics that judge it.

    Example: edgebuild tasks
    """
    from edgebuild.plan.policy import metrics_of
    from edgebuild.report import catalogue
    from edgebuild.spec.registry import TASKS

    known = TASKS.usable()
    document = {
        "tasks": [
            {"name": name, "labels": task.labels, "choice": task.choice, "metrics": metrics_of(name)}
            for name, task in known.items()
        ]
    }
    rows = [
        (name, task.labels, "right or wrong" if task.choice else "near or far", ", ".join(metrics_of(name)))
        for name, task in known.items()
    ]
    return Answer(document, lambda: catalogue.table(("task", "labels", "an answer is", "metrics"), rows))
