"""Plans what is measured of what is deployed, one file or several behind a rule, as if it were one file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from edgebuild.engine.graph import Node
from edgebuild.plan import sampling
from edgebuild.plan.instruments import Instrument
from edgebuild.plan.measurements import Deployable, Measurements, Pair, Together
from edgebuild.spec.core import TimeModel
from edgebuild.spec.joining import ASSEMBLIES
from edgebuild.steps.assemblies.carry_features import CarryFeatures
from edgebuild.steps.assemblies.joined_count import JoinedCount
from edgebuild.steps.assemblies.joined_outputs import JoinedOutputs


def by_role(role: str, deployed: Deployable) -> dict[str, str]:
    """Ids of its files for a step that takes it in this role: `role` itself, or `role/<part>` for each part."""
    if isinstance(deployed, Together):
        return {f"{role}/{part}": file for part, file in deployed.files.items()}
    return {role: deployed}


def sides(pair: Pair) -> dict[str, Deployable]:
    """Both sides of a comparison by role."""
    return {"candidate": pair.candidate, "baseline": pair.baseline}


def both(pair: Pair) -> dict[str, str]:
    """Ids of all files of both sides, by role."""
    return by_role("candidate", pair.candidate) | by_role("baseline", pair.baseline)


@dataclass(frozen=True, slots=True)
class Deployed:
    """Adds nodes that measure one side of a comparison. Each method gives the id of its node."""

    files: Measurements

    def here(self, pair: Pair, deployed: Deployable, role: str) -> str:
        """What it answers to all held-out examples: here, where the device takes only some."""
        everywhere = self.files.everywhere()
        if not isinstance(deployed, Together):
            return self.files.outputs(everywhere, pair, deployed, role)
        answers = {
            part: files.outputs(everywhere, pair, deployed.files[part], role)
            for part, files in self._parts(pair, deployed).items()
        }
        return self._joined(pair, deployed, answers, role)

    def few(self, instrument: Instrument, pair: Pair, deployed: Deployable, role: str) -> str:
        """What it answers on a device on a few examples."""
        if not isinstance(deployed, Together):
            return sampling.few(self.files, instrument, pair, deployed, role)
        answers = {
            part: sampling.few(files, instrument, pair, deployed.files[part], role)
            for part, files in self._parts(pair, deployed).items()
        }
        return self._joined(pair, deployed, answers, role)

    def sampled(self, instrument: Instrument, pair: Pair, host: Mapping[str, str]) -> str:
        """What the candidate answers on a device that takes some examples: as many as the gates need, or of several
        files as many as the time allows. `host` has what both sides answer here, by role.
        """
        deployed = pair.candidate
        if not isinstance(deployed, Together):
            return sampling.candidate(self.files, instrument, pair, deployed, host)
        return self._joined(pair, deployed, self.parts_sampled(instrument, pair, deployed), "device")

    def parts_sampled(self, instrument: Instrument, pair: Pair, deployed: Together) -> dict[str, str]:
        """What each part answers on a device that takes some examples, by name."""
        share = 1 / len(deployed.files)
        return {
            part: sampling.part(files, instrument, pair, deployed.files[part], share)
            for part, files in self._parts(pair, deployed).items()
        }

    def counted(self, instrument: Instrument, pair: Pair, deployed: Together, model: TimeModel) -> dict[str, str]:
        """The work of one inference of each part, by the role that steps have for it."""
        return {
            f"count/{part}": files.count(instrument, pair, deployed.files[part], "candidate", model)
            for part, files in self._parts(pair, deployed).items()
        }

    def count(self, instrument: Instrument, pair: Pair, deployed: Deployable, role: str, model: TimeModel) -> str:
        """The work of one inference on a device that counts; of several files the mean."""
        if not isinstance(deployed, Together):
            return self.files.count(instrument, pair, deployed, role, model)
        inputs = self.counted(instrument, pair, deployed, model) | {"runs": self.here(pair, deployed, role)}
        node = Node(JoinedCount(tuple(deployed.files)), inputs, "evidence")
        return self.files.graph.add(self._label(pair, f"joined-count-{role}"), node)

    def fed(self, pair: Pair, deployed: Together) -> dict[str, str]:
        """Ids of the data that parts are run on which take other inputs than the whole: the rest of a network takes the
        features that the file with its exit gives here.
        """
        halves = ASSEMBLIES.get(deployed.use).files
        if deployed.fed or not halves:
            return dict(deployed.fed)
        first, rest = halves
        answers = self.files.of_part(first).outputs(self.files.everywhere(), pair, deployed.files[first], "candidate")
        node = Node(CarryFeatures(), {"data": self.files.data, "test": answers}, "data")
        return {rest: self.files.graph.add(self._label(pair, "features"), node)}

    def _parts(self, pair: Pair, deployed: Together) -> dict[str, Measurements]:
        """What measures each part."""
        fed = self.fed(pair, deployed)
        return {part: replace(self.files.of_part(part), data=fed.get(part, self.files.data)) for part in deployed.files}

    def _joined(self, pair: Pair, deployed: Together, answers: Mapping[str, str], role: str) -> str:
        inputs = {f"answers/{part}": item for part, item in answers.items()}
        node = Node(
            JoinedOutputs(deployed.router, tuple(deployed.files)),
            {"rule": deployed.rule, "data": self.files.data, **inputs},
            "outputs",
            code=(ASSEMBLIES.module(deployed.use), deployed.router),
        )
        return self.files.graph.add(self._label(pair, f"joined-{role}"), node)

    def _label(self, pair: Pair, name: str) -> str:
        return f"{self.files.prefix}/{pair.runtime.format}/{name}"
