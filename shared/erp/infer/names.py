"""What column and table names usually mean, in nine languages. A name is a hint, never a proof.

English, German and Korean stand here, with the names of old ERPs; the other languages' words in `words`.
"""

import re
from functools import lru_cache

from shared.erp.infer.words import TABLE_WORDS, TIME_WORDS, WORDS
from shared.erp.units import TimeUnit

_ITEM = r"(item|part|product|prod|article|artikel|material|mat|teile?|sach|stock|model|sku|goods)"
_KEY = r"(cd|code|no|nr|num|number|nummer|id|key|nbr)"
_NAME = r"(nm|name|desc|descr|description|text|title|dis|bez|bezeichnung|명)"
_STEP = r"(oper(ation)?|op|job|proc(ess)?|task|activity|arbeitsgang|ag|vorgang|avo|공정|작업)"
_PLACE = (
    r"(res(ource)?|machine|mach|work_?cent(er|re)|wc|work_?station|station|location|equipment|arbeitsplatz|aplatz"
    r"|maschinen?|설비|장비|작업장|기계)"
)
_ORDER = r"(work_?order|prod(uction)?t?_?order|job_?order|order|wo|mo|auftrags?|fa|작업지시|지시|오더|po)"
_VALID = r"(valid|eff(ective|ectivity)?|g(ue|ü)ltig|유효)"

# What a column may be, to patterns of its name as `spelled` returns it: a strong one, and a weaker one.
_PATTERNS: dict[str, tuple[str, str]] = {
    "item_code": (
        rf"^{_ITEM}_?{_KEY}$|^(item|sku|matnr|artikel|part|품번|품목|품목_?코드|품목_?번호|자재_?(코드|번호)|제품_?(코드|번호))$",
        rf"{_ITEM}.*{_KEY}$|품번|품목|자재|제품",
    ),
    "sequence": (
        (rf"^({_STEP}_?)?(seq|sequence|step|step_?no|folge)$|^{_STEP}s?_?(no|nr|num|number|nummer|pos)$|^vornr$"
        r"|^agnr$|공정_?순서|공순|^순번$|^순서$"),
        r"(^|_)(seq|sequence|step|pos|position|line|order|reihenfolge)(_|$)|순",
    ),
    "operation_code": (
        rf"^{_STEP}_?(cd|code|id|key|k(ue|ü)rzel|코드)$|^({_STEP})$|^operation$",
        rf"^{_STEP}(_|$)|공정|작업",
    ),
    "operation_name": (rf"^ltxa1$|^{_STEP}.*{_NAME}$|^cd_nm$", rf"^{_STEP}.*{_NAME}"),
    "resource_code": (rf"^arbpl$|^{_PLACE}_?({_KEY}|코드|번호)?$", rf"^{_PLACE}|_{_PLACE}(_|$)"),
    "resource_name": (rf"^{_PLACE}.*{_NAME}$", rf"^{_PLACE}.*{_NAME}"),
    "routing_no": (
        rf"^plnnr$|^(rout(ing|e)?|arbeitsplan|plan|라우팅)_?({_KEY}|ver(sion)?|rev|alt|variante)$",
        r"^(rout(ing|e)?|arbeitsplan|라우팅|alternative?)(_|$)",
    ),
    "inside": (
        r"^(inside|in_?house|outsourc\w*|extern(al)?|subcontract\w*|fremd\w*|in_out)(_?(flag|flg|yn|kz))?$|사내|외주",
        r"inside|outsourc|fremd|subcontract",
    ),
    "setup_minutes": (
        r"^(vgw|ism)01$|(^|_)(setup|set_up|r(ue|ü)st\w*|준비\w*|셋업\w*)(_|$)",
        r"setup|r(ue|ü)st|준비|셋업|^tr$",
    ),
    "run_minutes": (
        (r"^(vgw|ism)02$|(^|_)(run|cycle|mach\w*_worked|worked|st(ue|ü)ckzeit|bearbeitung\w*|laufzeit|ist_?zeit|가공\w*|실동\w*)(_|$)"
        r"|^te$|resource_hrs|작업_?시간"),
        (r"(run|cycle|process|machin|work|labou?r|actual|act|elapsed|ist).*(time|hour|hrs|min|sec|std|zeit)|time|hours?"
        r"|hrs|minutes|seconds|zeit|dauer|duration|stunden|minuten|sekunden|(^|_)(run|cycle)|cycle$|시간|공수"),
    ),
    "wait_minutes": (r"(^|_)(wait|liege\w*|대기\w*)(_|$)", r"wait|liege|대기"),
    "move_minutes": (r"(^|_)(move|transport\w*|이동\w*)(_|$)", r"move|transport|이동"),
    "queue_minutes": (r"(^|_)(queue|warte\w*)(_|$)", r"queue|warte"),
    "valid_from": (rf"{_VALID}.*(from|start|ab|von|시작)|^from_date$", r"(^|_)(from|ab|von)(_|$)"),
    "valid_to": (rf"{_VALID}.*(to|until|end|bis|thru|종료)|^to_date$", r"(^|_)(to|until|bis)(_|$)"),
    "created_at": (r"^(insrt|insert\w*|creat\w*|erstell\w*|angelegt|anlage\w*|entered|등록|생성)", r"creat|insrt|등록"),
    "order_no": (rf"^aufnr$|^{_ORDER}_?({_KEY}|note|번호)$|^(auftrag|work_?order)$", rf"^{_ORDER}(_|$)|지시|오더"),
    "reported_at": (
        (r"^budat$|^date_(finish|end|clos|report)|(report|finish|complet|clos|book|end|post|record|r(ue|ü)ckmeld|buchung|meld|ist_ende)\w*_?(dt|date|day|at|on|datum)$"
        r"|^(date|day|datum|일자|실적일\w*|작업일\w*|완료일\w*|생산일\w*)$"),
        r"date|datum|day|(^|_)(dt|tag)(_|$)|일자?$",
    ),
    "quantity": (
        (r"^[lg]mnga$|^(order|good|made|produced|prod|actual|finished|total|completed|gut|ist|reported)?_?(qty|quantity|menge|pieces|pcs"
        r"|st(ue|ü)ck(zahl)?|anzahl)$|수량$|(total|order)_quantity$"),
        r"qty|quantity|menge|pieces|pcs|st(ue|ü)ckzahl|anzahl|units|수량|count",
    ),
    "bad_quantity": (r"^[xr]mnga$|bad|scrap|reject|ausschuss|불량|defect|(^|_)ng(_|$)", r"loss|waste|폐기"),
    "lot_quantity": (
        (r"^bmsch$|(lot|batch|base|basis|per|los|run_time|bezugs?|기준|로트).*(qty|quantity|size|menge|gr(oe|ö)(ss|ß)e|수량)|^(lot|los)$"
        r"|pieces_per|cavity"),
        r"lot|batch|basis|기준|qty|quantity|menge",
    ),
    "unit": (r"(^|_)(unit|uom|einheit|me|unit_code)$|(^|_)(unit|uom)(_|$)|단위", r"unit|uom|einheit|measure"),
    "drawing": (
        r"^zeinr$|(^|_)(draw|drawing|dwg|zeichnung\w*|zng)(_?(no|nr|num|number|id))?$|도면|도번",
        r"draw|zeichn|dwg",
    ),
    "family": (
        (rf"^matkl$|^({_ITEM}_?)?(type|family|category|class|group|kind|typ|familie|gruppe|warengruppe|klasse|subcategory)(_?(cd|code|id))?$"
        r"|분류|유형|그룹"),
        r"type|famil|categor|group|class|kind|typ$|gruppe",
    ),
    "size": (
        (r"^laeng$|^breit$|^(nt|br)gew$|dia|durchm|length|laenge|länge|width|breite|height|hoehe|höhe|thick|dicke|size|bore|radius|weight|gewicht"
        r"|(^|_)(od|id|len|dim)(_|$)|외경|내경|두께|길이|폭|높이|직경|치수|중량"),
        r"area|volume|größe|groesse",
    ),
    "text": (
        rf"^maktx$|(^|_){_NAME}($|_)|bezeichnung|benennung|spec|name$|규격|품명",
        r"name|desc|text|spec|remark|note|bemerk|비고",
    ),
}  # fmt: skip
_ALIASES = {"run_minutes_per_unit": "run_minutes", "time_unit_column": "unit", "unit_column": "unit"}
_STRONG, _WEAK = 2, 1
_PLAIN = str.maketrans(
    "àáâãåèéêëìíîïòóôõùúûýçñłąęśżźćńő", "aaaaaeeeeiiiioooouuuycnlaeszzcno"
)  # no umlauts: the patterns have them

_TABLES: dict[str, str] = {
    "items": r"item|part|product|article|artikel|material|teile|stamm|master|품목|품번|자재|제품|sku|catalog",
    "routings": r"rout|arbeitsplan|plan|step|operation|process|bop|라우팅|공정",
    "work_results": (
        r"(^|_)ist(_|$)|실적|작업|result|report|record|actual|confirm|work_?order|booking|r(ue|ü)ckmeld|buchung"
    ),
}

_TIME_WORDS: dict[TimeUnit, str] = {
    TimeUnit.SECONDS: r"(^|_)(s|sec|secs|second|seconds|sek|sekunden|초)(_|$)|seconds|sekunden",
    TimeUnit.MINUTES: r"(^|_)(min|mins|minute|minutes|minuten|mn|분)(_|$)|minutes|minuten",
    TimeUnit.HOURS: r"(^|_)(h|hr|hrs|hour|hours|stunden)(_|$)|hours|stunden|(^|_)(ist|ruest|rüst|soll)?_?std$",
    TimeUnit.DAYS: r"(^|_)(days|tage|일수)(_|$)",
}


@lru_cache(maxsize=4096)
def spelled(name: str) -> str:
    """Return a name in lower case with its words parted by `_`: `OrderQty`, `order qty` and `ORDER-QTY` are one.

    Accents are left out, umlauts are kept.
    """
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name.strip())
    return re.sub(r"[\W_]+", "_", parted).strip("_").casefold().translate(_PLAIN)


def likeness(field: str, name: str) -> int:
    """Return how much a column's name speaks for a field: 2 strongly, 1 weakly, 0 not at all."""
    patterns = _PATTERNS.get(_ALIASES.get(field, field))
    if patterns is None:
        return 0
    words = spelled(name)
    both = (patterns, WORDS.get(_ALIASES.get(field, field), patterns))
    if any(re.search(strong, words) for strong, _ in both):
        return _STRONG
    return _WEAK if any(re.search(weak, words) for _, weak in both) else 0


def looks_like(field: str, name: str) -> bool:
    """Return whether a column's name speaks strongly for a field."""
    return likeness(field, name) == _STRONG


def table_likeness(table: str, name: str) -> bool:
    """Return whether a table's name speaks for one of the canonical tables."""
    return re.search(f"{_TABLES[table]}|{TABLE_WORDS[table]}", spelled(name)) is not None


def time_unit_of(name: str) -> TimeUnit | None:
    """Return the time unit that a column's name states, or None where it states none or several."""
    words = spelled(name)
    stated = [unit for unit, said in _TIME_WORDS.items() if re.search(f"{said}|{TIME_WORDS[unit.value]}", words)]
    return stated[0] if len(stated) == 1 else None
