"""`edgebuild steps`: the techniques that a recipe may name, with their options."""

from __future__ import annotations

from edgebuild.cli._verb import Answer, verb


@verb("steps")
def command() -> Answer:
    """List the steps that a recipe may use, what each works on, and its options.

    Example: edgebuild steps
    """
    from edgebuild.report import catalogue
    from edgebuild.spec.files import schema
    from edgebuild.spec.registry import STEPS

    found = {name: STEPS.get(name) for name in STEPS.names()}
    document = {
        "steps": [
            {"name": name, "consumes": step.consumes, "deterministic": step.deterministic, "options": schema(step)}
            for name, step in found.items()
        ]
    }
    return Answer(document, lambda: catalogue.show_steps(found))
