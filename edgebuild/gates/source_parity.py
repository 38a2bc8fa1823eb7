"""Source parity: the float file must answer as the model that came does, in the runtime that it came from."""

from __future__ import annotations

from typing import ClassVar

from edgebuild.gates.parity import Parity
from edgebuild.spec.evidence import Evidence, SecondOpinion, Status, Verdict, known
from edgebuild.spec.metric import Metric, Tried
from edgebuild.spec.target import Gate, reaches


class SourceParity(Metric[float]):
    """The limit is that of `parity`; it is held where a model comes as a file of a runtime of its own."""

    by_output: ClassVar[bool] = True
    imported: ClassVar[bool] = True

    @classmethod
    def limit(cls, text: str) -> float:
        """The tolerance, a plain number above zero; ValueError otherwise."""
        return Parity.limit(text)

    def judge(self, gate: Gate, evidence: Evidence) -> Verdict:
        """Pass when no output of any held-out example differs by more; the output that differs most is named."""
        parity = known(evidence.source_parity)
        name = max(parity.outputs, key=lambda output: parity.outputs[output].relative)
        worst, fidelity = parity.outputs[name], parity.origin.fidelity
        where = " and ".join(f"{runtime} {version}" for runtime, version in parity.original.items())
        of = f"output {name!r} of the float file" if len(parity.outputs) > 1 else "the float file"
        reason = f"{of} is off by {worst.relative:.1e} of the largest value from the model that came, in {where}"
        reason += _second(parity.second)
        status: Status = "pass" if worst.relative <= self.limit(gate.limit) else "fail"
        if status == "pass" and not reaches(fidelity, gate.fidelity):
            status, reason = "inconclusive", f"{reason}, but only {fidelity}; the gate asks for {gate.fidelity}"
        apart = worst.relative
        return Verdict("source_parity", gate.limit, "relative", status, reason, fidelity, worst.n, apart, apart, apart)

    def mend(self, gate: Gate, verdict: Verdict, evidence: Evidence, tried: Tried) -> str:
        """No recipe changes what was imported."""
        return "the file with its layout and outputs as they were made, exported anew: no recipe mends an import"


def _second(second: SecondOpinion | None) -> str:
    """What another converter says; it decides nothing, for the model that came is there to be asked itself."""
    if second is None or second.refused is not None:
        return ""
    apart = max(output.relative for output in second.outputs.values())
    of = " and ".join(f"{tool} {version}" for tool, version in second.converter.items())
    return f", and by {apart:.1e} from the file that the converter of {of} makes of it"
