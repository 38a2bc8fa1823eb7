"""`edgebuild schema`: JSON Schema of what people write, for editors."""

from __future__ import annotations

import json

import rich_click as click

from edgebuild.cli._verb import Answer, verb


@verb("schema")
@click.argument("kind", type=click.Choice(["target", "model", "recipe", "space", "policy"]))
def command(kind: str) -> Answer:
    """Print the JSON Schema of a target file, a model.toml, a recipe, a space of recipes or a policy.

    Example: edgebuild schema target > target.schema.json
    """
    from edgebuild.plan import schemas

    kinds = {
        "target": schemas.target,
        "model": schemas.model,
        "recipe": schemas.recipe,
        "space": schemas.space,
        "policy": schemas.policy,
    }
    document = kinds[kind]()
    return Answer(document, lambda: print(json.dumps(document, indent=1, ensure_ascii=False)))
