from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muniment.app.search import matcher
from muniment.domain.errors import InvalidValueError

MODEL = {
    "name": "classifier",
    "version": "v3",
    "tag": ["good", "fast"],
    "size": 12,
    "metadata": {"accuracy": 0.91, "layers": [3, 4], "dataset": {"name": "digits"}, "flat.key": 1, "ok": True},
    "description": None,
}


@pytest.mark.parametrize(
    "filter_",
    [
        None,
        {},
        {"name": "classifier"},
        {"name": {"$eq": "classifier"}, "size": 12},
        {"name": {"$ne": "other"}},
        {"size": {"$gt": 11, "$lte": 12}},
        {"size": {"$gte": 12, "$lt": 12.5}},
        {"name": {"$in": ["classifier", "other"]}},
        {"name": {"$nin": ["other"]}},
        {"name": {"$contains": "assif"}},
        {"tag": "fast"},
        {"tag": {"$contains": "fast"}},
        {"tag": {"$in": ["slow", "good"]}},
        {"tag": {"$regex": "^go"}},
        {"name": {"$regex": "^class.*r$"}},
        {"metadata.accuracy": {"$gt": 0.9}},
        {"metadata.dataset.name": "digits"},
        {"metadata.layers": 4},
        {"metadata.flat.key": 1},
        {"metadata.ok": True},
        {"metadata.accuracy": {"$exists": True}},
        {"metadata.loss": {"$exists": False}},
        {"metadata.loss": None},
        {"description": {"$exists": False}},
        {"$or": [{"name": "x"}, {"size": 12}]},
        {"$and": [{"name": "classifier"}, {"$nor": [{"size": 13}, {"tag": "slow"}]}]},
        {"$not": {"name": "other"}},
        {"size": {"$not": {"$gt": 20}}},
        {"metadata.loss": {"$not": {"$gt": 1}}},
        {"metadata": {"$contains": "accuracy"}},
    ],
)
def test_these_find_the_model(filter_: Any) -> None:
    assert matcher(filter_)(MODEL)


@pytest.mark.parametrize(
    "filter_",
    [
        {"name": "Classifier"},
        {"name": "classifier", "size": 13},
        {"size": {"$gt": "11"}},
        {"metadata.ok": 1},
        {"metadata.ok": {"$gt": 0}},
        {"metadata.loss": {"$gt": 0}},
        {"tag": {"$ne": "fast"}},
        {"tag": {"$nin": ["fast"]}},
        {"metadata.accuracy.deeper": 0.91},
        {"$and": [{"name": "classifier"}, {"size": 1}]},
        {"$nor": [{"name": "classifier"}]},
        {"$not": {}},
        {"metadata.accuracy": {"$exists": False}},
        {"size": {"$regex": "1"}},
    ],
)
def test_these_do_not(filter_: Any) -> None:
    assert not matcher(filter_)(MODEL)


@pytest.mark.parametrize(
    ("filter_", "said"),
    [
        ([], "a filter is a dict"),
        ({"$xor": []}, "no operator between filters"),
        ({"name": {"$like": "x"}}, "is no operator"),
        ({"name": {"$eq": 1, "other": 2}}, "is no operator"),
        ({"$or": {}}, "takes a list"),
        ({"$and": []}, "takes a list"),
        ({"$and": [1]}, "a filter is a dict"),
        ({"name": {"$in": "abc"}}, "take a list"),
        ({"name": {"$gt": None}}, "take a number or text"),
        ({"name": {"$gt": True}}, "take a number or text"),
        ({"name": {"$exists": "yes"}}, "takes True or False"),
        ({"name": {"$regex": "("}}, "no regular expression"),
        ({"name": {"$regex": 1}}, "takes text"),
        ({"name": {"$not": 1}}, "takes operators"),
        ("name", "a filter is a dict"),
    ],
)
def test_what_is_no_filter_is_refused_before_anything_is_searched(filter_: Any, said: str) -> None:
    with pytest.raises(InvalidValueError, match=said):
        matcher(filter_)


def test_endless_nesting_is_refused() -> None:
    endless: dict[str, Any] = {}
    endless["$not"] = endless
    with pytest.raises(InvalidValueError, match="deeper"):
        matcher(endless)
    operators: dict[str, Any] = {}
    operators["$not"] = operators
    with pytest.raises(InvalidValueError, match="deeper"):
        matcher({"name": operators})


@given(st.dictionaries(st.sampled_from("abc"), st.integers(0, 3)), st.sampled_from("abc"), st.integers(0, 3))
def test_opposites_never_agree(document: dict[str, int], name: str, value: int) -> None:
    for one, other in (("$eq", "$ne"), ("$in", "$nin")):
        wanted: Any = [value] if one == "$in" else value
        assert matcher({name: {one: wanted}})(document) != matcher({name: {other: wanted}})(document)
    if name in document:
        assert matcher({name: {"$gt": value}})(document) != matcher({name: {"$lte": value}})(document)
