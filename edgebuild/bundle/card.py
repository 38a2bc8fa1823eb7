"""The model card of a bundle: its manifest's facts for people."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgebuild.bundle import manifest

PAYLOAD = Path(__file__).parent / "payload"


def render(facts: Mapping[str, Any], sample: str) -> str:
    """The card in Markdown; `facts` are those of the manifest, `sample` is the file that the bundle can be tried on."""
    import jinja2

    environment = jinja2.Environment(keep_trailing_newline=True, autoescape=False)  # noqa: S701 (Markdown, not HTML)
    environment.tests["contains"] = lambda values, value: value in values
    template = environment.from_string((PAYLOAD / "card.md.jinja").read_text(encoding="utf-8"))
    card: str = template.render(
        **{**facts, "evidence": manifest.evidence_of(facts)},
        version=facts["edgebuild"],
        sample=sample,
        percent=lambda share: f"{100 * share:.2f} %",
    )
    return card
