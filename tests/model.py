"""What artifacts, versions, aliases and collections are, in plain lists and dicts: the model for the real thing."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import define, field

from muniment.app.catalog import Found
from muniment.domain.errors import (
    AliasMovedMeanwhileError,
    MunimentError,
    NameTakenError,
    NotFoundError,
    VersionDeletedError,
    VersionHeldError,
)
from muniment.domain.values import LATEST

ANYWHERE = "anywhere"
"""What to expect of an alias when it does not matter where it points."""


class Refused(Exception):  # noqa: N818 (what the model says, not an error)
    """The model says that this must be refused."""

    def __init__(self, error: type[MunimentError]) -> None:
        super().__init__(error.__name__)
        self.error = error


@define(eq=False)
class Member:
    """A version of an artifact, or the link of one in a collection."""

    index: int
    content: object
    live: bool = True
    found: Found | None = None


@define(eq=False)
class Numbered:
    """A numbered list of members with aliases: an artifact or a collection."""

    name: str
    members: list[Member] = field(factory=list)
    aliases: dict[str, Member | None] = field(factory=dict)
    newest: Member | None = None
    """What the last making or move by hand put ``latest`` on; ``None`` after it was removed."""

    def add(self, content: object) -> Member:
        self.members.append(Member(len(self.members), content))
        self.newest = self.members[-1]
        return self.newest

    @property
    def latest(self) -> Member | None:
        if self.newest is None or self.newest.live:
            return self.newest
        live = [member for member in self.members if member.live]
        return live[-1] if live else None

    def holding(self, content: object) -> Member | None:
        held = [member for member in self.members if member.live and member.content == content]
        return held[-1] if held else None

    def of(self, member: Member) -> list[str]:
        return sorted(alias for alias, target in self.aliases.items() if target is member)

    def point(self, alias: str, member: Member, expected: object = ANYWHERE) -> None:
        now = self.latest if alias == LATEST else self.aliases.get(alias)
        if expected not in {ANYWHERE, now}:
            raise Refused(AliasMovedMeanwhileError)
        if alias != LATEST:
            self.aliases[alias] = member
        elif now is not member:
            self.newest = member

    def unpoint(self, alias: str, member: Member) -> None:
        if alias == LATEST and self.latest is member:
            self.newest = None
        elif self.aliases.get(alias) is member:
            self.aliases[alias] = None

    def drop(self, member: Member) -> None:
        for alias in self.of(member):
            self.aliases[alias] = None


@define
class Model:
    """All artifacts and collections, by their names."""

    artifacts: dict[str, Numbered] = field(factory=dict)
    collections: dict[str, Numbered] = field(factory=dict)

    def log(self, name: str, content: str, aliases: Sequence[str]) -> tuple[Member, bool]:
        artifact = self.artifacts.setdefault(name, Numbered(name))
        same = artifact.holding(content)
        member = same or artifact.add(content)
        for alias in (LATEST, *aliases) if same else aliases:
            artifact.point(alias, member)
        return member, same is None

    def edit(self, member: Member, added: Sequence[str], removed: Sequence[str], expected: object) -> None:
        artifact = self.home(member)
        if added and not member.live:
            raise Refused(VersionDeletedError)
        for alias in added:
            if expected not in {ANYWHERE, artifact.latest if alias == LATEST else artifact.aliases.get(alias)}:
                raise Refused(AliasMovedMeanwhileError)
        for alias in removed:
            artifact.unpoint(alias, member)
        for alias in added:
            artifact.point(alias, member)

    def delete(self, member: Member, *, aliases_too: bool) -> None:
        artifact = self.home(member)
        if not member.live:
            return
        if self.links(member) or (artifact.of(member) and not aliases_too):
            raise Refused(VersionHeldError)
        artifact.drop(member)
        member.live = False

    def rename(self, name: str, new: str) -> None:
        if name != new and new in self.artifacts:
            raise Refused(NameTakenError)
        self.artifacts[new] = self.artifacts.pop(name)
        self.artifacts[new].name = new

    def link(self, member: Member, target: str, aliases: Sequence[str]) -> Member:
        if not member.live:
            raise Refused(VersionDeletedError)
        collection = self.collections.setdefault(target, Numbered(target))
        there = collection.holding(member)
        link = there or collection.add(member)
        for alias in aliases:
            collection.point(alias, link)
        return link

    def unlink(self, link: Member) -> None:
        if link.live:
            self.within(link).drop(link)
            link.live = False

    def edit_link(self, link: Member, added: Sequence[str], removed: Sequence[str]) -> None:
        if not link.live:
            raise Refused(NotFoundError)
        for alias in removed:
            self.within(link).unpoint(alias, link)
        for alias in added:
            self.within(link).point(alias, link)

    def home(self, member: Member) -> Numbered:
        return next(each for each in self.artifacts.values() if member in each.members)

    def within(self, link: Member) -> Numbered:
        return next(each for each in self.collections.values() if link in each.members)

    def links(self, member: Member) -> list[tuple[str, int]]:
        return sorted(
            (collection.name, link.index)
            for collection in self.collections.values()
            for link in collection.members
            if link.live and link.content is member
        )
