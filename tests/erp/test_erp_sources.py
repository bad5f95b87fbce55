import gzip
from datetime import timedelta

import polars as pl
import pytest

from shared.errors import SourceError
from tests.erp.erp_support import FILES, NOW, TinyFactory


def test_item_codes_stay_text_with_their_leading_zeros(factory: TinyFactory) -> None:
    snapshot = factory.extract()
    assert snapshot.items()["item_code"].to_list() == ["007", "8", "9"]
    assert snapshot.work_results()["item_code"].to_list() == ["007", "8"]


@pytest.mark.parametrize(
    "encoded",
    [
        pytest.param(lambda text: text.encode("utf-8-sig"), id="utf-8 with BOM"),
        pytest.param(lambda text: text.encode("cp949"), id="cp949"),
        pytest.param(lambda text: text.encode("utf-16"), id="utf-16"),
        pytest.param(lambda text: text.replace("\n", "\r\n").encode(), id="Windows line ends"),
    ],
)
def test_every_usual_encoding_gives_the_same_snapshot(factory: TinyFactory, encoded: object) -> None:
    plain = factory.extract()
    factory.write("steps.csv", encoded(FILES["steps.csv"]))  # type: ignore[operator]
    again = factory.extract()
    assert again.fingerprint == plain.fingerprint
    assert again.routings()["inside"].to_list() == [True, False, True]
    assert again.issues == {}


def test_a_gzipped_file_and_a_parquet_file_give_the_same_snapshot(factory: TinyFactory) -> None:
    plain = factory.extract()
    (factory.source / "reports.csv").unlink()
    factory.write("reports.csv.gz", gzip.compress(FILES["reports.csv"].encode()))
    parts = pl.read_csv(factory.source / "parts.csv", schema_overrides={"code": pl.String})
    parts.write_parquet(factory.source / "parts.parquet")
    (factory.source / "parts.csv").unlink()
    assert factory.extract().fingerprint == plain.fingerprint


def test_whole_numbers_of_a_typed_source_are_codes_without_a_decimal_point(factory: TinyFactory) -> None:
    (factory.source / "parts.csv").unlink()
    frame = pl.DataFrame(
        {"code": [7.0, 8.0], "kind": ["a", "b"], "diameter": [1.5, 2.0], "diameter_unit": ["mm", "mm"]}
    )
    frame.write_parquet(factory.source / "parts.parquet")
    assert factory.extract().items()["item_code"].to_list() == ["7", "8"]


def test_damaged_bytes_in_one_line_are_counted_and_the_rest_is_used(factory: TinyFactory) -> None:
    good = FILES["steps.csv"].encode()
    factory.write("steps.csv", good + b"8,20,CO\xffAT,\xec\x82\xac\xeb\x82\xb4,1,1\n")
    snapshot = factory.extract()
    assert snapshot.issues["file steps.csv"] == {"bytes that are not utf-8": 1}
    assert snapshot.rows["routings"] == 4
    assert snapshot.routings()["inside"].to_list()[:3] == [True, False, True]


def test_lines_with_too_many_fields_are_counted_and_left_out(factory: TinyFactory) -> None:
    factory.write("steps.csv", FILES["steps.csv"] + "8,20,COAT,사내,1,1,surplus,more\n8,30,PACK,사내,1,1\n")
    snapshot = factory.extract()
    assert snapshot.issues["file steps.csv"] == {"more fields than the header": 1}
    assert snapshot.routings()["operation_code"].to_list() == ["TURN", "COAT", "TURN", "PACK"]


def test_a_quoted_field_may_hold_the_delimiter_and_a_line_break(factory: TinyFactory) -> None:
    factory.write("parts.csv", 'code,kind,diameter,diameter_unit\n007,"ring, ""big""\nand round",10,mm\n')
    assert factory.extract().items()["kind"].to_list() == ['ring, "big"\nand round']


def test_a_missing_folder_is_named(factory: TinyFactory) -> None:
    factory.source = factory.source / "elsewhere"
    with pytest.raises(SourceError, match="elsewhere does not exist"):
        factory.extract()


def test_a_missing_file_is_named_with_the_nearest_one(factory: TinyFactory) -> None:
    factory.document["items"]["table"] = "part"
    with pytest.raises(SourceError, match=r"no file part\.csv.*did you mean 'parts'"):
        factory.extract()


def test_a_missing_key_column_names_file_column_and_the_nearest_name(factory: TinyFactory) -> None:
    factory.document["routings"]["columns"]["sequence"] = "sequ"
    with pytest.raises(SourceError, match=r"steps has no column sequ \(did you mean 'seq'\?\)") as caught:
        factory.extract()
    assert caught.value.facts == {"file": "steps", "column": "sequ"}


def test_a_missing_attribute_column_is_an_error_too(factory: TinyFactory) -> None:
    factory.document["items"]["attributes"]["kind"]["column"] = "sort"
    with pytest.raises(SourceError, match=r"items\.attributes\.kind"):
        factory.extract()


def test_the_first_known_alias_of_a_column_is_read(factory: TinyFactory) -> None:
    factory.document["routings"]["columns"]["operation_code"] = ["OPERATION_CD", "job"]
    assert factory.extract().routings()["operation_code"].to_list() == ["TURN", "COAT", "TURN"]


def test_two_files_of_one_name_are_ambiguous(factory: TinyFactory) -> None:
    factory.write("parts.csv.gz", gzip.compress(FILES["parts.csv"].encode()))
    with pytest.raises(SourceError, match=r"ambiguous: parts\.csv, parts\.csv\.gz"):
        factory.extract()


def test_an_empty_file_and_a_broken_gzip_are_named(factory: TinyFactory) -> None:
    factory.write("parts.csv", "")
    with pytest.raises(SourceError, match=r"parts\.csv is empty"):
        factory.extract()
    (factory.source / "parts.csv").unlink()
    whole = gzip.compress(FILES["parts.csv"].encode())
    for broken in (b"not gzip at all", whole[:-12], whole[:14] + b"\xff\xff\xff" + whole[17:]):
        factory.write("parts.csv.gz", broken)
        with pytest.raises(SourceError, match=r"parts\.csv\.gz cannot be read"):
            factory.extract()


def test_columns_of_one_name_are_numbered_and_none_is_taken_for_the_other(factory: TinyFactory) -> None:
    factory.write("parts.csv", "code,kind,kind_1,kind ,diameter,diameter_unit,,\n1,a,b,c,1,mm,,\n")
    with pytest.raises(SourceError, match=r"no column kind \(did you mean 'kind_2'\?\).*kind_2, kind_1, kind_3"):
        factory.extract()
    factory.document["items"]["attributes"]["kind"]["column"] = "kind_3"
    assert factory.extract().items()["kind"].to_list() == ["c"]


def test_a_quoted_header_with_blanks_around_names_is_read(factory: TinyFactory) -> None:
    factory.write("parts.csv", '" code ","kind",diameter , diameter_unit\n1,a,2,mm\n')
    assert factory.extract().items().row(0) == ("1", "a", 2.0)


def test_a_column_in_other_case_serves(factory: TinyFactory) -> None:
    factory.write("parts.csv", "CODE,Kind,Diameter,DIAMETER_UNIT\n1,a,2,mm\n")
    assert factory.extract().items().row(0) == ("1", "a", 2.0)


def test_a_file_with_none_of_the_wanted_columns_is_named_with_its_own(factory: TinyFactory) -> None:
    factory.write("parts.csv", "x,y\n1,2\n")
    with pytest.raises(SourceError, match=r"parts has no column code.*Its columns are: x, y"):
        factory.extract()


def test_damage_in_a_file_that_two_queries_read_is_counted_once(factory: TinyFactory) -> None:
    factory.write("steps.csv", FILES["steps.csv"].encode() + b"8,20,CO\xffAT,\xec\x82\xac\xeb\x82\xb4,1,1\n")
    factory.document["routings"] |= {"table": None, "sql": "SELECT * FROM steps"}
    factory.document["items"] |= {"table": None, "sql": "SELECT p.* FROM parts p JOIN steps s ON p.code = s.code"}
    assert factory.extract().issues["file steps.csv"] == {"bytes that are not utf-8": 1}


def test_a_file_that_the_profile_does_not_name_is_never_read(factory: TinyFactory) -> None:
    plain = factory.extract()
    factory.write("other.parquet", b"\x00 not parquet")
    factory.document["items"] = {
        **factory.document["items"],
        "table": None,
        "sql": "SELECT * FROM parts",
    }
    assert factory.extract().fingerprint == plain.fingerprint


def test_a_query_joins_files_of_the_folder(factory: TinyFactory) -> None:
    factory.write("kinds.csv", "kind,family\nring,turned\nseal,assembled\n")
    factory.document["items"]["table"] = None
    factory.document["items"]["sql"] = "SELECT p.*, k.family FROM parts p LEFT JOIN kinds k ON p.kind = k.kind"
    factory.document["items"]["attributes"]["kind"]["column"] = "family"
    assert factory.extract().items()["kind"].to_list() == ["turned", "turned", "assembled"]


def test_a_wrong_query_names_the_tables_there_are(factory: TinyFactory) -> None:
    factory.document["items"]["table"] = None
    factory.document["items"]["sql"] = "SELECT nothing FROM partz"
    with pytest.raises(SourceError, match=r"query over .* fails: .*Tables of the folder: .*parts"):
        factory.extract()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp949", "utf-16"])
def test_titles_above_a_header_are_skipped_where_the_profile_says_how_many(factory: TinyFactory, encoding: str) -> None:
    plain = factory.extract()
    factory.write("steps.csv", ("사내 공정, 2025\n\n" + FILES["steps.csv"]).encode(encoding))
    factory.document["source"] = {"skip_rows": {"Steps": 2}}
    assert factory.extract(now=NOW + timedelta(days=1)).fingerprint == plain.fingerprint
    factory.document["source"]["skip_rows"]["step"] = 1
    with pytest.raises(SourceError, match=r"has no file or sheet step \(did you mean 'steps'\?\)"):
        factory.extract()
