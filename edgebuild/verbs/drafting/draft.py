"""The text of a model.toml, put together, and a model.py to be filled in where the source needs one."""

from __future__ import annotations

from dataclasses import replace

from edgebuild.verbs.drafting import detection, examples, inputs, named, outputs, pictures, states, toml
from edgebuild.verbs.drafting.interview import Interview
from edgebuild.verbs.drafting.script import Script

_CODE = '''"""{name}: the network whose weights are in {file}."""

from torch import nn


def build() -> nn.Module:
    """The network, with any weights: those of {file} are put into it."""
    raise NotImplementedError("return the torch.nn.Module that {file} was saved from")
'''


def code(interview: Interview) -> str | None:
    """A model.py: somebody's own, or one to be filled in; None where the file is the whole model."""
    if isinstance(interview.network, Script):
        return interview.network.code()
    return _CODE.format(name=interview.name, file=interview.file.name) if interview.coded else None


def text(interview: Interview) -> str:
    """UsageError, with the flag, for what is neither known, nor guessed, nor answered."""
    taken = inputs.declared(interview)
    data = examples.place(interview, taken)
    if interview.network is not None:
        taken = named.fitted(interview, taken, data)
        interview = replace(interview, network=named.completed(interview, interview.network, data))
    taken = inputs.typed(interview, taken, data)
    answers = outputs.declared(interview, taken, data)
    tables = [_head(interview) + answers.lines, examples.table(interview, data)]
    if not interview.coded:
        tables += [_source(interview)]
    back = states.possible(taken, answers.outputs)
    plain = dict(zip((one.name for one in answers.outputs), outputs.plain(answers.outputs), strict=True))
    interview.guesses.extend([states.guess(back)] if back else [])
    for spec in taken:
        more = [states.line([plain[each] for each in back[spec.name]])] if spec.name in back else []
        tables += [toml.tensor("inputs", spec.name, spec) + more]
    if answers.boxes:
        tables += [detection.table(interview, taken, data, answers)]
    elif pictures.expected(interview, data):
        tables += [pictures.table(interview, taken, data, answers)]
    elif data.guess.preprocess:
        tables += [["[preprocess]", *(f"{key} = {toml.value(own)}" for key, own in data.guess.preprocess.items())]]
    return "\n\n".join("\n".join(lines) for lines in tables) + "\n"


def recipe(name: str) -> str:
    """The line that names the recipe of the model."""
    return f"recipe = {toml.quoted(name)}  # what a build takes that names none; --recipe NAME is for one build"


def _head(interview: Interview) -> list[str]:
    file = interview.file.name
    weights = f"weights of {file}" if interview.network else f"from {file}"
    weights = "trained from random weights" if interview.wishes.weights == named.RANDOM else weights
    lines = [f"description = {toml.quoted(f'{interview.name}: {interview.look.what}, {weights}')}"]
    if isinstance(interview.network, Script):
        weights_ = interview.wishes.weights
        lines += [f"builder = {toml.quoted(interview.network.builder)}"]
        if include := interview.network.include():
            lines += [f"include = {toml.quoted(include)}"]
        return lines if weights_ == named.RANDOM else [*lines, f"weights = {toml.quoted(file)}"]
    return [*lines, 'builder = "build"', f"weights = {toml.quoted(file)}"] if interview.coded else lines


def _source(interview: Interview) -> list[str]:
    if interview.network is not None:
        assert not isinstance(interview.network, Script)  # its model.py builds it
        return named.table(interview.network, str(interview.wishes.weights))
    lines = ["[source]", f"use = {toml.quoted(interview.source)}", f"file = {toml.quoted(interview.file.name)}"]
    beside = list(interview.look.beside)
    lines += [f"external = {toml.quoted(beside)}"] if beside else []
    return [*lines, f"constants = {toml.value(interview.constants)}"] if interview.constants else lines
