from mediagen.core.provenance import command_line, differences, versions


def test_a_command_line_can_be_said_again():
    said = command_line(
        "canvas", {"width": 10, "structure_seed": None, "style_map": "my map.csv", "json": True, "quiet": False}
    )
    assert said == "mediagen canvas --width 10 --style-map 'my map.csv' --json"


def test_differences_name_the_leaves():
    before = {"plan": {"seed": 1, "window": [0, 1]}, "model": "a"}
    assert list(differences(before, before)) == []
    now = {"plan": {"seed": 2, "window": [0, 1], "new": True}, "model": "a" * 100}
    found = list(differences(before, now))
    assert found[:2] == ["plan.seed: was 1, now 2", "plan.new: was nothing, now True"]
    assert found[2].startswith("model: was a, now aaa")
    assert len(found[2]) < 100


def test_versions_of_what_is_and_is_not_there():
    found = versions("numpy", "no-such-package-anywhere")
    assert found["numpy"][0].isdigit()
    assert found["no-such-package-anywhere"] == "absent"
