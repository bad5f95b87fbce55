"""Small factories as strangers would export them: other languages, other layouts, other units, other dirt."""

import csv
import random
from datetime import date, timedelta
from pathlib import Path
from typing import Any

Rows = list[dict[str, Any]]


def _write(folder: Path, name: str, rows: Rows, *, delimiter: str = ",", encoding: str = "utf-8") -> None:
    with (folder / name).open("w", encoding=encoding, newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter=delimiter)
        writer.writeheader()
        writer.writerows(rows)


def _german(value: float) -> str:
    return f"{value:.3f}".replace(".", ",")


def write_german_factory(folder: Path) -> None:
    """Write an export of a German ERP: semicolons, decimal commas, days first, planned minutes and booked hours."""
    luck = random.Random(5)
    steps = {"WELLE": ("DREHEN", "SCHLEIFEN"), "GEHÄUSE": ("GIESSEN", "FRÄSEN", "BOHREN"), "RING": ("DREHEN", "HÄRTEN")}
    places = {
        "DREHEN": "M-100",
        "SCHLEIFEN": "M-200",
        "GIESSEN": "M-300",
        "FRÄSEN": "M-400",
        "BOHREN": "M-450",
        "HÄRTEN": "EXT",
    }
    parts: Rows = []
    plan: Rows = []
    booked: Rows = []
    for number in range(150):
        group = list(steps)[number % 3]
        code = f"{100000 + number * 7:08d}"
        size = "k.A." if number % 10 == 0 else _german(10 + number * 1.5)
        parts.append(
            {
                "Artikelnummer": code,
                "Bezeichnung": f"{group.title()} {number}",
                "Warengruppe": group,
                "Durchmesser_mm": size,
                "Gewicht": _german(0.2 + number / 50),
                "Zeichnungsnr": f"Z-{number // 2:05d}",
                "Werk": "01",
            }
        )
        for place, step in enumerate(steps[group], 1):
            run = 3.0 + place + number % 5
            plan.append(
                {
                    "Artikelnummer": code,
                    "AG-Nr": f"{place * 10:04d}",
                    "Arbeitsgang": step,
                    "Arbeitsplatz": places[step],
                    "Fremdvergabe": "J" if step == "HÄRTEN" else "N",
                    "Rüstzeit": _german(20 + place),
                    "Stückzeit": _german(run),
                }
            )
            for _ in range(2):
                day = date(2024, 1, 15) + timedelta(days=luck.randrange(300))
                pieces = luck.randrange(5, 60)
                noise = luck.uniform(0.8, 1.3)
                booked.append(
                    {
                        "FA-Nr": f"FA{len(booked) // 3:06d}",
                        "Artikelnummer": code,
                        "AG-Nr": f"{place * 10:04d}",
                        "Arbeitsplatz": places[step],
                        "Rückmeldedatum": day.strftime("%d.%m.%Y"),
                        "Gutmenge": pieces,
                        "Ausschuss": luck.randrange(2),
                        "Rüststunden": _german(luck.uniform(0.3, 0.5)),
                        "Ist-Stunden": _german(run * pieces * noise / 60),
                    }
                )
    _write(folder, "Teilestamm.csv", parts, delimiter=";")
    _write(folder, "Arbeitsplan.csv", plan, delimiter=";")
    _write(folder, "Rueckmeldungen.csv", booked, delimiter=";")


def write_pump_maker(folder: Path) -> None:
    """Write a pump maker's tables: bookings know order and operation number only; planned in seconds a lot."""
    luck = random.Random(6)
    steps = {"IMPELLER": ("CAST", "MILL", "BALANCE"), "CASING": ("CAST", "BORE"), "SHAFT": ("TURN", "GRIND", "INSPECT")}
    parts: Rows = []
    plan: Rows = []
    orders: Rows = []
    bookings: Rows = []
    for number in range(120):
        family = list(steps)[number % 3]
        code = f"P-{number:04d}"
        inches = number % 4 == 0
        size = 50 + number
        parts.append(
            {
                "part_no": code,
                "description": f"{family.lower()} for pump {number % 17}",
                "part_family": family,
                "bore_diameter": round(size / 25.4, 3) if inches else size,
                "bore_diameter_uom": "in" if inches else "mm",
                "weight_kg": 0 if number % 5 == 0 else round(number * 0.3, 2),
                "drawing_no": f"D{number // 3:04d}",
                "last_modified": "2024-05-05",
            }
        )
        for place, step in enumerate(steps[family], 1):
            plan.append(
                {
                    "part_no": code,
                    "op_no": place * 10,
                    "operation": step,
                    "work_center": f"WC-{step[:2]}",
                    "lot_size": 50,
                    "setup_sec": 1200 + 60 * place,
                    "run_sec": 50 * (90 + 10 * place),
                }
            )
        for _ in range(3):
            order = f"WO{len(orders) + 1:06d}"
            pieces = luck.randrange(10, 80)
            orders.append(
                {
                    "work_order": order,
                    "part_no": code,
                    "order_qty": pieces,
                    "scrap_qty": luck.randrange(3),
                    "due_date": "03/28/2024",
                    "finish_date": f"{1 + luck.randrange(12):02d}/{1 + luck.randrange(28):02d}/2024",
                }
            )
            for place in range(1, len(steps[family]) + 1):
                minutes = (90 + 10 * place) / 60 * pieces * luck.uniform(0.8, 1.3)
                bookings.append(
                    {
                        "work_order": order,
                        "op_no": place * 10,
                        "machine": f"M{place}",
                        "setup_min": round(luck.uniform(18, 26), 1),
                        "run_min": round(minutes, 2),
                    }
                )
    for name, rows in {
        "parts": parts,
        "operations_plan": plan,
        "work_orders": orders,
        "labor_bookings": bookings,
    }.items():
        _write(folder, f"{name}.csv", rows, delimiter="\t")


def write_korean_factory(folder: Path) -> None:
    """Write a Korean export in cp949: booked minutes whose columns' names say no unit, and planned ones in hours."""
    luck = random.Random(7)
    steps = {"축": ("선삭", "연삭"), "하우징": ("주조", "밀링", "도금")}
    parts: Rows = []
    plan: Rows = []
    booked: Rows = []
    for number in range(100):
        kind = list(steps)[number % 2]
        code = f"A{number:05d}"
        parts.append(
            {
                "품번": code,
                "품명": f"{kind} {number}",
                "분류": kind,
                "외경": 20 + number,
                "외경단위": "MM" if number % 3 else "INCH",
                "도면번호": f"DW{number:04d}",
            }
        )
        for place, step in enumerate(steps[kind], 1):
            run = 4 + place
            plan.append(
                {
                    "품번": code,
                    "공정순서": place * 10,
                    "공정코드": f"J{place}{len(step)}",
                    "공정명": step,
                    "설비코드": f"R{place}",
                    "사내외주": "외주" if step == "도금" else "사내",
                    "준비시간": round(30 / 60, 4),
                    "가공시간": round(run / 60, 4),
                }
            )
            for _ in range(2):
                pieces = luck.randrange(2, 30)
                booked.append(
                    {
                        "작업지시번호": f"W{len(booked):06d}",
                        "품번": code,
                        "공정순서": place * 10,
                        "공정코드": f"J{place}{len(step)}",
                        "설비코드": f"R{place}",
                        "실적일자": f"2024{1 + luck.randrange(12):02d}{1 + luck.randrange(28):02d}",
                        "실적수량": pieces,
                        "불량수량": 0,
                        "준비시간(분)": 30,
                        "작업시간(분)": round(run * pieces * luck.uniform(0.8, 1.2), 2),
                    }
                )
    for name, rows in {"품목": parts, "공정": plan, "실적": booked}.items():
        _write(folder, f"{name}.csv", rows, encoding="cp949")


def write_french_factory(folder: Path) -> None:
    """Write a French export: codes that repeat or are blank, reports of two years in two layouts, set up in minutes."""
    luck = random.Random(9)
    steps = ("Sciage", "Perçage")
    parts: Rows = []
    plan: Rows = []
    booked: dict[int, Rows] = {2023: [], 2024: []}
    for number in range(80):
        code = f"{number * 13:05d}"
        size = {"Longueur": 400 + number, "Unité": "cm" if number % 4 == 0 else "mm"}
        part = {"Réf. article": code, "Désignation": f"Pièce {number}", "Famille": f"F{number % 3}"} | size
        parts += [part, part] if number % 16 == 0 else [part]
        for place, step in enumerate(steps, 1):
            seconds = 60 * place + number
            times = {"Temps réglage (min)": 15, "Temps cycle (s/pce)": seconds}
            plan.append(
                {"Article": code, "N° phase": place * 10, "Libellé phase": step, "Poste de charge": step[:3]} | times
            )
            for time in range(3):
                pieces = luck.randrange(5, 50)
                run = _german(seconds * pieces * luck.uniform(0.9, 1.3) / 3600)
                old = (number + time) % 2 == 0
                day = f"{1 + luck.randrange(28):02d}/{1 + luck.randrange(12):02d}/{2023 if old else 2024}"
                padded = code + "  " if number % 5 == 0 else code
                booked[2023 if old else 2024].append(
                    {"Date": day, "Ordre": f"OF{number}", "Article": padded, "Phase": place * 10, "H réglage": "0,25"}
                    | {"H usinage": run, "Qté bonne": pieces, "Rebuts": 0}
                    if old
                    else {
                        "Code article": padded,
                        "Phase": place * 10,
                        "OF": f"OF{number}",
                        "Quantité": pieces,
                        "Rebuts": 1,
                    }
                    | {"Heures usinage": run, "Heures réglage": "0,25", "Date pointage": day}
                )
    blank = dict.fromkeys(parts[0], "")
    _write(folder, "Nomenclature.csv", [*parts, blank | {"Désignation": "à créer"}], delimiter=";", encoding="cp1252")
    _write(folder, "Gammes.csv", plan, delimiter=";", encoding="cp1252")
    for year, rows in booked.items():
        _write(folder, f"Pointages-{year}.csv", rows, delimiter=";", encoding="cp1252")
    _write(folder, "Clients.csv", [{"Client": f"C{n}", "Ville": "Lyon"} for n in range(4)], delimiter=";")


def write_parts_and_plan_only(folder: Path) -> None:
    """Write a factory that has no reported work at all, and no unit in the names of its times."""
    kinds = {"bracket": ("cut", "bend"), "plate": ("cut", "drill", "paint")}
    parts: Rows = []
    plan: Rows = []
    for number in range(60):
        kind = list(kinds)[number % 2]
        parts.append({"id": f"X{number:03d}", "category": kind, "length": 100 + number, "notes": f"{kind} no {number}"})
        for place, step in enumerate(kinds[kind], 1):
            plan.append({"id": f"X{number:03d}", "step": place, "process": step, "std_time": 5 + place})
    _write(folder, "articles.csv", parts)
    _write(folder, "route_steps.csv", plan)


def write_sap_tables(folder: Path) -> None:
    """Write tables with an old German ERP's own names: base quantities, unit columns, two items of work a line."""
    luck = random.Random(8)
    items: Rows = []
    plan: Rows = []
    booked: Rows = []
    for number in range(90):
        code = f"{4000 + number:018d}"
        base = 100 if number % 3 == 0 else 1
        items.append(
            {
                "MANDT": "100",
                "MATNR": code,
                "MAKTX": f"Teil {number}",
                "MATKL": f"K{number % 2}",
                "LAENG": 50 + number,
                "MEABM": "CM" if number % 5 == 0 else "MM",
                "ZEINR": f"Z{number // 3}",
            }
        )
        for place, (step, machine) in enumerate(
            [("Drehen", "D1"), ("Fräsen", "F1"), ("Prüfen", "P1")][: 2 + number % 2], 1
        ):
            key = {"MATNR": code, "VORNR": f"{place * 10:04d}", "ARBPL": machine}
            times = {"BMSCH": base, "VGW01": 20, "VGE01": "MIN", "VGW02": round(2.5 * place * base, 2), "VGE02": "MIN"}
            plan.append({"PLNNR": f"{50000 + number}"} | key | {"LTXA1": step} | times)
            for _ in range(2):
                pieces = luck.randrange(5, 80)
                work = {
                    "ISM01": round(luck.uniform(15, 25), 1),
                    "ISM02": round(2.5 * place * pieces * luck.uniform(0.8, 1.3), 2),
                }
                day = f"2024{1 + luck.randrange(12):02d}{1 + luck.randrange(28):02d}"
                order = {"RUECK": len(booked) + 1, "AUFNR": f"{1000000 + len(booked) // 2}"}
                booked.append(order | key | {"BUDAT": day, "LMNGA": pieces, "XMNGA": 0, "ILE01": "MIN"} | work)
    for name, rows in {"MARA": items, "PLPO": plan, "AFRU": booked}.items():
        _write(folder, f"{name}.csv", rows, delimiter="|")


def write_one_table(folder: Path) -> None:
    """Write a factory that has one table only: reports of work that repeat what is known of the product."""
    luck = random.Random(9)
    rows: Rows = []
    for number in range(60):
        product = {
            "product_code": f"V{number:03d}",
            "product_type": ["valve", "seat"][number % 2],
            "diameter_mm": 10 + number,
        }
        for order in range(2):
            for place, step in enumerate(["cut", "mill", "coat"][: 2 + number % 2], 1):
                pieces = luck.randrange(1, 50)
                day = date(2024, 1, 1) + timedelta(days=luck.randrange(360))
                done = {"operation_no": place * 10, "operation": step, "machine": f"M{place}", "quantity": pieces}
                rows.append(
                    {"order_id": f"O{number}-{order}"}
                    | product
                    | done
                    | {"run_hours": round(pieces * 0.05, 3), "date": day}
                )
    _write(folder, "manufacturing.csv", rows)
