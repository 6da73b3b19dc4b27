"""Evaluations: what they leave, how they are built of each other, and what an interrupted one keeps."""

import csv
import json
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pytest
import torch

from tests.evaluation.conftest import MakeEvaluator, make_net
from vggsuite.errors import UserError
from vggsuite.evaluation import inference
from vggsuite.evaluation.fusion import fuse
from vggsuite.evaluation.inference import shards_of
from vggsuite.evaluation.run import SHARDS
from vggsuite.protocol import Method, Protocol
from vggsuite.results.predictions import PREDICTIONS_FILE, load_posteriors, load_ranks, load_truth
from vggsuite.results.record import read_evaluation

DENSE = Protocol(Method.dense, (40,), flip=True)
BOTH = Protocol(Method.both, (40, 48), flip=True)


def test_an_evaluation_leaves_its_record_posteriors_and_errors_by_class(make_evaluator: MakeEvaluator) -> None:
    evaluator = make_evaluator()
    record = evaluator.evaluate(DENSE)
    folder = evaluator.folder(DENSE)
    assert {path.name for path in folder.iterdir() if not path.name.startswith(".")} == {
        *("evaluation.json", "posteriors.npz", "per_class.csv", "confusion.csv")
    }
    assert read_evaluation(folder) == replace(record, protocol=json.loads(json.dumps(asdict(DENSE))))
    assert record.name == "net/evaluations/dense-40-flip"
    assert load_posteriors(folder).sum(axis=1) == pytest.approx(np.ones(15), abs=0.01)
    assert load_truth(folder).classes.tolist() == ["cat", "dog", "owl"]
    assert 100 * (load_ranks(folder) > 0).mean() == pytest.approx(record.metrics["top1_error"])
    with (folder / "confusion.csv").open() as lines:
        counts = [[int(cell) for cell in row[1:]] for row in list(csv.reader(lines))[1:]]
    wrong = 15 - sum(counts[index][index] for index in range(3))
    assert wrong / 15 * 100 == pytest.approx(record.metrics["top1_error"])


def test_several_scales_and_both_methods_are_means_of_what_was_saved(make_evaluator: MakeEvaluator) -> None:
    evaluator = make_evaluator()
    record = evaluator.evaluate(BOTH)
    names = [f"net/evaluations/{name}-40-48-flip" for name in ("dense", "multi_crop")]
    assert [member["name"] for member in record.members] == names
    parts = ("dense-40", "dense-48", "multi_crop-40", "multi_crop-48")
    home = evaluator.folder(BOTH).parent
    expected = np.mean([load_posteriors(home / f"{name}-flip") for name in parts], axis=0)
    assert np.allclose(load_posteriors(evaluator.folder(BOTH)), expected, rtol=0.02, atol=1e-6)


def test_what_is_finished_is_not_computed_again(make_evaluator: MakeEvaluator, monkeypatch: pytest.MonkeyPatch) -> None:
    evaluator = make_evaluator()
    first = evaluator.evaluate(DENSE)
    monkeypatch.setattr(inference, "predict", None)
    stamp = read_evaluation(evaluator.folder(DENSE))
    assert evaluator.evaluate(DENSE).metrics == first.metrics
    assert read_evaluation(evaluator.folder(DENSE)) == stamp
    with pytest.raises(TypeError):
        replace(evaluator, rerun=True).evaluate(DENSE)


@pytest.mark.parametrize("changed", ["weights", "images"])
def test_other_weights_or_images_are_evaluated_anew(changed: str, make_evaluator: MakeEvaluator) -> None:
    evaluator = make_evaluator()
    before = evaluator.evaluate(DENSE)
    if changed == "weights":
        subject = replace(evaluator.subject, net=make_net(depth=13), of={"weights": "net", "sha256": "1"})
        after = replace(evaluator, subject=subject).evaluate(DENSE)
        assert after.of != before.of
    else:
        samples = replace(evaluator.images.val, labels=evaluator.images.val.labels[::-1].copy())
        after = replace(evaluator, images=replace(evaluator.images, val=samples)).evaluate(DENSE)
        assert after.data["fingerprint"] != before.data["fingerprint"]
    assert after.metrics["num_images"] == 15


def test_a_mean_is_made_anew_after_one_of_its_parts(
    make_evaluator: MakeEvaluator, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluator = make_evaluator()
    before = evaluator.evaluate(BOTH)
    part = BOTH.parts()[0].parts()[0]
    file = evaluator.folder(part) / "evaluation.json"
    file.write_text(file.read_text().replace(before.environment["started"][:4], "1999"))
    after = evaluator.evaluate(BOTH)
    assert after.metrics == before.metrics
    (dense,) = (read_evaluation(evaluator.folder(mean)) for mean in BOTH.parts()[:1])
    assert [member["started"][:4] for member in dense.members] == ["1999", before.environment["started"][:4]]


class KilledError(Exception):
    pass


@pytest.mark.parametrize("same_weights", [True, False])
def test_an_interrupted_evaluation_goes_on_from_its_last_shard(
    same_weights: bool, make_evaluator: MakeEvaluator, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = make_evaluator("undisturbed")
    expected.evaluate(DENSE)
    seen: list[int] = []
    original = inference.predict

    def predict(*arguments: Any) -> Any:
        if len(seen) == 4:
            raise KilledError
        seen.append(len(arguments[-1]))
        return original(*arguments)

    monkeypatch.setattr(inference, "predict", predict)
    evaluator = make_evaluator("net", shard_size=2, batch_size=3)
    with pytest.raises(KilledError):
        evaluator.evaluate(DENSE)
    (shards,) = (evaluator.folder(DENSE) / SHARDS).iterdir()
    saved = inference.saved_images(shards)
    assert 0 < len(saved) <= sum(seen) < 15
    seen_again: list[int] = []

    def counted(*arguments: Any) -> Any:
        seen_again.append(len(arguments[-1]))
        return original(*arguments)

    monkeypatch.setattr(inference, "predict", counted)
    if not same_weights:
        evaluator = replace(evaluator, subject=replace(evaluator.subject, of={"weights": "net", "sha256": "1"}))
    evaluator.evaluate(DENSE)
    assert sum(seen_again) == (15 - len(saved) if same_weights else 15)
    assert not (evaluator.folder(DENSE) / SHARDS).exists()
    found, undisturbed = (load_posteriors(side.folder(DENSE)) for side in (evaluator, expected))
    assert np.allclose(found, undisturbed, rtol=5e-3)


def test_shards_of_a_process_that_outlived_its_parent_are_of_its_own_weights(make_evaluator: MakeEvaluator) -> None:
    """What such a process still writes goes where the evaluation of other weights does not look."""
    folder = make_evaluator().folder(DENSE) / SHARDS
    old, new = (shards_of(folder, {"sha256": sha256}) for sha256 in ("old", "new"))
    assert not old.exists()
    old.mkdir()
    inference.save_shard(old, list(torch.rand(2, 3)), [0, 1])
    assert inference.saved_images(new) == set()
    assert shards_of(folder, {"sha256": "new"}) == new
    assert not old.exists()


@pytest.mark.parametrize("loss", ["missing", "empty", "cut"])
def test_posteriors_that_are_lost_are_made_anew_or_told(loss: str, make_evaluator: MakeEvaluator) -> None:
    evaluator = make_evaluator()
    several = replace(DENSE, scales=(40, 48))
    evaluator.evaluate(several)
    file = evaluator.folder(DENSE) / PREDICTIONS_FILE
    content = file.read_bytes()
    match loss:
        case "missing":
            file.unlink()
            evaluator.evaluate(several)
            assert file.is_file()
        case "empty" | "cut":
            file.write_bytes(b"" if loss == "empty" else content[: len(content) // 2])
            with pytest.raises(UserError, match="is damaged"):
                replace(evaluator, rerun=False).make(several, [])


def test_a_fusion_is_the_mean_of_what_its_members_saved(make_evaluator: MakeEvaluator) -> None:
    evaluators = [
        make_evaluator("a"),
        make_evaluator("b", net=make_net(depth=13)),
        make_evaluator("c", net=make_net(depth=16)),
    ]
    members = {evaluator.folder(DENSE): evaluator.evaluate(DENSE) for evaluator in evaluators}
    folder = evaluators[0].subject.folder.parent / "fusions/abc"
    record = fuse(members, folder, runs=folder.parents[1], command="test")
    expected = np.mean([load_posteriors(member) for member in members], axis=0)
    assert np.allclose(load_posteriors(folder), expected, rtol=5e-3)
    wrong = expected.argmax(axis=1) != load_truth(folder).labels
    assert record.metrics["top1_error"] == pytest.approx(100 * wrong.mean())
    assert record.name == "fusions/abc"
    assert [weights["weights"] for weights in record.of] == ["a", "b", "c"]
    assert record.protocol["method"] == "dense"


def test_a_fusion_of_other_images_or_of_another_order_is_refused(make_evaluator: MakeEvaluator) -> None:
    first = make_evaluator("a")
    samples = first.images.val
    turned = samples.take(range(len(samples))[::-1])
    second = make_evaluator("b", images=replace(first.images, val=turned))
    members = {evaluator.folder(DENSE): evaluator.evaluate(DENSE) for evaluator in (first, second)}
    with pytest.raises(UserError, match="has other names, or in another order"):
        fuse(members, first.subject.folder.parent / "fusion", runs=first.subject.folder, command="test")


def test_half_precision_keeps_the_order_of_a_confident_nets_tail(make_evaluator: MakeEvaluator) -> None:
    """Posteriors below 6e-8 are told apart, which half precision of the posteriors themselves could not."""
    net = make_net()
    with torch.no_grad():
        for parameter in net.classifier[6].parameters():
            parameter.mul_(2)
    evaluator = make_evaluator(net=net)
    evaluator.evaluate(DENSE)
    posteriors = load_posteriors(evaluator.folder(DENSE))
    assert (posteriors < 6e-8).any()
    assert (posteriors > 0).all()
    labels = load_truth(evaluator.folder(DENSE)).labels
    own = posteriors[np.arange(15), labels][:, None]
    assert np.array_equal((posteriors >= own).sum(axis=1) - 1, load_ranks(evaluator.folder(DENSE)))
