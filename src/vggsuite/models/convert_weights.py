"""Convert published weights of any form to one PyTorch file that carries their preprocessing:

python -m vggsuite.models.convert_weights VGG_ILSVRC_16_layers.caffemodel vgg16_oxford.pt --net vgg_d
"""

import argparse
import sys
from pathlib import Path

import torch
import yaml

from vggsuite.config import PROJECT_ROOT, ModelConfig
from vggsuite.errors import UserError
from vggsuite.models.build import build_net, net_for
from vggsuite.models.factors import model_of
from vggsuite.models.state import require_fit
from vggsuite.models.weights import PREPROCESSINGS, Weights, load_weights


def convert(source: Path, target: Path, model: ModelConfig, preprocessing: str | None = None) -> Weights:
    """Write the weights in `source` with their preprocessing and figures to `target`.

    Args:
        source: a file that `load_weights` reads.
        target: the file to write.
        model: the net they are of.
        preprocessing: where the file does not tell.

    Raises:
        UserError: where they cannot be read, or are of another net.
    """
    with torch.device("meta"):
        outline = build_net(model)
    weights = load_weights(str(source), outline, preprocessing)
    with torch.device("meta"):
        outline = net_for(weights.state, model, outline.crop)
    require_fit(outline, weights.state, str(source))
    content = {
        "name": weights.name,
        "state_dict": dict(weights.state),
        "preprocessing": weights.preprocessing,
        "figures": weights.figures,
    }
    torch.save(content, target)
    return weights


def main() -> None:
    nets = {file.stem: file for file in sorted((PROJECT_ROOT / "conf/model").glob("*.yaml"))}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, help="a .caffemodel, .h5, .pth or .pt file")
    parser.add_argument("target", type=Path, help="the .pt file to write")
    parser.add_argument("--net", choices=nets, required=True, help="whose weights they are, as model=... names it")
    parser.add_argument("--preprocessing", choices=PREPROCESSINGS, help="where the file does not tell")
    arguments = parser.parse_args()
    model = model_of(yaml.safe_load(nets[arguments.net].read_text()))
    try:
        weights = convert(arguments.source, arguments.target, model, arguments.preprocessing)
    except UserError as error:
        sys.exit(f"error: {error}")
    print(f"{arguments.target}: {weights.name}, {weights.preprocessing}")


if __name__ == "__main__":
    main()
