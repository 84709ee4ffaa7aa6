import numpy as np
import pytest

from vidseg.errors import ConfigError
from vidseg.labels import LabelSet, ade20k


def test_ade20k_has_150_classes_with_names_and_colours():
    labels = ade20k()
    assert len(labels) == 150
    assert (labels.names[2], labels.names[12], labels.names[20]) == ("sky", "person", "car")
    assert labels.palette.shape == (150, 3) and tuple(labels.palette[2]) == (6, 230, 230)


@pytest.mark.parametrize(
    ("word", "class_id"), [("sky", 2), (" Car ", 20), ("edifice", 1), (12, 12), ("12", 12), ("auto", 20)]
)
def test_find_takes_ids_names_and_synonyms(word, class_id):
    assert ade20k().find(word) == class_id


def test_every_short_name_finds_a_class_of_that_name():
    labels = ade20k()
    assert all(labels.names[labels.find(name)] == name for name in labels.names)


@pytest.mark.parametrize(
    ("word", "text"),
    [("persn", "unknown class 'persn'; near: person"), ("150", "class id 150 is out of range; known: 0 to 149")],
)
def test_unknown_class_is_refused_with_what_is_known(word, text):
    with pytest.raises(ConfigError, match=text):
        ade20k().find(word)


def test_find_all_keeps_order_and_drops_repeats():
    assert ade20k().find_all(["sky", "2", "car"]) == [2, 20]


@pytest.mark.parametrize(
    ("word", "names"),
    [
        ("people", ["person"]),
        ("Humans", ["person"]),
        ("pedestrians", ["person"]),
        ("pavement", ["sidewalk"]),
        ("vehicles", ["car", "bus", "truck", "van", "minibike", "bicycle"]),
        ("motorcycle", ["minibike"]),
        ("cars", ["car"]),
        ("buses", ["bus"]),
        ("shelves", ["shelf"]),
        ("stairs", ["stairs"]),
        ("automobile", ["car"]),
        ("traffic_lights", ["traffic light"]),
        ("double-decker", ["bus"]),
    ],
)
def test_everyday_words_plurals_and_groups_are_classes(word, names):
    labels = ade20k()
    assert [labels.names[class_id] for class_id in labels.find_all([word])] == names


def test_every_word_of_a_group_is_known_and_a_class_of_the_network_wins_over_a_group():
    labels = ade20k()
    for group in ("furniture", "nature"):
        assert len(labels.find_all([group])) >= 16
    own = LabelSet(("vehicle", "car", "vegetation"), ("vehicle", "car", "vegetation"), np.zeros((3, 3), np.uint8))
    assert own.find_all(["vehicle"]) == [0] and own.find_all(["vegetation"]) == [2]
    assert own.find_all(["nature"]) == [2]


def test_a_group_of_several_is_not_one_class():
    with pytest.raises(ConfigError, match=r"'vehicles' is a group of 6 classes \(car, bus, .*\); give one of them"):
        ade20k().find("vehicles")


@pytest.mark.parametrize(
    ("word", "near"),
    [
        ("dog", "near: animal;"),
        ("laptops", "near: computer;"),
        ("face", "near: person;"),
        ("transport", "near: vehicle;"),
        ("automobil", r"near: automobile \(car\)"),
        ("vehicel", "near: vehicle"),
        ("pavment", r"near: pavement \(sidewalk\);"),
    ],
)
def test_what_is_near_in_meaning_is_named_before_what_is_near_in_letters(word, near):
    with pytest.raises(ConfigError, match=near):
        ade20k().find(word)
