"""A small shop: orders come in over HTTP, are packed from a queue, and billed when their packing slip appears."""

import json

import azure.functions as func
from packing import packing

STORAGE = "AzureWebJobsStorage"

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
app.register_functions(packing)


@app.route(route="orders/{customer:alpha}/{number:int:min(1)?}", methods=["GET"])
async def show(req: func.HttpRequest) -> func.HttpResponse:
    """Say which order is meant."""
    return func.HttpResponse(json.dumps(dict(req.route_params)), mimetype="application/json")


@app.route(route="orders/{customer:alpha}", methods=["POST"], auth_level=func.AuthLevel.FUNCTION)
@app.queue_output(arg_name="lines", queue_name="%SHOP%-orders", connection=STORAGE)
@app.blob_output(arg_name="note", path="%SHOP%-notes/{customer}.json", connection=STORAGE)
def take(
    req: func.HttpRequest, lines: func.Out[str], note: func.Out[bytes], context: func.Context
) -> func.HttpResponse:
    """Put each line of an order on the queue, and keep the order as it came."""
    order = req.get_json()
    customer = req.route_params["customer"]
    lines.set(json.dumps([{"customer": customer, "part": part} for part in order["parts"]]))
    note.set(req.get_body())
    return func.HttpResponse(context.invocation_id, status_code=202)


@app.route(route="stock/{part:length(3)}", auth_level=func.AuthLevel.ADMIN)
def stock(req: func.HttpRequest) -> str:
    """Answer with a plain text, which the host makes a response of."""
    return f"{req.route_params['part']}: plenty"


@app.timer_trigger(arg_name="timer", schedule="%STOCKTAKING%", use_monitor=False)
@app.queue_output(arg_name="$return", queue_name="%SHOP%-stocktakings", connection=STORAGE)
def take_stock(timer: func.TimerRequest) -> str:
    """Note that stock was taken."""
    return "late" if timer.past_due else "in time"
