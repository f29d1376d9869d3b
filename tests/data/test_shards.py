"""Shares of the pairs: together they are all of them, each once, in order."""

import pytest

from pullback.data.shards import DealtPairs, NoShard, Shard, missing_shares


@pytest.mark.parametrize("count", [0, 1, 2, 3, 7, 100])
@pytest.mark.parametrize("of", [1, 2, 3, 8])
def test_shares_are_all_pairs_once_in_order_and_of_equal_size(count, of):
    parts = [range(count)[Shard(number, of).places(count)] for number in range(1, of + 1)]
    assert [place for part in parts for place in part] == list(range(count))
    sizes = [len(part) for part in parts]
    assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize("text", ["0/3", "4/3", "2", "a/b", "", None, "1/0", "1/3/5", "-1/3"])
def test_what_names_no_share_is_refused(text):
    with pytest.raises(NoShard, match="shard=2/3"):
        Shard.named(text)


def test_the_shares_of_absent_pairs_are_counted():
    assert missing_shares([0, 1, 9], 10, 3) == {Shard(1, 3): 2, Shard(3, 3): 1}


@pytest.mark.parametrize(("count", "processes"), [(7, 3), (1, 2), (4, 2), (0, 2)])
def test_pairs_are_dealt_out_in_turn_none_twice_and_some_processes_may_have_none(count, processes):
    hands = [DealtPairs(range(count), processes=processes, rank=rank) for rank in range(processes)]
    assert sorted(place for hand in hands for place in hand) == list(range(count))
    assert [list(hand) for hand in hands] == [list(range(rank, count, processes)) for rank in range(processes)]
    assert [len(hand) for hand in hands] == [len(list(hand)) for hand in hands]
