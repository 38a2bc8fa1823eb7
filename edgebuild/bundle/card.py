"""The model card of a bundle: its manifest's facts for people."""

from __future__ import annotations

from pathlib import Path

from edgebuild.bundle.facts import BundleManifest

PAYLOAD = Path(__file__).parent / "payload"


def render(facts: BundleManifest, sample: str) -> str:
    """The card in Markdown; `sample` is the file that the bundle can be tried on."""
    import jinja2

    environment = jinja2.Environment(keep_trailing_newline=True, autoescape=False)  # noqa: S701 (Markdown, not HTML)
    environment.tests["contains"] = lambda values, value: value in values
    template = environment.from_string((PAYLOAD / "card.md.jinja").read_text(encoding="utf-8"))
    card: str = template.render(bundle=facts, sample=sample, percent=lambda share: f"{100 * share:.2f} %")
    return card
