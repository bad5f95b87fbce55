"""Predictions are written behind the answer's back: fast, bounded, within a second, and honest about losses."""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import orjson
import pytest
from sqlalchemy import Engine, event, text
from sqlmodel import col, select

from shared.database.engine import make_engine, reading
from shared.database.predictions import Answered, AnsweredItem, Decisions, PredictionLog
from shared.database.tables import Prediction
from shared.prediction.answers import ItemPrediction, Status, as_json
from tests.database.database_support import MovableClock


def a_response(prediction_id: str = "p1", items: int = 1) -> Answered:
    answers = [
        ItemPrediction(item_code=f"item-{number}", status=Status.ABSTAINED, message="nothing is near: ø 12 µm")
        for number in range(items)
    ]
    return Answered(
        prediction_id=prediction_id, model_version="v1",
        items=[AnsweredItem(answer.item_code, answer.status, as_json(answer)) for answer in answers],
    )  # fmt: skip


@pytest.fixture
def predictions(engine: Engine) -> Iterator[PredictionLog]:
    log = PredictionLog(engine, capacity=1_000)
    yield log
    log.close()


def stored(engine: Engine) -> list[Prediction]:
    with reading(engine) as session:
        return list(session.exec(select(Prediction).order_by(col(Prediction.id))).all())


def eventually(condition: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def test_record_is_in_the_database_within_a_second(predictions: PredictionLog, engine: Engine) -> None:
    """One row an item, the answer kept as JSON word for word."""
    response = a_response(items=2)
    assert predictions.record(response, quantity=25.0, as_if_unknown=True)
    assert eventually(lambda: len(stored(engine)) == 2, 1.0)
    rows = stored(engine)
    assert [row.item_code for row in rows] == ["item-0", "item-1"]
    assert orjson.dumps(rows[0].answer) == response.items[0].json
    assert (rows[0].prediction_id, rows[0].model_version, rows[0].status) == ("p1", "v1", "abstained")
    assert (rows[0].quantity, rows[0].as_if_unknown) == (25.0, True)
    assert eventually(lambda: predictions.written == 2, 1.0)
    assert (predictions.dropped, predictions.waiting) == (0, 0)


def test_closing_writes_what_waits_and_refuses_what_comes_later(engine: Engine) -> None:
    """A clean stop loses nothing."""
    log = PredictionLog(engine, capacity=5_000)
    for number in range(40):
        log.record(a_response(f"p{number}", items=30), quantity=1, as_if_unknown=False)
    log.close()
    assert len(stored(engine)) == 1_200
    assert not log.record(a_response(), quantity=1, as_if_unknown=False)
    assert (log.written, log.dropped) == (1_200, 1)


def test_an_answer_is_written_whole_or_not_at_all(engine: Engine) -> None:
    """Whoever reads at any moment finds every item of an answer, or none."""
    sizes = {"p0": 300, "p1": 300, "p2": 700, "p3": 40}
    written: list[int] = []

    @event.listens_for(engine, "before_cursor_execute")
    def count_rows(
        connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, executemany: bool
    ) -> None:
        if statement.startswith("INSERT INTO predictions"):
            written.append(len(parameters) if executemany else 1)

    log = PredictionLog(engine)
    with engine.connect() as blocker:
        blocker.exec_driver_sql("ROLLBACK")
        blocker.exec_driver_sql("BEGIN IMMEDIATE")
        log.record(a_response("first"), quantity=1, as_if_unknown=False)
        assert eventually(lambda: log.waiting == 0, 2.0)  # the writer waits for the database: the others gather
        for name, items in sizes.items():
            log.record(a_response(name, items=items), quantity=1, as_if_unknown=False)
        blocker.exec_driver_sql("ROLLBACK")
    log.close()
    assert [rows for rows in written if rows > 1] == [300, 300, 700, 40]


def test_overflow_is_dropped_and_counted_without_waiting(predictions: PredictionLog, engine: Engine) -> None:
    """While another writer holds the database, recording stays fast and the losses are known exactly."""
    with engine.connect() as blocker:
        blocker.exec_driver_sql("ROLLBACK")
        blocker.exec_driver_sql("BEGIN IMMEDIATE")
        predictions.record(a_response("first"), quantity=1, as_if_unknown=False)
        assert eventually(lambda: predictions.waiting == 0, 2.0)  # the writer holds it now, and waits for the lock
        started = time.perf_counter()
        taken = [predictions.record(a_response(items=100), quantity=1, as_if_unknown=False) for _ in range(15)]
        assert time.perf_counter() - started < 0.2
        blocker.exec_driver_sql("ROLLBACK")
    assert taken == [True] * 10 + [False] * 5
    assert predictions.dropped == 500
    assert eventually(lambda: predictions.written == 1_001, 5.0)


def test_trouble_of_the_database_is_survived_by_trying_again(predictions: PredictionLog, engine: Engine) -> None:
    """A failing insert is repeated; once the trouble is over, everything is there once."""
    failures = iter(range(2))

    @event.listens_for(engine, "before_cursor_execute")
    def fail_twice(
        connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, executemany: bool
    ) -> None:
        if statement.startswith("INSERT INTO predictions") and next(failures, None) is not None:
            statement = "INSERT INTO no_such_table VALUES (1)"
            cursor.execute(statement)

    predictions.record(a_response(items=3), quantity=1, as_if_unknown=False)
    assert eventually(lambda: predictions.written == 3, 5.0)
    assert next(failures, None) is None
    assert len(stored(engine)) == 3
    assert predictions.dropped == 0


def test_lasting_trouble_costs_rows_and_not_the_writer(
    predictions: PredictionLog, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the last try the batch is dropped and counted, and the next one is written."""
    monkeypatch.setattr("shared.database.predictions.RETRY_SECONDS", (0.01,))
    with engine.connect() as connection:
        connection.execute(text("ALTER TABLE predictions RENAME TO away"))
        connection.commit()
    predictions.record(a_response(items=4), quantity=1, as_if_unknown=False)
    assert eventually(lambda: predictions.dropped == 4, 5.0)
    with engine.connect() as connection:
        connection.execute(text("ALTER TABLE away RENAME TO predictions"))
        connection.commit()
    predictions.record(a_response(items=5), quantity=1, as_if_unknown=False)
    assert eventually(lambda: predictions.written == 5, 5.0)


def test_recording_from_many_threads_loses_nothing(engine: Engine) -> None:
    """Every record of every thread is written once."""
    log = PredictionLog(engine)

    def go(thread: int) -> None:
        for number in range(50):
            log.record(a_response(f"{thread}-{number}"), quantity=1, as_if_unknown=False)

    threads = [threading.Thread(target=go, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log.close()
    assert len({row.prediction_id for row in stored(engine)}) == log.written == 400


def test_decision_stands_without_its_prediction(engine: Engine, database_url: str, clock: MovableClock) -> None:
    """A planner's word is stored at once and whole, whether or not the prediction's row survived a crash."""
    decisions = Decisions(engine, clock)
    operations = [{"sequence": 10, "operation_code": "CUT", "setup_minutes": 5.5}]
    row = decisions.insert(
        prediction_id="lost", item_code="A", model_version=None, outcome="edited", operations=operations,
        actor="anna", reason="too long",
    )  # fmt: skip
    assert row.id is not None
    other = make_engine(database_url)
    (found,), total = Decisions(other).list(prediction_id="lost")
    other.dispose()
    assert total == 1
    assert (found.id, found.operations, found.outcome, found.created_at) == (row.id, operations, "edited", clock())
    assert decisions.list(prediction_id="another") == ([], 0)
