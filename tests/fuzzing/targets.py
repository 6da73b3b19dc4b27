"""All targets, by name."""

from tests.fuzzing import arrays, pictures, records, settings, texts, weights
from tests.fuzzing.target import Target

TARGETS: dict[str, Target] = {
    target.name: target for module in (pictures, texts, settings, records, arrays, weights) for target in module.TARGETS
}
