"""Label values that stand for several classes: what is read, what is refused, how data sets come together."""

import numpy as np
import pytest

from vidseg.data.label_sets import LabelSets, membership, merged_sets, read_sets
from vidseg.errors import ConfigError


def written(folder, *rows, header="value,ids,names"):
    (folder / "sets.csv").write_text("\n".join((header, *rows)) + "\n")
    return folder


def meaning(sets: LabelSets, value: int):
    return sets.read(np.array([[value]], np.uint8), "x.png").item()


def test_without_a_file_values_are_class_ids(tmp_path):
    sets = read_sets(tmp_path, 150)
    assert sets.sets == () and not sets.fill
    assert [meaning(sets, value) for value in (0, 149, 255)] == [0, 149, 255]
    with pytest.raises(ConfigError, match=r"x\.png: contains class id 150; accepted: 0 to 149, and 255 for no label; "):
        meaning(sets, 150)


def test_a_listed_value_means_its_set_whatever_the_number_and_one_class_is_that_class(tmp_path):
    sets = read_sets(written(tmp_path, '7,20 80,"car; bus"', "200,12,person", "201,80 20,again", "202,2 1 0,"), 150)
    assert sets.sets == ((20, 80), (0, 1, 2))
    assert [meaning(sets, value) for value in (7, 200, 201, 202, 8, 255)] == [150, 12, 150, 151, 8, 255]
    with pytest.raises(ConfigError, match="contains class id 203"):
        meaning(sets, 203)


def test_a_row_for_the_unknown_asks_for_the_teacher(tmp_path):
    assert read_sets(written(tmp_path, "255,soft,"), 150).fill


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["150,20 150,"], r"line 2: ids '20 150'; accepted: class ids from 0 to 149"),
        (["150,,"], r"line 2: ids ''"),
        (["150,car,"], r"line 2: ids 'car'"),
        (["256,1,"], r"line 2: value '256'; accepted: a label value from 0 to 255"),
        (["-1,1,"], r"line 2: value '-1'"),
        (["1.5,1,"], r"line 2: value '1.5'"),
        (["9,1,", "9,2,"], r"line 3: value 9 is listed twice"),
        (["255,1 2,"], r"line 2: value 255 is unknown; accepted: 0 to 254"),
        (["7"], r"line 2: ids ''"),
    ],
)
def test_a_wrong_row_is_told_in_one_line(tmp_path, rows, message):
    with pytest.raises(ConfigError, match=message) as caught:
        read_sets(written(tmp_path, *rows), 150)
    assert str(caught.value).startswith(str(tmp_path / "sets.csv")) and "\n" not in str(caught.value)


def test_a_file_of_another_kind_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="no columns 'value' and 'ids'"):
        read_sets(written(tmp_path, header="a;b"), 150)
    (tmp_path / "sets.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_sets(tmp_path, 150)


def test_more_sets_than_values_are_refused(tmp_path):
    rows = [f"{value},{value} {value + 1}," for value in range(10)]
    with pytest.raises(ConfigError, match="10 sets of several classes, but beside 250 classes only 5 fit"):
        read_sets(written(tmp_path, *rows), 250)


def test_data_sets_share_their_sets_and_keep_their_own(tmp_path):
    first, second = tmp_path / "a", tmp_path / "b"
    first.mkdir(), second.mkdir()
    a = read_sets(written(first, "150,1 2,", "151,3 4,"), 150)
    b = read_sets(written(second, "99,3 4,", "98,5 6,"), 150)
    sets, tables = merged_sets([a, b], 150)
    assert sets == ((1, 2), (3, 4), (5, 6))
    assert tables[0][[0, 150, 151, 255]].tolist() == [0, 150, 151, 255]
    assert tables[1][[0, meaning(b, 99), meaning(b, 98), 255]].tolist() == [0, 151, 152, 255]


def test_membership_lists_the_classes_of_every_value():
    member = membership(4, [(0, 2)])
    assert member.shape == (256, 4)
    assert member[:4].tolist() == np.eye(4, dtype=bool).tolist()
    assert member[4].tolist() == [True, False, True, False] and not member[5:].any()
