"""`edgebuild steps`: the techniques that a recipe may name, with their options."""

from __future__ import annotations

from edgebuild.cli._verb import Answer, verb


@verb("steps")
def command() -> Answer:
    """List the steps that a recipe may use, what each works on, its options, and which quantizations are real.

    Example: edgebuild steps
    """
    from edgebuild.report import catalogue
    from edgebuild.spec.files import schema
    from edgebuild.spec.quantization import rows
    from edgebuild.spec.registry import FORMATS, STEPS

    found = {name: STEPS.get(name) for name in STEPS.names()}
    document = {
        "steps": [
            {"name": name, "consumes": step.consumes, "deterministic": step.deterministic, "options": schema(step)}
            for name, step in found.items()
        ],
        "quantization": rows({name: FORMATS.get(name) for name in FORMATS.names()}),
    }

    def show() -> None:
        catalogue.show_steps(found)
        catalogue.show_quantization(document["quantization"])

    return Answer(document, show)
