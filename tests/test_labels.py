import pytest

from vidseg.errors import ConfigError
from vidseg.labels import ade20k


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
