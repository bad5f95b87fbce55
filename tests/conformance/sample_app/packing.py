"""The packing room, in a module of its own."""

import json
import logging

import azure.functions as func

STORAGE = "AzureWebJobsStorage"
FRAGILE = "egg"

packing = func.Blueprint()


@packing.queue_trigger(arg_name="line", queue_name="%SHOP%-orders", connection=STORAGE)
@packing.blob_output(arg_name="slip", path="%SHOP%-slips/{customer}/{part}.json", connection=STORAGE)
def pack(line: func.QueueMessage, slip: func.Out[str]) -> None:
    """Pack one line of an order; a fragile part breaks every time."""
    wanted = line.get_json()
    if wanted["part"] == FRAGILE:
        raise RuntimeError("it broke")
    logging.getLogger("packing").info("packed %s", wanted["part"])
    slip.set(json.dumps({**wanted, "try": line.dequeue_count}))


@packing.blob_trigger(arg_name="slip", path="%SHOP%-slips/{customer}/{part}.json", connection=STORAGE)
@packing.queue_output(arg_name="bills", queue_name="%SHOP%-bills", connection=STORAGE)
def bill(slip: func.InputStream, bills: func.Out[str]) -> None:
    """Write a bill for a packed line."""
    bills.set(f"{slip.name}: {json.loads(slip.read())['part']}")


@packing.queue_trigger(arg_name="line", queue_name="%SHOP%-orders-poison", connection=STORAGE)
@packing.queue_output(arg_name="$return", queue_name="%SHOP%-complaints", connection=STORAGE)
def complain(line: str) -> str:
    """Tell the customer what could not be packed."""
    return f"sorry, {json.loads(line)['customer']}"
