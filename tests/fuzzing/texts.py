"""Annotations in XML and csv, lists, metrics."""

import csv
import math
from functools import partial
from pathlib import Path

import numpy as np

from tests.conftest import smooth_picture
from tests.fuzzing.mutations import text
from tests.fuzzing.target import Target
from vggsuite.data.annotations import read_boxes
from vggsuite.data.boxes import Boxes
from vggsuite.data.config import BoxesConfig, Faulty
from vggsuite.data.embedding import Box, voc_annotation
from vggsuite.data.layouts import class_folders, imagenet
from vggsuite.data.voc import read_action
from vggsuite.evaluation.subject import read_lines
from vggsuite.training.metrics_file import MetricsFile

WIDTH, HEIGHT = 40, 30
XML_TOKENS = (
    *(b"<object>", b"</object>", b"<bndbox>", b"<xmin>", b"</xmin>", b"<size>", b"<name>", b"<!--", b"<![CDATA["),
    *(b'<?xml version="1.0" encoding="utf-16"?>', b'<?xml version="1.0" encoding="none"?>', b"<a xmlns:b='c'>"),
    b'<!DOCTYPE a [<!ENTITY b "bbbbbbbbbb"><!ENTITY lol "&b;&b;&b;&b;&b;&b;&b;&b;">]>',
    b'<!DOCTYPE a [<!ENTITY lol SYSTEM "file:///etc/passwd">]>',
)
CSV_TOKENS = (b",", b'"', b'""', b"\n", b"\r\n", b"\r", b"\x00", b"ImageId", b"PredictionString", b"\xef\xbb\xbf")


def annotation(*objects: tuple[float, float, float, float]) -> bytes:
    told = [({"name": "cat", "difficult": 0}, Box(*edges)) for edges in objects]  # type: ignore[arg-type]
    return voc_annotation({"folder": "val", "filename": "cat_000"}, (WIDTH, HEIGHT), told)


XMLS = [
    annotation((3, 4, 20, 29)),
    annotation((1, 1, WIDTH, HEIGHT), (2.5, 2, 9, 9)),
    annotation(),
    b'<?xml version="1.0" encoding="iso-8859-1"?>\n' + annotation((3, 4, 20, 29)),
]
LABELS = [
    b"ImageId,PredictionString\ncat_000,cat 3 4 20 29 \ncat_001,cat 1 1 40 30 cat 2 2 9 9 \ndog_000,dog 5 5 6 6\n",
    b'PredictionString,ImageId\r\n"cat 3 4 20 29","cat_000"\r\ncat 1 2 3 4,cat_001\r\ndog 1 2 3 4,dog_000\r\n',
]


def picture_tree(home: Path) -> None:
    """Images as ImageNet's, of two classes, with a place for annotations, and as Kaggle has them."""
    for images in (home / "tree", home / "kaggle/Data/CLS-LOC"):
        for split in ("train", "val"):
            for name in ("cat", "dog"):
                folder = images / split / name if images.name == "tree" or split == "train" else images / split
                folder.mkdir(parents=True, exist_ok=True)
                for number in range(2 if name == "cat" else 1):
                    smooth_picture(WIDTH, HEIGHT).save(folder / f"{name}_{number:03d}.JPEG")
    (home / "tree/Annotations/val").mkdir(parents=True)


def require_inside(boxes: Boxes, num_images: int) -> None:
    """Boxes of so many images lie in them."""
    left, top, right, bottom = boxes.edges.T
    assert len(boxes.first) == num_images + 1
    assert np.isfinite(boxes.edges).all()
    assert ((left >= 0) & (left < right) & (right <= WIDTH) & (top >= 0) & (top < bottom) & (bottom <= HEIGHT)).all()


def check_annotation(data: bytes, home: Path, *, faulty: Faulty) -> None:
    (home / "tree/Annotations/val/cat_000.xml").write_bytes(data)
    images = class_folders(home / "tree", 0.0)
    require_inside(read_boxes(images, "val", BoxesConfig(faulty=faulty)).boxes, 3)


def check_solution(data: bytes, home: Path) -> None:
    """The labels, and the boxes, of Kaggle's csv."""
    (home / "kaggle/LOC_val_solution.csv").write_bytes(data)
    images = imagenet(home / "kaggle")
    assert images.classes == ["cat", "dog"]
    assert set(images.val.labels.tolist()) <= {0, 1}
    require_inside(read_boxes(images, "val", BoxesConfig(faulty=Faulty.mend)).boxes, 3)


def voc_tree(home: Path) -> None:
    """VOC-2012's action task, of two persons in two images."""
    folder = home / "VOCdevkit/VOC2012"
    (folder / "ImageSets/Action").mkdir(parents=True)
    (folder / "Annotations").mkdir()
    (folder / "JPEGImages").mkdir()
    for name, split in (("2010_1", "train"), ("2010_2", "val")):
        smooth_picture(WIDTH, HEIGHT).save(folder / f"JPEGImages/{name}.jpg")
        (folder / f"ImageSets/Action/jumping_{split}.txt").write_bytes(f"{name} 1  1\n".encode())
        (folder / f"Annotations/{name}.xml").write_bytes(XMLS[1])


def check_voc(data: bytes, home: Path, *, file: str) -> None:
    (home / "VOCdevkit/VOC2012" / file).write_bytes(data)
    images = read_action(home, 0.5)
    images.sizes()
    assert images.boxes is not None
    assert images.boxes.shape == (len(images.samples), 4)
    assert set(np.unique(images.targets)) <= {-1, 0, 1}


def check_metrics(data: bytes, home: Path) -> None:
    """What a run that goes on keeps of its metrics is of the steps before."""
    (home / "metrics.csv").write_bytes(data)
    metrics = MetricsFile(home / "metrics.csv", num_steps=5)
    metrics.save()
    with (home / "metrics.csv").open(newline="") as stream:
        steps = [int(row["step"]) for row in csv.DictReader(stream)]
    assert len(steps) == len(metrics.rows)
    assert all(0 <= step < 5 for step in steps)


def check_classes(data: bytes, home: Path) -> None:
    (home / "classes.txt").write_bytes(data)
    lines = read_lines(home / "classes.txt", "repeat the run with rerun=true")
    assert all(isinstance(line, str) and "\n" not in line for line in lines)
    assert math.isfinite(len(lines))


METRICS = [
    b"epoch,lr,step,train/loss,val/loss\n0,0.01,0,2.5,\n0,,1,,2.25\n1,0.01,4,1.5,\n1,,6,,1.25\n",
    b"epoch,step\n0,1\n0,2\n1,",
]
LISTS = [b"2010_1 1  1\n", b"2010_1 1 -1\n2010_1 2  0\n\n"]

TARGETS = [
    Target("xml", text(XMLS, XML_TOKENS), partial(check_annotation, faulty=Faulty.mend), picture_tree, 6),
    Target("xml_refused", text(XMLS, XML_TOKENS), partial(check_annotation, faulty=Faulty.refuse), picture_tree, 2),
    Target("voc_xml", text(XMLS, XML_TOKENS), partial(check_voc, file="Annotations/2010_1.xml"), voc_tree, 4),
    Target("voc_list", text(LISTS), partial(check_voc, file="ImageSets/Action/jumping_train.txt"), voc_tree, 3),
    Target("csv", text(LABELS, CSV_TOKENS), check_solution, picture_tree, 6),
    Target("metrics", text(METRICS, CSV_TOKENS), check_metrics, share=4),
    Target("classes", text([b"cat\ndog\n", "chêne\nhêtre\n".encode()]), check_classes, share=1),
]
