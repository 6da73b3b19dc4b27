"""Unpack ILSVRC-2012's original tar files into class folders: `make unpack-imagenet ROOT=<folder of the tar files>`.

Needs ILSVRC2012_img_train.tar, ILSVRC2012_img_val.tar and ILSVRC2012_devkit_t12.tar.gz, checks their MD5, and writes
train/<class>/ and val/<class>/ beside them. torchvision does the work.
"""

import argparse
import sys
from pathlib import Path

from torchvision.datasets import ImageNet

from vggsuite.data.archives import plain_files_only
from vggsuite.errors import UserError


def unpack(root: Path) -> None:
    """Unpack what is not yet unpacked below `root`.

    Raises:
        RuntimeError: where an archive is missing or damaged.
        UserError: for one that would write elsewhere.
    """
    for split in ("val", "train"):
        print(f"{root}: unpacking {split}, unless {split}/ is there", flush=True)
        with plain_files_only(root):
            print(f"{split}: {len(ImageNet(root, split))} images")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path, help="the folder that holds the tar files")
    try:
        unpack(parser.parse_args().root)
    except (RuntimeError, FileNotFoundError, UserError) as error:
        sys.exit(f"error: {' '.join(str(error).split())}")


if __name__ == "__main__":
    main()
