"""How events are written: wire names with a version, facts and words as two JSON texts, old forms upcast.

The wire name is the storage format and never a Python path; a name is never used again for another form. Fields
that this version does not know are ignored. A field that is ``None`` is left out.
"""

from __future__ import annotations

import types
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final, Literal, TypeAlias, TypeVar, Union, get_args, get_origin, get_type_hints

import attrs
import msgspec
from attrs import frozen
from cattrs import Converter
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn

from muniment.domain import (
    alias,
    approval,
    artifact,
    collection,
    data_subject,
    disposal,
    hold,
    organisation,
    policy,
    principal,
    processing,
    project,
    redaction,
    registry,
    report,
    request,
    run,
    team,
    version,
)
from muniment.domain.errors import CorruptError, InvalidValueError
from muniment.domain.values import ERASED, WORDS, Erased

T = TypeVar("T")

Fields: TypeAlias = dict[str, Any]

WIRE_NAMES: Final[Mapping[str, type]] = {
    "activity.declared.1": processing.ActivityDeclared,
    "activity.ended.1": processing.ActivityEnded,
    "alias.latest-moved.1": alias.LatestMoved,
    "alias.latest-removed.1": alias.LatestRemoved,
    "alias.moved.1": alias.AliasMoved,
    "alias.removed.1": alias.AliasRemoved,
    "approval.approved.1": approval.Approved,
    "approval.carried-out.1": approval.CarriedOut,
    "approval.proposed.1": approval.Proposed,
    "approval.withdrawn.1": approval.Withdrawn,
    "artifact.created.1": artifact.ArtifactCreated,
    "artifact.deleted.1": artifact.ArtifactDeleted,
    "artifact.described.1": artifact.ArtifactDescribed,
    "artifact.renamed.1": artifact.ArtifactRenamed,
    "artifact.tagged.1": artifact.ArtifactTagged,
    "artifact.ttl-set.1": artifact.ArtifactTtlSet,
    "artifact.type-changed.1": artifact.TypeChanged,
    "artifact.untagged.1": artifact.ArtifactUntagged,
    "collection.created.1": collection.CollectionCreated,
    "collection.deleted.1": collection.CollectionDeleted,
    "collection.described.1": collection.CollectionDescribed,
    "collection.linked.1": collection.Linked,
    "collection.renamed.1": collection.CollectionRenamed,
    "collection.tagged.1": collection.CollectionTagged,
    "collection.unlinked.1": collection.Unlinked,
    "collection.untagged.1": collection.CollectionUntagged,
    "data-subject.attached.1": data_subject.SubjectAttached,
    "data-subject.detached.1": data_subject.SubjectDetached,
    "data-subject.entries-attached.1": data_subject.EntriesAttached,
    "data-subject.entries-detached.1": data_subject.EntriesDetached,
    "data-subject.erased.1": data_subject.SubjectErased,
    "data-subject.fence-lifted.1": data_subject.FenceLifted,
    "data-subject.fenced.1": data_subject.SubjectFenced,
    "data-subject.registered.1": data_subject.SubjectRegistered,
    "disposal.copies-left.1": disposal.CopiesLeft,
    "disposal.disposed.1": disposal.Disposed,
    "disposal.purge-parked.1": disposal.PurgeParked,
    "disposal.residual-ended.1": disposal.ResidualEnded,
    "hold.placed.1": hold.HoldPlaced,
    "hold.released.1": hold.HoldReleased,
    "hold.reviewed.1": hold.HoldReviewed,
    "organisation.created.1": organisation.OrganisationCreated,
    "organisation.renamed.1": organisation.OrganisationRenamed,
    "organisation.role-set.1": organisation.OrganisationRoleSet,
    "policy.removed.1": policy.PolicyRemoved,
    "policy.set.1": policy.PolicySet,
    "principal.created.1": principal.PrincipalCreated,
    "principal.denied.1": principal.Denied,
    "principal.version-downloaded.1": principal.VersionDownloaded,
    "principal.version-used.1": principal.VersionUsed,
    "project.created.1": project.ProjectCreated,
    "project.deleted.1": project.ProjectDeleted,
    "project.renamed.1": project.ProjectRenamed,
    "redaction.redacted.1": redaction.EventsRedacted,
    "registry.all-types-accepted.1": registry.AllTypesAccepted,
    "registry.created.1": registry.RegistryCreated,
    "registry.deleted.1": registry.RegistryDeleted,
    "registry.described.1": registry.RegistryDescribed,
    "registry.protected-aliases-set.1": registry.ProtectedAliasesSet,
    "registry.renamed.1": registry.RegistryRenamed,
    "registry.role-set.1": registry.MemberRoleSet,
    "registry.types-added.1": registry.AcceptedTypesAdded,
    "registry.visibility-changed.1": registry.VisibilityChanged,
    "report.generated.1": report.ReportGenerated,
    "report.values-revealed.1": report.ValuesRevealed,
    "request.certified.1": request.CertificateIssued,
    "request.closed.1": request.RequestClosed,
    "request.decided.1": request.RequestDecided,
    "request.executed.1": request.RequestExecuted,
    "request.extended.1": request.RequestExtended,
    "request.fenced.1": request.ErasureFenced,
    "request.identified.1": request.IdentityConfirmed,
    "request.received.1": request.RequestReceived,
    "request.reopened.1": request.RequestReopened,
    "request.scoped.1": request.RequestScoped,
    "request.verified.1": request.ErasureVerified,
    "run.config-changed.1": run.ConfigChanged,
    "run.deleted.1": run.RunDeleted,
    "run.edited.1": run.RunEdited,
    "run.finished.1": run.RunFinished,
    "run.input-used.1": run.InputUsed,
    "run.logged.1": run.RunLogged,
    "run.output-logged.1": run.OutputLogged,
    "run.resumed.1": run.RunResumed,
    "run.started.1": run.RunStarted,
    "team.created.1": team.TeamCreated,
    "team.renamed.1": team.TeamRenamed,
    "team.role-set.1": team.TeamRoleSet,
    "team.storage-gathered.1": team.StorageGathered,
    "team.storage-set.1": team.StorageSet,
    "team.ttl-policy-set.1": team.TtlPolicySet,
    "version.created.1": artifact.VersionCreated,
    "version.deleted.1": version.MarkedDeleted,
    "version.described.1": version.VersionDescribed,
    "version.entry-erased.1": version.EntryErased,
    "version.manifest-replaced.1": version.ManifestReplaced,
    "version.metadata-changed.1": version.MetadataChanged,
    "version.let-go.1": version.LetGo,
    "version.purged.2": version.Purged,
    "version.restored.1": version.Restored,
    "version.tagged.1": version.Tagged,
    "version.ttl-set.1": version.TtlSet,
    "version.untagged.1": version.Untagged,
}


@frozen
class Upcast:
    """How an old form becomes the next one: its name, and its fields as that one wants them.

    Fields that were words are absent where they were redacted, and read as erased unless *fields* gives them.
    """

    to: str
    fields: Callable[[Fields], Fields]


UPCASTS: Final[Mapping[str, Upcast]] = {
    "version.purged.1": Upcast("version.purged.2", lambda fields: {**fields, "evidence": [], "places": []}),
}
"""Old wire names, each with its way to the next one."""


@frozen
class Written:
    """An event on its way to the disk; ``words`` is ``None`` for events that never hold any."""

    name: str
    facts: bytes
    words: bytes | None


@frozen
class _Form:
    """One event class: which of its fields are words, and how cattrs reads and writes it."""

    name: str
    words: tuple[str, ...]
    optional: tuple[str, ...]
    write: Callable[[Any], Fields]
    read: Callable[[Fields], Any]


class Codec:
    """Writes events and reads them back, whatever version they were written in."""

    def __init__(self, names: Mapping[str, type] = WIRE_NAMES, upcasts: Mapping[str, Upcast] = UPCASTS) -> None:
        _check(names, upcasts)
        self._names = names
        self._upcasts = upcasts
        self._converter = _converter()
        self._by_class: dict[type, _Form] = {}
        self._by_name: dict[str, _Form] = {}
        self._classes = {class_: name for name, class_ in names.items()}

    def encode(self, event: object) -> Written:
        """Return the wire form of an event; InvalidValueError if a text in it is none."""
        form = self._by_class.get(type(event)) or self._form(type(event))
        facts = form.write(event)
        if not form.words:
            return Written(form.name, _json(facts), None)
        words = {key: facts.pop(key) for key in form.words if key in facts}
        return Written(form.name, _json(facts), _json(words))

    def decode(self, name: str, facts: bytes, words: bytes | None) -> Any:  # noqa: ANN401 (any event class)
        """Return the event of a wire form; words that were redacted (``None``) read as ``ERASED``.

        Bytes that are not what the name says are CorruptError.
        """
        try:
            return self._decode(name, facts, words)
        except (AttributeError, KeyError, RecursionError, TypeError, ValueError) as error:
            msg = f"an event {name} cannot be read: its bytes are damaged — run `muniment fsck`"
            raise CorruptError(msg) from error

    def _decode(self, name: str, facts: bytes, words: bytes | None) -> Any:  # noqa: ANN401 (any event class)
        fields: Fields = msgspec.json.decode(facts)
        if not isinstance(fields, dict):
            msg = f"{type(fields).__name__} instead of fields"
            raise TypeError(msg)
        if words is not None:
            fields.update(msgspec.json.decode(words))
        while name in self._upcasts:
            upcast = self._upcasts[name]
            name, fields = upcast.to, upcast.fields(fields)
        form = self._by_name.get(name)
        if form is None:
            if name not in self._names:
                msg = f"unknown event {name}: it was written by a newer Muniment — upgrade this one"
                raise CorruptError(msg)
            form = self._form(self._names[name])
        if words is None:
            for key in form.words:
                fields.setdefault(key, ERASED)
        for key in form.optional:
            fields.setdefault(key, None)
        return form.read(fields)

    def _form(self, class_: type) -> _Form:
        if class_ not in self._classes:
            msg = f"{class_.__name__} has no wire name, so it cannot be kept — give it one in WIRE_NAMES"
            raise TypeError(msg)
        hints = get_type_hints(class_, include_extras=True)
        names = [each.name for each in attrs.fields(class_)]
        form = _Form(
            name=self._classes[class_],
            words=tuple(name for name in names if _holds_words(hints[name])),
            optional=tuple(name for name in names if _is_optional(hints[name])),
            write=_without_none(make_dict_unstructure_fn(class_, self._converter)),
            read=_reader(class_, self._converter),
        )
        self._by_class[class_] = form
        self._by_name[form.name] = form
        return form


def _check(names: Mapping[str, type], upcasts: Mapping[str, Upcast]) -> None:
    twice = sorted(class_.__name__ for class_, count in Counter(names.values()).items() if count > 1)
    clash = sorted({*names} & {*upcasts})
    lost = sorted(name for name in upcasts if not _arrives(name, names, upcasts))
    if lost or clash or twice:
        msg = f"upcasts lead nowhere ({lost}) or hide a name that is in use ({clash}); classes with two names: {twice}"
        raise ValueError(msg)


def _arrives(name: str, names: Mapping[str, type], upcasts: Mapping[str, Upcast]) -> bool:
    for _ in range(len(upcasts) + 1):
        if name not in upcasts:
            return name in names
        name = upcasts[name].to
    return False


def json_text(value: object, order: Literal["sorted", "deterministic"]) -> bytes:
    """Return the JSON text of a value; InvalidValueError if it holds what no text in UTF-8 can."""
    try:
        return msgspec.json.encode(value, order=order)
    except UnicodeEncodeError as error:
        msg = "text with half of a surrogate pair cannot be kept — leave that character out"
        raise InvalidValueError(msg) from error


def _json(fields: Fields) -> bytes:
    return json_text(fields, "sorted")


def _without_none(write: Callable[[Any], Mapping[str, Any]]) -> Callable[[Any], Fields]:
    return lambda event: {key: value for key, value in write(event).items() if value is not None}


def _reader(class_: type, converter: Converter) -> Callable[[Fields], Any]:
    read: Callable[[Any, Any], Any] = make_dict_structure_fn(class_, converter)
    return lambda fields: read(fields, class_)


def _write_words(value: object) -> object:
    if value is ERASED:
        msg = "words that were erased cannot be kept again"
        raise InvalidValueError(msg)
    return list(value) if isinstance(value, tuple) else value


def _is_union(annotation: object) -> bool:
    return get_origin(annotation) in {Union, types.UnionType}


def _holds_words(annotation: object) -> bool:
    if get_origin(annotation) is Annotated:
        return WORDS in get_args(annotation)[1:]
    return _is_union(annotation) and any(map(_holds_words, get_args(annotation)))


def _is_optional(annotation: object) -> bool:
    return _is_union(annotation) and type(None) in get_args(annotation)


def _is_erasable(annotation: object) -> bool:
    return _is_union(annotation) and Erased in get_args(annotation)


def _exactly(kind: type[T]) -> Callable[[Any, Any], T]:
    def read(value: Any, _: Any) -> T:  # noqa: ANN401 (whatever the JSON held)
        if type(value) is not kind:
            msg = f"{type(value).__name__} instead of {kind.__name__}"
            raise TypeError(msg)
        return value

    return read


def _converter() -> Converter:
    converter = Converter(detailed_validation=False)

    def erasable(annotation: Any) -> Callable[[Any, Any], Any]:  # noqa: ANN401 (a typing construct)
        plain: Any = Union.__getitem__(tuple(arg for arg in get_args(annotation) if arg is not Erased))
        read = converter.get_structure_hook(plain)
        return lambda value, _: value if value is ERASED else read(value, plain)

    def write_erasable(_: Any) -> Callable[[Any], Any]:  # noqa: ANN401 (a typing construct)
        return _write_words

    for kind in (str, int, bool):
        converter.register_structure_hook(kind, _exactly(kind))
    converter.register_structure_hook_factory(_is_erasable, erasable)
    converter.register_unstructure_hook_factory(_is_erasable, write_erasable)
    return converter
