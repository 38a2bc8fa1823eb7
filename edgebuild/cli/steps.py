"""`edgebuild steps`: the techniques that a recipe may name, with their options."""

from __future__ import annotations

from edgebuild.cli._verb import Answer, verb


@verb("steps")
def command() -> Answer:
    """List the steps that a recipe may use, what each works on, its options, and which quantizations are real.

    Example: edgebuild steps
    """
    import sys

    from edgebuild.report import catalogue
    from edgebuild.spec.checked import schema
    from edgebuild.spec.quantization import rows
    from edgebuild.spec.registry import FORMATS, STEPS

    steps, formats = STEPS.usable(), FORMATS.usable()
    for refusal in (*STEPS.refused(), *FORMATS.refused()):  # somebody else's, which harms nobody who does not name it
        print(f"edgebuild: {refusal}", file=sys.stderr)
    document = {
        "steps": [
            {"name": name, "consumes": step.consumes, "deterministic": step.deterministic, "options": schema(step)}
            for name, step in steps.items()
        ],
        "quantization": rows(formats),
    }

    def show() -> None:
        catalogue.show_steps(steps)
        catalogue.show_quantization(document["quantization"])

    return Answer(document, show)
