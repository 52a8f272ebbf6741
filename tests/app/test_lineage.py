from __future__ import annotations

import json
import time

import pytest

from muniment.app import lifecycle, link_artifact
from muniment.app.telling import lineage
from muniment.app.telling.lineage_forms import to_dot, to_json, to_mermaid, tree
from muniment.domain.errors import NotFoundError
from muniment.domain.values import VersionId
from tests.app.story import Story


def chain(story: Story, length: int) -> list[VersionId]:
    """Log versions each made by a run from the one before."""
    made: list[VersionId] = []
    for number in range(length):
        run = story.run(f"run-{number}", *made[-1:], job_type="step")
        made.append(story.log(f"step-{number}", f"content {number}", run=run).version_id)
    return made


@pytest.fixture
def story() -> Story:
    return Story()


def names(graph: lineage.Graph) -> set[str]:
    return {node.name for node in graph.nodes}


def test_a_lineage_shows_where_a_version_comes_from_and_what_came_of_it(story: Story) -> None:
    prepare = story.run("prepare", job_type="preparation")
    data = story.log("digits", "images", run=prepare)
    train = story.run("train", data.version_id, job_type="training")
    model = story.log("model", "weights", type_="model", run=train, aliases=("best",))
    story.run("evaluate", model.version_id, data.version_id)
    story.link("model:v0", "wandb-registry-model/classifier", "production")

    drawn = tree(lineage.graph(story.views, model.version_id)).splitlines()

    assert drawn == [
        "model:v0 (model, best)",
        "├─ made from",
        "│  └─ logged by run train (training, running)",
        "│     └─ used digits:v0 (dataset)",
        "│        └─ logged by run prepare (preparation, running)",
        "└─ led to",
        "   ├─ used by run evaluate (running)",
        "   └─ linked as classifier:v0 (production)".replace("classifier", "wandb-registry-model/classifier"),
    ]


def test_references_between_versions_are_edges_both_ways(story: Story) -> None:
    source = story.log("raw", "raw").version_id
    referring = story.log("view", "view", sources=(source,)).version_id

    assert lineage.graph(story.views, referring).edges == (lineage.Edge(source, referring, lineage.REFERS),)
    assert "referred to by view:v0" in tree(lineage.graph(story.views, source))


def test_depth_and_direction_bound_what_is_found_and_say_that_there_is_more(story: Story) -> None:
    made = chain(story, 5)
    middle = made[2]

    near = lineage.graph(story.views, middle, up=2, down=0)
    assert names(near) == {"step-2:v0", "run-2", "step-1:v0"}
    assert near.cut
    assert tree(near).endswith("greater depth")

    everything = lineage.graph(story.views, middle)
    assert len(everything.nodes) == 10
    assert not everything.cut


def test_no_graph_is_larger_than_its_limit(story: Story) -> None:
    data = story.log("digits", "images").version_id
    for number in range(8):
        story.run(f"reader-{number}", data)

    graph = lineage.graph(story.views, data, limit=4)

    assert len(graph.nodes) == 4
    assert graph.cut


def test_a_run_that_logs_what_it_used_again_makes_no_endless_lineage(story: Story) -> None:
    first = story.log("digits", "images").version_id
    run = story.run("copy", first)
    again = story.log("digits", "images", run=run)
    assert (again.version_id, again.created) == (first, False)

    graph = lineage.graph(story.views, first)

    assert {edge.kind for edge in graph.edges} == {lineage.USED, lineage.LOGGED}
    assert len(tree(graph).splitlines()) == 7


def test_as_of_an_earlier_event_later_ones_are_not_there(story: Story) -> None:
    data = story.log("digits", "images").version_id
    before = story.seq
    story.run("train", data)

    assert names(lineage.graph(story.views, data, at=before)) == {"digits:v0"}
    assert names(lineage.graph(story.views, data)) == {"digits:v0", "train"}


def test_what_was_deleted_keeps_its_place_and_its_name(story: Story) -> None:
    data = story.log("digits", "images").version_id
    train = story.run("train", data)
    story.log("model", "weights", type_="model", run=train)
    found = story.find("digits:v0")
    lifecycle.delete_artifact(story.store, found.artifact, found.team)
    model = story.find("model:v0").version.version_id

    graph = lineage.graph(story.views, model)

    assert "used digits:v0 (dataset, deleted)" in tree(graph)
    assert graph.node(data).gone


def test_an_unlinked_version_is_linked_no_more(story: Story) -> None:
    story.log("model", "weights", type_="model")
    found = story.link("model:v0", "wandb-registry-model/classifier")
    linked = lineage.graph(story.views, found.version.version_id)
    link_artifact.unlink(story.store, found)

    assert len(linked.nodes) == 2
    assert len(lineage.graph(story.views, found.version.version_id).nodes) == 1


def test_an_unknown_id_is_not_found(story: Story) -> None:
    with pytest.raises(NotFoundError, match="no version or run"):
        lineage.graph(story.views, "0" * 32)


def test_json_holds_every_node_and_edge(story: Story) -> None:
    made = chain(story, 3)
    graph = lineage.graph(story.views, made[1])

    value = json.loads(json.dumps(to_json(graph)))

    assert value["root"] == made[1]
    assert {node["name"] for node in value["nodes"]} == names(graph)
    assert len(value["edges"]) == len(graph.edges) == 5


def test_what_people_typed_cannot_break_out_of_a_drawing() -> None:
    evil = 'a"];\\b\nend--> x #35; <script>'
    graph = lineage.Graph("1", (lineage.Node("1", "run", evil, evil, 'job"type'),), ())

    dot, mermaid = to_dot(graph), to_mermaid(graph)

    assert '\\"];\\\\b' in dot
    assert len(dot.splitlines()) == 4
    assert len(mermaid.splitlines()) == 2
    assert "<" not in mermaid.split("[", 1)[1]
    assert mermaid.count('"') == 2
    assert "\n" not in tree(graph)


def test_a_long_chain_is_drawn_without_recursion_and_quickly(story: Story) -> None:
    made = chain(story, 30)
    graph = lineage.graph(story.views, made[-1])
    assert len(graph.nodes) == 60
    assert tree(graph).count("logged by") == 30

    began = time.process_time()
    for _ in range(20):
        lineage.graph(story.views, made[-1], down=0)
    assert (time.process_time() - began) / 20 < 0.05


def test_drawing_a_deep_graph_needs_no_recursion() -> None:
    nodes = tuple(lineage.Node(str(n), "version", f"v{n}", f"v{n}") for n in range(3000))
    edges = tuple(lineage.Edge(str(n + 1), str(n), lineage.REFERS) for n in range(2999))
    assert len(tree(lineage.Graph("0", nodes, edges)).splitlines()) == 3001
