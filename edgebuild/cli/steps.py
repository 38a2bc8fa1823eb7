"""`edgebuild steps`: the techniques that a recipe may name, with their options."""

from __future__ import annotations

from edgebuild.cli._verb import Answer, verb


@verb("steps")
def command() -> Answer:
    """List the steps that a recipe may use, what each works on, its options, which quantizations are real, and what
    conversion rewrites of its own accord.

    Example: edgebuild steps
    """
    import sys

    from edgebuild.report import catalogue
    from edgebuild.spec.checked import schema
    from edgebuild.spec.quantization import rows
    from edgebuild.spec.registry import FORMATS, REWRITES, STEPS

    steps, formats, rewrites = STEPS.usable(), FORMATS.usable(), REWRITES.usable()
    for refusal in (
        *STEPS.refused(),
        *FORMATS.refused(),
        *REWRITES.refused(),
    ):  # somebody else's, which harms nobody who does not name it
        print(f"edgebuild: {refusal}", file=sys.stderr)
    quantization = rows(formats)
    document = {
        "steps": [
            {"name": name, "consumes": step.consumes, "deterministic": step.deterministic, "options": schema(step)}
            for name, step in steps.items()
        ],
        "quantization": quantization,
        "rewrites": [
            {"name": name, "operators": kind.operators, "formats": kind.formats} for name, kind in rewrites.items()
        ],
    }

    def show() -> None:
        catalogue.show_steps(steps)
        catalogue.show_quantization(quantization)
        catalogue.show_rewrites(rewrites)

    return Answer(document, show)
