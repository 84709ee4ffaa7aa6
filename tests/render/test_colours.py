from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from vidseg.errors import ConfigError
from vidseg.labels import LabelSet, ade20k
from vidseg.render.background import parse_background
from vidseg.render.colours import painted

# what dichromats see of linear RGB: Machado, Oliveira and Fernandes 2009, severity 1
BLIND = {
    "red": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "green": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "blue": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


def least_distance(palette: np.ndarray, matrix: object = None) -> float:
    """The smallest CIE 1976 dE between two colours, seen by eyes of this kind."""
    rgb = palette / 255.0
    if matrix is not None:
        linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
        seen = np.clip(linear @ np.array(matrix).T, 0, 1)
        rgb = np.where(seen <= 0.0031308, seen * 12.92, 1.055 * seen ** (1 / 2.4) - 0.055)
    lab = cv2.cvtColor(rgb[None].astype(np.float32), cv2.COLOR_RGB2Lab)[0]
    distance = np.linalg.norm(lab[:, None] - lab[None], axis=-1)
    return float(distance[~np.eye(len(lab), dtype=bool)].min())


def test_the_commonest_vivid_colours_differ_for_all_eyes_and_all_150_differ() -> None:
    vivid = painted(ade20k(), "vivid").palette
    assert least_distance(vivid[:40]) > 20
    assert {kind: least_distance(vivid[:40], matrix) > 10 for kind, matrix in BLIND.items()} == dict.fromkeys(
        BLIND, True
    )
    assert least_distance(vivid) > 14


def test_no_palette_leaves_every_class_its_own_colour() -> None:
    for palette in (None, "ade20k"):
        assert np.array_equal(painted(ade20k(), palette).palette, ade20k().palette)


def test_classes_of_other_networks_get_vivid_colours_too() -> None:
    other = LabelSet(("road", "gremlin", "car"), ("road", "gremlin", "car"), np.zeros((3, 3), np.uint8))
    vivid, of_ade20k = painted(other, "vivid").palette, painted(ade20k(), "vivid").palette
    assert tuple(vivid[0]) == tuple(of_ade20k[6]) and tuple(vivid[2]) == tuple(of_ade20k[20])
    assert vivid[1].any()


@pytest.mark.parametrize(
    "content",
    [
        "name,colour\nsky,#010203\nCar,0x040506\n",
        "\ufeffID,R,G,B\n2,1,2,3\n20,4,5,6\n",
        'id,name,short_name,r,g,b\n9,sky,sky,1,2,3\n1,"car, auto",car,4,5,6\n',
    ],
)
def test_a_file_names_classes_and_their_colours(content: str, tmp_path: Path) -> None:
    file = tmp_path / "mine.csv"
    file.write_text(content, encoding="utf-8")
    palette = painted(ade20k(), str(file)).palette
    assert palette[2].tolist() == [1, 2, 3] and palette[20].tolist() == [4, 5, 6]
    others = np.delete(np.arange(150), [2, 20])
    assert np.array_equal(palette[others], ade20k().palette[others])


def test_a_colour_for_one_class_wins_over_the_palette() -> None:
    palette = painted(ade20k(), "vivid", ["person=#ff0055", "20=0x00ff00", "sky=Orange,road = navy"]).palette
    assert palette[[12, 20, 2, 6]].tolist() == [[255, 0, 85], [0, 255, 0], [255, 165, 0], [0, 0, 128]]


def test_names_of_colours_mean_the_same_in_files_and_for_a_background(tmp_path: Path) -> None:
    file = tmp_path / "mine.csv"
    file.write_text("name,colour\nsky,teal\n")
    assert painted(ade20k(), str(file)).palette[2].tolist() == [0, 128, 128]
    assert parse_background("lime", lambda path: None).colour == (0, 255, 0)
    for text in ("gray", " Grey"):
        assert parse_background(text, lambda path: None).name == "grey"  # which keeps shapes


@pytest.mark.parametrize(
    ("palette", "colours", "message"),
    [
        ("bright", (), "--palette bright: cannot be read .*; known: ade20k, vivid, or a CSV file"),
        ("a,b\n1,2\n", (), "has no such columns; accepted: a CSV file with the columns"),
        ("name,colour\nsky,rde\n", (), "line 2: the colour is 'rde'"),
        ("name,r,g,b\nsky,256,0,0\n", (), "line 2: the colour is"),
        ("name,r,g,b\nsky,1\n", (), "line 2: the colour is"),
        ("name,colour\nskyy,#010203\n", (), "unknown class 'skyy'"),
        (None, ("person",), "--color is 'person'; accepted: CLASS=COLOUR, the colour as #RRGGBB or one of black,"),
        (None, ("person=rde",), "--color is 'person=rde'; accepted"),
        (None, ("person=#ff",), "--color is 'person=#ff'"),
        (None, ("=#ff0055",), "--color is '=#ff0055'"),
        (None, ("persn=#ff0055",), "--color: unknown class 'persn'"),
    ],
)
def test_what_is_no_palette_or_colour_is_refused_in_one_line(
    palette: str | None, colours: tuple[str, ...], message: str, tmp_path: Path
) -> None:
    if palette is not None and "\n" in palette:
        file = tmp_path / "mine.csv"
        file.write_text(palette)
        palette = str(file)
    with pytest.raises(ConfigError, match=message) as caught:
        painted(ade20k(), palette, colours)
    assert "\n" not in str(caught.value)


def test_the_given_classes_are_left_alone() -> None:
    labels = replace(ade20k(), palette=ade20k().palette.copy())
    painted(labels, "vivid", ["sky=#000000"])
    assert np.array_equal(labels.palette, ade20k().palette)
