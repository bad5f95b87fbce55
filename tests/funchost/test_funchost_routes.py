"""Route templates: what each constraint lets through, and what is refused before a request comes."""

import pytest

from funchost.routes import compile_route

GUID = "0f8fad5b-d9cb-469f-a165-70867728950e"


@pytest.mark.parametrize(
    ("constraint", "fits", "fits_not"),
    [
        (
            "int",
            ["7", "-7", "+7", "007", "2147483647"],
            ["", "x", "1.5", "2147483648", "\N{ARABIC-INDIC DIGIT SEVEN}", "9" * 6000, "0" * 6000],
        ),
        ("long", ["9223372036854775807", "-1"], ["9223372036854775808", "1x"]),
        ("bool", ["true", "FALSE"], ["1", "yes"]),
        ("alpha", ["ab", "AB"], ["a1", "ä", "\N{KELVIN SIGN}"]),
        ("guid", [GUID, GUID.upper(), f"{{{GUID}}}", f"({GUID})", GUID.replace("-", "")], [GUID[:-1], f"{{{GUID}"]),
        ("decimal", ["1", "-1.5", "1,000.25", ".5"], ["1e3", "x", "-"]),
        ("double", ["1e3", "-1.5", ".5", "NaN", "-Infinity"], ["x", "1e"]),
        ("float", ["1E-3", "7."], ["e3"]),
        ("length(2)", ["ab"], ["a", "abc"]),
        ("length(2, 3)", ["ab", "abc"], ["a", "abcd"]),
        ("minlength(2)", ["ab"], ["a"]),
        ("maxlength(2)", ["ab"], ["abc"]),
        ("min(-5)", ["-5", "0"], ["-6", "x", "9" * 6000]),
        ("max(5)", ["5", "-99"], ["6"]),
        ("range(1, 12)", ["1", "12"], ["0", "13", "x"]),
        (r"regex(^\d{{2}}$)", ["12"], ["1", "123"]),
        ("required", ["x"], []),
        ("int:min(3)", ["3"], ["2", "x"]),
    ],
)
def test_a_constraint_lets_through_what_it_says(constraint: str, fits: list[str], fits_not: list[str]) -> None:
    route = compile_route(f"a/{{x:{constraint}}}/z")
    assert [value for value in fits if route.match(f"a/{value}/z") != {"x": value}] == []
    assert [value for value in fits_not if route.match(f"a/{value}/z") is not None] == []


@pytest.mark.parametrize(
    ("template", "path", "values"),
    [
        ("a/{x?}", "a", {}),
        ("a/{x?}", "a/", {}),
        ("a/{x?}", "a/b/", {"x": "b"}),
        ("a/{x}", "a//b", None),
        ("a/{x}", "a/b/c", None),
        ("a/{*x}", "a", {}),
        ("a/{*x}", "a/b/c/", {"x": "b/c/"}),
        ("{*x}", "", {}),
        ("{name}.{ending}", "a.b.c", {"name": "a.b", "ending": "c"}),
        ("A/b", "a/B/", {}),
        ("a.b", "axb", None),
    ],
)
def test_a_path_gives_its_values(template: str, path: str, values: dict[str, str] | None) -> None:
    assert compile_route(template).match(path) == values


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("a/{x", "not closed"),
        ("a/x}", "not opened"),
        ("a/{x=1}", "default values"),
        ("a/{x:datetime}", "datetime"),
        ("a/{x:file}", "file"),
        ("a/{x:regex([)}", "regular expression"),
        ("a/{x:range(1)}", "range"),
        ("a/{x:length(1,2,3)}", "length"),
        ("{*x}/a", "last"),
        ("a/{x?}/b", "optional"),
        ("a/b{x?}", "mixes"),
        ("a/{x}/{x}", "twice"),
        ("a?b", "question mark"),
        ("a/{}", "cannot be read"),
    ],
)
def test_a_template_that_cannot_be_meant_is_refused_by_name(template: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason) as caught:
        compile_route(template)
    assert repr(template) in str(caught.value)
