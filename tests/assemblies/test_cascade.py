"""How sure the first part of a cascade must be is chosen on validation examples, with a bound on what that costs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edgebuild.assemblies._deferring import temperature
from edgebuild.assemblies.cascade import Cascade
from edgebuild.gates.statistics import paired
from edgebuild.spec.errors import UsageError
from edgebuild.spec.joining import Joined, Validated
from edgebuild.spec.signature import Head, Signature, State, TensorSpec
from edgebuild.travels import route_cascade

HEAD = Head("output", "classification", labels=("a", "b", "c"))
WHOLE = Joined("the whole", Signature((TensorSpec("image", (1, 8, 8)),), (TensorSpec("output", (3,)),)), (HEAD,))
N = 2000


def scores(labels: np.ndarray, right: np.ndarray, margin: np.ndarray) -> np.ndarray:
    """Logits that choose the label where `right`, else the class after it, by a margin each."""
    chosen = np.where(right, labels, (labels + 1) % 3)
    return (np.eye(3)[chosen] * margin[:, None]).astype(np.float32)


@pytest.fixture
def validated() -> Validated:
    """A first part that is right the more often the larger its margin is, and a second that is right at 99 %."""
    rng = np.random.default_rng(0)
    labels, margin = rng.integers(0, 3, N), rng.uniform(0, 8, N)
    first = scores(labels, rng.random(N) < 1 / (1 + 2 * np.exp(-margin)), margin)
    second = scores(labels, rng.random(N) < 0.99, np.full(N, 9.0))
    return Validated([[first], [second]], (HEAD,), [labels], WHOLE.signature)


def test_the_lowest_threshold_is_taken_whose_loss_is_bounded(validated: Validated) -> None:
    kind = Cascade(loss=0.01)
    rule = kind.choose(validated).rule
    (first,), (second,) = validated.answers
    labels = validated.labels[0]
    sure = route_cascade.confidence(first, rule["temperature"])
    right, reference = first.argmax(1) == labels, second.argmax(1) == labels

    def bound(threshold: float) -> float:
        stands = sure >= threshold
        lost, won = int((stands & reference & ~right).sum()), int((stands & right & ~reference).sum())
        return paired.drop_bound(lost, won, N).high

    assert bound(rule["threshold"]) <= 0.01
    below = np.sort(sure[sure < rule["threshold"]])[::-1]
    assert 0 < len(below) < N  # some go on, and some do not
    assert bound(float(below[0])) > 0.01


def test_the_first_threshold_that_fails_ends_it_though_a_lower_one_would_hold_by_chance(validated: Validated) -> None:
    labels, n = validated.labels[0], np.arange(N)
    first = scores(labels, n >= 40, 8 - n / N)  # the surest 40 are wrong, and then it is always right
    second = scores(labels, (n < 40) | (n >= 140), np.full(N, 9.0))  # which wins 100 back
    rule = Cascade(loss=0.005).choose(replace(validated, answers=[[first], [second]])).rule
    stands = route_cascade.sure(rule, [first])
    assert stands.sum() < 10
    assert paired.drop_bound(40, 100, N).high < 0


def test_a_looser_bound_sends_fewer_on(validated: Validated) -> None:
    thresholds = [Cascade(loss=loss).choose(validated).rule["threshold"] for loss in (0.005, 0.02, 0.1)]
    assert thresholds == sorted(thresholds, reverse=True)
    assert len({*thresholds}) == 3


def test_a_share_sends_so_many_on_the_least_sure_ones_whatever_more_the_bound_allows(validated: Validated) -> None:
    (first,), _ = validated.answers
    choice = Cascade(loss=0.1, share=0.3).choose(validated)
    stands = route_cascade.sure(choice.rule, [first])
    assert N - stands.sum() == 0.3 * N
    sure = route_cascade.confidence(first, choice.rule["temperature"])
    assert sure[~stands].max() < sure[stands].min()
    assert "30.0% go to the second part" in choice.notes[1]


def test_as_sure_examples_go_the_same_way_and_no_more_than_the_share(validated: Validated) -> None:
    labels, margin = validated.labels[0], np.where(np.arange(N) < N // 4, 2.0, 8.0)
    first = scores(labels, np.arange(N) % 8 > 0, margin)
    ways = [Cascade(share=share).choose(replace(validated, answers=[[first], [first]])).rule for share in (0.2, 0.3)]
    assert [int((~route_cascade.sure(rule, [first])).sum()) for rule in ways] == [0, N // 4]


def test_a_share_that_loses_more_than_allowed_is_refused_with_what_it_loses(validated: Validated) -> None:
    with pytest.raises(UsageError, match=r"share: 1.0% go on, and up to \d+.\d\d% of right answers are lost"):
        Cascade(loss=0.01, share=0.01).choose(validated)


def test_a_second_part_that_is_never_asked_is_told(validated: Validated) -> None:
    first = scores(validated.labels[0], np.ones(N, bool), np.full(N, 5.0))
    choice = Cascade(loss=0.01).choose(replace(validated, answers=[[first], validated.answers[1]]))
    assert "the second part is never asked" in choice.notes[-1]


def test_a_first_part_that_misleads_answers_nothing_and_that_is_told(validated: Validated) -> None:
    labels = validated.labels[0]
    wrong = scores(labels, np.zeros(N, bool), np.linspace(1, 9, N))
    choice = Cascade(loss=0.0014).choose(replace(validated, answers=[[wrong], validated.answers[1]]))
    assert not route_cascade.sure(choice.rule, [wrong]).any()
    assert "the first part answers nothing" in choice.notes[-1]


def test_too_few_examples_for_the_bound_are_refused_with_how_many_are_needed(validated: Validated) -> None:
    few = Validated(
        [[each[0][:200]] for each in validated.answers], (HEAD,), [validated.labels[0][:200]], WHOLE.signature
    )
    with pytest.raises(UsageError, match=r"loss: 1.00% cannot be bounded by 200 validation examples: (\d+) are"):
        Cascade(loss=0.01).choose(few)
    assert paired.drop_bound(0, 0, 268, 0.95).high <= 0.01 < paired.drop_bound(0, 0, 267, 0.95).high


def test_the_temperature_makes_probabilities_as_often_right_as_they_say() -> None:
    rng = np.random.default_rng(1)
    logits = rng.normal(0, 2, (20000, 3))
    shares = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    labels = (shares.cumsum(1) > rng.random((20000, 1))).argmax(1)
    assert temperature(3 * logits, labels) == pytest.approx(3, rel=0.03)
    sure = route_cascade.confidence(3 * logits, temperature(3 * logits, labels))
    assert sure.mean() == pytest.approx((logits.argmax(1) == labels).mean(), abs=0.01)


def test_one_example_at_a_time_goes_the_way_of_all_together(validated: Validated) -> None:
    rule = Cascade(loss=0.02).choose(validated).rule
    outputs, ran = route_cascade.combined(rule, validated.answers)
    for row in range(200):
        calls: list[int] = []

        def part(number: int, row: int = row, calls: list[int] = calls) -> list[np.ndarray]:
            calls.append(number)
            return [validated.answers[number][0][row : row + 1]]

        answer = route_cascade.answer(rule, [lambda _: part(0), lambda _: part(1)], [])
        assert np.array_equal(answer[0][0], outputs[0][row])
        assert calls == [0, 1][: int(ran[row].sum())]


def test_probabilities_are_taken_for_what_they_are() -> None:
    logits = np.array([[2.0, 0.0, -1.0], [0.5, 0.4, 0.3]])
    shares = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    assert route_cascade.confidence(shares, 2.0) == pytest.approx(route_cascade.confidence(logits, 2.0), rel=1e-6)


STATE = TensorSpec("memory", (4,), state=State("left"))


@pytest.mark.parametrize(
    ("part", "told"),
    [
        (replace(WHOLE, heads=(replace(HEAD, task="regression"),)), r"part 'p' answers another task \(regression\)"),
        (
            replace(WHOLE, heads=(replace(HEAD, labels=("a", "c", "b")),)),
            "part 'p' has the labels in another order: number 1 is 'c', and 'b' in the whole",
        ),
        (replace(WHOLE, heads=(replace(HEAD, labels=("a", "b", "d")),)), "part 'p' has other labels than the whole"),
        (
            replace(WHOLE, signature=Signature((TensorSpec("x", (1, 9, 9)),), WHOLE.signature.outputs)),
            r"inputs of part 'p' are \[1, 9, 9\] float32, and those of the whole \[1, 8, 8\] float32",
        ),
        (
            replace(WHOLE, signature=Signature(WHOLE.signature.inputs, (TensorSpec("output", (4,)),))),
            r"outputs of part 'p' are \[4\] float32, and those of the whole \[3\] float32",
        ),
    ],
)
def test_parts_that_do_not_fit_are_refused(part: Joined, told: str) -> None:
    Cascade().check(WHOLE, [WHOLE, WHOLE])
    with pytest.raises(ValueError, match=told):
        Cascade().check(WHOLE, [WHOLE, replace(part, name="p")])


def test_a_whole_that_has_no_probability_or_keeps_a_state_is_refused() -> None:
    values = replace(WHOLE, heads=(Head("output", "regression"),))
    with pytest.raises(ValueError, match="a probability to be sure by: one classification, not regression"):
        Cascade().check(values, [values, values])
    inputs = (*WHOLE.signature.inputs, STATE)
    looped = replace(WHOLE, signature=Signature(inputs, (TensorSpec("left", (4,)),)))
    with pytest.raises(ValueError, match="through a recurrent state"):
        Cascade().check(looped, [looped, looped])


def test_what_goes_on_to_a_server_is_asked_there_and_a_lost_link_ends_as_is_declared(
    validated: Validated, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import socket
    import threading

    from edgebuild.travels import edge_link

    monkeypatch.setenv(edge_link.KEY, "a key of the tests, long enough")
    edge_link.CLIENTS.clear()
    choice = Cascade(server=True, timeout=0.5, offline="answer").choose(validated)
    image = np.zeros((1, 1, 8, 8), np.float32)
    frame = edge_link.frame([image])
    assert choice.notes[-1] == f"an example that goes on sends {frame} bytes to the server"
    unsure = [np.zeros((1, 3), np.float32)]
    parts = [lambda _: unsure, lambda _: [np.full((1, 3), 7.0)]]
    assert route_cascade.answer(choice.rule, parts, [image])[0][0, 0] == 7  # no server is named: here
    listener = socket.create_server(("127.0.0.1", 0))
    monkeypatch.setenv(edge_link.SERVER, f"127.0.0.1:{listener.getsockname()[1]}")

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            there = edge_link.Channel(connection, edge_link.shared_key(), 10_000, 2.0, serves=True)
            (taken,) = there.receive()
            there.send([np.full((1, 3), float(taken.size), np.float32)])

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    assert route_cascade.answer(choice.rule, parts, [image])[0][0, 0] == 64
    thread.join(5)
    listener.close()
    assert route_cascade.answer(choice.rule, parts, [image]) is unsure  # the link broke
    assert "the first part's answer stands" in capsys.readouterr().err
    with pytest.raises(edge_link.LinkError, match="cannot be reached"):
        route_cascade.answer({**choice.rule, "offline": 0.0}, parts, [image])
