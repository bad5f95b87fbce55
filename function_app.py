"""The function app: registers the blueprints of `functions/`, and does nothing else."""

import azure.functions as func

from functions import (
    audit,
    data,
    exports,
    identity,
    logs,
    models,
    operations,
    pages,
    predictions,
    quality,
    routings,
    sessions,
    training,
    unknown,
)
from functions.running import HostCounters, ModelSuccession
from shared.logs import configure_logging
from shared.settings import current_settings

configure_logging(current_settings().log_level)

host_counters = HostCounters()  # a host that knows the name lends its counters to /metrics
succession = ModelSuccession()  # a host that knows the name changes models by changing workers
app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
app.register_functions(audit.blueprint)
app.register_functions(data.blueprint)
app.register_functions(exports.blueprint)
app.register_functions(identity.blueprint)
app.register_functions(logs.blueprint)
app.register_functions(models.blueprint)
app.register_functions(operations.blueprint)
app.register_functions(pages.blueprint)
app.register_functions(predictions.blueprint)
app.register_functions(quality.blueprint)
app.register_functions(routings.blueprint)
app.register_functions(sessions.blueprint)
app.register_functions(training.blueprint)
app.register_functions(unknown.blueprint)
