"""The arithmetic of tree search: UCT, the ends of a simulation, what a path earns, the choice at the end."""

from __future__ import annotations

import math

import pytest

from sage_spo.evaluation.tree_search import Expansion, Tree, TreeRules, grown, mean_reward, uct
from sage_spo.seeding import generator

GREEDY = TreeRules(exploration=0.0, playout=1)


def tree(*expansions: tuple[str, dict[str, float]], rules: TreeRules = GREEDY, root: float = 0.5) -> Tree:
    return grown("root", root, [Expansion(node, children) for node, children in expansions], rules)


def test_uct_is_the_value_and_a_bonus_for_what_was_seldom_visited():
    assert uct(0.4, 2, 9, 2.5) == pytest.approx(0.4 + 2.5 * math.sqrt(math.log(9) / 2))
    assert uct(0.4, 0, 9, 2.5) == math.inf


def test_the_root_is_expanded_first_and_then_the_child_that_was_not_visited():
    assert tree().at is not None
    assert tree().at.id == "root"  # type: ignore[union-attr]
    first = tree(("root", {"a": 0.6, "b": 0.7}))
    assert first.nodes["b"].visits == 1  # the path of the round ends at the best child
    assert first.nodes["a"].visits == 0
    assert first.at is first.nodes["a"]


def test_a_simulation_follows_the_best_child_until_its_length_is_reached():
    rules = TreeRules(exploration=0.0, playout=2)
    under_way = tree(("root", {"a": 0.6, "b": 0.7}), rules=rules)
    assert under_way.at is under_way.nodes["b"]
    assert under_way.paths == []
    done = tree(("root", {"a": 0.6, "b": 0.7}), ("b", {"c": 0.6, "d": 0.8}), rules=rules)
    assert [[n.id for n in path] for path in done.paths] == [["root", "b", "d"]]


def test_what_a_path_earned_reaches_every_node_on_it():
    by_sum = tree(("root", {"a": 0.6}), ("a", {"b": 0.8}), rules=TreeRules(0.0, playout=2, returns="sum"))
    assert by_sum.nodes["b"].value == pytest.approx(0.8)
    assert by_sum.nodes["a"].value == pytest.approx(1.4)
    assert by_sum.root.value == pytest.approx(1.9)
    by_mean = tree(("root", {"a": 0.6}), ("a", {"b": 0.8}), rules=TreeRules(0.0, playout=2, returns="mean"))
    assert by_mean.nodes["a"].value == pytest.approx(0.7)
    assert by_mean.root.value == pytest.approx(1.9 / 3)


def test_no_node_is_deeper_than_the_limit_and_the_tree_ends_when_all_are():
    rules = TreeRules(exploration=0.1, depth=2, playout=8)
    done = tree(("root", {"a": 0.6}), ("a", {"b": 0.8}), rules=rules)
    assert done.at is None
    assert done.end(done.nodes["b"])


def test_deep_and_poor_a_node_is_an_end_and_a_new_best_ends_its_simulation():
    rules = TreeRules(exploration=0.0, least_depth=1, playout=8)
    poor = tree(("root", {"a": 0.9}), ("a", {"b": 0.6, "c": 0.55}), rules=rules)
    assert poor.end(poor.nodes["b"])  # 0.6 < (0.9 + 0.5) / 2
    assert len(poor.paths) >= 1
    rich = tree(("root", {"a": 0.6}), ("a", {"b": 0.7}), rules=rules)
    assert [[n.id for n in path] for path in rich.paths] == [["root", "a", "b"]]


def test_an_expansion_without_a_reward_ends_there():
    nothing = tree(("root", {"a": 0.6}), ("a", {}), rules=TreeRules(0.0, playout=8))
    assert [n.id for n in nothing.paths[0]] == ["root", "a"]


def test_the_choice_is_the_best_node_of_the_best_path():
    rules = TreeRules(exploration=0.0, playout=2)
    found = tree(("root", {"a": 0.6, "b": 0.7}), ("b", {"c": 0.9}), ("a", {"d": 0.6}), rules=rules)
    assert found.best().id == "c"
    assert tree().best().id == "root"


def test_the_same_expansions_give_the_same_tree_and_more_visits_go_where_rewards_are_higher():
    expansions: list[Expansion] = []
    rules = TreeRules(exploration=0.2, depth=6, playout=2, returns="mean")
    for number in range(30):
        at = grown("root", 0.4, expansions, rules).at
        if at is None:
            break
        good = 0.3 if at.id.startswith("g") else 0.0
        rng = generator(0, number)
        children = {
            f"{'g' if i == 0 else 'p'}{number}.{i}": 0.4 + good * (i == 0) + 0.1 * rng.random() for i in range(3)
        }
        expansions.append(Expansion(at.id, children))
    one, two = (grown("root", 0.4, expansions, rules) for _ in range(2))
    assert {i: (n.visits, n.total) for i, n in one.nodes.items()} == {
        i: (n.visits, n.total) for i, n in two.nodes.items()
    }
    assert one.root.visits == len(one.paths)
    for node in one.nodes.values():
        assert sum(c.visits for c in node.children) <= node.visits


def test_a_missing_reward_is_not_a_zero():
    assert mean_reward([1.0, None, 1.0]) == 1.0
    assert mean_reward([1.0, None, None]) is None
    assert mean_reward([]) is None
