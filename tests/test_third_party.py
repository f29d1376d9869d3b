"""The list of licences is that of the packages that are installed."""

from experiments.third_party import licence, listed, requirements


def test_every_dependency_stands_in_the_list_with_its_licence():
    said = listed()
    assert said.keys() == requirements().keys() | {"package"}
    assert not [name for name in requirements() if said[name] == "not known"]
    core = [name for name, purpose in requirements().items() if purpose == "everything"]
    assert {name: said[name] for name in core} == {name: licence(name) or said[name] for name in core}
