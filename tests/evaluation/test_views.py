"""Where crops lie."""

import pytest
import torch

from vggsuite.evaluation.views import centre, corners, crop_at, grid, with_mirrored
from vggsuite.protocol import Average, Method, Precision, Protocol


def test_the_grid_reaches_from_edge_to_edge_at_equal_steps() -> None:
    places = grid(256, 340, 224, 5)
    assert len(places) == len(set(places)) == 25
    assert sorted({top for top, _ in places}) == [0, 8, 16, 24, 32]
    assert sorted({left for _, left in places}) == [0, 29, 58, 87, 116]


@pytest.mark.parametrize(("height", "width"), [(224, 224), (225, 301), (256, 256), (384, 999)])
def test_every_crop_lies_inside(height: int, width: int) -> None:
    for method, count in ((Method.multi_crop, 25), (Method.ten_crop, 5), (Method.centre_crop, 1)):
        places = corners(method, height=height, width=width, crop=224)
        assert len(places) == count
        assert all(0 <= top <= height - 224 and 0 <= left <= width - 224 for top, left in places)


def test_ten_crop_is_the_corners_and_the_centre() -> None:
    places = corners(Method.ten_crop, height=256, width=300, crop=224)
    assert places == [(0, 0), (0, 76), (32, 0), (32, 76), (16, 38)]
    assert centre(256, 300, 224) == (16, 38)


def test_crops_are_cut_from_the_images() -> None:
    images = torch.arange(2 * 3 * 6 * 8).view(2, 3, 6, 8)
    assert torch.equal(crop_at(images, (1, 2), 4), images[:, :, 1:5, 2:6])
    assert torch.equal(with_mirrored(images)[2:, :, :, 0], images[:, :, :, -1])


@pytest.mark.parametrize(
    ("protocol", "name", "num_views"),
    [
        (Protocol(Method.dense, (256,), flip=True), "dense-256-flip", 2),
        (Protocol(Method.multi_crop, (256, 384, 512), flip=True), "multi_crop-256-384-512-flip", 150),
        (Protocol(Method.ten_crop, (256,), flip=True), "ten_crop-256-flip", 10),
        (Protocol(Method.centre_crop, (256,), flip=False), "centre_crop-256", 1),
        (Protocol(Method.both, (37, 55), flip=False), "both-37-55", 52),
        (
            Protocol(Method.dense, (256,), False, Average.posteriors, ceil_mode=True, precision=Precision.bf16),
            "dense-256-posteriors-ceil-bf16",
            1,
        ),
    ],
)
def test_a_protocol_is_named_by_its_fields_and_counts_its_views(protocol: Protocol, name: str, num_views: int) -> None:
    assert protocol.name == name
    assert protocol.num_views == num_views


def test_the_parts_of_a_protocol_end_in_single_scales() -> None:
    both = Protocol(Method.both, (256, 384), flip=True, ceil_mode=True)
    dense, crops = both.parts()
    assert [part.name for part in dense.parts()] == ["dense-256-flip-ceil", "dense-384-flip-ceil"]
    assert [part.name for part in crops.parts()] == ["multi_crop-256-flip", "multi_crop-384-flip"]
    assert dense.parts()[0].parts() == []
