import numpy as np
import pytest

from vidseg.data.mapping import groups, mapping_names, read_mapping
from vidseg.errors import ConfigError
from vidseg.labels import ade20k


def test_camvid_has_eleven_classes_of_their_ade20k_ids():
    assert "camvid11" in mapping_names()
    mapping = read_mapping("camvid11")
    assert mapping.names == (
        *("sky", "building", "pole", "road", "pavement", "tree", "sign", "fence", "car", "pedestrian", "bicyclist"),
    )
    words = ("sky", "house", "streetlight", "road", "sidewalk", "grass", "signboard", "railing", "bus", "person")
    labels = np.array([[ade20k().find(word) for word in words]], dtype=np.uint8)
    assert mapping.table[labels].tolist() == [list(range(10))]
    assert mapping.table[np.array([[127, 255, 22]], np.uint8)].tolist() == [[10, 255, 255]]


def test_a_file_may_name_classes(tmp_path):
    path = tmp_path / "two.yaml"
    path.write_text("classes:\n  up: [sky, 4]\n  down: [road]\n")
    mapping = read_mapping(str(path))
    assert mapping.names == ("up", "down")
    assert mapping.table[np.array([[2, 4, 6, 0]], np.uint8)].tolist() == [[0, 0, 1, 255]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- 1", "not a mapping"),
        ("classes: {", "not valid YAML at line 1; accepted: YAML with 'classes:"),
        ("classes: {}", "not a mapping"),
        ("classes: {a: 3}", "class 'a' is 3; accepted: a list"),
        ("classes: {a: [skyy]}", "class 'a': unknown class 'skyy'; near: sky"),
        ("classes: {a: [1], b: [2, 1]}", "class id 1 is listed twice"),
    ],
)
def test_wrong_files_are_told_in_one_line(tmp_path, text, message):
    path = tmp_path / "wrong.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_mapping(str(path))
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(ConfigError, match="--mapping camvid12: no such mapping or file; known: camvid11"):
        read_mapping("camvid12")


def test_sets_of_classes_become_sets_of_coarser_classes():
    mapping = read_mapping("camvid11")
    car, bus, person, animal, truck = ade20k().find_all(["car", "bus", "person", "animal", "truck"])
    counts = np.zeros((256, 151), dtype=np.int64)
    counts[150, car], counts[151, person], counts[152, person], counts[153, car] = 1, 2, 3, 4
    counts[car, animal] = 5
    sets = [tuple(sorted(group)) for group in ((car, person), (bus, car), (car, animal), (truck, bus, person))]
    mapped, coarser = mapping.counts(counts, sets)
    both = tuple(sorted(mapping.table[[car, person]].tolist()))
    assert coarser == (both,) and mapped.sum() == counts.sum()
    count = len(mapping.names)
    assert mapped[count, mapping.table[car]] == 1 + 4  # car or person; truck, bus or person
    assert mapped[mapping.table[car], mapping.table[person]] == 2  # a vehicle either way
    assert mapped[255].sum() == 3  # an animal would be right and has no coarser class
    assert mapped[mapping.table[car], count] == 5


def test_groups_are_of_known_classes():
    assert groups()["person"] == (12,) and set(groups()["car"]) < set(groups()["vehicle"])
