"""Names, types, aliases, tags, paths and durations: what is allowed, and that each refusal names what is wrong."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muniment.domain.errors import AliasReservedError, InvalidNameError, InvalidValueError
from muniment.domain.values import (
    ERASED,
    INHERIT,
    LATEST,
    LONGEST_TTL,
    NAME_LIMIT,
    NEVER,
    REGISTRY_NAME_LIMIT,
    REGISTRY_PREFIX,
    Role,
    StreamId,
    Ttl,
    TtlRule,
    alias_name,
    alias_stream,
    artifact_name,
    entry_path,
    latest_stream,
    numbering_stream,
    owner_of,
    plain_name,
    registry_name,
    tag_name,
    type_name,
    version_index,
)

Check = Callable[[Any], str]
team_name: Check = partial(plain_name, what="Team name")

CHECKS: Final[dict[str, tuple[Check, int]]] = {
    "artifact": (artifact_name, 128),
    "type": (type_name, 128),
    "plain": (team_name, 128),
    "registry": (registry_name, 113),
    "alias": (alias_name, 128),
    "tag": (tag_name, 128),
}
CONTROLS: Final = ["\0", "\t", "\n", "\r", "\x1f", "\x7f", "\x85", "\x9f", "\u2028", "\u2029", "\ud800", "\udfff"]
each_check = pytest.mark.parametrize("kind", CHECKS)

ALLOWED: Final[dict[str, list[str]]] = {
    "artifact": ["a", "A-Z_0.9", "-", ".", "..", "v1", "latest", "net.tar.gz"],
    "type": ["model", "a-b_c.d", "raw data", "two  spaces", "-", "modèle", "数据", "a.b c.d", "1"],
    "plain": ["vision", "Team One", "höhe", "a.b#c", "v1", "数据"],
    "registry": ["model", "My models", "a.b-c_d", "höhe", "a|b", "v1"],
    "alias": ["best", "a b", "latest", "V1", "v", "v1.0", "vv1", "1", "v-1", "v\uff11", "höchst", "a#b", "v1 b"],
    "tag": ["gold", "a b", "a-b", "a_b", "-", "höchst", "two  spaces", "v1", "1"],
}
REFUSED: Final[dict[str, list[str]]] = {
    "artifact": ["a b", "a/b", "a:b", "ä", "a\\b", "a@b", "a,b", " a", "数"],
    "type": ["a/b", "a:b", ".a", " a", "a ", " ", "a@b", "a\\b", "a .b/"],
    "plain": ["a/b", "a:b", "/", ":", " a", "a ", " ", "\u00a0a", "\u3000"],
    "registry": ["a/b", "a\\b", "a#b", "a?b", "a%b", "a:b", " a", "a ", " "],
    "alias": ["a/b", "a:b", "/", ":", " a", "a ", " ", "\u00a0"],
    "tag": ["a.b", "a/b", "a:b", " a", "a ", " ", "a@b", "a\\b"],
}


# --- every kind of name ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "text"), [(kind, text) for kind, texts in ALLOWED.items() for text in texts])
def test_what_is_allowed_comes_back_as_it_was(kind: str, text: str) -> None:
    assert CHECKS[kind][0](text) == text


@pytest.mark.parametrize(("kind", "text"), [(kind, text) for kind, texts in REFUSED.items() for text in texts])
def test_what_is_not_allowed_is_refused_and_named(kind: str, text: str) -> None:
    with pytest.raises(InvalidNameError) as caught:
        CHECKS[kind][0](text)
    assert repr(text) in str(caught.value)


@each_check
def test_a_name_is_as_long_as_its_limit_at_most(kind: str) -> None:
    check, limit = CHECKS[kind]
    assert check("n" * limit) == "n" * limit
    with pytest.raises(InvalidNameError, match=f"is longer than {limit} characters: 'n+'…"):
        check("n" * (limit + 1))


@each_check
def test_a_name_is_not_empty(kind: str) -> None:
    with pytest.raises(InvalidNameError, match="is empty"):
        CHECKS[kind][0]("")


@each_check
@pytest.mark.parametrize("other", [None, 1, 1.5, b"net", ["net"], {}, ERASED, object], ids=repr)
def test_a_name_is_text(kind: str, other: object) -> None:
    with pytest.raises(InvalidNameError, match=f"must be text, not {type(other).__name__}"):
        CHECKS[kind][0](other)


@each_check
@pytest.mark.parametrize("control", CONTROLS, ids=ascii)
@pytest.mark.parametrize("place", ["{}a", "a{}b", "a{}"])
def test_a_name_holds_no_control_characters_line_ends_or_halves_of_characters(
    kind: str, control: str, place: str
) -> None:
    text = place.format(control)
    with pytest.raises(InvalidNameError) as caught:
        CHECKS[kind][0](text)
    assert str(caught.value).isprintable()


@each_check
@given(text=st.text(st.characters(), max_size=140))
def test_any_text_is_allowed_as_it_is_or_refused_as_a_rule_says(kind: str, text: str) -> None:
    check, limit = CHECKS[kind]
    try:
        assert check(text) == text
    except (InvalidNameError, AliasReservedError):
        return
    assert 0 < len(text) <= limit
    assert text == text.strip()
    assert "/" not in text
    assert ":" not in text
    assert text.encode()


@pytest.mark.parametrize("kind", ["type", "tag"])
@pytest.mark.parametrize("text", ["a" * 127 + "!", "a " * 63 + "!", "-." * 63 + "/", " " * 127 + "a"])
def test_a_long_name_is_refused_at_once(kind: str, text: str) -> None:
    """A pattern that tries every way to cut it into words would not come back."""
    with pytest.raises(InvalidNameError):
        CHECKS[kind][0](text)


def test_the_name_of_a_registry_leaves_room_for_its_prefix() -> None:
    assert REGISTRY_PREFIX == "wandb-registry-"
    assert REGISTRY_NAME_LIMIT + len(REGISTRY_PREFIX) == NAME_LIMIT


def test_the_text_of_a_refused_artifact_name_is_the_one_people_know() -> None:
    known = "Artifact name may only contain alphanumeric characters, dashes, underscores, and dots"
    with pytest.raises(ValueError, match=known):
        artifact_name("a b")


def test_a_plain_name_says_what_it_is_the_name_of() -> None:
    with pytest.raises(InvalidNameError, match="Collection name may not hold '/' or ':'"):
        plain_name("a/b", "Collection name")


# --- aliases and version numbers -------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["v0", "v12", "v007", "v" + "9" * 127])
def test_a_version_number_is_no_alias(text: str) -> None:
    with pytest.raises(AliasReservedError, match=f"Alias '{text}' is a version number — .* choose another alias"):
        alias_name(text)


def test_latest_is_an_alias() -> None:
    assert alias_name(LATEST) == "latest"


@pytest.mark.parametrize(
    ("text", "index"),
    [
        ("v0", 0),
        ("v12", 12),
        ("v007", 7),
        ("v000", 0),
        ("v" + "0" * 5000 + "1", 1),
        ("v" + "9" * 18, 10**18 - 1),
        ("v" + "9" * 19, None),
        ("v" + "9" * 5000, None),
        ("latest", None),
        ("v", None),
        ("V1", None),
        ("v-1", None),
        ("v1 ", None),
        ("v1\n", None),
        ("v\uff11", None),
        ("12", None),
        ("", None),
    ],
    ids=lambda part: f"{ascii(part)[:24]} of {len(str(part))}",
)
def test_a_version_number_is_read(text: str, index: int | None) -> None:
    assert version_index(text) == index


@given(st.integers(0, 10**18 - 1))
def test_any_index_that_a_database_can_hold_is_read_and_is_no_alias(index: int) -> None:
    assert version_index(f"v{index}") == index
    with pytest.raises(AliasReservedError):
        alias_name(f"v{index}")


# --- paths of entries ------------------------------------------------------------------------------------------------

GOOD_PATHS: Final = [
    *("a", "a.txt", "sub/b.txt", "a b/c d", " a ", "...", ".a", "a.", "..a", "a..", ".../a", "-", "~", "*", "?", '"'),
    *("ab:c", "d/a:b", "1:b", "ä:b", "ä", "数据/图.png", "e\u0301", "\u00e9", "a\\b", "a\\..\\b", "x" * 5000, "con"),
]
BAD_PATHS: Final = [
    *("/", "/a", "//a", "a//b", "a/", "a//", "./a", "a/.", "a/./b", ".", "..", "../a", "a/..", "a/../b", "../../etc"),
    *("a:b", "a:", "C:foo", "c:/foo", "C:\\foo", "z:", "\\a", "\\\\server\\share\\a", "\\"),
]


@pytest.mark.parametrize("path", GOOD_PATHS, ids=lambda path: ascii(path[:20]))
def test_a_path_is_relative_and_plain(path: str) -> None:
    assert entry_path(path) == path


@pytest.mark.parametrize("path", BAD_PATHS, ids=ascii)
def test_a_path_that_leaves_the_artifact_or_depends_on_the_system_is_refused(path: str) -> None:
    with pytest.raises(InvalidNameError) as caught:
        entry_path(path)
    assert str(caught.value).startswith(f"Invalid artifact path: {path!r} — use a relative path")


@pytest.mark.parametrize("control", CONTROLS, ids=ascii)
@pytest.mark.parametrize("place", ["{}a", "a{}", "d/a{}b", "d{}/a"])
def test_a_path_holds_no_control_characters(control: str, place: str) -> None:
    path = place.format(control)
    with pytest.raises(InvalidNameError, match="holds a control character") as caught:
        entry_path(path)
    assert repr(path) in str(caught.value)


@pytest.mark.parametrize("other", ["", None, 1, b"a", ["a"], ERASED], ids=repr)
def test_a_path_is_text_and_not_empty(other: Any) -> None:
    with pytest.raises(InvalidNameError, match="Invalid artifact path: "):
        entry_path(other)


@given(st.text(st.characters() | st.sampled_from("./\\:"), max_size=12))
def test_any_path_that_is_allowed_stays_below_its_folder_and_can_be_written(path: str) -> None:
    try:
        assert entry_path(path) == path
    except InvalidNameError:
        return
    parts = path.split("/")
    assert not {"", ".", ".."} & set(parts)
    assert path[0] not in "/\\"
    assert "\n" not in path
    assert path.encode().decode() == path


# --- durations -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("micros", [1, 500_000, 999_999, 86_400_000_000, LONGEST_TTL])
def test_a_duration_is_kept_to_the_microsecond(micros: int) -> None:
    assert Ttl.after(micros) == Ttl(TtlRule.AFTER, micros)


@pytest.mark.parametrize("micros", [0, -1, -(10**20)])
def test_a_duration_is_positive(micros: int) -> None:
    known = "Artifact TTL Duration has to be positive — use None for never, or ArtifactTTL.INHERIT"
    with pytest.raises(InvalidValueError, match=known):
        Ttl.after(micros)


@pytest.mark.parametrize("micros", [LONGEST_TTL + 1, 86_400_000_000 * 999_999_999])
def test_a_duration_that_no_calendar_can_hold_is_refused(micros: int) -> None:
    with pytest.raises(InvalidValueError, match="longer than 1,000 years — use None for never"):
        Ttl.after(micros)


def test_inherit_and_never_have_no_duration() -> None:
    assert (INHERIT.micros, NEVER.micros) == (None, None)
    assert Ttl() == INHERIT != NEVER


# --- roles and streams -----------------------------------------------------------------------------------------------


@given(st.sampled_from(Role), st.sampled_from(Role), st.sampled_from(Role))
def test_roles_are_in_one_order(one: Role, two: Role, three: Role) -> None:
    assert one.covers(one)
    assert one.covers(two) or two.covers(one)
    assert one.covers(three) or not (one.covers(two) and two.covers(three))
    assert Role.ADMIN.covers(one)
    assert one.covers(Role.RESTRICTED_VIEWER)


def test_the_streams_of_one_thing_are_apart_and_tell_whose_they_are() -> None:
    streams = {StreamId("a"), numbering_stream("a"), latest_stream("a"), alias_stream("a", "1"), alias_stream("a", "2")}
    assert streams == {"a", "a:n", "a:l", "a:a:1", "a:a:2"}
    assert {owner_of(stream) for stream in streams} == {"a"}


def test_what_was_erased_says_so() -> None:
    assert repr(ERASED) == "ERASED"
